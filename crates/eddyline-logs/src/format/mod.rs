//! The formats of log lines, and telling them apart.
//!
//! # Contract
//! - A [`LineReader`] reads the lines of one file. Its format is given, or found: it is that of the first line that
//!   any format reads. After [`FOREIGN_RUN_MAX`] lines in a row that the file's format does not read, the next line
//!   that another one reads changes it (a file that was replaced under its name).
//! - What is read are [`Fields`]: borrowed from the line where they stand in it, owned where they had to be unescaped.
//! - Times without a zone are of the zone that is set (default UTC), see [`Zone`]; times without a year are of the
//!   year that brings them closest to, and not more than a day after, the reference time.
//! - A line that cannot be read says why and where; nothing panics whatever the bytes are.

mod access;
mod apache;
mod clock;
mod json;
mod login;
mod nginx;
mod syslog;
#[cfg(test)]
mod tests;
mod zone;

pub use login::Login;
pub use zone::Zone;

use crate::parse::{LINE_BYTES_MAX, Reason, Unparsed};
use eddyline_core::{Error, EventTime};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Lines in a row that a file's format does not read before another one may take its place.
pub const FOREIGN_RUN_MAX: u32 = 20;

/// A format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Access lines: Common Log Format, or Combined, which has referer and agent too.
    Access,
    /// The error log of nginx: `2015/05/17 10:05:03 [error] 31#31: …`.
    NginxError,
    /// The error log of Apache: `[Sun May 17 10:05:03.123 2015] [core:error] …`.
    ApacheError,
    /// One JSON object a line.
    Json,
    /// Syslog as RFC 3164 and most files of `/var/log` have it: `May 17 10:05:03 host program[1]: …`.
    Syslog3164,
    /// Syslog as RFC 5424 has it: `<34>1 2015-05-17T10:05:03Z host program 1 - - …`.
    Syslog5424,
}

impl Format {
    /// All formats, in the order in which they are tried.
    pub const ALL: [Format; 6] = [
        Format::Access,
        Format::Json,
        Format::Syslog5424,
        Format::Syslog3164,
        Format::NginxError,
        Format::ApacheError,
    ];

    /// The name by which the format is configured.
    pub fn name(self) -> &'static str {
        match self {
            Format::Access => "access",
            Format::NginxError => "nginx-error",
            Format::ApacheError => "apache-error",
            Format::Json => "json",
            Format::Syslog3164 => "syslog3164",
            Format::Syslog5424 => "syslog5424",
        }
    }

    /// The format of a name.
    ///
    /// # Errors
    /// If there is none; the hint has them all.
    ///
    /// # Examples
    /// ```
    /// use eddyline_logs::format::Format;
    /// assert_eq!(Format::named("json")?, Format::Json);
    /// assert!(Format::named("xml").unwrap_err().report().contains("nginx-error"));
    /// # Ok::<(), eddyline_core::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Format, Error> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Format::name).join(", ");
            Error::config(format!("there is no log format `{name}`")).with_hint(format!("one of {names}"))
        })
    }
}

/// The instant of an RFC 3339 time such as `2026-01-31T10:00:00Z`, in milliseconds since the epoch; without a zone it is
/// of UTC.
pub fn parse_rfc3339(text: &str) -> Option<EventTime> {
    let mut scan = clock::Scan::new(text.as_bytes());
    clock::rfc3339(&mut scan, &Zone::Utc).filter(|_| scan.rest().is_empty())
}

/// How bad what a line tells of is, by syslog's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The system cannot be used.
    Emergency = 0,
    /// Somebody has to act at once.
    Alert = 1,
    /// Critical.
    Critical = 2,
    /// An error.
    Error = 3,
    /// A warning.
    Warning = 4,
    /// Normal, and worth a word.
    Notice = 5,
    /// For information; what accesses are.
    Info = 6,
    /// For those who look for faults.
    Debug = 7,
}

impl Level {
    const ALL: [Level; 8] = [
        Level::Emergency,
        Level::Alert,
        Level::Critical,
        Level::Error,
        Level::Warning,
        Level::Notice,
        Level::Info,
        Level::Debug,
    ];

    /// The level of a number from 0 to 7; others are the nearest.
    pub fn of_number(number: u8) -> Level {
        Self::ALL[usize::from(number.min(7))]
    }

    /// The level of a name in any usual spelling.
    pub fn of_name(name: &[u8]) -> Option<Level> {
        let lower = name.to_ascii_lowercase();
        Some(match lower.as_slice() {
            b"emerg" | b"emergency" | b"panic" => Level::Emergency,
            b"alert" => Level::Alert,
            b"crit" | b"critical" | b"fatal" => Level::Critical,
            b"err" | b"error" => Level::Error,
            b"warn" | b"warning" => Level::Warning,
            b"notice" => Level::Notice,
            b"info" | b"information" => Level::Info,
            b"debug" | b"trace" | b"trace1" | b"trace2" | b"trace3" | b"trace4" | b"trace5" | b"trace6"
            | b"trace7" | b"trace8" => Level::Debug,
            _ => return None,
        })
    }
}

