//! The encoding and the hash are a persistent format: these bytes and numbers must never change.

use eddyline_core::data::{from_bytes, to_bytes};
use eddyline_core::{Data, key_group_of};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

#[derive(Debug, Clone, PartialEq, Data)]
struct Order {
    id: u64,
    customer: Option<String>,
    lines: Vec<Line>,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Line(u16, f32);

#[derive(Debug, Clone, PartialEq, Data)]
enum State {
    Open,
    Paid { cents: i64 },
    Sent(String, bool),
}

/// `value` is `hexadecimal`, spaces aside, and hashes to `hash`.
fn check<T: Data + PartialEq + Debug>(value: T, hexadecimal: &str, hash: u64) {
    let bytes = to_bytes(&value);
    let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, hexadecimal.replace(' ', ""), "{value:?}");
    assert_eq!(value.stable_hash(), hash, "{value:?}: {:#018x}", value.stable_hash());
    assert_eq!(from_bytes::<T>(&bytes).unwrap(), value);
}

#[test]
fn numbers_are_little_endian() {
    check((), "", 0x2d06_8005_38d3_94c2);
    check(true, "01", 0xe12e_f9d2_eb86_ceeb);
    check(-2i8, "fe", 0x6c19_7e51_b936_4ce3);
    check(-2i16, "feff", 0x00e7_cbba_5da9_e337);
    check(-2i32, "feffffff", 0x7016_8a72_e6d8_f6ab);
    check(-2i64, "feffffffffffffff", 0x77f9_9232_1730_1859);
    check(-2i128, "feffffffffffffffffffffffffffffff", 0xfccd_a5e5_0c11_3104);
    check(0x12u8, "12", 0x32fa_b814_2e1b_3006);
    check(0x1234u16, "3412", 0xb5fa_da93_96af_c87b);
    check(0x1234_5678u32, "78563412", 0x2b1e_8b2e_9c48_a3be);
    check(0x0123_4567_89ab_cdefu64, "efcdab8967452301", 0xb78d_f414_2842_77a6);
    check(1u128 << 100, "00000000000000000000000010000000", 0xad32_feb5_5d7e_624d);
    check(7usize, "0700000000000000", 0x8167_1e58_d6b5_96af);
    check(-7isize, "f9ffffffffffffff", 0xcded_dd5c_0859_7fb4);
    check(1.5f32, "0000c03f", 0xadeb_6dc0_39f4_4db0);
    check(-0.1f64, "9a9999999999b9bf", 0x398e_2c5f_b210_6261);
    check('€', "ac200000", 0x1af0_28b0_4bf5_3e3d);
}

#[test]
fn text_and_containers_are_counted() {
    check(String::new(), "00000000", 0x48b2_c926_16fc_193d);
    check("eddy".to_string(), "0400000065646479", 0x5a71_5603_f07d_4570);
    check("Größe €".to_string(), "0b0000004772c3b6c39f6520e282ac", 0xc35d_d587_aa3e_d13a);
    check(vec![1u8, 2, 255], "030000000102ff", 0xfed9_08fc_1bb1_c1a4);
    check(vec![1u16, 2], "0200000001000200", 0x5e33_ce69_cafa_b47c);
    check(VecDeque::from([true, false]), "020000000100", 0xa6bf_7cf7_6211_05d0);
    check(BTreeSet::from([3u8, 1]), "020000000103", 0x489c_c6ae_0a3e_908c);
    check(vec![(), ()], "020000000000", 0x589d_a8a6_3cd3_bb57);
    check(
        BTreeMap::from([("b".to_string(), 2u8), ("a".to_string(), 1)]),
        "02000000010000006101010000006202",
        0x9327_fb53_5d1c_c8f5,
    );
    check(None::<u32>, "00", 0xc44b_dff4_074e_ecdb);
    check(Some(5u32), "0105000000", 0x4ed0_1a4e_0d3d_ce51);
    check([1u16, 2, 3], "010002000300", 0xc416_cfbf_9546_d233);
    check((1u8, 'x', Box::new(2u16)), "01780000000200", 0x9647_d891_5846_8d8e);
}

#[test]
fn structs_and_enums_are_their_fields() {
    check(State::Open, "00000000", 0x48b2_c926_16fc_193d);
    check(State::Paid { cents: -1 }, "01000000ffffffffffffffff", 0xe4db_34fc_f3c1_ddbe);
    check(State::Sent("DHL".into(), true), "020000000300000044484c01", 0xfe50_75f0_2a58_b22b);
    check(
        Order { id: 42, customer: Some("Ada".into()), lines: vec![Line(3, 9.5)], state: State::Open },
        "2a0000000000000001030000004164610100000003000000184100000000",
        0x2694_8e28_2f02_dc53,
    );
    check("long ".repeat(60), &format!("2c010000{}", "6c6f6e6720".repeat(60)), 0xe204_1431_cd47_08f8);
}

#[test]
fn keys_keep_their_groups() {
    let groups: Vec<u32> = (0u64..8).map(|key| key_group_of(key.stable_hash(), 128)).collect();
    assert_eq!(groups, [89, 46, 67, 125, 120, 12, 59, 47]);
}
