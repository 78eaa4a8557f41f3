//! A parser for the access log lines of web servers.
//!
//! Two formats are understood, told apart by what follows the byte count:
//!
//! ```text
//! Common    host ident user [day/Month/year:hour:minute:second zone] "request" status bytes
//! Combined  … the same, then "referer" "agent"
//! ```
//!
//! # Contract
//! - Nothing is copied: a [`LogLine`] borrows the line, and text stays bytes because clients send what they like.
//!   Escapes (`\"`) are seen but not resolved.
//! - A line is read whole or not at all; [`Unparsed`] says what is wrong at which byte. It never panics.
//! - One line end (`\n` or `\r\n`) is ignored. An **empty line** counts as unparsed ([`Reason::EmptyLine`]): a
//!   log writer does not produce one, so its presence is worth telling.
//! - The host must be printable ASCII, which is what tells binary garbage from a log. The user may hold spaces.
//! - A request line that is none (`-`, a TLS handshake) does not spoil the line: see [`Request::Malformed`].
//! - Fields behind the agent, which many servers append, are ignored.

mod cursor;
mod timestamp;
mod unparsed;

pub(crate) use timestamp::{MONTHS, civil_from_days, days_in_month, month_number};
pub use timestamp::{days_from_civil, parse_timestamp};
pub use unparsed::{Reason, Unparsed};

use cursor::Cursor;
use eddyline_core::EventTime;

/// The longest line that is looked at, in bytes, without its line end.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// The longest request method; the registered ones have at most 17 letters.
const METHOD_BYTES_MAX: usize = 32;

/// What the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `METHOD target PROTOCOL`.
    Line {
        /// The method: letters, `-` and `_` only.
        method: &'a [u8],
        /// The request target with its query, as sent.
        path: &'a [u8],
        /// The protocol, such as `HTTP/1.1`; empty for the two-word requests of HTTP/0.9.
        protocol: &'a [u8],
    },
    /// Something else, as it was logged.
    Malformed(&'a [u8]),
}

impl<'a> Request<'a> {
    /// Splits the text between the quotes.
    fn parse(raw: &'a [u8]) -> Self {
        let Some(method_end) = raw.iter().position(|&byte| byte == b' ') else {
            return Request::Malformed(raw);
        };
        let (method, rest) = (&raw[..method_end], &raw[method_end + 1..]);
        let is_method = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(is_method) {
            return Request::Malformed(raw);
        }
        let (path, protocol) = match memchr::memrchr(b' ', rest) {
            Some(space) if rest[space + 1..].starts_with(b"HTTP/") => (&rest[..space], &rest[space + 1..]),
            _ => (rest, &rest[rest.len()..]),
        };
        if path.is_empty() {
            return Request::Malformed(raw);
        }
        Request::Line { method, path, protocol }
    }

    /// The target without its query: what was asked for. A malformed request stands for itself.
    pub fn resource(&self) -> &'a [u8] {
        match *self {
            Request::Line { path, .. } => {
                let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
                &path[..end]
            }
            Request::Malformed(raw) => raw,
        }
    }
}

/// One access, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The client's address or name.
    pub host: &'a [u8],
    /// The identity by RFC 1413, nearly always `-`.
    pub ident: &'a [u8],
    /// The authenticated user, or `-`.
    pub user: &'a [u8],
    /// When the request came in; the zone offset is applied.
    pub time: EventTime,
    /// What was asked for.
    pub request: Request<'a>,
    /// The response's status, 100 to 599.
    pub status: u16,
    /// The size of the response's body in bytes; `-` is 0.
    pub bytes: u64,
    /// Where the client came from; absent in Common Log Format.
    pub referer: Option<&'a [u8]>,
    /// What the client says it is; absent in Common Log Format.
    pub agent: Option<&'a [u8]>,
}

/// Reads one line.
///
/// # Errors
/// If the line is not an access log line: why, and from which byte on.
///
/// # Examples
/// ```
/// let line = br#"::1 - ada [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 1234"#;
/// let parsed = eddyline_logs::parse_line(line).expect("a valid line");
/// assert_eq!((parsed.time, parsed.status, parsed.bytes), (1_431_849_903_000, 200, 1234));
/// assert_eq!(parsed.request.resource(), b"/a");
///
/// let reason = eddyline_logs::parse_line(br#"::1 - - [31/Feb/2015:10:05:03 +0000] "GET"#).unwrap_err();
/// assert_eq!(reason.to_string(), "impossible date or time of day at byte 10");
/// ```
pub fn parse_line(line: &[u8]) -> Result<LogLine<'_>, Unparsed> {
    parse_with_rest(line).map(|(parsed, _)| parsed)
}

/// Reads one line; what stands behind the agent comes as it is.
pub(crate) fn parse_with_rest(line: &[u8]) -> Result<(LogLine<'_>, &[u8]), Unparsed> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Unparsed::new(Reason::EmptyLine, 0));
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(Unparsed::new(Reason::LineTooLong, LINE_BYTES_MAX));
    }
    parse_fields(line).map_err(|unparsed| unparsed.or_binary(line))
}

fn parse_fields(line: &[u8]) -> Result<(LogLine<'_>, &[u8]), Unparsed> {
    let mut cursor = Cursor::new(line);
    let host = cursor.host()?;
    let ident = cursor.word(Reason::MissingField)?;
    let user = cursor.user()?;
    let time = cursor.timestamp()?;
    cursor.space()?;
    let request = Request::parse(cursor.quoted()?);
    cursor.space()?;
    let status = cursor.status()?;
    cursor.space()?;
    let bytes = cursor.byte_count()?;
    let (referer, agent) = if cursor.at_end() {
        (None, None)
    } else {
        cursor.space()?;
        let referer = cursor.quoted()?;
        cursor.space()?;
        let agent = cursor.quoted()?;
        if !cursor.at_end() {
            cursor.space()?;
        }
        (Some(referer), Some(agent))
    };
    Ok((LogLine { host, ident, user, time, request, status, bytes, referer, agent }, cursor.rest()))
}

#[cfg(test)]
mod tests;
