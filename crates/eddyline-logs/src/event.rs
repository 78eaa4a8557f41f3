//! One access as it travels through a job.

use crate::parse::LogLine;
use eddyline_core::{Data, EventTime};

/// One access, owned and cut down to what the log job counts by.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct LogEvent {
    /// When the request came in.
    pub time: EventTime,
    /// The visitor: the client's address or name.
    pub host: String,
    /// What was asked for, without the query; bytes that are not UTF-8 are replaced by U+FFFD.
    pub path: String,
    /// The response's status.
    pub status: u16,
    /// The size of the response's body in bytes.
    pub bytes: u64,
}

impl From<&LogLine<'_>> for LogEvent {
    fn from(line: &LogLine<'_>) -> Self {
        LogEvent {
            time: line.time,
            host: lossy(line.host),
            path: lossy(line.request.resource()),
            status: line.status,
            bytes: line.bytes,
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_line;

    #[test]
    fn keeps_what_is_counted_and_replaces_what_is_no_text() {
        let line = b"host - - [01/Jan/1970:00:00:01 +0000] \"GET /a\xff?q=1 HTTP/1.1\" 404 -";
        let event = LogEvent::from(&parse_line(line).expect("a valid line"));
        let expected =
            LogEvent { time: 1_000, host: "host".into(), path: "/a\u{fffd}".into(), status: 404, bytes: 0 };
        assert_eq!(event, expected);
    }
}
