//! The mapping of values between schemas, compared with a naive model of its rules that knows schemas alone.
//!
//! The reader's type is fixed and has everything in it. Writers' schemas are made from it by changes that the rules
//! allow and some that they do not; values of them are read by the type and by the model, which have to agree on the
//! result and on what is refused.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may panic as the tests do")]

use eddyline_core::data::{Field, Variant, from_bytes_of, to_bytes};
use eddyline_core::{Data, DataType, Reader, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Data)]
struct Everything {
    small: u16,
    wide: Option<i64>,
    #[data(alias = "title", alias = "name")]
    text: String,
    list: Vec<Option<u32>>,
    bytes: Vec<u8>,
    inner: Inner,
    map: BTreeMap<String, u64>,
    kind: Kind,
    pair: (i32, f64),
    maybe: Option<Inner>,
    letter: char,
    flag: bool,
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Inner {
    #[data(alias = "number")]
    count: u64,
    ratio: f32,
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Data)]
enum Kind {
    New,
    #[data(alias = "Running")]
    Active(u32),
    Blocked {
        reason: Option<String>,
        since: i64,
    },
}

/// The rules: the value as schema `reader` has it, or nothing if they do not lead there.
fn model(value: &Value, reader: &DataType) -> Option<Value> {
    Some(match (reader, value) {
        (DataType::Optional(_), Value::Optional(None)) => Value::Optional(None),
        (DataType::Optional(inner), Value::Optional(Some(value))) => {
            Value::Optional(Some(Box::new(model(value, inner)?)))
        }
        (DataType::Optional(inner), present) => Value::Optional(Some(Box::new(model(present, inner)?))),
        (DataType::Int(to), Value::Int(number, from)) if from <= to => Value::Int(*number, *to),
        (DataType::Int(to), Value::UInt(number, from)) if from < to => {
            Value::Int(i128::try_from(*number).unwrap(), *to)
        }
        (DataType::UInt(to), Value::UInt(number, from)) if from <= to => Value::UInt(*number, *to),
        (DataType::Float(64), Value::Float(number, _)) => Value::Float(*number, 64),
        (DataType::Float(64), Value::Int(number, ..=32)) => Value::Float(*number as f64, 64),
        (DataType::Float(64), Value::UInt(number, ..=32)) => Value::Float(*number as f64, 64),
        (DataType::Float(32), Value::Float(_, 32)) => value.clone(),
        (DataType::Text, Value::Char(character)) => Value::Text(character.to_string()),
        (DataType::Bool, Value::Bool(_))
        | (DataType::Char, Value::Char(_))
        | (DataType::Text, Value::Text(_))
        | (DataType::Bytes, Value::Bytes(_))
        | (DataType::Unit, Value::Unit) => value.clone(),
        (DataType::List(inner), Value::List(items)) => {
            Value::List(items.iter().map(|item| model(item, inner)).collect::<Option<_>>()?)
        }
        (DataType::Map(key_type, value_type), Value::Map(entries)) => {
            let mapped =
                entries.iter().map(|(key, value)| Some((model(key, key_type)?, model(value, value_type)?)));
            Value::Map(mapped.collect::<Option<_>>()?)
        }
        (DataType::Tuple(types), Value::Tuple(items)) if types.len() == items.len() => Value::Tuple(
            types.iter().zip(items).map(|(inner, item)| model(item, inner)).collect::<Option<_>>()?,
        ),
        (DataType::Struct { fields, .. }, Value::Struct(values)) => {
            let mapped = fields.iter().map(|field| {
                let named =
                    |name: &str| values.iter().find(|(found, _)| found == name).map(|(_, value)| value);
                let found = named(&field.name).or_else(|| {
                    // Of several old names the first that the writer has.
                    values.iter().find(|(found, _)| field.aliases.contains(found)).map(|(_, value)| value)
                });
                let absent = Value::Optional(None);
                Some((field.name.clone(), model(found.unwrap_or(&absent), &field.data_type)?))
            });
            Value::Struct(mapped.collect::<Option<_>>()?)
        }
        (DataType::Enum { variants, .. }, Value::Variant(name, carried)) => {
            let known = variants.iter().find(|variant| variant.name == *name);
            let known = known.or_else(|| variants.iter().find(|variant| variant.aliases.contains(name)))?;
            Value::Variant(known.name.clone(), Box::new(model(carried, &known.data_type)?))
        }
        _ => return None,
    })
}

