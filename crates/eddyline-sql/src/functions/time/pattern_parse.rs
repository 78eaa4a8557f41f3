//! Reading dates and times by a pattern.

use super::civil::{DAY_NANOS, Moment};
use super::pattern::{Dialect, Item, MONTHS, Pattern, WEEKDAYS};
use crate::expr::arithmetic::{days_in_month, days_of_civil};

/// What was read so far. What is missing is as on 1970-01-01 at midnight.
#[derive(Debug, Clone, Copy)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    /// 1 for the hours behind noon, with the hours of a clock of twelve.
    half: Option<i64>,
    half_hour: Option<i64>,
    minute: i64,
    second: i64,
    nanos: i64,
    offset_seconds: Option<i64>,
}

/// A point of time, and the zone it was said to be in: seconds east of UTC.
pub(super) struct Parsed {
    pub(super) moment: Moment,
    pub(super) offset_seconds: Option<i64>,
}

impl Pattern {
    /// What `text` says; none if it does not follow the pattern.
    pub(super) fn read(&self, text: &str) -> Option<Parsed> {
        let mut parts = Parts {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half: None,
            half_hour: None,
            minute: 0,
            second: 0,
            nanos: 0,
            offset_seconds: None,
        };
        let rest = self.read_items(0, text, &mut parts)?;
        if self.dialect == Dialect::Formatter && !rest.is_empty() {
            return None;
        }
        self.resolve(parts)
    }

    /// Reads from item `from` on and answers what is left of the text.
    fn read_items<'a>(&self, from: usize, text: &'a str, parts: &mut Parts) -> Option<&'a str> {
        let mut rest = text;
        let mut at = from;
        while let Some(item) = self.items.get(at) {
            match item {
                Item::Text(expected) => rest = rest.strip_prefix(expected.as_str())?,
                Item::Field(letter, count) => {
                    let is_adjacent = matches!(self.items.get(at + 1), Some(Item::Field(next, _)) if next.is_ascii() && *next != 'a');
                    rest = self.read_field(*letter, *count, is_adjacent, rest, parts)?;
                }
                Item::Open => {
                    let close = self.closing(at);
                    let mut within = *parts;
                    let inner = Pattern { dialect: self.dialect, items: self.items[at + 1..close].to_vec() };
                    if let Some(behind) = inner.read_items(0, rest, &mut within) {
                        (rest, *parts) = (behind, within);
                    }
                    at = close;
                }
                Item::Close => {}
            }
            at += 1;
        }
        Some(rest)
    }

    /// The item that closes the bracket at `open`; the end if there is none.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for (place, item) in self.items.iter().enumerate().skip(open) {
            match item {
                Item::Open => depth += 1,
                Item::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return place;
            }
        }
        self.items.len()
    }

    fn read_field<'a>(
        &self,
        letter: char,
        count: usize,
        is_adjacent: bool,
        text: &'a str,
        parts: &mut Parts,
    ) -> Option<&'a str> {
        match letter {
            'M' | 'L' if count >= 3 => {
                let (place, rest) = name_of(&MONTHS, text, count == 3 && self.dialect == Dialect::Formatter)?;
                parts.month = place as i64 + 1;
                return Some(rest);
            }
            'E' => {
                let (_, rest) = name_of(&WEEKDAYS, text, count <= 3 && self.dialect == Dialect::Formatter)?;
                return Some(rest);
            }
            'a' => {
                let (half, rest) = text.split_at_checked(2)?;
                parts.half = Some(match () {
                    () if half.eq_ignore_ascii_case("AM") => 0,
                    () if half.eq_ignore_ascii_case("PM") => 1,
                    () => return None,
                });
                return Some(rest);
            }
            'G' => return text.strip_prefix("AD"),
            'X' | 'Z' | 'z' => return read_offset(text, parts),
            _ => {}
        }
        let (least, most) = self.width(letter, count, is_adjacent);
        let text = if self.dialect == Dialect::Simple { text.trim_start() } else { text };
        let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let value: i64 = text[..digits].parse().ok()?;
        match letter {
            'y' | 'u' | 'Y' if count == 2 && digits == 2 => parts.year = self.year_of_two_digits(value),
            'y' | 'u' | 'Y' => parts.year = value,
            'M' | 'L' => parts.month = value,
            'd' => parts.day = value,
            'D' => parts.day_of_year = Some(value),
            'H' => parts.hour = value,
            'k' => parts.hour = value % 24,
            'h' => parts.half_hour = Some(value % 12),
            'K' => parts.half_hour = Some(value),
            'm' => parts.minute = value,
            's' => parts.second = value,
            'S' if self.dialect == Dialect::Formatter => {
                parts.nanos = value * 10i64.pow(9u32.saturating_sub(digits as u32));
            }
            'S' => parts.nanos = value * 1_000_000,
            'n' => parts.nanos = value,
            // Weeks and quarters beside a day say nothing new.
            _ => {}
        }
        Some(&text[digits..])
    }

    /// How many digits a number has, at least and at most.
    fn width(&self, letter: char, count: usize, is_adjacent: bool) -> (usize, usize) {
        if self.dialect == Dialect::Simple {
            return (1, if is_adjacent { count } else { 18 });
        }
        match (letter, count) {
            ('S', count) => (count, count.min(9)),
            ('y' | 'u' | 'Y', 4..) => (count, if is_adjacent { count } else { 18 }),
            (_, 1) => (1, if is_adjacent { 1 } else { 18 }),
            (_, count) => (count, count),
        }
    }

    /// `SimpleDateFormat` takes the year within 80 years before and 20 years behind this one, which is fixed here so
    /// that results are; `DateTimeFormatter` begins at 2000.
    fn year_of_two_digits(&self, value: i64) -> i64 {
        if self.dialect == Dialect::Formatter || value < 45 { 2000 + value } else { 1900 + value }
    }

    fn resolve(&self, parts: Parts) -> Option<Parsed> {
        let hour = match (parts.half_hour, parts.half) {
            (Some(hour), Some(half)) => hour + 12 * half,
            // Without its half of the day, an hour of twelve is in the morning for the lenient one alone.
            (Some(hour), None) if self.dialect == Dialect::Simple => hour,
            _ => parts.hour,
        };
        let is_lenient = self.dialect == Dialect::Simple;
        let in_range = |value: i64, least: i64, most: i64| is_lenient || (least..=most).contains(&value);
        let (month, year) = if is_lenient {
            ((parts.month - 1).rem_euclid(12) + 1, parts.year + (parts.month - 1).div_euclid(12))
        } else {
            (parts.month, parts.year)
        };
        if !(in_range(month, 1, 12)
            && in_range(hour, 0, 23)
            && in_range(parts.minute, 0, 59)
            && in_range(parts.second, 0, 59)
            && in_range(parts.day, 1, 31))
        {
            return None;
        }
        // A day behind the end of its month is the last one: Java's "smart" way.
        let last = i64::from(days_in_month(year, month as u32));
        let day = if is_lenient { parts.day } else { parts.day.min(last) };
        let days = match parts.day_of_year {
            Some(day) => days_of_civil(year, 1, 1) + day - 1,
            None => days_of_civil(year, month as u32, 1) + day - 1,
        };
        let nanos = ((hour * 60 + parts.minute) * 60 + parts.second).checked_mul(1_000_000_000)?;
        let nanos = nanos.checked_add(parts.nanos)?;
        let moment = Moment { days: days + nanos.div_euclid(DAY_NANOS), nanos: nanos.rem_euclid(DAY_NANOS) };
        Some(Parsed { moment, offset_seconds: parts.offset_seconds })
    }
}

