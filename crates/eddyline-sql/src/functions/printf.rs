//! PRINTF: texts by a format of Java's `Formatter`.
//!
//! What the format wants and the argument is not gives NULL, as in Flink: a text for `%d`, a DECIMAL for `%f`.

use super::{Argument, CallInfo, Function, Resolved, arity};
use crate::expr::text_format::value_to_text;
use crate::row::Value;
use crate::types::{SqlType, TypeKind};

pub(super) const FUNCTIONS: &[Function] = &[Function::rows("PRINTF", resolve_printf, printf)];

/// The longest field that is filled up with blanks or zeros.
const WIDTH_MAX: usize = 1 << 16;

/// A text, and anything.
fn resolve_printf(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=usize::MAX)?;
    if !arguments[0].data_type.kind.is_text() && arguments[0].data_type.kind != TypeKind::Null {
        return Err(format!("takes a text first, not {}", arguments[0].data_type.kind));
    }
    let mut params: Vec<SqlType> = arguments.iter().map(|argument| argument.data_type.clone()).collect();
    params[0].kind = TypeKind::STRING;
    Ok(Resolved { params, result: TypeKind::STRING.nullable() })
}

fn printf(args: &[Value], info: &CallInfo) -> Result<Value, String> {
    let Some(format) = args[0].as_text() else { return Ok(Value::Null) };
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    let mut next = 1;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        let Some((field, behind)) = Field::parse(&rest[start + 1..]) else { return Ok(Value::Null) };
        rest = behind;
        match field.conversion {
            'n' => out.push('\n'),
            '%' => out.push_str(&field.padded("%".to_owned())),
            'g' | 'G' | 'a' | 'A' | 't' | 'T' | 'h' | 'H' => {
                return Err(format!("the conversion %{} is not supported", field.conversion));
            }
            _ => {
                let place = field.index.unwrap_or(next);
                if field.index.is_none() {
                    next += 1;
                }
                let written =
                    args.get(place).filter(|_| place > 0).and_then(|value| field.write(value, place, info));
                let Some(written) = written else { return Ok(Value::Null) };
                out.push_str(&written);
            }
        }
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

/// `%[index$][flags][width][.precision]conversion`
struct Field<'a> {
    index: Option<usize>,
    flags: &'a str,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl<'a> Field<'a> {
    /// The field that `text` begins with, behind its `%`, and what follows.
    fn parse(text: &'a str) -> Option<(Field<'a>, &'a str)> {
        let digits = |text: &'a str| text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let (index, rest) = match digits(text) {
            (number, rest) if !number.is_empty() && rest.starts_with('$') => {
                (Some(number.parse().ok()?), &rest[1..])
            }
            _ => (None, text),
        };
        let end = rest.find(|letter: char| !"-#+ 0,(".contains(letter))?;
        let (flags, rest) = rest.split_at(end);
        let (width, rest) = digits(rest);
        let width =
            if width.is_empty() { 0 } else { width.parse().ok().filter(|width| *width <= WIDTH_MAX)? };
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, rest) = digits(rest);
                (Some(precision.parse().ok().filter(|precision| *precision <= WIDTH_MAX)?), rest)
            }
            None => (None, rest),
        };
        let conversion = rest.chars().next()?;
        let field = Field { index, flags, width, precision, conversion };
        "bBsScdoxXeEfgGaAtThHn%".contains(conversion).then(|| (field, &rest[conversion.len_utf8()..]))
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// Filled up with blanks to the width.
    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let blanks = " ".repeat(missing);
        if self.has('-') { text + &blanks } else { blanks + &text }
    }

    /// The argument in this form; none if it has none.
    fn write(&self, value: &Value, place: usize, info: &CallInfo) -> Option<String> {
        let upper = self.conversion.is_ascii_uppercase();
        let text = match (self.conversion.to_ascii_lowercase(), value) {
            ('b', Value::Null) => self.cut("false".to_owned()),
            ('b', Value::Bool(value)) => self.cut(value.to_string()),
            ('b', _) => self.cut("true".to_owned()),
            (_, Value::Null) => self.cut("null".to_owned()),
            ('s', value) => self.cut(java_text(value, &info.params[place].kind, info)),
            ('c', Value::Int(code)) => char::from_u32(u32::try_from(*code).ok()?)?.to_string(),
            ('d', Value::Int(number)) if self.precision.is_none() => {
                return Some(self.signed(*number < 0, number.unsigned_abs().to_string()));
            }
            ('x' | 'o', Value::Int(number)) if self.precision.is_none() => {
                let bits = bits_of(*number, &info.params[place].kind);
                let digits = if self.conversion == 'o' { format!("{bits:o}") } else { format!("{bits:x}") };
                let zeros = if self.has('0') { self.width.saturating_sub(digits.len()) } else { 0 };
                "0".repeat(zeros) + &digits
            }
            ('f' | 'e', Value::Float(number)) if !number.is_finite() => {
                java_text(&Value::Float(*number), &TypeKind::Double, info)
            }
            ('f', Value::Float(number)) => {
                let places = self.precision.unwrap_or(6);
                let rounded = super::math::half_up(number.abs(), places as i64)?;
                return Some(self.signed(number.is_sign_negative(), format!("{rounded:.places$}")));
            }
            ('e', Value::Float(number)) => {
                let shown = format!("{:.*e}", self.precision.unwrap_or(6), number.abs());
                let (mantissa, exponent) = shown.split_once('e')?;
                let exponent: i32 = exponent.parse().ok()?;
                let sign = if exponent < 0 { '-' } else { '+' };
                let digits = format!("{mantissa}e{sign}{:02}", exponent.abs());
                let written = self.signed(number.is_sign_negative(), digits);
                return Some(if upper { written.to_uppercase() } else { written });
            }
            _ => return None,
        };
        let text = if upper { text.to_uppercase() } else { text };
        Some(self.padded(text))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }

    /// A number with its sign, groups of digits, and zeros or blanks up to the width.
    fn signed(&self, negative: bool, digits: String) -> String {
        let (whole, fraction) =
            digits.find(['.', 'e']).map_or((&digits[..], ""), |place| digits.split_at(place));
        let mut grouped = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if self.has(',') && place > 0 && (whole.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let (before, behind) = match (negative, self.has('('), self.has('+'), self.has(' ')) {
            (true, true, ..) => ("(", ")"),
            (true, ..) => ("-", ""),
            (_, _, true, _) => ("+", ""),
            (.., true) => (" ", ""),
            _ => ("", ""),
        };
        let length = before.len() + grouped.len() + fraction.len() + behind.len();
        let zeros = if self.has('0') { self.width.saturating_sub(length) } else { 0 };
        self.padded(format!("{before}{}{grouped}{fraction}{behind}", "0".repeat(zeros)))
    }
}

/// The bits of a number of its type.
fn bits_of(number: i64, kind: &TypeKind) -> u64 {
    match kind {
        TypeKind::TinyInt => u64::from(number as u8),
        TypeKind::SmallInt => u64::from(number as u16),
        TypeKind::BigInt => number as u64,
        _ => u64::from(number as u32),
    }
}

/// What `toString` gives: truth values in small letters, dates and times as the numbers that they are kept as.
fn java_text(value: &Value, kind: &TypeKind, info: &CallInfo) -> String {
    match (value, kind) {
        (Value::Bool(value), _) => value.to_string(),
        (Value::Int(number), TypeKind::Date | TypeKind::Time(_)) => number.to_string(),
        (value, kind) => value_to_text(value, kind, &info.zone),
    }
}
