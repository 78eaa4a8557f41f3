//! Patterns of dates and times, as Java has them: `yyyy-MM-dd HH:mm:ss.SSS`.
//!
//! Java has two dialects. `DateTimeFormatter` is strict and counts fractions of a second; `SimpleDateFormat` is lenient
//! and counts milliseconds. Names are English.

use super::civil::{Moment, day_of_year, iso_weekday};
use crate::expr::arithmetic::{civil_of_days, days_of_civil};
use std::fmt::Write;

/// Who reads the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Formatter,
    Simple,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
    /// What follows may be missing, up to the next `Close`.
    Open,
    Close,
}

/// A pattern, taken apart.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) dialect: Dialect,
    pub(super) items: Vec<Item>,
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday on.
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What both dialects know, and what each knows besides.
const LETTERS: &str = "GyMLdDEaHhKkmsS";
const FORMATTER_LETTERS: &str = "uQqecnNAwWY";
const SIMPLE_LETTERS: &str = "uwWFYXZz";

impl Pattern {
    /// Moments of the same so many seconds are shown alike; none if they are not even within a second.
    pub(super) fn seconds_alike(&self) -> Option<i64> {
        let mut seconds = 86_400;
        for item in &self.items {
            let Item::Field(letter, _) = item else { continue };
            seconds = seconds.min(match letter {
                'G' | 'y' | 'u' | 'Y' | 'M' | 'L' | 'd' | 'D' | 'E' | 'e' | 'c' | 'Q' | 'q' | 'w' | 'W'
                | 'F' => 86_400,
                'a' | 'H' | 'h' | 'K' | 'k' | 'm' => 60,
                's' => 1,
                _ => return None,
            });
        }
        Some(seconds)
    }

    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Pattern, String> {
        let mut items: Vec<Item> = Vec::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.peek() == Some(&'\'') => {
                    letters.next();
                    push_text(&mut items, '\'');
                }
                '\'' => loop {
                    match letters.next() {
                        Some('\'') if letters.peek() == Some(&'\'') => {
                            letters.next();
                            push_text(&mut items, '\'');
                        }
                        Some('\'') => break,
                        Some(quoted) => push_text(&mut items, quoted),
                        None => return Err(format!("the pattern '{text}' has an open quote")),
                    }
                },
                '[' if dialect == Dialect::Formatter => items.push(Item::Open),
                ']' if dialect == Dialect::Formatter => items.push(Item::Close),
                letter if letter.is_ascii_alphabetic() => {
                    let own = if dialect == Dialect::Simple { SIMPLE_LETTERS } else { FORMATTER_LETTERS };
                    if !LETTERS.contains(letter) && !own.contains(letter) {
                        return Err(format!(
                            "the pattern '{text}' has the letter {letter}, which says nothing here"
                        ));
                    }
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    items.push(Item::Field(letter, count));
                }
                letter => push_text(&mut items, letter),
            }
        }
        Ok(Pattern { dialect, items })
    }

    /// Appends what `moment` looks like; `offset` are the seconds of the zone that it is in.
    pub(super) fn write(&self, moment: Moment, offset: i64, out: &mut String) {
        let date = civil_of_days(moment.days);
        for item in &self.items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Field(letter, count) => match self.dialect {
                    Dialect::Simple if matches!(letter, 'S' | 'X' | 'Z' | 'z' | 'u' | 'F') => {
                        write_simple(*letter, *count, moment, offset, out);
                    }
                    _ => write_field(*letter, *count, moment, date, out),
                },
                Item::Open | Item::Close => {}
            }
        }
    }
}

fn push_text(items: &mut Vec<Item>, letter: char) {
    match items.last_mut() {
        Some(Item::Text(text)) => text.push(letter),
        _ => items.push(Item::Text(letter.to_string())),
    }
}

