//! Data that can travel and be kept: a schema and a field-wise encoding from the first day.
//!
//! The encoding is positional and little-endian, without tags: integers and floats at their width, `bool` as one
//! byte, `String`, `Vec<u8>` and sequences as a `u32` count followed by their elements, `Option` as one byte
//! followed by the value if it is there, structs as their fields in order, enums as a `u32` variant number
//! followed by the variant's fields. It is only ever read with the schema of its writer at hand: the same schema
//! decodes directly ([`Data::decode`]); another one goes through [`Value`] and [`Data::from_value`], which follow
//! the evolution rules there.

mod collections;
mod primitives;
mod schema;
mod value;

pub use schema::{DataType, Field, Variant};
pub use value::{Value, field_from_value};

use std::fmt;

/// A type whose values travel between operators and live in state. Derive it with `#[derive(Data)]`.
pub trait Data: Clone + Send + 'static + Sized {
    /// Whether values own heap memory; lets accounting skip types that do not.
    const HAS_HEAP: bool = true;

    /// The shape of the type. Types must not be recursive.
    fn schema() -> DataType;

    /// Appends the value's canonical bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value that [`Data::encode`] of the same schema wrote.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Builds the value from one that was read with another schema.
    ///
    /// # Errors
    /// Names the field that cannot be mapped and why.
    fn from_value(value: Value) -> Result<Self, DecodeError>;

    /// The bytes the value owns outside itself.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// The stable hash of the value's canonical bytes (see [`crate::key`]).
    fn stable_hash(&self) -> u64 {
        crate::key::hash_encoded(self)
    }
}

/// Bytes could not be read as the type they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    message: String,
    path: String,
}

impl DecodeError {
    /// An error with a message that says what was expected and found.
    pub fn new(message: impl Into<String>) -> Self {
        DecodeError { message: message.into(), path: String::new() }
    }

    /// Adds the field in which it happened, outermost last.
    #[must_use]
    pub fn in_field(mut self, field: &str) -> Self {
        self.path = if self.path.is_empty() { field.to_string() } else { format!("{field}.{}", self.path) };
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "field `{}`: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for crate::Error {
    fn from(error: DecodeError) -> Self {
        crate::Error::state(format!("cannot decode data: {error}"))
    }
}

/// A cursor over encoded bytes; never reads past their end.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    /// The bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.split_at_checked(count) {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(head)
            }
            None => Err(short(count, self.bytes.len())),
        }
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(*head)
            }
            None => Err(short(N, self.bytes.len())),
        }
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A count written by [`write_count`].
    #[inline]
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
}

#[cold]
fn short(wanted: usize, left: usize) -> DecodeError {
    DecodeError::new(format!("{wanted} bytes expected, {left} left"))
}

/// Appends an element count as the encoding has it.
///
/// # Panics
/// If `count` does not fit in 32 bits: a single value of more than 4 Gi elements cannot be encoded.
#[inline]
pub fn write_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("invariant: one value has fewer than 2^32 elements");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Encodes one value into a fresh buffer.
pub fn to_bytes<T: Data>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// Decodes exactly one value.
///
/// # Errors
/// If the bytes are too short or too long.
pub fn from_bytes<T: Data>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    if reader.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::new(format!("{} bytes left over", reader.remaining())))
    }
}

/// Decodes exactly one value that was written with schema `writer`: directly where it is the reader's own
/// schema, by the evolution rules (see [`Value`]) where it is not.
pub fn from_bytes_of<T: Data>(bytes: &[u8], writer: &DataType) -> Result<T, DecodeError> {
    if *writer == T::schema() {
        return from_bytes(bytes);
    }
    let mut reader = Reader::new(bytes);
    let value = Value::decode(writer, &mut reader)?;
    T::from_value(value)
}
