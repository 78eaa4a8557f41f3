//! Data that can travel and be kept: a schema and a field-wise encoding from the first day.
//!
//! The encoding is positional and little-endian, without tags: integers and floats at their width, `bool` as one
//! byte, `String`, `Vec<u8>` and sequences as a `u32` count followed by their elements, `Option` as one byte
//! followed by the value if it is there, structs as their fields in order, enums as a `u32` variant number
//! followed by the variant's fields. An element of a sequence or map that takes no bytes (the unit value, say) has
//! a zero byte in its place, so that a count can never be larger than what follows it. The encoding is a
//! persistent format: it is frozen, and golden tests hold it. It is only ever read with the schema of its writer at hand: the same schema
//! decodes directly ([`Data::decode`]); another one goes through [`Value`] and [`Data::from_value`], which follow
//! the evolution rules there.

mod collections;
mod encode;
mod json;
mod primitives;
mod schema;
mod value;

#[cfg(test)]
mod tests;

pub use schema::{DataType, Field, Variant};
pub use value::{Value, field_from_value, item_from_value, migrated_from, unknown_variant_number};

use std::fmt;

/// A type whose values travel between operators and live in state. Derive it with `#[derive(Data)]`.
///
/// # Examples
/// ```
/// use eddyline_core::{Data, data};
///
/// #[derive(Debug, Clone, PartialEq, Data)]
/// struct Visit {
///     page: String,
///     millis: u32,
/// }
///
/// let visit = Visit { page: "/".into(), millis: 7 };
/// let bytes = data::to_bytes(&visit);
/// assert_eq!(bytes, [1, 0, 0, 0, b'/', 7, 0, 0, 0]);
/// assert_eq!(data::from_bytes::<Visit>(&bytes)?, visit);
///
/// // A later version of the program: a field renamed and widened, another one added.
/// #[derive(Debug, Clone, PartialEq, Data)]
/// struct VisitToday {
///     page: String,
///     #[data(alias = "millis")]
///     duration_millis: u64,
///     referrer: Option<String>,
/// }
///
/// let today: VisitToday = data::from_bytes_of(&bytes, &Visit::schema())?;
/// assert_eq!(today, VisitToday { page: "/".into(), duration_millis: 7, referrer: None });
/// # Ok::<(), eddyline_core::DecodeError>(())
/// ```
///
/// A change that no rule covers takes a conversion (`From` or `TryFrom`) from the type as it was: what was written with
/// a shape that the fields cannot be mapped from is read as the old type and converted. The attribute may be repeated,
/// for older versions; the first that can be read counts.
///
/// ```
/// use eddyline_core::{Data, data};
///
/// #[derive(Clone, Data)]
/// struct NameV1 {
///     first: String,
///     last: String,
/// }
///
/// #[derive(Debug, Clone, PartialEq, Data)]
/// #[data(migrate_from = "NameV1")]
/// struct Name {
///     full: String,
/// }
///
/// impl From<NameV1> for Name {
///     fn from(old: NameV1) -> Self {
///         Name { full: format!("{} {}", old.first, old.last) }
///     }
/// }
///
/// let written = NameV1 { first: "Ada".into(), last: "Lovelace".into() };
/// let name: Name = data::from_bytes_of(&data::to_bytes(&written), &NameV1::schema())?;
/// assert_eq!(name.full, "Ada Lovelace");
/// # Ok::<(), eddyline_core::DecodeError>(())
/// ```
///
/// What cannot be encoded is refused when the program is compiled:
///
/// ```compile_fail
/// #[derive(Clone, eddyline_core::Data)]
/// struct Tree {
///     children: Vec<Tree>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `Data`: it cannot travel between operators or live in state",
    label = "not `Data`",
    note = "put `#[derive(Clone, Data)]` on the type; for maps and sets take `BTreeMap` and `BTreeSet`"
)]
pub trait Data: Clone + Send + 'static + Sized {
    /// Whether values own heap memory; lets accounting skip types that do not.
    const HAS_HEAP: bool = true;

    /// The shape of the type. Types must not be recursive.
    fn schema() -> DataType;

    /// Appends the value's canonical bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value that [`Data::encode`] of the same schema wrote.
    ///
    /// # Errors
    /// If the bytes are none that `encode` writes; never panics, and allocates no more than in proportion to them.
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

    /// Reads a little of each cache line of the value itself, so that all of it is on its way from memory before it
    /// is needed. The number means nothing; 0 for what is too small to be worth it.
    #[doc(hidden)]
    #[inline]
    fn touch(&self) -> u64 {
        0
    }

    /// The stable hash of the value's canonical bytes (see [`crate::key`]).
    fn stable_hash(&self) -> u64 {
        crate::key::hash_encoded(self)
    }

    /// The shape of a sequence of such values. Only `u8` has another one than this.
    #[doc(hidden)]
    fn sequence_schema() -> DataType {
        DataType::List(Box::new(Self::schema()))
    }

    /// Appends the elements of a sequence, without their count; lets `u8` be copied as a block.
    #[doc(hidden)]
    fn encode_elements(items: &[Self], out: &mut Vec<u8>) {
        for item in items {
            encode_element(out, |out| item.encode(out));
        }
    }

    /// Appends the items of an array one after the other; lets numbers ask for their room once.
    #[doc(hidden)]
    #[inline]
    fn encode_array<const N: usize>(items: &[Self; N], out: &mut Vec<u8>) {
        for item in items {
            item.encode(out);
        }
    }

    /// Reads the elements of a sequence whose count has been read and checked.
    #[doc(hidden)]
    fn decode_elements(count: usize, input: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut items = Vec::with_capacity(capacity_for::<Self>(count, input.remaining()));
        for _ in 0..count {
            items.push(decode_element(input, Self::decode)?);
        }
        Ok(items)
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

    /// A count of elements that follow; as each takes a byte at least, there cannot be more than there are bytes.
    ///
    /// # Errors
    /// If there are too few bytes for so many elements.
    #[inline]
    pub fn element_count(&mut self) -> Result<usize, DecodeError> {
        let count = self.count()?;
        if count > self.remaining() { Err(short(count, self.remaining())) } else { Ok(count) }
    }
}

