//! Lines of one file that were read together: their bytes, and where in them their fields are.
//!
//! A block is a few allocations, however many lines it has. It is what travels from the source to the dispatch, so that
//! lines which are only counted are copied once, and none of them is a record of its own.

use crate::format::{Fields, Level, Login};
use crate::record::LogRecord;
use eddyline::{Data, EventTime};
use std::borrow::Cow;

/// A part of a block's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Data)]
struct Span {
    start: u32,
    end: u32,
}

/// What is known of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Data)]
pub(super) struct BlockLine {
    pub(super) time: EventTime,
    offset: u64,
    pub(super) bytes: u64,
    /// In microseconds; [`NO_LATENCY`] if the line does not say it.
    latency_us: u64,
    pub(super) status: u16,
    level: u8,
    login: u8,
    line: Span,
    host: Span,
    method: Span,
    path: Span,
    agent: Span,
}

/// No latency is known.
const NO_LATENCY: u64 = u64::MAX;

/// Lines of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Data)]
pub(super) struct Block {
    source: String,
    text: Vec<u8>,
    lines: Vec<BlockLine>,
}

impl Block {
    /// An empty block of the file `source` with room for so many lines and bytes.
    pub(super) fn with_room(source: &str, lines: usize, bytes: usize) -> Self {
        Block { source: source.to_owned(), text: Vec::with_capacity(bytes), lines: Vec::with_capacity(lines) }
    }

    /// The file of the lines.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// What is known of each line, in the order of the file.
    #[inline]
    pub(super) fn lines(&self) -> &[BlockLine] {
        &self.lines
    }

    /// Bytes of lines.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds a line, which stands at `offset` of the file and ends before its line end, with its fields.
    #[inline]
    pub(super) fn push(&mut self, line: &[u8], offset: u64, fields: &Fields<'_>) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(line);
        let mut added = BlockLine {
            time: fields.time,
            offset,
            bytes: fields.bytes,
            latency_us: fields.latency_us.map_or(NO_LATENCY, |latency| latency.min(NO_LATENCY - 1)),
            status: fields.status,
            level: fields.level as u8,
            login: match fields.login {
                None => 0,
                Some(Login::Failed) => 1,
                Some(Login::Succeeded) => 2,
            },
            line: Span { start, end: self.text.len() as u32 },
            host: Span::default(),
            method: Span::default(),
            path: Span::default(),
            agent: Span::default(),
        };
        added.host = self.keep(&fields.host, line, start);
        added.method = self.keep(&fields.method, line, start);
        added.path = self.keep(&fields.path, line, start);
        added.agent = self.keep(&fields.agent, line, start);
        self.lines.push(added);
    }

    /// Where `field` is in the text: in the line, which begins at `line_start`, if it is borrowed from there; else it
    /// is appended.
    #[inline]
    #[allow(clippy::ptr_arg)] // whether it is borrowed is what matters
    fn keep(&mut self, field: &Cow<'_, [u8]>, line: &[u8], line_start: u32) -> Span {
        if let Cow::Borrowed(bytes) = field {
            let start = (bytes.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
            if start <= line.len() && bytes.len() <= line.len() - start {
                let start = line_start + start as u32;
                return Span { start, end: start + bytes.len() as u32 };
            }
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(field);
        Span { start, end: self.text.len() as u32 }
    }

    #[inline]
    fn bytes_of(&self, span: Span) -> &[u8] {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The client's address or name of a line of this block; empty if it has none.
    #[inline]
    pub(super) fn host(&self, line: &BlockLine) -> &[u8] {
        self.bytes_of(line.host)
    }

    /// What a line of this block asked for, without its query; empty if it is no access.
    #[inline]
    pub(super) fn path(&self, line: &BlockLine) -> &[u8] {
        self.bytes_of(line.path)
    }

    /// What the client says it is; empty if unknown.
    #[inline]
    pub(super) fn agent(&self, line: &BlockLine) -> &[u8] {
        self.bytes_of(line.agent)
    }

    /// A line of this block as it stands in its file, without its line end.
    pub(super) fn text(&self, line: &BlockLine) -> &[u8] {
        self.bytes_of(line.line)
    }

    /// A line of this block as a record of its own.
    pub(super) fn record(&self, line: &BlockLine) -> LogRecord {
        let fields = Fields {
            time: line.time,
            level: Level::of_number(line.level),
            host: Cow::Borrowed(self.host(line)),
            method: Cow::Borrowed(self.bytes_of(line.method)),
            path: Cow::Borrowed(self.path(line)),
            agent: Cow::Borrowed(self.agent(line)),
            status: line.status,
            bytes: line.bytes,
            latency_us: line.latency_us(),
            login: line.login(),
        };
        LogRecord::new(self.text(line), &self.source, line.offset, &fields)
    }
}

impl BlockLine {
    /// How long the request took in microseconds, where the line says it.
    #[inline]
    pub(super) fn latency_us(&self) -> Option<u64> {
        (self.latency_us != NO_LATENCY).then_some(self.latency_us)
    }

    /// What the line says about a login.
    #[inline]
    pub(super) fn login(&self) -> Option<Login> {
        match self.login {
            1 => Some(Login::Failed),
            2 => Some(Login::Succeeded),
            _ => None,
        }
    }

    /// Whether the line is an access that failed by the server's fault, or a message at least as bad as an error.
    #[inline]
    pub(super) fn is_error(&self) -> bool {
        if self.status == 0 { self.level <= Level::Error as u8 } else { self.status >= 500 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{LineReader, ReadOptions};

    #[test]
    fn a_line_of_a_block_is_the_record_of_the_line() {
        let lines: [&[u8]; 3] = [
            br#"::1 - - [17/May/2015:10:05:03 +0000] "POST /login HTTP/1.1" 401 5 "-" "curl/8" 0.012"#,
            br#"{"time":"2015-05-17T10:05:03Z","remote_addr":"h\u0041","status":503,"path":"/a\tb"}"#,
            b"2015/05/17 10:05:03 [error] 31#31: *1 it broke",
        ];
        let mut block = Block::with_room("access.log", 1, 1);
        let mut expected = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let fields = LineReader::new(ReadOptions::default().into()).read(line).expect("a line");
            block.push(line, 100 * number as u64, &fields);
            expected.push(LogRecord::new(line, "access.log", 100 * number as u64, &fields));
        }
        let found: Vec<LogRecord> = block.lines().iter().map(|line| block.record(line)).collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(
                (found.host(), found.path(), found.agent()),
                (expected.host(), expected.path(), expected.agent())
            );
            assert_eq!(
                (found.line(), found.source(), found.method()),
                (expected.line(), expected.source(), expected.method())
            );
            assert_eq!(
                (found.login(), found.level(), found.is_error()),
                (expected.login(), expected.level(), expected.is_error())
            );
            assert_eq!(
                (found.time, found.offset, found.bytes),
                (expected.time, expected.offset, expected.bytes)
            );
            assert_eq!((found.status, found.latency_us()), (expected.status, expected.latency_us()));
        }
        let errors: Vec<bool> = block.lines().iter().map(BlockLine::is_error).collect();
        assert_eq!(errors, [false, true, true]);
    }
}
