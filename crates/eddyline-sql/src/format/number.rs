//! Numbers in text, as Java reads and writes them.

use crate::expr::decimals::{POWERS, fits};
use crate::expr::text_parse;
use std::fmt::Write;

/// A whole number, as `Long.parseLong` reads it.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // Short ones, which are nearly all, cannot overflow.
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 18 {
        return text.parse().ok();
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A floating-point number, as `Double.parseDouble` reads it.
pub(crate) fn float(text: &str) -> Option<f64> {
    match text.as_bytes().last() {
        Some(last) if last.is_ascii_digit() => text.parse().ok(),
        _ => text_parse::float(text),
    }
}

/// What comes of reading a decimal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecimalText {
    Value(i128),
    /// A number that has too many digits: NULL, as in Flink.
    TooLarge,
    NoNumber,
}

/// A decimal of `precision` and `scale`, rounded half up.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> DecimalText {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let (mut value, mut fraction, mut seen, mut point) = (0i128, 0u8, 0u8, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(byte - b'0');
                seen += 1;
                fraction += u8::from(point);
            }
            b'.' if !point => point = true,
            _ => return slow_decimal(text, precision, scale),
        }
        if seen > 20 {
            return slow_decimal(text, precision, scale);
        }
    }
    if seen == 0 {
        return DecimalText::NoNumber;
    }
    if fraction > scale {
        return slow_decimal(text, precision, scale);
    }
    let value =
        value.checked_mul(POWERS[usize::from(scale - fraction)]).filter(|value| fits(*value, precision));
    value.map_or(DecimalText::TooLarge, |value| DecimalText::Value(if negative { -value } else { value }))
}

fn slow_decimal(text: &str, precision: u8, scale: u8) -> DecimalText {
    if let Some(value) = text_parse::decimal(text, precision, scale) {
        return DecimalText::Value(value);
    }
    let is_number = text.parse::<f64>().is_ok() && text.bytes().any(|byte| byte.is_ascii_digit());
    if is_number { DecimalText::TooLarge } else { DecimalText::NoNumber }
}

/// Appends a decimal as `BigDecimal.toString` has it, or `toPlainString` if `plain`.
pub(crate) fn write_decimal(value: i128, scale: u8, plain: bool, out: &mut String) {
    let digits = value.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    if plain || exponent >= -6 {
        crate::expr::text_format::write_decimal(value, scale, out);
        return;
    }
    let sign = if value < 0 { "-" } else { "" };
    let point = if digits.len() > 1 { "." } else { "" };
    let _ = write!(out, "{sign}{}{point}{}E{exponent}", &digits[..1], &digits[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-17", Some(-17)),
            ("+5", Some(5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            ("1x", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
        assert_eq!(float("1.5e3"), Some(1500.0));
        assert_eq!(float("Infinity"), Some(f64::INFINITY));
        assert_eq!(float("x"), None);
    }

    #[test]
    fn decimals_are_rounded_and_checked() {
        for (text, expected) in [
            ("1.5", DecimalText::Value(150)),
            ("-1.005", DecimalText::Value(-101)),
            ("1e2", DecimalText::Value(10_000)),
            (".5", DecimalText::Value(50)),
            ("12345678901234567890123", DecimalText::TooLarge),
            ("1000", DecimalText::TooLarge),
            ("x", DecimalText::NoNumber),
            ("", DecimalText::NoNumber),
            ("1.2.3", DecimalText::NoNumber),
        ] {
            assert_eq!(decimal(text, 5, 2), expected, "{text}");
        }
    }

    #[test]
    fn small_decimals_are_written_with_an_exponent_unless_plain() {
        let text = |value, scale, plain| {
            let mut out = String::new();
            write_decimal(value, scale, plain, &mut out);
            out
        };
        assert_eq!(text(27, 9, false), "2.7E-8");
        assert_eq!(text(27, 9, true), "0.000000027");
        assert_eq!(text(-1, 7, false), "-1E-7");
        assert_eq!(text(10_000, 2, false), "100.00");
        assert_eq!(text(0, 2, false), "0.00");
    }
}