/// What a line says, borrowed from it as far as possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields<'a> {
    /// When it happened.
    pub time: EventTime,
    /// How bad it is.
    pub level: Level,
    /// The client's address or name; empty if the line has none.
    pub host: Cow<'a, [u8]>,
    /// The request's method; empty if there is none.
    pub method: Cow<'a, [u8]>,
    /// What was asked for, without its query; empty if the line is no access.
    pub path: Cow<'a, [u8]>,
    /// What the client says it is; empty if unknown.
    pub agent: Cow<'a, [u8]>,
    /// The response's status; 0 if the line is no access.
    pub status: u16,
    /// The size of the response's body in bytes.
    pub bytes: u64,
    /// How long the request took, in microseconds, where the line says it.
    pub latency_us: Option<u64>,
    /// What the line says about a login, if it is about one.
    pub login: Option<Login>,
}

impl Fields<'_> {
    /// The fields of a message that is no access.
    fn message(time: EventTime, level: Level) -> Self {
        let empty = || Cow::Borrowed(&b""[..]);
        Fields {
            time,
            level,
            host: empty(),
            method: empty(),
            path: empty(),
            agent: empty(),
            status: 0,
            bytes: 0,
            latency_us: None,
            login: None,
        }
    }
}

/// What reading depends on besides the line.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The format of all lines; none: it is found.
    pub format: Option<Format>,
    /// The zone of times that say none.
    pub zone: Zone,
    /// The time by which the year of times without one is found, milliseconds since the epoch: now, or when the file
    /// was written last.
    pub reference_ms: EventTime,
    /// Paths, as parts of a request's path, by which logins are recognised.
    pub login_paths: Vec<String>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            format: None,
            zone: Zone::Utc,
            reference_ms: EventTime::MAX,
            login_paths: ["/login", "/signin", "/wp-login", "/session", "/auth"].map(str::to_owned).to_vec(),
        }
    }
}

/// Reads the lines of one file.
///
/// # Examples
/// ```
/// use eddyline_logs::format::{Format, LineReader, ReadOptions};
///
/// let mut reader = LineReader::new(ReadOptions::default().into());
/// let line = br#"{"time":"2015-05-17T10:05:03Z","remote_addr":"::1","status":404,"path":"/a"}"#;
/// let fields = reader.read(line).expect("a line of JSON");
/// assert_eq!((fields.time, fields.status, &*fields.host), (1_431_857_103_000, 404, &b"::1"[..]));
/// assert_eq!(reader.format(), Some(Format::Json));
/// assert_eq!(reader.read(b"{").unwrap_err().to_string(), "no JSON object at byte 2");
/// ```
#[derive(Debug, Clone)]
pub struct LineReader {
    options: std::sync::Arc<ReadOptions>,
    format: Option<Format>,
    foreign_run: u32,
}

impl LineReader {
    /// A reader at the start of a file, or anywhere in it.
    pub fn new(options: std::sync::Arc<ReadOptions>) -> Self {
        LineReader { format: options.format, options, foreign_run: 0 }
    }

    /// The format of the file, if it is known by now.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// Reads a line, without its line end or with it.
    ///
    /// # Errors
    /// Why it could not be read, and from which byte on.
    #[inline]
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<Fields<'a>, Unparsed> {
        if let Some(format) = self.format {
            match read_as(format, line, &self.options) {
                Ok(fields) => {
                    self.foreign_run = 0;
                    return Ok(fields);
                }
                Err(unparsed) => return self.read_foreign(line, unparsed),
            }
        }
        self.find(line).ok_or_else(|| self.explain(line))
    }

    /// A line that the file's format does not read.
    #[cold]
    fn read_foreign<'a>(&mut self, line: &'a [u8], unparsed: Unparsed) -> Result<Fields<'a>, Unparsed> {
        self.foreign_run = self.foreign_run.saturating_add(1);
        if self.options.format.is_some() || self.foreign_run <= FOREIGN_RUN_MAX {
            return Err(unparsed);
        }
        self.find(line).ok_or(unparsed)
    }

    /// Tries all formats.
    fn find<'a>(&mut self, line: &'a [u8]) -> Option<Fields<'a>> {
        for format in Format::ALL {
            if let Ok(fields) = read_as(format, line, &self.options) {
                self.format = Some(format);
                self.foreign_run = 0;
                return Some(fields);
            }
        }
        None
    }

    /// Why no format reads a line: the reason of the one that got furthest.
    #[cold]
    fn explain(&self, line: &[u8]) -> Unparsed {
        let reasons = Format::ALL.map(|format| read_as(format, line, &self.options).err());
        let furthest = reasons.into_iter().flatten().max_by_key(|unparsed| unparsed.column);
        furthest.unwrap_or_else(|| Unparsed::new(Reason::UnknownFormat, 0))
    }
}

/// Reads `line` as one of `format`.
#[inline]
fn read_as<'a>(format: Format, line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    if format == Format::Access {
        return access::read(line, options);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Unparsed::new(Reason::EmptyLine, 0));
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(Unparsed::new(Reason::LineTooLong, LINE_BYTES_MAX));
    }
    let read = match format {
        Format::Json => json::read(line, options),
        Format::Syslog3164 => syslog::read_3164(line, options),
        Format::Syslog5424 => syslog::read_5424(line, options),
        Format::NginxError => nginx::read(line, options),
        Format::ApacheError | Format::Access => apache::read(line, options),
    };
    read.map_err(|unparsed| unparsed.or_binary(line))
}
