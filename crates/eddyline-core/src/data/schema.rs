//! The shape of data, as it is written next to state.

use serde::{Deserialize, Serialize};

/// The shape of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// The unit value: no bytes.
    Unit,
    /// One byte, 0 or 1.
    Bool,
    /// A signed integer of that many bits.
    Int(u8),
    /// An unsigned integer of that many bits.
    UInt(u8),
    /// A float of 32 or 64 bits.
    Float(u8),
    /// A Unicode scalar value.
    Char,
    /// UTF-8 text.
    Text,
    /// Raw bytes.
    Bytes,
    /// A value that may be absent.
    Optional(Box<DataType>),
    /// A sequence of one type.
    List(Box<DataType>),
    /// A map; entries are encoded in key order.
    Map(Box<DataType>, Box<DataType>),
    /// Unnamed fields in order.
    Tuple(Vec<DataType>),
    /// Named fields in order.
    Struct {
        /// The type's name.
        name: String,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// One of several variants.
    Enum {
        /// The type's name.
        name: String,
        /// Its variants; the position is the encoded number.
        variants: Vec<Variant>,
    },
}

/// A named field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// Names it had before (`#[data(alias = "…")]`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The field's shape.
    pub data_type: DataType,
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// The variant's name.
    pub name: String,
    /// What it carries: `Unit`, a `Tuple` or a `Struct`.
    pub data_type: DataType,
}
