//! CAST: Flink's rules between types.

use super::decimals::{fits, rescale};
use super::eval::{EvalContext, EvalResult};
use super::text_format::{instant_of_local, local_of_instant, write_value};
use super::text_parse as parse;
use crate::row::{ColumnBuilder, ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::{Array, ArrayRef};

/// A column in another type. What cannot be cast is NULL if `lenient`, an error otherwise.
pub(super) fn cast(
    column: &ArrayRef,
    from: &TypeKind,
    to: &TypeKind,
    lenient: bool,
    context: &EvalContext,
) -> EvalResult<ArrayRef> {
    if from == to || (from.arrow() == to.arrow() && keeps_values(from, to)) {
        return Ok(column.clone());
    }
    if widens(from, to) {
        return arrow_cast::cast(column, &to.arrow()).map_err(|error| error.to_string());
    }
    let view = ColumnView::new(column);
    let mut builder = ColumnBuilder::new(to);
    for row in 0..column.len() {
        if view.is_null(row) {
            builder.append_null();
            continue;
        }
        match (from, to) {
            (a, b) if a.is_integer() && (b.is_integer() || *b == TypeKind::Double) => {
                builder.append_int(view.int(row).unwrap_or_default());
            }
            _ => {
                let value = view.value(row);
                match cast_value(&value, from, to, context) {
                    Some(value) => builder.append(&value),
                    None if lenient => builder.append_null(),
                    None => {
                        let mut shown = String::new();
                        write_value(&value, from, &context.zone, &mut shown);
                        return Err(format!("'{shown}' ({from}) cannot be cast to {to}"));
                    }
                }
            }
        }
    }
    Ok(builder.finish())
}

/// Whether both are whole numbers, and the other type has all those of the one.
fn widens(from: &TypeKind, to: &TypeKind) -> bool {
    from.is_integer() && to.is_integer() && bounds(to).1 >= bounds(from).1
}

/// Whether values of one type are values of the other, as they are.
fn keeps_values(from: &TypeKind, to: &TypeKind) -> bool {
    use TypeKind::*;
    match (from, to) {
        (Char(a) | VarChar(a), VarChar(b)) => a <= b,
        (Binary(a) | VarBinary(a), VarBinary(b)) => a <= b,
        (Char(a), Char(b)) => a == b,
        (Timestamp(a), Timestamp(b)) | (TimestampLtz(a), TimestampLtz(b)) | (Time(a), Time(b)) => a <= b,
        (Array(a), Array(b)) | (Multiset(a), Multiset(b)) => {
            a.kind == b.kind || keeps_values(&a.kind, &b.kind)
        }
        (Map(k1, v1), Map(k2, v2)) => {
            (k1.kind == k2.kind || keeps_values(&k1.kind, &k2.kind))
                && (v1.kind == v2.kind || keeps_values(&v1.kind, &v2.kind))
        }
        (Row(a), Row(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(one, other)| {
                    one.name == other.name
                        && (one.data_type.kind == other.data_type.kind
                            || keeps_values(&one.data_type.kind, &other.data_type.kind))
                })
        }
        (a, b) => a == b,
    }
}

fn bounds(kind: &TypeKind) -> (i64, i64) {
    match kind {
        TypeKind::TinyInt => (i64::from(i8::MIN), i64::from(i8::MAX)),
        TypeKind::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        TypeKind::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Narrowing as Java does it: the low bits stay.
fn narrowed(value: i64, kind: &TypeKind) -> i64 {
    match kind {
        TypeKind::TinyInt => i64::from(value as i8),
        TypeKind::SmallInt => i64::from(value as i16),
        TypeKind::Int => i64::from(value as i32),
        _ => value,
    }
}

/// A value in another type; none if there is no such value.
pub(crate) fn cast_value(
    value: &Value,
    from: &TypeKind,
    to: &TypeKind,
    context: &EvalContext,
) -> Option<Value> {
    use TypeKind::*;
    if value.is_null() || from == to {
        return Some(value.clone());
    }
    match (value, to) {
        (_, Char(_) | VarChar(_)) => to_text(value, from, to, context),
        (Value::Text(text), _) => from_text(text, to, context),
        (Value::Bytes(bytes), Binary(length) | VarBinary(length)) => {
            Some(Value::Bytes(sized_bytes(bytes.clone(), to, *length)))
        }
        (Value::Bool(value), _) if to.is_numeric() => number(i128::from(*value), 0, to),
        (_, Boolean) => match value {
            Value::Int(number) => Some(Value::Bool(*number != 0)),
            Value::Float(number) => Some(Value::Bool(*number != 0.0)),
            Value::Decimal(number) => Some(Value::Bool(*number != 0)),
            _ => None,
        },
        (Value::Int(_), _) if from.is_temporal() || to.is_temporal() => {
            temporal(value.as_int()?, from, to, context)
        }
        (Value::Int(number), _) if from.is_interval() || to.is_interval() => Some(Value::Int(*number)),
        (Value::Int(whole), _) if to.is_integer() => Some(Value::Int(narrowed(*whole, to))),
        (Value::Int(whole), Float | Double) => Some(Value::Float(*whole as f64)),
        (Value::Int(whole), Decimal(..)) => number(i128::from(*whole), 0, to),
        (Value::Decimal(unscaled), _) => {
            let (_, scale) = from.as_decimal()?;
            match to {
                Float | Double => {
                    let mut text = String::new();
                    super::text_format::write_decimal(*unscaled, scale, &mut text);
                    text.parse().ok().map(Value::Float)
                }
                _ => number(*unscaled, scale, to),
            }
        }
        (Value::Float(value), Float) => Some(Value::Float(f64::from(*value as f32))),
        (Value::Float(value), Double) => Some(Value::Float(*value)),
        (Value::Float(value), Decimal(precision, scale)) => {
            parse::decimal(&format!("{value:e}"), *precision, *scale).map(Value::Decimal)
        }
        (Value::Float(value), _) if to.is_integer() => {
            // As in Java: through INT for the smaller ones, saturating.
            let whole = if *to == BigInt { *value as i64 } else { i64::from(*value as i32) };
            Some(Value::Int(narrowed(whole, to)))
        }
        (Value::List(items), Array(target)) => {
            let source = match from {
                Array(item) => &item.kind,
                _ => return None,
            };
            items
                .iter()
                .map(|item| cast_value(item, source, &target.kind, context))
                .collect::<Option<_>>()
                .map(Value::List)
        }
        (Value::Map(entries), _) => {
            let ((k1, v1), (k2, v2)) = (entry_kinds(from)?, entry_kinds(to)?);
            let entries = entries.iter().map(|(key, value)| {
                Some((cast_value(key, k1, k2, context)?, cast_value(value, v1, v2, context)?))
            });
            entries.collect::<Option<_>>().map(Value::Map)
        }
        (Value::Row(values), Row(targets)) => {
            let Row(sources) = from else { return None };
            let fields = values.iter().zip(sources.iter().zip(targets));
            fields
                .map(|(value, (source, target))| {
                    cast_value(value, &source.data_type.kind, &target.data_type.kind, context)
                })
                .collect::<Option<_>>()
                .map(Value::Row)
        }
        _ => None,
    }
}

fn entry_kinds(kind: &TypeKind) -> Option<(&TypeKind, &TypeKind)> {
    match kind {
        TypeKind::Map(key, value) => Some((&key.kind, &value.kind)),
        TypeKind::Multiset(item) => Some((&item.kind, &TypeKind::Int)),
        _ => None,
    }
}

/// An exact number in another exact type: decimals that overflow are NULL, fractions of whole numbers are cut off.
fn number(unscaled: i128, scale: u8, to: &TypeKind) -> Option<Value> {
    match to {
        TypeKind::Decimal(precision, target) => {
            let value = rescale(unscaled, scale, *target).filter(|value| fits(*value, *precision));
            Some(value.map_or(Value::Null, Value::Decimal))
        }
        TypeKind::Float | TypeKind::Double => {
            Some(Value::Float(unscaled as f64 / 10f64.powi(i32::from(scale))))
        }
        _ => {
            let whole = unscaled / super::decimals::POWERS[usize::from(scale)];
            let (least, most) = bounds(to);
            i64::try_from(whole).ok().filter(|whole| (least..=most).contains(whole)).map(Value::Int)
        }
    }
}

fn to_text(value: &Value, from: &TypeKind, to: &TypeKind, context: &EvalContext) -> Option<Value> {
    let mut text = String::new();
    match value {
        Value::Bytes(bytes) => text.push_str(std::str::from_utf8(bytes).ok()?),
        _ => write_value(value, from, &context.zone, &mut text),
    }
    Some(Value::Text(sized_text(text, to)))
}

/// Text cut to the length of its type, and padded if that is CHAR.
fn sized_text(text: String, to: &TypeKind) -> String {
    let (length, pads) = match to {
        TypeKind::Char(length) => (*length as usize, true),
        TypeKind::VarChar(length) => (*length as usize, false),
        _ => return text,
    };
    let count = text.chars().count();
    if count > length {
        return text.chars().take(length).collect();
    }
    if pads { format!("{text}{}", " ".repeat(length - count)) } else { text }
}

fn sized_bytes(mut bytes: Vec<u8>, to: &TypeKind, length: u32) -> Vec<u8> {
    bytes.truncate(length as usize);
    if matches!(to, TypeKind::Binary(_)) {
        bytes.resize(length as usize, 0);
    }
    bytes
}

fn from_text(text: &str, to: &TypeKind, context: &EvalContext) -> Option<Value> {
    use TypeKind::*;
    Some(match to {
        Boolean => Value::Bool(parse::boolean(text)?),
        TinyInt | SmallInt | Int | BigInt => {
            let (least, most) = bounds(to);
            Value::Int(parse::integer(text, least, most)?)
        }
        Float => Value::Float(f64::from(parse::float(text)? as f32)),
        Double => Value::Float(parse::float(text)?),
        Decimal(precision, scale) => Value::Decimal(parse::decimal(text, *precision, *scale)?),
        Binary(length) | VarBinary(length) => {
            Value::Bytes(sized_bytes(text.as_bytes().to_vec(), to, *length))
        }
        Date => Value::Int(parse::date(text)?),
        Time(_) => {
            let clock = text.trim().split_once([' ', 'T']).map_or(text, |(_, clock)| clock);
            Value::Int(parse::time(clock)? / 1_000_000)
        }
        Timestamp(precision) => Value::Int(units_of_nanos(parse::timestamp_nanos(text)?, *precision)?),
        TimestampLtz(precision) => {
            let (nanos, has_zone) = parse::instant_nanos(text)?;
            let units = units_of_nanos(nanos, *precision)?;
            Value::Int(if has_zone { units } else { instant_of_local(units, to.in_nanos(), &context.zone) })
        }
        _ => return None,
    })
}

/// Nanoseconds in the unit of a timestamp of `precision`, cut to it.
pub(crate) fn units_of_nanos(nanos: i128, precision: u8) -> Option<i64> {
    let step = 10i128.pow(9 - u32::from(precision.min(9)));
    let cut = nanos.div_euclid(step) * step;
    i64::try_from(if precision > 6 { cut } else { cut.div_euclid(1_000) }).ok()
}

fn nanos_of_units(value: i64, kind: &TypeKind) -> i128 {
    if kind.in_nanos() { i128::from(value) } else { i128::from(value) * 1_000 }
}

fn temporal(value: i64, from: &TypeKind, to: &TypeKind, context: &EvalContext) -> Option<Value> {
    use TypeKind::*;
    const DAY: i128 = 86_400_000_000_000;
    // The reading of a wall clock, in nanoseconds since the epoch.
    let local = match from {
        Date => i128::from(value) * DAY,
        Time(_) => i128::from(value) * 1_000_000,
        Timestamp(_) => nanos_of_units(value, from),
        TimestampLtz(_) => {
            if let TimestampLtz(precision) = to {
                return units_of_nanos(nanos_of_units(value, from), *precision).map(Value::Int);
            }
            nanos_of_units(local_of_instant(value, from.in_nanos(), &context.zone), from)
        }
        _ => return None,
    };
    Some(Value::Int(match to {
        Date if !matches!(from, Time(_)) => local.div_euclid(DAY) as i64,
        Time(_) if *from != Date => (local.rem_euclid(DAY) / 1_000_000) as i64,
        Timestamp(precision) => units_of_nanos(local, *precision)?,
        TimestampLtz(precision) => {
            instant_of_local(units_of_nanos(local, *precision)?, to.in_nanos(), &context.zone)
        }
        _ => return None,
    }))
}
