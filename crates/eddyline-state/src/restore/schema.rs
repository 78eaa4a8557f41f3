//! Comparing the schema of a writer with that of a reader.

use super::Migration;
use crate::ttl::{carries_times, split_times};
use eddyline_core::{Data, DataType, DecodeError, Reader, Value};
use std::marker::PhantomData;

/// Whether two schemas give the same bytes the same meaning: everything but the names of types and the aliases of
/// fields has to agree.
pub(crate) fn same_layout(one: &DataType, other: &DataType) -> bool {
    one.same_layout(other)
}

/// Decodes values of `T` that were written with some schema.
pub(crate) struct Decoder<T> {
    /// How values of the writer become ours, unless the bytes can be decoded directly.
    evolution: Option<Evolution>,
    reader: PhantomData<fn() -> T>,
}

/// From one schema to another.
struct Evolution {
    writer: DataType,
    migration: Option<Migration>,
    /// The writer had times to live, the reader has none.
    drops_times: bool,
}

impl<T: Data> Decoder<T> {
    pub(crate) fn new(writer: &DataType) -> Self {
        Decoder::migrating(writer, None)
    }

    /// With a migration that takes what the writer wrote.
    pub(super) fn migrating(writer: &DataType, migration: Option<Migration>) -> Self {
        let reader = T::schema();
        let evolution = (!same_layout(writer, &reader)).then(|| Evolution {
            writer: writer.clone(),
            migration,
            drops_times: carries_times(writer) && !carries_times(&reader),
        });
        Decoder { evolution, reader: PhantomData }
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.evolution.is_none()
    }

    #[inline]
    pub(crate) fn decode(&self, input: &mut Reader<'_>) -> Result<T, DecodeError> {
        match &self.evolution {
            None => T::decode(input),
            Some(evolution) => T::from_value(evolution.read(input)?),
        }
    }

    /// Decodes exactly one value.
    pub(crate) fn decode_all(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = self.decode(&mut input)?;
        match input.remaining() {
            0 => Ok(value),
            left => Err(DecodeError::new(format!("{left} bytes left over"))),
        }
    }
}

impl Evolution {
    fn read(&self, input: &mut Reader<'_>) -> Result<Value, DecodeError> {
        let mut value = Value::decode(&self.writer, input)?;
        if let Some(migration) = &self.migration {
            value = migration.apply(value)?;
        }
        if self.drops_times { Ok(split_times(value)?.0) } else { Ok(value) }
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
