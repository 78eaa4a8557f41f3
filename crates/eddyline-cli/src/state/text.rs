//! Sizes, counts and times for people, and the program's output.

use eddyline_core::{Error, Result};
use std::io::{BufWriter, ErrorKind, StdoutLock, Write};

/// Bytes with a unit.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1e3, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A count with its digits in groups.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds since the epoch as a time in UTC.
pub fn time(milliseconds: i64) -> String {
    let (days, rest) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013), `civil_from_days`.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1_000)
}

/// Standard output. When whoever reads it has had enough, the program ends.
pub struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub fn new() -> Self {
        Output(BufWriter::new(std::io::stdout().lock()))
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.write_all(text.as_bytes())
            .and_then(|()| self.write_all(b"\n"))
            .map_err(|error| unwritten(&error))
    }

    /// Writes a value as JSON, on a line.
    pub fn json<T: serde::Serialize>(&mut self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::internal(format!("cannot be written as JSON: {error}")))?;
        self.line(&text)
    }

    pub fn end(mut self) -> Result<()> {
        self.flush().map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &std::io::Error) -> Error {
    Error::output(format!("cannot write the output: {error}"))
}

fn or_end<T>(outcome: std::io::Result<T>) -> std::io::Result<T> {
    match outcome {
        // `eddyline state read … | head` is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        or_end(self.0.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        or_end(self.0.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([999, 1_000, 999_999, 1_250_000].map(size), ["999 B", "1.0 kB", "1.0 MB", "1.2 MB"]);
        assert_eq!([7, 1_000, 1_234_567].map(count), ["7", "1,000", "1,234,567"]);
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
    }
}
