//! What clients ask for, read from the query and checked.

use eddyline_core::{Error, EventTime, Result};
use eddyline_logs::job::{Dimension, WindowKind};
use eddyline_logs::store::LineQuery;
use serde::Deserialize;
use std::ops::Range;

/// Lines that are answered if nothing else is said.
const LINES_DEFAULT: usize = 100;
/// Lines that are answered at most, unless they are streamed.
const LINES_MAX: usize = 10_000;
/// Rows of results that are answered if nothing else is said, and at most.
const ROWS_DEFAULT: usize = 1_000;
const ROWS_MAX: usize = 50_000;

/// Parameters of `/v1/logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogsParameters {
    from: Option<String>,
    to: Option<String>,
    host: Option<String>,
    status: Option<String>,
    path: Option<String>,
    text: Option<String>,
    limit: Option<usize>,
    pub(crate) format: Option<String>,
    /// Looked at before anything else, see `access`.
    #[serde(rename = "access_token")]
    _access_token: Option<String>,
}

impl LogsParameters {
    /// The query, at the time of day `now_ms`.
    pub(crate) fn query(self, now_ms: EventTime) -> Result<LineQuery> {
        let limit = self.limit.unwrap_or(LINES_DEFAULT);
        if !(1..=LINES_MAX).contains(&limit) {
            return Err(Error::input(format!("a limit of {limit} lines is not possible"))
                .with_hint(format!("1 to {LINES_MAX}; for more, stream them with format=ndjson")));
        }
        Ok(LineQuery {
            times: times(self.from.as_deref(), self.to.as_deref(), now_ms)?,
            host: self.host,
            status: self.status.as_deref().map(statuses).transpose()?,
            path: self.path,
            text: self.text,
            limit,
            ..LineQuery::default()
        })
    }

    /// Whether lines are to be streamed, and how many at most.
    pub(crate) fn streamed(&self) -> Result<Option<usize>> {
        match self.format.as_deref() {
            None | Some("json") => Ok(None),
            Some("ndjson") => Ok(Some(self.limit.unwrap_or(usize::MAX))),
            Some(other) => {
                Err(Error::input(format!("there is no format `{other}`"))
                    .with_hint("json, or ndjson to stream"))
            }
        }
    }

    /// The same without its limit, which a stream counts by itself.
    pub(crate) fn unlimited(mut self) -> Self {
        self.limit = None;
        self
    }
}

/// Parameters of results: windows, sessions, alerts, top values.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResultParameters {
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    pub(crate) kind: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) state: Option<String>,
    dimension: Option<String>,
    minutes: Option<usize>,
    pub(crate) after: Option<u64>,
    /// Looked at before anything else, see `access`.
    #[serde(rename = "access_token")]
    _access_token: Option<String>,
}

impl ResultParameters {
    pub(crate) fn times(&self, now_ms: EventTime) -> Result<Range<EventTime>> {
        times(self.from.as_deref(), self.to.as_deref(), now_ms)
    }

    pub(crate) fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(ROWS_DEFAULT);
        if (1..=ROWS_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(Error::input(format!("a limit of {limit} rows is not possible"))
            .with_hint(format!("1 to {ROWS_MAX}")))
    }

    pub(crate) fn window_kind(&self) -> Result<WindowKind> {
        match self.kind.as_deref() {
            None | Some("minute") => Ok(WindowKind::Minute),
            Some("sliding") => Ok(WindowKind::Sliding),
            Some("day") => Ok(WindowKind::Day),
            Some(other) => Err(Error::input(format!("there are no windows of the kind `{other}`"))
                .with_hint("minute, sliding or day")),
        }
    }

    pub(crate) fn dimension(&self) -> Result<Dimension> {
        match self.dimension.as_deref() {
            None | Some("path") => Ok(Dimension::Path),
            Some("host") => Ok(Dimension::Host),
            Some("agent") => Ok(Dimension::Agent),
            Some(other) => {
                Err(Error::input(format!("there is no dimension `{other}`")).with_hint("path, host or agent"))
            }
        }
    }

