//! The zone of times that say none.

use eddyline_core::{Error, EventTime, Result};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MINUTE_MS: i64 = 60_000;

/// Where the clock hangs whose times say no zone.
///
/// # Examples
/// ```
/// use eddyline_logs::format::Zone;
/// let noon_ms = 12 * 3_600_000;
/// assert_eq!(Zone::named("+02:00")?.to_utc(noon_ms), 10 * 3_600_000);
/// assert_eq!(Zone::named("UTC")?.to_utc(noon_ms), noon_ms);
/// assert!(Zone::named("Mars/Olympus").is_err());
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub enum Zone {
    /// Coordinated Universal Time.
    Utc,
    /// Always this far ahead of UTC, in milliseconds; negative: behind.
    Fixed(i64),
    /// A zone with daylight saving time. A time that the clock shows twice is the first of the two; one that it
    /// leaps over is taken as if it had not leapt yet.
    Named(TimeZone),
}

impl Zone {
    /// The zone of a name: `UTC`, an offset such as `+02:00`, or a name of the system's database such as
    /// `Europe/Berlin`.
    ///
    /// # Errors
    /// If there is no such zone, or no database.
    pub fn named(name: &str) -> Result<Zone> {
        if name.eq_ignore_ascii_case("utc") || name == "Z" {
            return Ok(Zone::Utc);
        }
        if name.starts_with(['+', '-']) {
            return super::clock::zone_offset_minutes(name.as_bytes())
                .map(|minutes| Zone::Fixed(minutes * MINUTE_MS))
                .ok_or_else(|| unknown(name, "an offset is written +02:00"));
        }
        TimeZone::get(name).map(Zone::Named).map_err(|error| unknown(name, &error.to_string()))
    }

    /// The instant at which a clock in this zone shows `local_ms`, milliseconds since the epoch as if it were UTC.
    pub fn to_utc(&self, local_ms: i64) -> EventTime {
        match self {
            Zone::Utc => local_ms,
            Zone::Fixed(offset_ms) => local_ms.saturating_sub(*offset_ms),
            Zone::Named(zone) => named_to_utc(zone, local_ms).unwrap_or(local_ms),
        }
    }
}

/// None outside of the years that the calendar library knows.
fn named_to_utc(zone: &TimeZone, local_ms: i64) -> Option<EventTime> {
    let local: DateTime = TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(local_ms).ok()?);
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(instant.as_millisecond())
}

fn unknown(name: &str, why: &str) -> Error {
    Error::config(format!("there is no time zone `{name}`"))
        .with_detail(why.to_owned())
        .with_hint("UTC, an offset such as +02:00, or a name such as Europe/Berlin if the system has tzdata")
}
