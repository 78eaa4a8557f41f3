//! Input that could not be used, kept where a person can look at it.
//!
//! The format is one line per letter, four fields separated by tabs: file, offset in bytes, reason, and the line as
//! far as it is kept. In each field, tab, line feed, carriage return and backslash are written `\t`, `\n`, `\r` and
//! `\\`; other control characters and bytes that are no UTF-8 are written `\xNN`.

use super::FileSink;
use eddyline_core::Data;
use std::path::PathBuf;

/// A piece of input that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct DeadLetter {
    /// The file it comes from.
    pub file: String,
    /// Where in the file it starts, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its bytes, or the first of them.
    pub line: Vec<u8>,
}

/// Appends the line of `letter`.
pub fn encode_dead_letter(letter: &DeadLetter, out: &mut Vec<u8>) {
    escape(letter.file.as_bytes(), out);
    out.push(b'\t');
    out.extend_from_slice(letter.offset.to_string().as_bytes());
    out.push(b'\t');
    escape(letter.reason.as_bytes(), out);
    out.push(b'\t');
    escape(&letter.line, out);
    out.push(b'\n');
}

/// A sink for dead letters: files `dead-letters-….tsv` in `directory`.
pub fn dead_letter_sink(directory: impl Into<PathBuf>) -> FileSink<DeadLetter> {
    FileSink::new(directory, encode_dead_letter).prefix("dead-letters").suffix(".tsv")
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\\' => out.extend_from_slice(b"\\\\"),
                control if control.is_ascii_control() => escape_byte(control as u8, out),
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(*byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_line_of_text_whatever_is_in_it() {
        let letter = DeadLetter {
            file: "a\tb.log".into(),
            offset: 7,
            reason: "no date".into(),
            line: b"x\\y\x00\xffz\r\n\xc3\xa9".to_vec(),
        };
        let mut line = Vec::new();
        encode_dead_letter(&letter, &mut line);
        let expected = "a\\tb.log\t7\tno date\tx\\\\y\\x00\\xffz\\r\\n\u{e9}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