/// The place of the name that `text` begins with, whole or by its first three letters.
fn name_of<'a>(names: &[&str], text: &'a str, short_only: bool) -> Option<(usize, &'a str)> {
    let begins = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    names.iter().enumerate().find_map(|(place, name)| {
        if !short_only && begins(name) {
            return Some((place, &text[name.len()..]));
        }
        begins(&name[..3]).then(|| (place, &text[3..]))
    })
}

/// `Z`, `+01`, `+0100`, `+01:00`, `GMT+1`, `UTC`.
fn read_offset<'a>(text: &'a str, parts: &mut Parts) -> Option<&'a str> {
    let named = text.strip_prefix("GMT").or_else(|| text.strip_prefix("UTC"));
    let rest = named.unwrap_or(text);
    if let Some(rest) = rest.strip_prefix('Z') {
        parts.offset_seconds = Some(0);
        return Some(rest);
    }
    let sign = match rest.bytes().next() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ if named.is_some() => {
            parts.offset_seconds = Some(0);
            return Some(rest);
        }
        _ => return None,
    };
    let two_digits = |text: &'a str| {
        let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
        Some((text.get(..digits)?.parse::<i64>().ok()?, &text[digits..]))
    };
    let (hours, rest) = two_digits(&rest[1..])?;
    let (minutes, rest) = match two_digits(rest.strip_prefix(':').unwrap_or(rest)) {
        Some((minutes, rest)) => (minutes, rest),
        None => (0, rest),
    };
    parts.offset_seconds = Some(sign * (hours * 3_600 + minutes * 60));
    Some(rest)
}
