//! Units of time and intervals.

/// A unit of time, from years to nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimeUnit {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl TimeUnit {
    /// `HOUR`, `HOURS`, `SQL_TSI_HOUR`
    pub(crate) fn parse(word: &str) -> Option<TimeUnit> {
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
        let units = [
            ("MILLENNIUM", TimeUnit::Millennium),
            ("CENTURY", TimeUnit::Century),
            ("DECADE", TimeUnit::Decade),
            ("YEAR", TimeUnit::Year),
            ("QUARTER", TimeUnit::Quarter),
            ("MONTH", TimeUnit::Month),
            ("WEEK", TimeUnit::Week),
            ("DAY", TimeUnit::Day),
            ("HOUR", TimeUnit::Hour),
            ("MINUTE", TimeUnit::Minute),
            ("SECOND", TimeUnit::Second),
            ("MILLISECOND", TimeUnit::Millisecond),
            ("MICROSECOND", TimeUnit::Microsecond),
            ("NANOSECOND", TimeUnit::Nanosecond),
        ];
        let found =
            units.into_iter().find(|(unit, _)| name == *unit || name.strip_suffix('S') == Some(*unit));
        found.map(|(_, unit)| unit)
    }

    /// Whether it is counted in months.
    pub(crate) fn is_months(self) -> bool {
        self <= TimeUnit::Month
    }

    /// Months of a unit of months.
    pub(crate) fn months(self) -> i64 {
        match self {
            TimeUnit::Millennium => 12_000,
            TimeUnit::Century => 1_200,
            TimeUnit::Decade => 120,
            TimeUnit::Year => 12,
            TimeUnit::Quarter => 3,
            _ => 1,
        }
    }

    /// Milliseconds of a unit that is not of months; 0 below a millisecond.
    pub(crate) fn millis(self) -> i64 {
        match self {
            TimeUnit::Week => 604_800_000,
            TimeUnit::Day => 86_400_000,
            TimeUnit::Hour => 3_600_000,
            TimeUnit::Minute => 60_000,
            TimeUnit::Second => 1_000,
            TimeUnit::Millisecond => 1,
            _ => 0,
        }
    }
}

/// A length of time: of months, or of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    Months(i32),
    Millis(i64),
}

impl Interval {
    pub(crate) fn negated(self) -> Interval {
        match self {
            Interval::Months(months) => Interval::Months(months.wrapping_neg()),
            Interval::Millis(millis) => Interval::Millis(millis.wrapping_neg()),
        }
    }

    /// What the text of `INTERVAL 'text' first [TO second]` says: `5`, `1-2`, `1 12:30:00.5`.
    pub(crate) fn parse(text: &str, first: TimeUnit, second: Option<TimeUnit>) -> Option<Interval> {
        let trimmed = text.trim();
        let (negative, digits) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest.trim()),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed).trim()),
        };
        let interval = match second {
            None if first.is_months() => Interval::Months(
                i32::try_from(digits.parse::<i64>().ok()?.checked_mul(first.months())?).ok()?,
            ),
            None => Interval::Millis(millis_of(digits, first)?),
            Some(_) if first.is_months() => {
                let (years, months) = digits.split_once('-')?;
                let months = years.parse::<i32>().ok()?.checked_mul(12)?.checked_add(months.parse().ok()?)?;
                Interval::Months(months)
            }
            Some(second) => Interval::Millis(parts_of(digits, first, second)?),
        };
        Some(if negative { interval.negated() } else { interval })
    }
}

/// A number, with a fraction if it counts seconds.
fn millis_of(digits: &str, unit: TimeUnit) -> Option<i64> {
    match digits.split_once('.') {
        Some((whole, fraction))
            if unit == TimeUnit::Second && fraction.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            let padded: String = format!("{fraction}000").chars().take(3).collect();
            whole.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(padded.parse().ok()?)
        }
        Some(_) => None,
        None => digits.parse::<i64>().ok()?.checked_mul(unit.millis()),
    }
}

/// `1 12:30:00.5` from `first` to `last`.
fn parts_of(digits: &str, first: TimeUnit, last: TimeUnit) -> Option<i64> {
    let units = [TimeUnit::Day, TimeUnit::Hour, TimeUnit::Minute, TimeUnit::Second];
    let wanted: Vec<TimeUnit> = units.into_iter().filter(|unit| *unit >= first && *unit <= last).collect();
    let parts: Vec<&str> = digits.split([' ', ':']).filter(|part| !part.is_empty()).collect();
    if parts.len() != wanted.len() {
        return None;
    }
    parts.iter().zip(wanted).try_fold(0i64, |sum, (part, unit)| sum.checked_add(millis_of(part, unit)?))
}