/// What a writer may have had where the reader has `schema`: often the same, sometimes something that maps, now and
/// then something that does not.
fn written(schema: &DataType) -> BoxedStrategy<DataType> {
    let changed: BoxedStrategy<DataType> = match schema {
        DataType::UInt(_) => prop::sample::select(vec![8u8, 16, 32, 64]).prop_map(DataType::UInt).boxed(),
        DataType::Int(_) => {
            let signed = prop::sample::select(vec![8u8, 16, 32, 64]).prop_map(DataType::Int);
            prop_oneof![signed, Just(DataType::UInt(16)), Just(DataType::UInt(32))].boxed()
        }
        DataType::Float(_) => {
            prop::sample::select(vec![DataType::Float(32), DataType::Int(32), DataType::UInt(64)]).boxed()
        }
        DataType::Text => prop::sample::select(vec![DataType::Char, DataType::Bytes]).boxed(),
        DataType::Optional(inner) => {
            let optional = written(inner).prop_map(|inner| DataType::Optional(Box::new(inner)));
            prop_oneof![optional, written(inner)].boxed()
        }
        DataType::List(inner) => written(inner).prop_map(|inner| DataType::List(Box::new(inner))).boxed(),
        DataType::Map(key, value) => (written(key), written(value))
            .prop_map(|(key, value)| DataType::Map(Box::new(key), Box::new(value)))
            .boxed(),
        DataType::Tuple(types) => {
            types.iter().map(written).collect::<Vec<_>>().prop_map(DataType::Tuple).boxed()
        }
        DataType::Struct { name, fields } => written_struct(name.clone(), fields),
        DataType::Enum { name, variants } => written_enum(name.clone(), variants),
        other => Just(other.clone()).boxed(),
    };
    let wrapped = schema.clone();
    prop_oneof![
        8 => Just(schema.clone()),
        8 => changed,
        1 => Just(DataType::Optional(Box::new(wrapped))),
    ]
    .boxed()
}

