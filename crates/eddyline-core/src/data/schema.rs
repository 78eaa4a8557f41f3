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

impl DataType {
    /// Whether bytes of the one are bytes of the other with the same meaning: the names of fields and variants and
    /// the types agree; the names of types and the aliases do not matter.
    pub fn same_layout(&self, other: &DataType) -> bool {
        match (self, other) {
            (DataType::Optional(mine), DataType::Optional(theirs)) => mine.same_layout(theirs),
            (DataType::List(mine), DataType::List(theirs)) => mine.same_layout(theirs),
            (DataType::Map(my_key, my_value), DataType::Map(their_key, their_value)) => {
                my_key.same_layout(their_key) && my_value.same_layout(their_value)
            }
            (DataType::Tuple(mine), DataType::Tuple(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().zip(theirs).all(|(mine, theirs)| mine.same_layout(theirs))
            }
            (DataType::Struct { fields: mine, .. }, DataType::Struct { fields: theirs, .. }) => {
                let same = |(mine, theirs): (&Field, &Field)| {
                    mine.name == theirs.name && mine.data_type.same_layout(&theirs.data_type)
                };
                mine.len() == theirs.len() && mine.iter().zip(theirs).all(same)
            }
            (DataType::Enum { variants: mine, .. }, DataType::Enum { variants: theirs, .. }) => {
                let same = |(mine, theirs): (&Variant, &Variant)| {
                    mine.name == theirs.name && mine.data_type.same_layout(&theirs.data_type)
                };
                mine.len() == theirs.len() && mine.iter().zip(theirs).all(same)
            }
            _ => self == other,
        }
    }
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
    /// Names it had before (`#[data(alias = "…")]`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it carries: `Unit`, a `Tuple` or a `Struct`.
    pub data_type: DataType,
}