/// A number with zeros before it, up to `width` digits.
fn number(value: i64, width: usize, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut rest = value.unsigned_abs();
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    let missing = width.saturating_sub(digits.len() - first);
    out.extend(std::iter::repeat_n('0', missing));
    out.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

/// A name: its first three letters, all of it from four letters on, one letter for five.
fn name(name: &str, count: usize, out: &mut String) {
    out.push_str(match count {
        0..=3 => &name[..3],
        5 => &name[..1],
        _ => name,
    });
}

fn write_field(letter: char, count: usize, moment: Moment, date: (i64, u32, u32), out: &mut String) {
    let (year, month, day) = date;
    match letter {
        'G' => out.push_str(if year > 0 { "AD" } else { "BC" }),
        'y' | 'Y' | 'u' => {
            // The last days of December may be in the first week of the next year.
            let is_next = letter == 'Y' && month == 12 && week_of_year(moment.days) == 1;
            let year = year + i64::from(is_next);
            let shown = if letter != 'u' && year <= 0 { 1 - year } else { year };
            if count == 2 { number(shown.rem_euclid(100), 2, out) } else { number(shown, count, out) }
        }
        'M' | 'L' if count >= 3 => name(MONTHS[month as usize - 1], count, out),
        'M' | 'L' => number(i64::from(month), count, out),
        'Q' | 'q' => number(i64::from(month - 1) / 3 + 1, count, out),
        'd' => number(i64::from(day), count, out),
        'D' => number(day_of_year(moment.days), count, out),
        'E' => name(WEEKDAYS[iso_weekday(moment.days) as usize - 1], count, out),
        'e' | 'c' => number(iso_weekday(moment.days) % 7 + 1, count, out),
        'w' => number(week_of_year(moment.days), count, out),
        'W' => number(week_from(days_of_civil(year, month, 1), moment.days), count, out),
        'a' => out.push_str(if moment.hour() < 12 { "AM" } else { "PM" }),
        'H' => number(moment.hour(), count, out),
        'k' => number((moment.hour() + 23) % 24 + 1, count, out),
        'K' => number(moment.hour() % 12, count, out),
        'h' => number((moment.hour() + 11) % 12 + 1, count, out),
        'm' => number(moment.minute(), count, out),
        's' => number(moment.second(), count, out),
        'S' => {
            let count = count.min(9);
            number(moment.nano_of_second() / 10i64.pow(9 - count as u32), count, out);
        }
        'n' => number(moment.nano_of_second(), count, out),
        'A' => number(moment.nanos / 1_000_000, count, out),
        _ => number(moment.nanos, count, out),
    }
}

/// The week of the year in America: weeks begin on Sunday, and the first of January is in the first.
fn week_of_year(days: i64) -> i64 {
    let (year, _, _) = civil_of_days(days);
    let next = days_of_civil(year + 1, 1, 1);
    let next_week_begins = next - iso_weekday(next) % 7;
    if days >= next_week_begins { 1 } else { week_from(days_of_civil(year, 1, 1), days) }
}

/// The week, counted from 1 for the one with the day `first` in it.
fn week_from(first: i64, days: i64) -> i64 {
    (days - first + iso_weekday(first) % 7) / 7 + 1
}

fn write_simple(letter: char, count: usize, moment: Moment, offset: i64, out: &mut String) {
    match letter {
        'S' => number(moment.nano_of_second() / 1_000_000, count, out),
        'u' => number(iso_weekday(moment.days), count, out),
        'F' => number((i64::from(civil_of_days(moment.days).2) - 1) / 7 + 1, count, out),
        'X' if offset == 0 => out.push('Z'),
        _ => {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            let colon = if (letter == 'X' && count == 3) || letter == 'z' { ":" } else { "" };
            let prefix = if letter == 'z' { "GMT" } else { "" };
            let _ = write!(out, "{prefix}{sign}{:02}", minutes / 60);
            if letter != 'X' || count > 1 {
                let _ = write!(out, "{colon}{:02}", minutes % 60);
            }
        }
    }
}