fn written_struct(name: String, fields: &[Field]) -> BoxedStrategy<DataType> {
    let field = |field: &Field| {
        let mut names = vec![field.name.clone(); 3];
        names.extend(field.aliases.clone());
        let optional = matches!(field.data_type, DataType::Optional(_));
        let there = prop::bool::weighted(if optional { 0.6 } else { 0.98 });
        (prop::sample::select(names), written(&field.data_type), there)
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    (fields, prop::bool::ANY)
        .prop_map(|(fields, has_more)| {
            let named = |(name, data_type, _)| Field { name, aliases: Vec::new(), data_type };
            let mut fields: Vec<Field> = fields.into_iter().filter(|(.., there)| *there).map(named).collect();
            if has_more {
                fields.push(Field { name: "gone".into(), aliases: Vec::new(), data_type: DataType::Text });
            }
            fields
        })
        .prop_shuffle()
        .prop_map(move |fields| DataType::Struct { name: name.clone(), fields })
        .boxed()
}

fn written_enum(name: String, variants: &[Variant]) -> BoxedStrategy<DataType> {
    let variant = |variant: &Variant| {
        let mut names = vec![variant.name.clone()];
        names.extend(variant.aliases.clone());
        (prop::sample::select(names), written_carried(&variant.data_type))
    };
    let mut more: Vec<_> = variants.iter().map(variant).collect();
    more.push((prop::sample::select(vec!["Gone".to_string()]), Just(DataType::Unit).boxed()));
    let count = more.len();
    (more.prop_shuffle(), 1..=count)
        .prop_map(move |(mut variants, count)| {
            variants.truncate(count);
            let named = |(name, data_type)| Variant { name, aliases: Vec::new(), data_type };
            DataType::Enum { name: name.clone(), variants: variants.into_iter().map(named).collect() }
        })
        .boxed()
}

/// What a variant carries is a unit, a tuple or a struct.
fn written_carried(schema: &DataType) -> BoxedStrategy<DataType> {
    match schema {
        DataType::Tuple(types) => {
            types.iter().map(written).collect::<Vec<_>>().prop_map(DataType::Tuple).boxed()
        }
        DataType::Struct { name, fields } => written_struct(name.clone(), fields),
        other => Just(other.clone()).boxed(),
    }
}

/// A value of a schema.
fn value_of(schema: &DataType) -> BoxedStrategy<Value> {
    match schema {
        DataType::Unit => Just(Value::Unit).boxed(),
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int(bits) => {
            let bits = *bits;
            any::<i64>().prop_map(move |number| Value::Int(i128::from(number >> (64 - bits)), bits)).boxed()
        }
        DataType::UInt(bits) => {
            let bits = *bits;
            any::<u64>().prop_map(move |number| Value::UInt(u128::from(number >> (64 - bits)), bits)).boxed()
        }
        DataType::Float(32) => (-1e6f32..1e6).prop_map(|number| Value::Float(f64::from(number), 32)).boxed(),
        DataType::Float(bits) => {
            let bits = *bits;
            (-1e9f64..1e9).prop_map(move |number| Value::Float(number, bits)).boxed()
        }
        DataType::Char => any::<char>().prop_map(Value::Char).boxed(),
        DataType::Text => ".{0,6}".prop_map(Value::Text).boxed(),
        DataType::Bytes => prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::Bytes).boxed(),
        DataType::Optional(inner) => {
            prop::option::of(value_of(inner)).prop_map(|value| Value::Optional(value.map(Box::new))).boxed()
        }
        DataType::List(inner) => prop::collection::vec(value_of(inner), 0..4).prop_map(Value::List).boxed(),
        DataType::Map(key, value) => {
            prop::collection::vec((value_of(key), value_of(value)), 0..4).prop_map(as_map).boxed()
        }
        DataType::Tuple(types) => {
            types.iter().map(value_of).collect::<Vec<_>>().prop_map(Value::Tuple).boxed()
        }
        DataType::Struct { fields, .. } => {
            let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            let values: Vec<_> = fields.iter().map(|field| value_of(&field.data_type)).collect();
            values.prop_map(move |values| Value::Struct(names.iter().cloned().zip(values).collect())).boxed()
        }
        DataType::Enum { variants, .. } => {
            let variants = variants.clone();
            (0..variants.len())
                .prop_flat_map(move |number| {
                    let name = variants[number].name.clone();
                    value_of(&variants[number].data_type)
                        .prop_map(move |carried| Value::Variant(name.clone(), Box::new(carried)))
                })
                .boxed()
        }
    }
}

/// A map as it is written: each key once, in order.
fn as_map(entries: Vec<(Value, Value)>) -> Value {
    let by_key: BTreeMap<String, (Value, Value)> =
        entries.into_iter().map(|entry| (format!("{:?}", entry.0), entry)).collect();
    Value::Map(by_key.into_values().collect())
}

/// The entries of all maps in one order.
fn normal(value: Value) -> Value {
    match value {
        Value::Map(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (normal(key), normal(value)));
            as_map(entries.collect())
        }
        Value::Optional(Some(value)) => Value::Optional(Some(Box::new(normal(*value)))),
        Value::List(items) => Value::List(items.into_iter().map(normal).collect()),
        Value::Tuple(items) => Value::Tuple(items.into_iter().map(normal).collect()),
        Value::Struct(fields) => {
            Value::Struct(fields.into_iter().map(|(name, value)| (name, normal(value))).collect())
        }
        Value::Variant(name, carried) => Value::Variant(name, Box::new(normal(*carried))),
        other => other,
    }
}

