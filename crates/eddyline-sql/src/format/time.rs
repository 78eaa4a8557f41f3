//! Dates and times in records, as Flink's formats read and write them: stricter than CAST.

use crate::expr::arithmetic::{civil_of_days, days_in_month, days_of_civil};
use crate::types::TypeKind;
use std::fmt::Write;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// How timestamps are written: `timestamp-format.standard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampStyle {
    /// `2020-12-30 12:13:14.123`
    Sql,
    /// `2020-12-30T12:13:14.123`
    Iso8601,
}

impl TimestampStyle {
    pub(crate) fn separator(self) -> u8 {
        match self {
            TimestampStyle::Sql => b' ',
            TimestampStyle::Iso8601 => b'T',
        }
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// `2020-12-30`: days since the epoch. With `clamps`, the days that a month does not have are its last one, as in
/// Flink's timestamps.
fn date_of(bytes: &[u8], clamps: bool) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return None };
    let (year, month, day) = (digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (month, mut day) = (month as u32, day as u32);
    let last = days_in_month(year, month);
    if day > last {
        if !clamps {
            return None;
        }
        day = last;
    }
    Some(days_of_civil(year, month, day))
}

/// `2020-12-30`: days since the epoch.
pub(crate) fn date(text: &str) -> Option<i64> {
    date_of(text.as_bytes(), false)
}

/// `12:13:14` with a fraction of up to 9 digits, or none: nanoseconds of the day.
fn time_of(bytes: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = bytes else { return None };
    let (hours, minutes, seconds) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let nanos = match rest {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            digits(fraction)? * 10i64.pow(9 - fraction.len() as u32)
        }
        _ => return None,
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// `12:13:14.123`: milliseconds of the day, cut to `precision`.
pub(crate) fn time(text: &str, precision: u8) -> Option<i64> {
    let millis = time_of(text.as_bytes())? / 1_000_000;
    let step = 10i64.pow(3 - u32::from(precision.min(3)));
    Some(millis / step * step)
}

/// A timestamp in the unit of its column, cut to the precision of `kind`. With `zoned`, a `Z` has to follow.
pub(crate) fn timestamp(text: &str, kind: &TypeKind, style: TimestampStyle, zoned: bool) -> Option<i64> {
    let mut bytes = text.as_bytes();
    if zoned {
        bytes = bytes.strip_suffix(b"Z")?;
    }
    if bytes.len() < 19 || bytes[10] != style.separator() {
        return None;
    }
    units(date_of(&bytes[..10], true)?, time_of(&bytes[11..])?, kind)
}

/// A day and the nanoseconds of it, in the unit and precision of the timestamp type `kind`.
fn units(days: i64, nanos: i64, kind: &TypeKind) -> Option<i64> {
    let precision = match kind {
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => *precision,
        _ => return None,
    };
    if precision <= 6 {
        let step = 10i64.pow(6 - u32::from(precision));
        let micros = nanos / 1_000;
        return days.checked_mul(86_400_000_000)?.checked_add(micros / step * step);
    }
    crate::expr::units_of_nanos(i128::from(days) * DAY_NANOS + i128::from(nanos), precision)
}

/// Appends the time of a day with as much of its fraction as is not zero.
fn write_clock(nanos: i64, out: &mut String) {
    let seconds = nanos / 1_000_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = nanos % 1_000_000_000;
    if fraction > 0 {
        let padded = format!("{fraction:09}");
        let _ = write!(out, ".{}", padded.trim_end_matches('0'));
    }
}

pub(crate) fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_of_days(days);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

/// A time of day in milliseconds.
pub(crate) fn write_time(millis: i64, out: &mut String) {
    write_clock(millis * 1_000_000, out);
}

/// A timestamp in the unit of its column.
pub(crate) fn write_timestamp(value: i64, kind: &TypeKind, style: TimestampStyle, out: &mut String) {
    let nanos = if kind.in_nanos() { i128::from(value) } else { i128::from(value) * 1_000 };
    write_date(nanos.div_euclid(DAY_NANOS) as i64, out);
    out.push(style.separator() as char);
    write_clock(nanos.rem_euclid(DAY_NANOS) as i64, out);
    if matches!(kind, TypeKind::TimestampLtz(_)) {
        out.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_in_their_style_alone() {
        let millis = TypeKind::Timestamp(3);
        for (text, style, zoned, expected) in [
            ("1970-01-01 00:00:01", TimestampStyle::Sql, false, Some(1_000_000)),
            ("1970-01-01 00:00:01.123456", TimestampStyle::Sql, false, Some(1_123_000)),
            ("1970-01-01T00:00:01.1", TimestampStyle::Iso8601, false, Some(1_100_000)),
            ("1970-01-01T00:00:01", TimestampStyle::Sql, false, None),
            ("1970-01-01 00:00:01Z", TimestampStyle::Sql, true, Some(1_000_000)),
            ("1970-01-01 00:00:01", TimestampStyle::Sql, true, None),
            ("1969-12-31 23:59:59.999", TimestampStyle::Sql, false, Some(-1_000)),
            ("2021-02-30 00:00:00", TimestampStyle::Sql, false, Some(18_686 * 86_400_000_000)),
            ("2021-02-32 00:00:00", TimestampStyle::Sql, false, None),
            ("2021-02-01 24:00:00", TimestampStyle::Sql, false, None),
            ("2021-02-01 00:00", TimestampStyle::Sql, false, None),
            ("2021-02-01", TimestampStyle::Sql, false, None),
        ] {
            assert_eq!(timestamp(text, &millis, style, zoned), expected, "{text}");
        }
        let nanos = TypeKind::Timestamp(9);
        let read = timestamp("1970-01-01 00:00:00.123456789", &nanos, TimestampStyle::Sql, false);
        assert_eq!(read, Some(123_456_789));
        assert_eq!((date("2021-02-28"), date("2021-02-29"), date("2021-2-28")), (Some(18_686), None, None));
        assert_eq!(
            (time("00:00:01.25", 3), time("00:00:01.25", 0), time("1:2:3", 0)),
            (Some(1_250), Some(1_000), None)
        );
    }

    #[test]
    fn times_are_written_without_needless_zeros() {
        let mut out = String::new();
        write_timestamp(1_120_000, &TypeKind::TimestampLtz(3), TimestampStyle::Sql, &mut out);
        out.push('|');
        write_timestamp(-1, &TypeKind::Timestamp(9), TimestampStyle::Iso8601, &mut out);
        out.push('|');
        write_time(3_600_000, &mut out);
        assert_eq!(out, "1970-01-01 00:00:01.12Z|1969-12-31T23:59:59.999999999|01:00:00");
    }
}