    /// Minutes over which top values are added up: an hour unless said.
    pub(crate) fn minutes(&self) -> usize {
        self.minutes.unwrap_or(60).clamp(1, 240)
    }
}

/// From and up to, without the end; missing: without limit.
///
/// # Errors
/// If one of them is no time, or the end is before the beginning.
pub fn times(from: Option<&str>, to: Option<&str>, now_ms: EventTime) -> Result<Range<EventTime>> {
    let from = from.map_or(Ok(EventTime::MIN), |text| time(text, now_ms))?;
    let to = to.map_or(Ok(EventTime::MAX), |text| time(text, now_ms))?;
    if from >= to {
        return Err(Error::input("the time asked for ends before it begins")
            .with_hint("`from` has to be before `to`"));
    }
    Ok(from..to)
}

/// A time as RFC 3339, as milliseconds since the epoch, or as so long ago: `-15m`, `-2h`, `-7d`.
fn time(text: &str, now_ms: EventTime) -> Result<EventTime> {
    let ago = text.strip_prefix('-').and_then(|ago| {
        let unit_ms = match ago.bytes().last()? {
            b's' => 1_000,
            b'm' => 60_000,
            b'h' => 3_600_000,
            b'd' => 86_400_000,
            _ => return None,
        };
        let count: i64 = ago[..ago.len() - 1].parse().ok().filter(|count| *count >= 0)?;
        now_ms.checked_sub(count.checked_mul(unit_ms)?)
    });
    let found = ago.or_else(|| text.parse().ok()).or_else(|| match text {
        "now" => Some(now_ms),
        text => eddyline_logs::format::parse_rfc3339(text),
    });
    found.ok_or_else(|| {
        Error::input(format!("`{text}` is no time"))
            .with_hint("2026-01-31T10:00:00Z, milliseconds since 1970, now, or so long ago: -15m, -2h, -7d")
    })
}

/// The least and the greatest status of `404`, `5xx` or `400-499`.
///
/// # Errors
/// If the text is none of these.
pub fn statuses(text: &str) -> Result<(u16, u16)> {
    let class =
        text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()).filter(|class| *class < 10);
    let range = match (class, text.split_once('-')) {
        (Some(class), _) => Some((class * 100, class * 100 + 99)),
        (None, Some((least, greatest))) => least.parse().ok().zip(greatest.parse().ok()),
        (None, None) => text.parse().ok().map(|status| (status, status)),
    };
    range.filter(|(least, greatest)| least <= greatest).ok_or_else(|| {
        Error::input(format!("`{text}` is no status"))
            .with_hint("a number, a class as 5xx, or a range as 400-499")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_statuses_are_read() {
        let now = 1_000_000_000;
        let read = |text| time(text, now).ok();
        assert_eq!(read("-2h"), Some(now - 7_200_000));
        assert_eq!((read("17"), read("now")), (Some(17), Some(now)));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1_000));
        for wrong in ["", "-h", "tomorrow", "--3h", "-3w", "-9223372036854775807d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(statuses("5xx").ok(), Some((500, 599)));
        assert_eq!(statuses("400-404").ok(), Some((400, 404)));
        assert_eq!(statuses("404").ok(), Some((404, 404)));
        assert!(["", "abc", "404-400", "xx", "99999"].iter().all(|text| statuses(text).is_err()));
    }

    #[test]
    fn limits_are_kept() {
        let asked = |limit| LogsParameters { limit: Some(limit), ..LogsParameters::default() }.query(0);
        assert!(asked(0).is_err() && asked(LINES_MAX + 1).is_err());
        assert_eq!(asked(7).map(|query| query.limit).ok(), Some(7));
        assert_eq!(LogsParameters::default().query(0).map(|query| query.limit).ok(), Some(LINES_DEFAULT));
        let backwards =
            LogsParameters { from: Some("5".into()), to: Some("4".into()), ..LogsParameters::default() };
        assert!(backwards.query(0).is_err());
    }
}
