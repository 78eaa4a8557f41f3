//! The parts of a date and of a time of day.

use crate::expr::arithmetic::{civil_of_days, days_of_civil};
use crate::expr::text_format::local_of_instant;
use crate::types::TypeKind;
use jiff::tz::TimeZone;

pub(super) const DAY_NANOS: i64 = 86_400_000_000_000;

/// What a wall clock and a calendar show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub(super) days: i64,
    /// Nanoseconds of the day.
    pub(super) nanos: i64,
}

impl Moment {
    /// What is shown for a date, a time of 1970-01-01, or a timestamp; in `zone` if it is an instant.
    #[inline]
    pub(super) fn of(value: i64, kind: &TypeKind, zone: &TimeZone) -> Moment {
        match kind {
            TypeKind::Date => Moment { days: value, nanos: 0 },
            TypeKind::Time(_) => Moment { days: 0, nanos: value * 1_000_000 },
            TypeKind::TimestampLtz(_) => {
                Moment::split(local_of_instant(value, kind.in_nanos(), zone), kind.in_nanos())
            }
            _ => Moment::split(value, kind.in_nanos()),
        }
    }

    /// Of nano- or microseconds since the epoch.
    #[inline]
    pub(super) fn split(value: i64, in_nanos: bool) -> Moment {
        // Divisors that the compiler knows are much cheaper.
        const DAY_MICROS: i64 = DAY_NANOS / 1_000;
        if in_nanos {
            return Moment { days: value.div_euclid(DAY_NANOS), nanos: value.rem_euclid(DAY_NANOS) };
        }
        Moment { days: value.div_euclid(DAY_MICROS), nanos: value.rem_euclid(DAY_MICROS) * 1_000 }
    }

    /// Micro- or nanoseconds since the epoch.
    pub(super) fn joined(self, in_nanos: bool) -> i64 {
        let (day, nanos) = if in_nanos { (DAY_NANOS, 1) } else { (DAY_NANOS / 1_000, 1_000) };
        self.days.wrapping_mul(day).wrapping_add(self.nanos / nanos)
    }

    pub(super) fn hour(self) -> i64 {
        self.nanos / 3_600_000_000_000
    }

    pub(super) fn minute(self) -> i64 {
        self.nanos / 60_000_000_000 % 60
    }

    pub(super) fn second(self) -> i64 {
        self.nanos / 1_000_000_000 % 60
    }

    pub(super) fn nano_of_second(self) -> i64 {
        self.nanos % 1_000_000_000
    }
}

/// 1 is Monday, 7 is Sunday.
pub(super) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// 1 is the first of January.
pub(super) fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = civil_of_days(days);
    days - days_of_civil(year, 1, 1) + 1
}

/// The year and week of ISO 8601: a week belongs to the year of its Thursday.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - iso_weekday(days) + 4;
    (civil_of_days(thursday).0, (day_of_year(thursday) - 1) / 7 + 1)
}
