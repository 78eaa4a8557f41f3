//! Values of options, as people write them.

use eddyline_core::{Error, Result};
use std::time::Duration;

fn split_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    (&text[..digits], text[digits..].trim().to_ascii_lowercase())
}

fn invalid(key: &str, text: &str, expected: &str) -> Error {
    Error::config(format!("option `{key}` cannot be `{text}`")).with_hint(format!("give {expected}"))
}

/// A whole number.
pub(super) fn number<N: std::str::FromStr>(key: &str, text: &str) -> Result<N> {
    text.trim()
        .parse()
        .map_err(|_| invalid(key, text, "a whole number that is not negative, for example `4`"))
}

/// `true` or `false`.
pub(super) fn boolean(key: &str, text: &str) -> Result<bool> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| invalid(key, text, "`true` or `false`"))
}

/// A duration: a whole number and a unit, milliseconds if there is none.
pub(super) fn duration(key: &str, text: &str) -> Result<Duration> {
    let (number, unit) = split_unit(text);
    let micros = match unit.as_str() {
        "us" | "µs" | "micro" | "micros" => 1,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        _ => 0,
    };
    let read =
        number.parse::<u64>().ok().filter(|_| micros > 0).and_then(|number| number.checked_mul(micros));
    read.map(Duration::from_micros)
        .ok_or_else(|| invalid(key, text, "a duration, for example `500 ms` or `10 s`"))
}

/// A duration in whole milliseconds.
pub(super) fn millis(key: &str, text: &str) -> Result<u64> {
    Ok(u64::try_from(duration(key, text)?.as_millis()).unwrap_or(u64::MAX))
}

/// A size in bytes: a whole number and a unit, bytes if there is none; `k`, `m`, `g` are powers of 1024.
pub(super) fn bytes(key: &str, text: &str) -> Result<usize> {
    let (number, unit) = split_unit(text);
    let shift = match unit.as_str() {
        "" | "b" | "bytes" => Some(0),
        "k" | "kb" | "kib" | "kibibytes" => Some(10),
        "m" | "mb" | "mib" | "mebibytes" => Some(20),
        "g" | "gb" | "gib" | "gibibytes" => Some(30),
        "t" | "tb" | "tib" | "tebibytes" => Some(40),
        _ => None,
    };
    let read = shift.and_then(|shift| number.parse::<usize>().ok()?.checked_mul(1 << shift));
    read.ok_or_else(|| invalid(key, text, "a size, for example `512m` or `2 gb`"))
}

/// The known name that is most like `given`, if one is like it at all.
pub(super) fn closest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let nearest = known.map(|name| (edit_distance(given, name), name)).min()?;
    (nearest.0 <= given.len().max(nearest.1.len()) / 3).then_some(nearest.1)
}

/// How many characters have to be added, dropped or replaced to get from one text to the other.
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(bytes("k", "512m").unwrap(), 512 << 20);
        assert_eq!(bytes("k", "2 GB").unwrap(), 2 << 30);
        assert_eq!(bytes("k", "77").unwrap(), 77);
        assert!(bytes("k", "2 apples").is_err());
        assert_eq!(duration("k", "10 s").unwrap(), Duration::from_secs(10));
        assert_eq!(duration("k", "250").unwrap(), Duration::from_millis(250));
        assert!(duration("k", "-1 s").is_err());
        assert!(duration("k", "").is_err());
    }

    #[test]
    fn names_that_are_nearly_right_are_found() {
        let known = ["parallelism.default", "execution.checkpointing.interval"];
        assert_eq!(closest("paralelism.defautl", known.into_iter()), Some("parallelism.default"));
        assert_eq!(closest("colour", known.into_iter()), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
