//! JSON lines: one JSON value per line, by way of serde.

use crate::{Decoder, Encoder, RawRecord};
use eddyline_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// The format of JSON lines (`.jsonl`, `.ndjson`).
///
/// Fields that a type does not have are ignored, those that it misses are an error unless serde has a default for
/// them or they are `Option`s. Blank lines are no records.
///
/// # Examples
/// ```
/// use eddyline_formats::{Decoder, JsonLines, RawRecord};
///
/// let mut decoder = JsonLines::new().decoder::<Vec<u32>>();
/// assert_eq!(decoder.decode(RawRecord::new(b"[1, 2]", 0)), Ok(Some(vec![1, 2])));
/// let reason = decoder.decode(RawRecord::new(b"[1, true]", 7)).unwrap_err();
/// assert!(reason.contains("invalid type: boolean `true`"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLines {
    _private: (),
}

impl JsonLines {
    /// The format.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads values of any type that serde can read.
    pub fn decoder<T>(&self) -> JsonDecoder<T> {
        JsonDecoder { value: PhantomData }
    }

    /// Writes values of any type that serde can write.
    pub fn encoder(&self) -> JsonEncoder {
        JsonEncoder { _private: () }
    }
}

/// Reads JSON lines; made by [`JsonLines::decoder`].
#[derive(Debug, Clone, Copy)]
pub struct JsonDecoder<T> {
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + 'static> Decoder<T> for JsonDecoder<T> {
    fn decode(&mut self, record: RawRecord<'_>) -> Result<Option<T>, String> {
        let bytes = record.without_mark();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        serde_json::from_slice(bytes).map(Some).map_err(|error| {
            // A record is one line: its number says nothing.
            let (text, place) = (error.to_string(), format!(" at line {} column ", error.line()));
            text.replace(&place, " at byte ")
        })
    }
}

/// Writes JSON lines; made by [`JsonLines::encoder`].
#[derive(Debug, Clone, Copy)]
pub struct JsonEncoder {
    _private: (),
}

impl<T: Serialize> Encoder<T> for JsonEncoder {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        serde_json::to_writer(&mut *out, value).map_err(|error| {
            out.truncate(before);
            Error::output("a value cannot be written as JSON")
                .with_detail(error.to_string())
                .with_hint("keys of maps have to be strings or numbers")
        })?;
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_survive_and_bad_lines_say_why() {
        let (mut out, mut decoder) = (Vec::new(), JsonLines::new().decoder());
        let value: BTreeMap<String, Option<f64>> = [("a\n\"".into(), Some(1.5)), ("b".into(), None)].into();
        JsonLines::new().encoder().encode(&value, &mut out).unwrap();
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line, whatever is in it");
        assert_eq!(decoder.decode(RawRecord::new(&out, 0)), Ok(Some(value)));
        let mut decoder = JsonLines::new().decoder::<u32>();
        let mut decode =
            |bytes: &[u8]| -> Result<Option<u32>, String> { decoder.decode(RawRecord::new(bytes, 0)) };
        assert_eq!(decode(b"\xef\xbb\xbf7"), Ok(Some(7)), "a byte order mark");
        assert_eq!(decode(b" \t"), Ok(None));
        assert!(decode(b"7 8").unwrap_err().contains("at byte 3"));
        assert!(decode(b"\"\xff\"").is_err());
        assert!(decode(b"[[[").is_err());
        let broken: BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        let mut out = b"before".to_vec();
        assert!(JsonLines::new().encoder().encode(&broken, &mut out).is_err());
        assert_eq!(out, b"before");
    }
}
