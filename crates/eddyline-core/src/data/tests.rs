//! Tests of counts, JSON and layouts.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[test]
fn elements_without_content_are_bounded_by_the_input() {
    let units = vec![(); 3];
    let bytes = to_bytes(&units);
    assert_eq!(bytes, [3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(from_bytes::<Vec<()>>(&bytes).unwrap(), units);
    assert_eq!(from_bytes::<VecDeque<()>>(&bytes).unwrap().len(), 3);
    assert!(from_bytes::<Vec<()>>(&[3, 0, 0, 0, 0, 1, 0]).is_err());
    let many = [0xff, 0xff, 0xff, 0xff];
    assert!(from_bytes::<Vec<()>>(&many).is_err());
    assert!(from_bytes::<Vec<Box<()>>>(&many).is_err());
    assert!(from_bytes::<BTreeSet<[u8; 0]>>(&many).is_err());
    assert!(from_bytes::<BTreeMap<(), ((), ())>>(&many).is_err());
    assert!(from_bytes_of::<Vec<u8>>(&many, &<Vec<()>>::schema()).is_err());
    let entries = BTreeMap::from([((), [(); 2])]);
    let bytes = to_bytes(&entries);
    assert_eq!(from_bytes::<BTreeMap<(), [(); 2]>>(&bytes).unwrap(), entries);
    let read = Value::decode(&<BTreeMap<(), [(); 2]>>::schema(), &mut Reader::new(&bytes)).unwrap();
    assert_eq!(<BTreeMap<(), [(); 2]>>::from_value(read).unwrap(), entries);
}

#[test]
fn a_count_does_not_make_room_that_the_input_cannot_fill() {
    assert_eq!(capacity_for::<u64>(usize::MAX, 80), 11);
    assert_eq!(capacity_for::<u64>(2, 80), 2);
    assert_eq!(capacity_for::<[u64; 1_000]>(1_000, 80), 1);
    assert_eq!(capacity_for::<()>(usize::MAX, 80), 81);
}

#[test]
fn bytes_are_a_block_and_a_list_at_once() {
    assert_eq!(<Vec<u8>>::schema(), DataType::Bytes);
    assert_eq!(to_bytes(&vec![1u8, 2]), [2, 0, 0, 0, 1, 2]);
    assert_eq!(from_bytes::<Vec<u8>>(&[2, 0, 0, 0, 1, 2]).unwrap(), [1, 2]);
    let widened: Vec<u16> = from_bytes_of(&[2, 0, 0, 0, 1, 2], &DataType::Bytes).unwrap();
    assert_eq!(widened, [1, 2]);
    let ring = VecDeque::from([1u8, 2]);
    assert_eq!((VecDeque::<u8>::schema(), to_bytes(&ring)), (DataType::Bytes, to_bytes(&vec![1u8, 2])));
    let listed = DataType::List(Box::new(DataType::UInt(8)));
    assert_eq!(from_bytes_of::<Vec<u8>>(&[1, 0, 0, 0, 9], &listed).unwrap(), [9]);
}

#[test]
fn schemas_that_no_type_has_are_errors() {
    for schema in [DataType::Int(7), DataType::UInt(0), DataType::Float(16)] {
        assert!(Value::decode(&schema, &mut Reader::new(&[0; 16])).is_err(), "{schema:?}");
    }
}

#[test]
fn leftover_bytes_are_an_error_in_both_ways_of_reading() {
    assert!(from_bytes::<u8>(&[1, 2]).unwrap_err().to_string().contains("1 bytes left over"));
    assert!(
        from_bytes_of::<u64>(&[1, 2], &u8::schema()).unwrap_err().to_string().contains("1 bytes left over")
    );
    assert_eq!(from_bytes_of::<u64>(&[1], &u8::schema()).unwrap(), 1);
}

#[test]
fn json_is_what_people_expect() {
    let json = |value: Value| serde_json::to_string(&value).unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(json(Value::Unit), "null");
    assert_eq!(json(Value::Int(-5, 8)), "-5");
    assert_eq!(json(Value::Int(i128::from(i64::MIN), 128)), "-9223372036854775808");
    assert_eq!(json(Value::Int(i128::from(i64::MIN) - 1, 128)), "\"-9223372036854775809\"");
    assert_eq!(json(Value::UInt(u128::from(u64::MAX), 64)), "18446744073709551615");
    assert_eq!(json(Value::UInt(u128::from(u64::MAX) + 1, 128)), "\"18446744073709551616\"");
    assert_eq!(json(Value::Float(f64::from(0.1f32), 32)), "0.1");
    assert_eq!(json(Value::Float(f64::NEG_INFINITY, 64)), "\"-inf\"");
    assert_eq!(json(Value::Float(f64::NAN, 64)), "\"NaN\"");
    assert_eq!(json(Value::Bytes(vec![0, 0xab])), "\"0x00ab\"");
    assert_eq!(json(Value::Char('ä')), "\"ä\"");
    assert_eq!(json(Value::Optional(None)), "null");
    assert_eq!(json(Value::Optional(Some(Box::new(Value::Bool(true))))), "true");
    assert_eq!(json(Value::Map(vec![(text("a"), Value::Int(1, 8))])), "{\"a\":1}");
    assert_eq!(json(Value::Map(vec![(Value::Int(1, 8), text("a"))])), "[[1,\"a\"]]");
    assert_eq!(json(Value::Tuple(vec![text("a"), Value::List(Vec::new())])), "[\"a\",[]]");
    assert_eq!(
        json(Value::Struct(vec![("b".into(), Value::Unit), ("a".into(), Value::Unit)])),
        "{\"b\":null,\"a\":null}"
    );
    assert_eq!(json(Value::Variant("Idle".into(), Box::new(Value::Unit))), "\"Idle\"");
    assert_eq!(
        json(Value::Variant("Busy".into(), Box::new(Value::Tuple(vec![text("x")])))),
        "{\"Busy\":[\"x\"]}"
    );
}

#[test]
fn layouts_ignore_the_names_of_types_and_aliases() {
    let schema = |name: &str, field: &str, aliases: &[&str]| DataType::Struct {
        name: name.into(),
        fields: vec![Field {
            name: field.into(),
            aliases: aliases.iter().map(|alias| (*alias).to_string()).collect(),
            data_type: DataType::Bool,
        }],
    };
    let mine = schema("A", "x", &[]);
    assert!(mine.same_layout(&schema("B", "x", &["y"])));
    assert!(!mine.same_layout(&schema("A", "y", &["x"])));
    let list = |inner: &DataType| {
        DataType::Map(Box::new(DataType::Text), Box::new(DataType::List(Box::new(inner.clone()))))
    };
    assert!(list(&mine).same_layout(&list(&schema("B", "x", &[]))));
    assert!(!list(&mine).same_layout(&list(&DataType::Bool)));
}