/// Appends an element, and a zero byte in its place if it takes none.
#[inline]
fn encode_element(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    encode(out);
    if out.len() == before {
        out.push(0);
    }
}

/// Reads what [`encode_element`] wrote.
#[inline]
fn decode_element<T>(
    input: &mut Reader<'_>,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let before = input.remaining();
    let item = decode(input)?;
    if input.remaining() == before {
        match input.byte()? {
            0 => {}
            other => {
                return Err(DecodeError::new(format!(
                    "0 expected for an element without content, {other} found"
                )));
            }
        }
    }
    Ok(item)
}

/// For how many of `count` elements to make room before they are read: no more than the `remaining` bytes would
/// fill, whatever the count says.
#[inline]
pub(crate) fn capacity_for<T>(count: usize, remaining: usize) -> usize {
    count.min(remaining / size_of::<T>().max(1) + 1)
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
    all_read(&reader)?;
    Ok(value)
}

/// Decodes exactly one value that was written with schema `writer`: directly where it has the layout of the
/// reader's own schema, by the evolution rules (see [`Value`]) where it has not.
///
/// # Errors
/// If the bytes are none of that schema, or the schema cannot be mapped to `T`: then the error names the field.
pub fn from_bytes_of<T: Data>(bytes: &[u8], writer: &DataType) -> Result<T, DecodeError> {
    if writer.same_layout(&T::schema()) {
        return from_bytes(bytes);
    }
    let mut reader = Reader::new(bytes);
    let value = Value::decode(writer, &mut reader)?;
    all_read(&reader)?;
    T::from_value(value)
}

fn all_read(reader: &Reader<'_>) -> Result<(), DecodeError> {
    if reader.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::new(format!("{} bytes left over", reader.remaining())))
    }
}
