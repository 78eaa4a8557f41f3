//! Reading times of day and dates, as the formats write them.

use crate::parse::{days_from_civil, days_in_month, month_number};
use eddyline_core::EventTime;

const DAY_MS: i64 = 86_400_000;

/// A cursor over bytes that takes what it expects, or nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    line: &'a [u8],
    pub(super) position: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Scan { line, position: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.line[self.position..]
    }

    /// The byte `expected`.
    pub(super) fn byte(&mut self, expected: u8) -> Option<()> {
        (self.line.get(self.position) == Some(&expected)).then(|| self.position += 1)
    }

    /// `expected`.
    pub(super) fn text(&mut self, expected: &[u8]) -> Option<()> {
        self.rest().starts_with(expected).then(|| self.position += expected.len())
    }

    /// A number of exactly `digits` digits.
    pub(super) fn number(&mut self, digits: usize) -> Option<i64> {
        let text = self.rest().get(..digits).filter(|text| text.iter().all(u8::is_ascii_digit))?;
        self.position += digits;
        Some(text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// A month's name of three letters.
    pub(super) fn month(&mut self) -> Option<i64> {
        let name: [u8; 3] = self.rest().get(..3)?.try_into().ok()?;
        let month = month_number(name)?;
        self.position += 3;
        Some(month)
    }

    /// A day of the month in two columns, the first of which may be a space.
    pub(super) fn padded_day(&mut self) -> Option<i64> {
        if self.byte(b' ').is_some() { self.number(1) } else { self.number(2) }
    }

    /// What stands before `end`, which is taken too.
    pub(super) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let rest = self.rest();
        let length = memchr::memchr(end, rest)?;
        self.position += length + 1;
        Some(&rest[..length])
    }

    /// `HH:MM:SS`, perhaps with decimals, as milliseconds of the day. A second of 60 is the first of the next minute.
    pub(super) fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        self.byte(b':')?;
        let minute = self.number(2)?;
        self.byte(b':')?;
        let second = self.number(2)?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let whole = (hour * 3_600 + minute * 60 + second) * 1_000;
        let has_decimals = matches!(self.rest(), [b'.' | b',', digit, ..] if digit.is_ascii_digit());
        if !has_decimals {
            return Some(whole);
        }
        self.position += 1;
        let mut fraction_ms = 0;
        let mut scale = 100;
        while let Some(digit) = self.rest().first().filter(|byte| byte.is_ascii_digit()) {
            fraction_ms += i64::from(digit - b'0') * scale;
            scale /= 10;
            self.position += 1;
        }
        Some(whole + fraction_ms)
    }

    /// `Z`, `+02:00`, `+0200` or `+02`, in minutes ahead of UTC.
    pub(super) fn zone(&mut self) -> Option<i64> {
        let sign = match self.rest().first()? {
            b'Z' | b'z' => {
                self.position += 1;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.position += 1;
        let hours = self.number(2)?;
        let minutes = if self.byte(b':').is_some() { self.number(2)? } else { self.number(2).unwrap_or(0) };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

/// Milliseconds since the epoch of a date and a time of day, if there is such a day.
pub(super) fn local_ms(year: i64, month: i64, day: i64, of_day_ms: i64) -> Option<i64> {
    let is_date = (1..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    let is_day = is_date && day <= days_in_month(year, month);
    is_day.then(|| days_from_civil(year, month, day) * DAY_MS + of_day_ms)
}

/// An RFC 3339 time; without a zone `zone` is applied.
pub(super) fn rfc3339(scan: &mut Scan<'_>, zone: &super::Zone) -> Option<EventTime> {
    let year = scan.number(4)?;
    scan.byte(b'-')?;
    let month = scan.number(2)?;
    scan.byte(b'-')?;
    let day = scan.number(2)?;
    scan.byte(b'T').or_else(|| scan.byte(b't')).or_else(|| scan.byte(b' '))?;
    let of_day_ms = scan.time_of_day()?;
    let local = local_ms(year, month, day, of_day_ms)?;
    let before = *scan;
    match scan.zone() {
        Some(minutes) => Some(local - minutes * 60_000),
        None => {
            *scan = before;
            Some(zone.to_utc(local))
        }
    }
}

/// An offset such as `+02:00` in minutes, and nothing else.
pub(super) fn zone_offset_minutes(text: &[u8]) -> Option<i64> {
    let mut scan = Scan::new(text);
    scan.zone().filter(|_| scan.rest().is_empty())
}

/// The instant of a date without a year: of the latest year in which it is not more than a day after `reference_ms`.
pub(super) fn without_year(
    (month, day, of_day_ms): (i64, i64, i64),
    zone: &super::Zone,
    reference_ms: EventTime,
) -> Option<EventTime> {
    let latest = reference_ms.min(local_ms(9999, 1, 1, 0)?).saturating_add(DAY_MS);
    let (year, _, _) = crate::parse::civil_from_days(latest.div_euclid(DAY_MS));
    // The 29th of February exists in one year of eight at worst.
    (0..=8).find_map(|back| {
        let instant = zone.to_utc(local_ms(year - back, month, day, of_day_ms)?);
        (instant <= latest).then_some(instant)
    })
}
