//! Every shape of type that `#[derive(Data)]` takes.

use eddyline_core::data::{Variant, from_bytes, to_bytes};
use eddyline_core::{Data, DataType, Field, Key};
use std::fmt::Debug;
use std::marker::PhantomData;

#[derive(Debug, Clone, PartialEq, Data)]
struct Named {
    id: u64,
    #[data(alias = "label", alias = "title")]
    name: String,
    r#type: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
struct Positions(u8, (i16, char));

#[derive(Debug, Clone, PartialEq, Data)]
struct Marker;

#[derive(Debug, Clone, PartialEq, Data)]
struct NoFields {}

#[derive(Debug, Clone, PartialEq, Data)]
struct NoPositions();

#[derive(Debug, Clone, PartialEq, Data)]
enum Shape {
    Point,
    Circle(f64),
    #[data(alias = "Box")]
    Rectangle {
        width: f32,
        height: f32,
    },
    Empty {},
    Nothing(),
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Generic<T, U: PartialEq, const N: usize>
where
    T: Debug,
{
    items: Vec<T>,
    pair: (U, [T; N]),
    kind: PhantomData<U>,
}

mod facade {
    pub use eddyline_core as __core;
}

#[derive(Debug, Clone, PartialEq, Data)]
#[data(crate = "crate::derive::facade::__core")]
enum Elsewhere {
    One(u8),
}

/// Names of fields that generated code might use itself.
#[derive(Debug, Clone, PartialEq, Data)]
struct Awkward {
    out: u8,
    input: u8,
    value: u8,
    fields: u8,
}

fn check<T: Data + PartialEq + Debug>(value: T, expected: &[u8]) {
    assert_eq!(to_bytes(&value), expected, "{value:?}");
    assert_eq!(from_bytes::<T>(expected).unwrap(), value);
    let read = eddyline_core::Value::decode(&T::schema(), &mut eddyline_core::Reader::new(expected)).unwrap();
    assert_eq!(T::from_value(read).unwrap(), value);
}

#[test]
fn structs_are_their_fields_in_order() {
    check(
        Named { id: 1, name: "a".into(), r#type: Some(2) },
        &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'a', 1, 2],
    );
    check(Positions(1, (-1, 'a')), &[1, 0xff, 0xff, b'a', 0, 0, 0]);
    check(Marker, &[]);
    check(NoFields {}, &[]);
    check(NoPositions(), &[]);
    check(vec![Marker, Marker], &[2, 0, 0, 0, 0, 0]);
    check(Awkward { out: 1, input: 2, value: 3, fields: 4 }, &[1, 2, 3, 4]);
}

#[test]
fn enums_are_a_number_and_their_fields() {
    check(Shape::Point, &[0, 0, 0, 0]);
    check(Shape::Circle(0.0), &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    check(Shape::Rectangle { width: 0.0, height: 1.0 }, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f]);
    check(Shape::Empty {}, &[3, 0, 0, 0]);
    check(Shape::Nothing(), &[4, 0, 0, 0]);
    check(Elsewhere::One(7), &[0, 0, 0, 0, 7]);
    let error = from_bytes::<Shape>(&[5, 0, 0, 0]).unwrap_err();
    assert_eq!(error.to_string(), "enum Shape has no variant number 5");
}

#[test]
fn schemas_name_everything() {
    let field = |name: &str, aliases: &[&str], data_type| Field {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).to_string()).collect(),
        data_type,
    };
    let named = DataType::Struct {
        name: "Named".into(),
        fields: vec![
            field("id", &[], DataType::UInt(64)),
            field("name", &["label", "title"], DataType::Text),
            field("type", &[], DataType::Optional(Box::new(DataType::UInt(8)))),
        ],
    };
    assert_eq!(Named::schema(), named);
    assert_eq!(Marker::schema(), DataType::Struct { name: "Marker".into(), fields: Vec::new() });
    let DataType::Enum { name, variants } = Shape::schema() else { panic!("an enum expected") };
    assert_eq!((name.as_str(), variants.len()), ("Shape", 5));
    assert_eq!(variants[0], Variant { name: "Point".into(), aliases: Vec::new(), data_type: DataType::Unit });
    assert_eq!(variants[1].data_type, DataType::Tuple(vec![DataType::Float(64)]));
    assert_eq!(variants[2].aliases, ["Box"]);
    let written = serde_json::to_string(&Shape::schema()).unwrap();
    assert_eq!(serde_json::from_str::<DataType>(&written).unwrap(), Shape::schema());
}

#[test]
fn generic_types_are_data_where_their_parameters_are() {
    let value = Generic { items: vec![1u8], pair: ("x".to_string(), [2, 3]), kind: PhantomData };
    check(value, &[1, 0, 0, 0, 1, 1, 0, 0, 0, b'x', 2, 3]);
}

#[test]
fn memory_is_counted_where_there_is_some() {
    const { assert!(Named::HAS_HEAP && !Positions::HAS_HEAP && !Marker::HAS_HEAP && !Shape::HAS_HEAP) };
    const { assert!(!<Option<Positions>>::HAS_HEAP && <Generic<u8, u8, 1>>::HAS_HEAP) };
    let named = Named { id: 1, name: "x".repeat(100), r#type: None };
    assert!(named.heap_bytes() >= 100);
    assert_eq!(Positions(1, (2, 'c')).heap_bytes(), 0);
    assert_eq!(Shape::Circle(1.0).heap_bytes(), 0);
}

#[test]
fn types_with_exact_equality_are_keys() {
    fn hash<K: Key>(key: K) -> u64 {
        key.stable_hash()
    }
    assert_eq!(hash(Positions(1, (2, 'c'))), hash((1u8, 2i16, 'c')));
}
