//! Which directory of the output a record belongs to.
//!
//! A bucket is a path below the output directory, such as `dt=2026-01-31/hour=10`. It depends on the record, its
//! event time and the time of day alone.

use eddyline_core::{Error, EventTime, Result};
use std::sync::Arc;

/// How the bucket of a record of type `T` is found.
pub(crate) enum Assigner<T> {
    /// By the record itself.
    Record(Arc<dyn Fn(&T) -> String + Send + Sync>),
    /// By a time.
    Time(BucketTime, TimePattern),
}

impl<T> Clone for Assigner<T> {
    fn clone(&self) -> Self {
        match self {
            Assigner::Record(assign) => Assigner::Record(assign.clone()),
            Assigner::Time(time, pattern) => Assigner::Time(*time, pattern.clone()),
        }
    }
}

/// The bucket that was asked for last: nearly always that of the next record too.
#[derive(Debug, Default)]
pub(crate) struct Current {
    pub(crate) bucket: String,
    /// The stretch of time that it stands for.
    number: Option<i64>,
}

impl Current {
    /// Finds the bucket of a record with an event time, at a time of day.
    pub(crate) fn find<T>(&mut self, assigner: &Assigner<T>, value: &T, times: (EventTime, i64)) {
        match assigner {
            Assigner::Record(assign) => self.bucket = assign(value),
            Assigner::Time(time, pattern) => {
                let time_ms = match time {
                    BucketTime::Event => times.0,
                    BucketTime::Processing => times.1,
                };
                let number = Some(pattern.number(time_ms));
                if self.number != number {
                    self.bucket = pattern.format(time_ms);
                    self.number = number;
                }
            }
        }
    }
}

/// The directory of values that are empty, as Hive has it.
const EMPTY_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Which time decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketTime {
    /// The record's event time: the same records give the same buckets, whenever they are processed.
    Event,
    /// The time at which the record is written.
    Processing,
}

/// The directory `key=value/…` of columns and their values. Characters that are special in paths are written `%XX`.
///
/// # Examples
/// ```
/// use eddyline_connectors::sink::partition_path;
///
/// assert_eq!(partition_path(&[("country", "fr"), ("city", "a/b")]), "country=fr/city=a%2Fb");
/// ```
pub fn partition_path<V: AsRef<str>>(columns: &[(&str, V)]) -> String {
    let mut path = String::new();
    for (key, value) in columns {
        if !path.is_empty() {
            path.push('/');
        }
        escape(key, &mut path);
        path.push('=');
        match value.as_ref() {
            "" => path.push_str(EMPTY_VALUE),
            value => escape(value, &mut path),
        }
    }
    path
}

fn escape(text: &str, path: &mut String) {
    for character in text.chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(character) {
            path.push_str(&format!("%{:02X}", character as u32));
        } else {
            path.push(character);
        }
    }
}

/// Checks that a bucket is a path below the output directory, and visible.
///
/// # Errors
/// If it is not.
pub(crate) fn check(bucket: &str) -> Result<()> {
    let fits = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('\0');
    if bucket.is_empty() || bucket.split('/').all(fits) {
        return Ok(());
    }
    Err(Error::output("the bucket of a record is no directory below the output")
        .with_detail(format!("`{bucket}`"))
        .with_hint("give a relative path without empty, hidden and `..` parts; `partition_path` makes one of any values"))
}

/// A time as a path, by a pattern.
#[derive(Debug, Clone)]
pub(crate) struct TimePattern {
    pattern: String,
    offset_ms: i64,
    /// The text is the same for so long, at least.
    unit_ms: i64,
}

impl TimePattern {
    /// `pattern` has `%Y %m %d %H %M %S`, and `%%`; times are those of UTC plus `offset_ms`.
    pub(crate) fn new(pattern: &str, offset_ms: i64) -> Self {
        let units = [("%S", 1_000), ("%M", 60_000), ("%H", 3_600_000)];
        let finest = units.into_iter().find(|(unit, _)| pattern.contains(unit));
        TimePattern { pattern: pattern.to_owned(), offset_ms, unit_ms: finest.map_or(DAY_MS, |(_, ms)| ms) }
    }

    /// Times of the same number are of the same bucket.
    pub(crate) fn number(&self, time_ms: i64) -> i64 {
        time_ms.saturating_add(self.offset_ms).div_euclid(self.unit_ms)
    }

    /// The bucket of `time_ms`, milliseconds since the epoch.
    pub(crate) fn format(&self, time_ms: i64) -> String {
        let time_ms = time_ms.saturating_add(self.offset_ms);
        let (year, month, day) = civil(time_ms.div_euclid(DAY_MS));
        let second = time_ms.rem_euclid(DAY_MS) / 1_000;
        let mut text = String::with_capacity(self.pattern.len() + 8);
        let mut characters = self.pattern.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some('Y') => text.push_str(&format!("{year:04}")),
                Some('m') => text.push_str(&format!("{month:02}")),
                Some('d') => text.push_str(&format!("{day:02}")),
                Some('H') => text.push_str(&format!("{:02}", second / 3_600)),
                Some('M') => text.push_str(&format!("{:02}", second / 60 % 60)),
                Some('S') => text.push_str(&format!("{:02}", second % 60)),
                other => text.extend(other),
            }
        }
        text
    }
}

/// Year, month and day of a day since the epoch, in the Gregorian calendar continued to both sides. (Years are
/// counted from March, so that the leap day is the last; eras are 400 years.)
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_paths() {
        let pattern = TimePattern::new("dt=%Y-%m-%d/%H%M%S%%", 0);
        for (time_ms, expected) in [
            (0, "dt=1970-01-01/000000%"),
            (-1, "dt=1969-12-31/235959%"),
            (951_782_400_000, "dt=2000-02-29/000000%"),
            (1_709_164_799_000, "dt=2024-02-28/235959%"),
            (4_107_542_400_000, "dt=2100-03-01/000000%"),
        ] {
            assert_eq!(pattern.format(time_ms), expected);
        }
        assert_eq!(TimePattern::new("%d--%H", 2 * 3_600_000).format(-1), "01--01");
        let _ = pattern.format(i64::MIN);
        let _ = pattern.format(i64::MAX);
    }

    #[test]
    fn a_bucket_that_is_found_again_is_the_one_of_the_record() {
        for text in ["%Y", "%d", "%d-%H", "%H-%M", "%S", "%%S%d", "none"] {
            let pattern = TimePattern::new(text, 90 * 60_000);
            let (assigner, mut current) =
                (Assigner::Time(BucketTime::Event, pattern.clone()), Current::default());
            for step in 0..5_000_i64 {
                let time_ms = step * step * 7_919 % (400 * DAY_MS) - DAY_MS;
                current.find(&assigner, &(), (time_ms, 0));
                assert_eq!(current.bucket, pattern.format(time_ms), "{text} at {time_ms}");
                current.find(&assigner, &(), (time_ms + 999, 0));
                assert_eq!(current.bucket, pattern.format(time_ms + 999), "{text} at {time_ms}");
            }
        }
    }

    #[test]
    fn buckets_stay_below_the_output() {
        for good in ["", "a", "a=b/c=d", "dt=2026-01-31--10"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["/a", "a//b", "..", "a/../b", ".hidden", "a/", "a\0"] {
            assert!(check(bad).unwrap_err().report().contains("bucket"), "{bad}");
        }
        assert_eq!(partition_path(&[("k", "../x"), ("e", "")]), "k=..%2Fx/e=__HIVE_DEFAULT_PARTITION__");
        assert!(check(&partition_path(&[("a", "\0/..")])).is_ok());
    }
}
