//! Comparing the schema of a writer with that of a reader.

use eddyline_core::{Data, DataType, DecodeError, Reader, Value};
use std::marker::PhantomData;

/// Whether two schemas give the same bytes the same meaning: everything but the names of types and the aliases of
/// fields has to agree.
pub(crate) fn same_layout(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::Optional(a), DataType::Optional(b)) | (DataType::List(a), DataType::List(b)) => {
            same_layout(a, b)
        }
        (DataType::Map(a, b), DataType::Map(c, d)) => same_layout(a, c) && same_layout(b, d),
        (DataType::Tuple(a), DataType::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_layout(a, b))
        }
        (DataType::Struct { fields: a, .. }, DataType::Struct { fields: b, .. }) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name == b.name && same_layout(&a.data_type, &b.data_type))
        }
        (DataType::Enum { variants: a, .. }, DataType::Enum { variants: b, .. }) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name == b.name && same_layout(&a.data_type, &b.data_type))
        }
        _ => one == other,
    }
}

/// Decodes values of `T` that were written with some schema.
pub(crate) struct Decoder<T> {
    /// The writer's schema, unless the bytes can be decoded directly.
    evolved_from: Option<DataType>,
    reader: PhantomData<fn() -> T>,
}

impl<T: Data> Decoder<T> {
    pub(crate) fn new(writer: &DataType) -> Self {
        let evolved_from = (!same_layout(writer, &T::schema())).then(|| writer.clone());
        Decoder { evolved_from, reader: PhantomData }
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.evolved_from.is_none()
    }

    #[inline]
    pub(crate) fn decode(&self, input: &mut Reader<'_>) -> Result<T, DecodeError> {
        match &self.evolved_from {
            None => T::decode(input),
            Some(schema) => T::from_value(Value::decode(schema, input)?),
        }
    }
}

/// A schema as a person would write it.
pub fn describe(schema: &DataType) -> String {
    let list = |types: &[DataType]| types.iter().map(describe).collect::<Vec<_>>().join(", ");
    match schema {
        DataType::Unit => "()".to_string(),
        DataType::Bool => "bool".to_string(),
        DataType::Int(bits) => format!("i{bits}"),
        DataType::UInt(bits) => format!("u{bits}"),
        DataType::Float(bits) => format!("f{bits}"),
        DataType::Char => "char".to_string(),
        DataType::Text => "text".to_string(),
        DataType::Bytes => "bytes".to_string(),
        DataType::Optional(inner) => format!("{}?", describe(inner)),
        DataType::List(inner) => format!("[{}]", describe(inner)),
        DataType::Map(key, value) => format!("{{{}: {}}}", describe(key), describe(value)),
        DataType::Tuple(types) => format!("({})", list(types)),
        DataType::Struct { name, fields } => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name, describe(&field.data_type)))
                .collect();
            format!("{name} {{ {} }}", fields.join(", "))
        }
        DataType::Enum { name, variants } => {
            let variants: Vec<_> = variants
                .iter()
                .map(|variant| match &variant.data_type {
                    DataType::Unit => variant.name.clone(),
                    carried => format!("{}({})", variant.name, describe(carried)),
                })
                .collect();
            format!("{name} {}", variants.join(" | "))
        }
    }
}
