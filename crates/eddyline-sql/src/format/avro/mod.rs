//! The format `avro`: container files whose schema is Flink's for the table.
//!
//! # Contract
//! - *Writing*: the schema is derived from the table: a column that may be NULL is a union with null. A block ends at
//!   64 KiB, and is packed by `avro.codec`.
//! - *Reading*: whatever schema the file has is brought to the table's by the names of fields; a field that the table
//!   does not have is passed over, one that the file does not have is NULL. What would lose something (a long for an INT)
//!   is an error, as is a file that was cut off or changed.
//! - TIMESTAMP is `timestamp-millis` as ever in Flink, unless `avro.timestamp_mapping.legacy` is false: then it is
//!   `local-timestamp-…`, and TIMESTAMP_LTZ is `timestamp-…`. Either is read as either.

mod bytes;
mod container;
mod decode;
mod encode;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use decode::AvroFile;
pub(super) use encode::AvroEncoder;

use super::FormatColumn;
use crate::connector::options::OptionReader;
use crate::parser::span::SqlResult;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::io::Read;

/// How blocks are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Deflate,
    Snappy,
    Zstandard,
}

impl Codec {
    const ALL: [(Codec, &'static str); 4] = [
        (Codec::Plain, "null"),
        (Codec::Deflate, "deflate"),
        (Codec::Snappy, "snappy"),
        (Codec::Zstandard, "zstandard"),
    ];

    fn of(name: &str) -> Option<Self> {
        Codec::ALL.iter().find(|(_, known)| *known == name).map(|(codec, _)| *codec)
    }

    fn name(self) -> &'static str {
        Codec::ALL.iter().find(|(codec, _)| *codec == self).map_or("null", |(_, name)| name)
    }

    fn pack(self, records: &[u8]) -> Result<Vec<u8>, String> {
        let mut packed = Vec::new();
        match self {
            Codec::Plain => packed.extend_from_slice(records),
            Codec::Deflate => {
                let mut input = DeflateEncoder::new(records, flate2::Compression::default());
                input.read_to_end(&mut packed).map_err(|error| error.to_string())?;
            }
            Codec::Snappy => {
                packed =
                    snap::raw::Encoder::new().compress_vec(records).map_err(|error| error.to_string())?;
                packed.extend_from_slice(&crc32fast::hash(records).to_be_bytes());
            }
            Codec::Zstandard => {
                packed = zstd::encode_all(records, 0).map_err(|error| error.to_string())?;
            }
        }
        Ok(packed)
    }

    fn unpack(self, packed: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut records = Vec::new();
        let limit = bytes_max as u64 + 1;
        let text = |error: std::io::Error| error.to_string();
        match self {
            Codec::Plain => records = packed,
            Codec::Deflate => {
                let input = DeflateDecoder::new(packed.as_slice());
                input.take(limit).read_to_end(&mut records).map_err(text)?;
            }
            Codec::Snappy => {
                let (packed, sum) = packed.split_last_chunk::<4>().ok_or("it is too short")?;
                let length = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
                if length > bytes_max {
                    return Err(format!("it has more than {bytes_max} bytes"));
                }
                let unpacked = snap::raw::Decoder::new().decompress_vec(packed);
                records = unpacked.map_err(|error| error.to_string())?;
                if crc32fast::hash(&records).to_be_bytes() != *sum {
                    return Err("its sum is another".into());
                }
            }
            Codec::Zstandard => {
                let input = zstd::Decoder::new(packed.as_slice()).map_err(text)?;
                input.take(limit).read_to_end(&mut records).map_err(text)?;
            }
        }
        if records.len() > bytes_max {
            Err(format!("it has more than {bytes_max} bytes"))
        } else {
            Ok(records)
        }
    }
}

/// How Avro files are written.
#[derive(Debug, Clone)]
pub(crate) struct AvroOptions {
    codec: Codec,
    legacy_timestamps: bool,
}

impl AvroOptions {
    pub(super) fn read(options: &mut OptionReader<'_>) -> SqlResult<Self> {
        let codec = options.choice("avro.codec", &Codec::ALL.map(|(_, name)| name))?;
        Ok(AvroOptions {
            codec: codec.and_then(Codec::of).unwrap_or(Codec::Snappy),
            legacy_timestamps: options.bool("avro.timestamp_mapping.legacy", true)?,
        })
    }

    /// Fails if a column's type has no place in Avro.
    pub(super) fn check_writable(&self, columns: &[FormatColumn]) -> SqlResult<()> {
        schema::schema_of(columns, self.legacy_timestamps).map(|_| ())
    }
}
