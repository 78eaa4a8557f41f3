//! Formats of records: what bytes mean and how values are written, without any file or connection.
//!
//! # Contract
//! - A [`Decoder`] makes a value of the bytes of one record; a [`Framing`] says where a record ends, so that whoever
//!   reads the bytes can cut them. A decoder fails with a reason and never panics, whatever the bytes are; what is
//!   done about it (fail, skip, keep) is decided by whoever called it.
//! - An [`Encoder`] appends the bytes of one value, record end included. A [`BulkEncoder`] may keep values back until
//!   its file ends.
//! - [`Compression`] packs and unpacks streams of bytes: the content is the same, only the place in it is found by
//!   reading up to it.
//!
//! **Architecture invariant:** nothing here does I/O or keeps state that would have to survive a failure: decoding a
//! record depends on its bytes and on where it stands, and on nothing that came before.

mod compression;
mod csv;
mod framing;
mod json;
mod text;

pub use compression::{Compression, Compressor};
pub use csv::{Csv, CsvDecoder, CsvEncoder};
pub use framing::{Framing, Quoting, Scanner};
pub use json::{JsonDecoder, JsonEncoder, JsonLines};
pub use text::{Text, TextDecoder, TextEncoder};

use eddyline_core::Result;

/// A record as it stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Its bytes without the record end.
    pub bytes: &'a [u8],
    /// The offset of its first byte in the (unpacked) file or stream.
    pub offset: u64,
}

impl<'a> RawRecord<'a> {
    /// The record `bytes` that starts at `offset`.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        RawRecord { bytes, offset }
    }

    /// The bytes without the byte order mark that some programs put at the start of a file.
    pub(crate) fn without_mark(self) -> &'a [u8] {
        let marked = if self.offset == 0 { self.bytes.strip_prefix(b"\xef\xbb\xbf") } else { None };
        marked.unwrap_or(self.bytes)
    }
}

/// Makes values of the records of one format.
///
/// # Examples
/// A decoder of one's own:
/// ```
/// use eddyline_formats::{Decoder, RawRecord};
///
/// /// Numbers, one a line.
/// struct Numbers;
///
/// impl Decoder<u64> for Numbers {
///     fn decode(&mut self, record: RawRecord<'_>) -> Result<Option<u64>, String> {
///         let text = std::str::from_utf8(record.bytes).map_err(|error| error.to_string())?;
///         text.trim().parse().map(Some).map_err(|_| format!("`{text}` is no number"))
///     }
/// }
///
/// assert_eq!(Numbers.decode(RawRecord::new(b"7", 0)), Ok(Some(7)));
/// assert!(Numbers.decode(RawRecord::new(b"seven", 2)).is_err());
/// ```
pub trait Decoder<T>: 'static {
    /// How records are told apart.
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// The value of a record; `None` if it has none (a comment, a header).
    ///
    /// # Errors
    /// The reason, for people, if the record is not what the format says.
    fn decode(&mut self, record: RawRecord<'_>) -> Result<Option<T>, String>;
}

/// Writes values in one format, each by itself.
///
/// # Examples
/// ```
/// use eddyline_formats::{Encoder, JsonLines};
///
/// let mut out = Vec::new();
/// JsonLines::new().encoder().encode(&vec![1, 2], &mut out)?;
/// assert_eq!(out, b"[1,2]\n");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub trait Encoder<T>: Send + Sync + 'static {
    /// Appends what a file begins with.
    ///
    /// # Errors
    /// If that cannot be written in this format.
    fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Appends a value, record end included.
    ///
    /// # Errors
    /// If the value cannot be written in this format; nothing may have been appended then.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()>;
}

/// Writes the values of one file in a format that has structure beyond the record: a footer, blocks, an index.
///
/// # Examples
/// ```
/// use eddyline_formats::BulkEncoder;
///
/// /// All numbers of a file, and their sum at its end.
/// #[derive(Default)]
/// struct WithSum(u64);
///
/// impl BulkEncoder<u64> for WithSum {
///     fn add(&mut self, value: &u64, out: &mut Vec<u8>) -> eddyline_core::Result<()> {
///         self.0 += value;
///         out.extend_from_slice(format!("{value}\n").as_bytes());
///         Ok(())
///     }
///
///     fn finish(&mut self, out: &mut Vec<u8>) -> eddyline_core::Result<()> {
///         out.extend_from_slice(format!("sum {}\n", self.0).as_bytes());
///         Ok(())
///     }
/// }
///
/// let (mut encoder, mut out) = (WithSum::default(), Vec::new());
/// encoder.add(&1, &mut out)?;
/// encoder.add(&2, &mut out)?;
/// encoder.finish(&mut out)?;
/// assert_eq!(out, b"1\n2\nsum 3\n");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub trait BulkEncoder<T>: 'static {
    /// Takes a value in, and appends what is ready to be written.
    ///
    /// # Errors
    /// If the value cannot be written in this format.
    fn add(&mut self, value: &T, out: &mut Vec<u8>) -> Result<()>;

    /// Appends the rest of the file; nothing follows.
    ///
    /// # Errors
    /// If the file cannot be finished.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// The bytes that are held back, at least about; they are counted as memory and for the size of the file.
    fn held_bytes(&self) -> usize {
        0
    }
}
