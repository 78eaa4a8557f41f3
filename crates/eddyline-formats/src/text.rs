//! Lines of text as they are.

use crate::{Decoder, Encoder, RawRecord};
use eddyline_core::{Error, Result};
use std::fmt::{Display, Write};

/// The format of plain lines: a record is a line of UTF-8.
///
/// # Examples
/// ```
/// use eddyline_formats::{Decoder, Encoder, RawRecord, Text};
///
/// assert_eq!(Text.decoder().decode(RawRecord::new(b"a line", 0)), Ok(Some("a line".to_string())));
/// let mut out = Vec::new();
/// Text.encoder().encode(&7, &mut out)?;
/// assert_eq!(out, b"7\n");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Text;

impl Text {
    /// Reads each line as a `String`.
    pub fn decoder(self) -> TextDecoder {
        TextDecoder
    }

    /// Writes anything that can be displayed, each on a line.
    pub fn encoder(self) -> TextEncoder {
        TextEncoder
    }
}

/// Reads lines; made by [`Text::decoder`].
#[derive(Debug, Clone, Copy, Default)]
pub struct TextDecoder;

impl Decoder<String> for TextDecoder {
    fn decode(&mut self, record: RawRecord<'_>) -> Result<Option<String>, String> {
        let text = std::str::from_utf8(record.bytes)
            .map_err(|error| format!("no UTF-8 from byte {} of the line on", error.valid_up_to()))?;
        Ok(Some(text.to_owned()))
    }
}

/// Writes lines; made by [`Text::encoder`].
#[derive(Debug, Clone, Copy, Default)]
pub struct TextEncoder;

impl<T: Display> Encoder<T> for TextEncoder {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        let mut text = Appending(out);
        // Appending to memory does not fail, unless the value's own `Display` does.
        write!(text, "{value}")
            .map_err(|_| Error::user("a value cannot be written as text: its `Display` failed"))?;
        out.push(b'\n');
        Ok(())
    }
}

struct Appending<'a>(&'a mut Vec<u8>);

impl Write for Appending<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
