//! Whatever is encoded is decoded again; whatever is not, is an error and nothing worse.

use eddyline_core::data::{from_bytes, from_bytes_of, to_bytes};
use eddyline_core::{Data, Reader, Value};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Readings<T> = Vec<Option<T>>;

#[derive(Debug, Clone, PartialEq, Data)]
struct Everything {
    integers: (i8, i16, i32, i64, i128),
    naturals: (u8, u16, u32, u64, u128),
    text: String,
    character: char,
    bytes: Vec<u8>,
    units: Vec<()>,
    shapes: VecDeque<Shape>,
    names: BTreeSet<String>,
    nested: BTreeMap<String, Readings<(bool, Box<f64>)>>,
    array: [Option<u16>; 3],
}

#[derive(Debug, Clone, PartialEq, Data)]
enum Shape {
    Point,
    Circle(f32, Marker),
    Path { corners: Vec<(i64, i64)>, note: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Marker;

/// What [`Everything`] may become; reading it takes the long way.
#[derive(Debug, Clone, PartialEq, Data)]
struct Later {
    bytes: Vec<u16>,
    nested: BTreeMap<String, Readings<(Option<bool>, f64)>>,
    added: Option<String>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let corners = vec(any::<(i64, i64)>(), 0..4);
    prop_oneof![
        Just(Shape::Point),
        (-1e9f32..1e9).prop_map(|radius| Shape::Circle(radius, Marker)),
        (corners, proptest::option::of(".{0,5}")).prop_map(|(corners, note)| Shape::Path { corners, note }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<(i8, i16, i32, i64, i128)>(), any::<(u8, u16, u32, u64, u128)>());
    let texts = (".{0,20}", any::<char>(), vec(any::<u8>(), 0..20), 0usize..5);
    let optional = proptest::option::of((any::<bool>(), (-1e300f64..1e300).prop_map(Box::new)));
    let nested = btree_map(".{0,3}", vec(optional, 0..4), 0..4);
    let lists = (vec(shape(), 0..5), btree_set(".{0,4}", 0..4), nested, any::<[Option<u16>; 3]>());
    (numbers, texts, lists).prop_map(
        |((integers, naturals), (text, character, bytes, units), (shapes, names, nested, array))| {
            Everything {
                integers,
                naturals,
                text,
                character,
                bytes,
                units: vec![(); units],
                shapes: shapes.into(),
                names,
                nested,
                array,
            }
        },
    )
}

proptest! {
    #[test]
    fn values_survive_both_ways_of_reading(value in everything()) {
        let bytes = to_bytes(&value);
        prop_assert_eq!(&from_bytes::<Everything>(&bytes).unwrap(), &value);
        let mut reader = Reader::new(&bytes);
        let read = Value::decode(&Everything::schema(), &mut reader).unwrap();
        prop_assert!(reader.is_empty());
        serde_json::to_string(&read).unwrap();
        prop_assert_eq!(&Everything::from_value(read).unwrap(), &value);
        prop_assert_eq!(value.stable_hash(), eddyline_core::stable_hash(&bytes));
    }

    #[test]
    fn values_evolve(value in everything()) {
        let later: Later = from_bytes_of(&to_bytes(&value), &Everything::schema()).unwrap();
        prop_assert_eq!(later.bytes, value.bytes.iter().map(|byte| u16::from(*byte)).collect::<Vec<_>>());
        prop_assert_eq!(later.nested.len(), value.nested.len());
        prop_assert_eq!(later.added, None);
    }

    #[test]
    fn cut_bytes_are_an_error(value in everything(), cut in any::<prop::sample::Index>()) {
        let bytes = to_bytes(&value);
        let kept = cut.index(bytes.len());
        prop_assert!(from_bytes::<Everything>(&bytes[..kept]).is_err());
        prop_assert!(from_bytes_of::<Later>(&bytes[..kept], &Everything::schema()).is_err());
    }

    #[test]
    fn changed_bytes_do_no_harm(value in everything(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = to_bytes(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_harmless::<Everything>(&bytes);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(prop_oneof![any::<u8>(), 0u8..3, Just(0xff)], 0..200)) {
        check_harmless::<Everything>(&bytes);
        check_harmless::<Vec<Everything>>(&bytes);
        check_harmless::<Vec<Vec<Vec<()>>>>(&bytes);
        check_harmless::<BTreeMap<(), Vec<Marker>>>(&bytes);
        check_harmless::<Vec<[Marker; 1_000]>>(&bytes);
        check_harmless::<VecDeque<Option<Shape>>>(&bytes);
        check_harmless::<Vec<[u64; 1_000]>>(&bytes);
    }
}

/// Both ways of reading end, agree on what is an error, and give equal bytes for what is none (but for sets and
/// maps, whose entries may come in any order and more than once).
fn check_harmless<T: Data>(bytes: &[u8]) {
    let direct = from_bytes::<T>(bytes);
    let mut reader = Reader::new(bytes);
    let read = Value::decode(&T::schema(), &mut reader);
    match direct {
        Ok(value) => {
            let read = T::from_value(read.unwrap()).unwrap();
            assert_eq!(to_bytes(&value), to_bytes(&read));
        }
        Err(_) => assert!(read.is_err() || !reader.is_empty()),
    }
}
