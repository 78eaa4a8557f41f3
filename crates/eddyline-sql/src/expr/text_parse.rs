//! Values from text: what CAST from STRING takes.

use super::arithmetic::{days_in_month, days_of_civil};
use super::decimals::{divide_rounded, fits};

/// A number with a fraction and perhaps an exponent, as an unscaled decimal of `precision` and `scale`.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(place) => (&digits[..place], digits[place + 1..].parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let all: String = format!("{whole}{fraction}");
    let trimmed = all.trim_start_matches('0');
    // The value is `trimmed` · 10^(exponent − fraction's length).
    let shift = exponent - fraction.len() as i32 + i32::from(scale);
    let value = if shift >= 0 {
        if trimmed.is_empty() {
            0
        } else {
            format!("{trimmed}{}", "0".repeat(shift.min(60) as usize)).parse::<i128>().ok()?
        }
    } else {
        let drop = (-shift) as usize;
        if trimmed.len() < drop {
            0
        } else {
            let kept = trimmed.len().saturating_sub(drop);
            let head: i128 = if kept == 0 { 0 } else { trimmed[..kept].parse().ok()? };
            let next: i128 = trimmed[kept..=kept].parse().ok()?;
            divide_rounded(head.checked_mul(10)?.checked_add(next)?, 10)
        }
    };
    let value = if negative { -value } else { value };
    fits(value, precision).then_some(value)
}

/// A whole number; a fraction is cut off.
pub(crate) fn integer(text: &str, least: i64, most: i64) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, fraction))
            if fraction.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('.') =>
        {
            whole
        }
        Some(_) => return None,
        None => text,
    };
    whole.parse::<i64>().ok().filter(|value| (least..=most).contains(value))
}

/// A floating-point number, as Java reads it.
pub(crate) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    let bare = text
        .strip_suffix(['d', 'D', 'f', 'F'])
        .filter(|bare| bare.ends_with(|c: char| c.is_ascii_digit() || c == '.'));
    match bare.unwrap_or(text) {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        digits if digits.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')) => None,
        digits => digits.parse().ok(),
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// `2024-02-29`, `2024-2`, `2024`: days since the epoch.
pub(crate) fn date(text: &str) -> Option<i64> {
    let text = text.trim();
    // A time behind the date is left out.
    let text = text.split_once([' ', 'T']).map_or(text, |(date, _)| date);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = digits.split('-');
    let mut next = |default: &'static str| -> Option<i64> {
        let part = parts.next().unwrap_or(default).trim();
        if part.is_empty() || part.len() > 9 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        part.parse().ok()
    };
    let (year, month, day) = (next("")?, next("1")?, next("1")?);
    if parts.next().is_some() {
        return None;
    }
    let year = if negative { -year } else { year };
    let month = u32::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    let day = u32::try_from(day).ok().filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    Some(days_of_civil(year, month, day))
}

/// `12:30:05.25`, `12:30`, `12`: nanoseconds of the day.
pub(crate) fn time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let mut parts = clock.split(':');
    let mut next = |most: i64, needed: bool| -> Option<i64> {
        match parts.next() {
            None if !needed => Some(0),
            None => None,
            Some(part)
                if !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                part.parse().ok().filter(|value| *value <= most)
            }
            Some(_) => None,
        }
    };
    let (hours, minutes, seconds) = (next(23, true)?, next(59, false)?, next(59, false)?);
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// `2024-02-29 12:30:05.25`, also with `T`, or a date alone: nanoseconds since the epoch, without a zone.
pub(crate) fn timestamp_nanos(text: &str) -> Option<i128> {
    const DAY: i128 = 86_400_000_000_000;
    let text = text.trim();
    match text.split_once([' ', 'T']) {
        Some((day, clock)) => {
            let clock = clock.trim();
            if clock.matches(':').count() < 1 {
                return None;
            }
            Some(i128::from(date(day)?) * DAY + i128::from(time(clock)?))
        }
        None => Some(i128::from(date(text)?) * DAY),
    }
}

/// A timestamp with `Z` or an offset behind it: nanoseconds since the epoch, and whether there was a zone.
pub(crate) fn instant_nanos(text: &str) -> Option<(i128, bool)> {
    let text = text.trim();
    if let Some(bare) = text.strip_suffix(['Z', 'z']) {
        return Some((timestamp_nanos(bare)?, true));
    }
    if let Some(place) = text.rfind(['+', '-']).filter(|place| *place > 10) {
        let offset = &text[place + 1..];
        let (hours, minutes) = match offset.split_once(':') {
            Some((hours, minutes)) => (hours.parse::<i128>().ok()?, minutes.parse::<i128>().ok()?),
            None if offset.len() == 4 => (offset[..2].parse().ok()?, offset[2..].parse().ok()?),
            None => (offset.parse().ok()?, 0),
        };
        let sign = if text[place..].starts_with('-') { -1 } else { 1 };
        let shift = sign * (hours * 60 + minutes) * 60_000_000_000;
        return Some((timestamp_nanos(&text[..place])? - shift, true));
    }
    Some((timestamp_nanos(text)?, false))
}
