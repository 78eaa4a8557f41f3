//! One line as it travels through the log job: its bytes, and where in them its fields are.
//!
//! A record is one allocation, whatever it says: the line, behind it the name of its file, and behind that what had to
//! be unescaped. Fields are spans of these bytes.

use crate::format::{Fields, Level, Login};
use eddyline_core::{Data, EventTime};
use std::borrow::Cow;

/// A part of a record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Data)]
struct Span {
    start: u32,
    end: u32,
}

/// A line that was read.
///
/// # Examples
/// ```
/// use eddyline_logs::format::{LineReader, ReadOptions};
/// use eddyline_logs::record::LogRecord;
///
/// let line = br#"::1 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 404 5 "-" "curl/8""#;
/// let fields = LineReader::new(ReadOptions::default().into()).read(line).expect("an access line");
/// let record = LogRecord::new(line, "access.log", 4_711, &fields);
/// assert_eq!((record.host(), record.path(), record.agent()), (&b"::1"[..], &b"/a"[..], &b"curl/8"[..]));
/// assert_eq!((record.source(), record.line()), (&b"access.log"[..], &line[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct LogRecord {
    /// When it happened.
    pub time: EventTime,
    /// Where in its file the line begins, in bytes.
    pub offset: u64,
    /// The size of the response's body in bytes.
    pub bytes: u64,
    /// How long the request took in microseconds; [`NO_LATENCY`] if the line does not say it.
    latency_us: u64,
    /// The response's status; 0 if the line is no access.
    pub status: u16,
    level: u8,
    login: u8,
    text: Vec<u8>,
    line_end: u32,
    source_end: u32,
    host: Span,
    method: Span,
    path: Span,
    agent: Span,
}

/// No latency is known.
const NO_LATENCY: u64 = u64::MAX;

impl LogRecord {
    /// The record of `line`, which stands at `offset` of the file `source`, with its fields. Lines end before their
    /// line end.
    #[inline]
    pub fn new(line: &[u8], source: &str, offset: u64, fields: &Fields<'_>) -> Self {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut text = Vec::with_capacity(line.len() + source.len() + owned_bytes(fields));
        text.extend_from_slice(line);
        text.extend_from_slice(source.as_bytes());
        let (line_end, source_end) = (line.len() as u32, text.len() as u32);
        let mut record = LogRecord {
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
            text,
            line_end,
            source_end,
            host: Span::default(),
            method: Span::default(),
            path: Span::default(),
            agent: Span::default(),
        };
        record.host = record.keep(&fields.host, line);
        record.method = record.keep(&fields.method, line);
        record.path = record.keep(&fields.path, line);
        record.agent = record.keep(&fields.agent, line);
        record
    }

    /// Where `field` is in the text: in the line, if it is borrowed from there, else it is appended.
    #[inline]
    #[allow(clippy::ptr_arg)] // whether it is borrowed is what matters
    fn keep(&mut self, field: &Cow<'_, [u8]>, line: &[u8]) -> Span {
        if let Cow::Borrowed(bytes) = field {
            let start = (bytes.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
            if start <= line.len() && bytes.len() <= line.len() - start {
                return Span { start: start as u32, end: (start + bytes.len()) as u32 };
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

    /// The line, without its line end.
    pub fn line(&self) -> &[u8] {
        self.bytes_of(Span { start: 0, end: self.line_end })
    }

    /// The file that the line stands in.
    pub fn source(&self) -> &[u8] {
        self.bytes_of(Span { start: self.line_end, end: self.source_end })
    }

    /// The client's address or name; empty if the line has none.
    #[inline]
    pub fn host(&self) -> &[u8] {
        self.bytes_of(self.host)
    }

    /// The request's method; empty if there is none.
    pub fn method(&self) -> &[u8] {
        self.bytes_of(self.method)
    }

    /// What was asked for, without its query; empty if the line is no access.
    #[inline]
    pub fn path(&self) -> &[u8] {
        self.bytes_of(self.path)
    }

    /// What the client says it is; empty if unknown.
    #[inline]
    pub fn agent(&self) -> &[u8] {
        self.bytes_of(self.agent)
    }

    /// How long the request took in microseconds, where the line says it.
    #[inline]
    pub fn latency_us(&self) -> Option<u64> {
        (self.latency_us != NO_LATENCY).then_some(self.latency_us)
    }

    /// How bad what the line tells of is.
    pub fn level(&self) -> Level {
        Level::of_number(self.level)
    }

    /// What the line says about a login.
    #[inline]
    pub fn login(&self) -> Option<Login> {
        match self.login {
            1 => Some(Login::Failed),
            2 => Some(Login::Succeeded),
            _ => None,
        }
    }

    /// Whether the line is an access that failed by the server's fault, or a message at least as bad as an error.
    #[inline]
    pub fn is_error(&self) -> bool {
        if self.status == 0 { self.level <= Level::Error as u8 } else { self.status >= 500 }
    }
}

/// The bytes of fields that do not stand in the line, at most.
fn owned_bytes(fields: &Fields<'_>) -> usize {
    let owned = |field: &Cow<'_, [u8]>| if let Cow::Owned(bytes) = field { bytes.len() } else { 0 };
    owned(&fields.host) + owned(&fields.method) + owned(&fields.path) + owned(&fields.agent)
}

/// Bytes as text; what is no UTF-8 is replaced.
pub fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
