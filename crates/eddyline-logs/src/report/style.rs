//! What the terminal can do, and text that fits it.

use crate::parse::{MONTHS, civil_from_days};
use eddyline_core::EventTime;

/// The narrowest output that is drawn; narrower terminals wrap.
const WIDTH_MIN: usize = 40;

/// The widest output that is drawn; more is hard to read.
const WIDTH_MAX: usize = 120;

/// The width where none is known.
const WIDTH_USUAL: usize = 80;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
    width: usize,
}

/// What a piece of text is, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Title,
    Faint,
    Good,
    Neutral,
    Warning,
    Bad,
    Accent,
}

impl Style {
    /// Plain text of a width in columns, which is taken into 40 to 120.
    pub fn plain(width: usize) -> Self {
        Style { colour: false, width: width.clamp(WIDTH_MIN, WIDTH_MAX) }
    }

    /// The style for an output: `is_terminal` whether it is one, `columns` its width if known, `no_color` the
    /// environment's `NO_COLOR` (set and not empty means no colours, see no-color.org).
    pub fn for_output(is_terminal: bool, columns: Option<usize>, no_color: Option<&str>) -> Self {
        let plain = Style::plain(columns.unwrap_or(WIDTH_USUAL));
        Style { colour: is_terminal && no_color.is_none_or(str::is_empty), ..plain }
    }

    /// The width in columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether colours are used.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// The text in the colour of its tone (SGR codes of ECMA-48), or as it is.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour || text.is_empty() => return text.to_string(),
            Tone::Title => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Neutral => "34",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Accent => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The columns a character takes: wide ones of East Asian scripts and pictures two.
fn columns(character: char) -> usize {
    if matches!(character, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..)
    {
        2
    } else {
        1
    }
}

/// Whether a character could move the cursor, recolour the screen or turn text around.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text from a log, made harmless and at most `width` columns wide; what is cut off becomes `…`.
///
/// Logs hold what strangers sent: escape sequences must not get to the terminal.
pub(super) fn fit(text: &str, width: usize) -> String {
    let safe = |character| if is_unsafe(character) { char::REPLACEMENT_CHARACTER } else { character };
    let mut fitted = String::new();
    let mut used = 0;
    let mut characters = text.chars().map(safe).peekable();
    while let Some(character) = characters.next() {
        let reserve = usize::from(characters.peek().is_some());
        if used + columns(character) + reserve > width {
            // The rest fits only if it is this one character.
            fitted.push('…');
            break;
        }
        used += columns(character);
        fitted.push(character);
    }
    fitted
}

/// [`fit`], filled up with spaces on the right.
pub(super) fn fit_left(text: &str, width: usize) -> String {
    let mut fitted = fit(text, width);
    let used: usize = fitted.chars().map(columns).sum();
    fitted.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    fitted
}

/// A count with its thousands apart: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun, which gets an `s` unless there is exactly one.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Bytes in decimal units: `1.2 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_000.0;
    let mut unit = 0;
    // 999.95 would be rounded to 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A latency in microseconds: `850 µs`, `1.2 ms`, `3.4 s`.
pub(super) fn latency(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..100_000 => format!("{:.1} ms", microseconds as f64 / 1_000.0),
        100_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

/// A duration in milliseconds: `40 ms`, `3.4 s`, `12 min`, `5 h 20 min`, `3 d 4 h`.
pub(super) fn duration(milliseconds: u64) -> String {
    let (seconds, minutes) = (milliseconds / 1_000, milliseconds / 60_000);
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{seconds}.{} s", milliseconds % 1_000 / 100),
        60_000..3_600_000 => format!("{minutes} min"),
        3_600_000..86_400_000 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1_440, minutes / 60 % 24),
    }
}

/// A share of a whole: `91.3 %`.
pub(super) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

/// The day in UTC: `17 May 2015`.
pub(super) fn date(time: EventTime) -> String {
    let (year, month, day) = civil_from_days(time.div_euclid(86_400_000));
    format!("{day} {} {year}", MONTHS[month as usize - 1])
}

/// Hour and minute in UTC: `10:05`.
pub(super) fn hour_minute(time: EventTime) -> String {
    let minutes = time.rem_euclid(86_400_000) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Day of the year and minute in UTC: `17 May 10:05`.
pub(super) fn short_stamp(time: EventTime) -> String {
    let (_, month, day) = civil_from_days(time.div_euclid(86_400_000));
    format!("{day} {} {}", MONTHS[month as usize - 1], hour_minute(time))
}

/// Day and time to the second in UTC: `17 May 2015 10:05:03`.
pub(super) fn date_time(time: EventTime) -> String {
    format!("{} {}:{:02}", date(time), hour_minute(time), time.rem_euclid(60_000) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1_000, 999_999, 1_250_000].map(size), ["999 B", "1.0 kB", "1.0 MB", "1.2 MB"]);
        assert_eq!(size(u64::MAX), "18.4 EB");
        assert_eq!([7, 1_250, 250_000, 3_400_000].map(latency), ["7 µs", "1.2 ms", "250 ms", "3.4 s"]);
        let durations = [40, 3_450, 720_000, 19_200_000, 273_600_000].map(duration);
        assert_eq!(durations, ["40 ms", "3.4 s", "12 min", "5 h 20 min", "3 d 4 h"]);
        assert_eq!(date_time(1_431_857_103_000), "17 May 2015 10:05:03");
        assert_eq!(date_time(-1_000), "31 Dec 1969 23:59:59");
        assert_eq!((plural(1, "line"), plural(2, "line")), ("1 line".into(), "2 lines".into()));
    }

    #[test]
    fn text_is_cut_to_its_columns_and_harmless() {
        assert_eq!((fit("abcdef", 6), fit("abcdef", 5)), ("abcdef".into(), "abcd…".into()));
        assert_eq!(fit_left("日本語", 5), "日本…");
        assert_eq!(fit_left("日本", 5), "日本 ");
        assert_eq!(fit("a\x1b[31m\u{202e}", 20), "a\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        assert!(Style::for_output(true, Some(80), None).has_colour());
        assert!(Style::for_output(true, None, Some("")).has_colour());
        assert!(!Style::for_output(true, None, Some("1")).has_colour());
        assert!(!Style::for_output(false, None, None).has_colour());
        assert_eq!(Style::for_output(true, Some(7), None).width(), 40);
        assert_eq!(Style::plain(80).paint(Tone::Bad, "x"), "x");
    }
}