/// Whether `written` has a struct with two fields of one name, which no type has.
fn is_possible(schema: &DataType) -> bool {
    match schema {
        DataType::Optional(inner) | DataType::List(inner) => is_possible(inner),
        DataType::Map(key, value) => is_possible(key) && is_possible(value),
        DataType::Tuple(types) => types.iter().all(is_possible),
        DataType::Struct { fields, .. } => {
            let names: std::collections::BTreeSet<&String> = fields.iter().map(|field| &field.name).collect();
            names.len() == fields.len() && fields.iter().all(|field| is_possible(&field.data_type))
        }
        DataType::Enum { variants, .. } => variants.iter().all(|variant| is_possible(&variant.data_type)),
        _ => true,
    }
}

fn writer_and_value() -> impl Strategy<Value = (DataType, Value)> {
    let Some(DataType::Struct { name, fields }) = Some(Everything::schema()) else {
        unreachable!("it is a struct")
    };
    written_struct(name, &fields).prop_filter("a type", is_possible).prop_flat_map(|schema| {
        let values = value_of(&schema);
        (Just(schema), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn values_are_mapped_as_the_model_says((writer, value) in writer_and_value()) {
        let mut bytes = Vec::new();
        value.encode_as(&writer, &mut bytes).unwrap();
        prop_assert_eq!(&Value::decode(&writer, &mut Reader::new(&bytes)).unwrap(), &value);
        let expected = model(&value, &Everything::schema()).map(normal);
        let read = from_bytes_of::<Everything>(&bytes, &writer);
        let read_again = read.clone().ok().map(|read| {
            normal(Value::decode(&Everything::schema(), &mut Reader::new(&to_bytes(&read))).unwrap())
        });
        prop_assert_eq!(read_again, expected, "{:?}", read.err());
    }
}

mod renamed {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Data)]
    pub struct First {
        pub name: String,
    }

    #[derive(Debug, Clone, PartialEq, Data)]
    pub struct Second {
        pub first: String,
        pub last: String,
    }

    /// Two versions back can be read, and what is neither is told as if there were no migration.
    #[derive(Debug, Clone, PartialEq, Data)]
    #[data(migrate_from = "Second", migrate_from = "First")]
    pub struct Third {
        pub full: String,
    }

    impl TryFrom<Second> for Third {
        type Error = String;

        fn try_from(second: Second) -> Result<Self, String> {
            match second.first.as_str() {
                "" => Err("nobody is called nothing".to_owned()),
                first => Ok(Third { full: format!("{first} {}", second.last) }),
            }
        }
    }

    impl From<First> for Third {
        fn from(first: First) -> Self {
            Third { full: first.name }
        }
    }

    #[derive(Debug, Clone, PartialEq, Data)]
    #[data(migrate_from = "u8")]
    pub enum Level {
        Low,
        High(u64),
    }

    impl From<u8> for Level {
        fn from(level: u8) -> Self {
            if level < 10 { Level::Low } else { Level::High(u64::from(level)) }
        }
    }
}

#[test]
fn types_may_say_what_they_were_before() {
    use renamed::{First, Level, Second, Third};
    fn read<W: Data, R: Data>(written: &W) -> Result<R, String> {
        from_bytes_of(&to_bytes(written), &W::schema()).map_err(|error| error.to_string())
    }
    let full = |full: &str| Ok(Third { full: full.to_owned() });
    let second = |first: &str| Second { first: first.into(), last: "Lovelace".into() };
    assert_eq!(read(&First { name: "Ada".into() }), full("Ada"));
    assert_eq!(read(&second("Ada")), full("Ada Lovelace"));
    assert_eq!(read(&Third { full: "Ada".into() }), full("Ada"));
    assert_eq!(read::<_, Third>(&second("")).unwrap_err(), "the migration failed: nobody is called nothing");
    let neither = read::<_, Third>(&(1u8, 2u8)).unwrap_err();
    assert!(neither.contains("struct expected"), "{neither}");
    // Wherever the type is.
    assert_eq!(
        read::<_, Vec<Option<Level>>>(&vec![3u8, 30]),
        Ok(vec![Some(Level::Low), Some(Level::High(30))])
    );
}
