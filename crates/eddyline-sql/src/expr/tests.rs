//! Values of expressions, after Flink.

use super::*;
use crate::types::TypeKind;
use jiff::tz::TimeZone;

fn context() -> EvalContext {
    EvalContext { zone: TimeZone::UTC, now_micros: 0, lenient_casts: false }
}

fn cast_text(text: &str, to: TypeKind) -> Option<String> {
    let value = cast_value(&Value::Text(text.into()), &TypeKind::STRING, &to, &context())?;
    Some(text_format::value_to_text(&value, &to, &TimeZone::UTC))
}

#[test]
fn text_is_cast_as_flink_casts_it() {
    for (text, to, expected) in [
        (" 42 ", TypeKind::Int, Some("42")),
        ("1.9", TypeKind::Int, Some("1")),
        ("2147483648", TypeKind::Int, None),
        ("1.005", TypeKind::Decimal(5, 2), Some("1.01")),
        ("-0.004", TypeKind::Decimal(5, 2), Some("0.00")),
        ("12345", TypeKind::Decimal(5, 2), None),
        ("1e3", TypeKind::Double, Some("1000.0")),
        ("1e10", TypeKind::Double, Some("1.0E10")),
        ("2024-02-30", TypeKind::Date, None),
        ("2024-2-9", TypeKind::Date, Some("2024-02-09")),
        ("2024-02-29 1:02:03.4567", TypeKind::Timestamp(3), Some("2024-02-29 01:02:03.456")),
        ("yes", TypeKind::Boolean, Some("TRUE")),
        ("abc", TypeKind::Char(2), Some("ab")),
    ] {
        assert_eq!(cast_text(text, to.clone()).as_deref(), expected, "{text} as {to}");
    }
}

#[test]
fn decimals_keep_their_scale() {
    use decimals::decimal;
    assert_eq!(decimal(Arithmetic::Divide, (1_000, 2), (3_000, 3), 8), Some(333_333_333));
    assert_eq!(decimal(Arithmetic::Multiply, (-15, 1), (15, 1), 1), Some(-23));
    assert_eq!(decimal(Arithmetic::Add, (105, 2), (1, 0), 2), Some(205));
    assert_eq!(decimals::divide_rounded(-25, 10), -3);
}

#[test]
fn months_are_added_to_the_end_of_the_month() {
    let day = |y, m, d| arithmetic::days_of_civil(y, m, d);
    assert_eq!(arithmetic::add_months(day(2024, 1, 31), 1), day(2024, 2, 29));
    assert_eq!(arithmetic::add_months(day(2024, 3, 31), -13), day(2023, 2, 28));
    for days in (-1_000_000..1_000_000).step_by(997) {
        let (y, m, d) = arithmetic::civil_of_days(days);
        assert_eq!(day(y, m, d), days);
    }
}
