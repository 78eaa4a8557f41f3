//! The values of one column.

use crate::connector::options::OptionReader;
use crate::expr::decimals::POWERS;
use crate::expr::text_parse;
use crate::parser::span::{SqlError, SqlResult};
use crate::row::Value;
use crate::types::TypeKind;

/// Letters of a text, and items of an array, unless said otherwise.
const TEXT_LENGTH: i64 = 100;
const COLLECTION_LENGTH: i64 = 3;

/// A source of numbers: splitmix64, seeded by the row.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of_row(row: u64) -> Self {
        let mut random = Random(row.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From `least` to `most`, both included.
    fn whole(&mut self, least: i64, most: i64) -> i64 {
        let span = (i128::from(most) - i128::from(least) + 1) as u128;
        let offset = (u128::from(self.next()) * span) >> 64;
        (i128::from(least) + offset as i128) as i64
    }
}

enum Kind {
    Boolean,
    Whole(i64, i64),
    Float(f64, f64),
    /// Unscaled.
    Decimal(i128, i128),
    /// With the length, and whether it may be shorter.
    Text(i64, bool),
    Bytes(i64, bool),
    /// Milliseconds before now, at most.
    Past(i64),
    Array(Box<Field>, i64),
    Map(Box<Field>, Box<Field>, i64),
    Row(Vec<Field>),
    /// Counts up from a number, so often.
    Sequence(i64, u64),
}

/// How the values of a column are made.
pub(super) struct Field {
    kind: TypeKind,
    how: Kind,
    null_rate: f64,
}

impl Field {
    /// Reads the options that begin with `prefix`.
    pub(super) fn read(options: &mut OptionReader<'_>, prefix: &str, kind: &TypeKind) -> SqlResult<Self> {
        let key = |name: &str| format!("{prefix}.{name}");
        let null_rate = options.float(&key("null-rate"))?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&null_rate) {
            return Err(SqlError::new(format!("'{}' is from 0 to 1", key("null-rate"))));
        }
        let how = match options.choice(&key("kind"), &["random", "sequence"])? {
            Some("sequence") => sequence(options, prefix, kind)?,
            _ => random(options, prefix, kind)?,
        };
        Ok(Field { kind: kind.clone(), how, null_rate })
    }

    pub(super) fn kind(&self) -> &TypeKind {
        &self.kind
    }

    /// How many values there are, if they end.
    pub(super) fn length(&self) -> Option<u64> {
        match self.how {
            Kind::Sequence(_, length) => Some(length),
            _ => None,
        }
    }

    /// The value in row `row`, `now` milliseconds after the epoch.
    pub(super) fn value(&self, row: u64, random: &mut Random, now: i64) -> Value {
        if self.null_rate > 0.0 && random.unit() < self.null_rate {
            return Value::Null;
        }
        match &self.how {
            Kind::Boolean => Value::Bool(random.next() & 1 == 1),
            Kind::Whole(least, most) => Value::Int(random.whole(*least, *most)),
            Kind::Float(least, most) => {
                let value = least + (most - least) * random.unit();
                Value::Float(if self.kind == TypeKind::Float { f64::from(value as f32) } else { value })
            }
            Kind::Decimal(least, most) => {
                let share = (most - least) as f64 * random.unit();
                Value::Decimal((least + share as i128).min(*most))
            }
            Kind::Text(length, varies) => {
                let length = if *varies { random.whole(1, (*length).max(1)) } else { *length };
                let digits =
                    (0..length).map(|_| char::from_digit((random.next() >> 60) as u32, 16).unwrap_or('0'));
                Value::Text(digits.collect())
            }
            Kind::Bytes(length, varies) => {
                let length = if *varies { random.whole(1, (*length).max(1)) } else { *length };
                Value::Bytes((0..length).map(|_| (random.next() >> 56) as u8).collect())
            }
            Kind::Past(most) => {
                let millis = now - random.whole(0, *most);
                Value::Int(match &self.kind {
                    TypeKind::Date => millis.div_euclid(86_400_000),
                    TypeKind::Time(_) => millis.rem_euclid(86_400_000),
                    kind if kind.in_nanos() => millis.saturating_mul(1_000_000),
                    _ => millis * 1_000,
                })
            }
            Kind::Array(item, length) => {
                Value::List((0..*length).map(|_| item.value(row, random, now)).collect())
            }
            Kind::Map(key, value, length) => {
                let mut entries: Vec<(Value, Value)> = Vec::new();
                for _ in 0..*length {
                    let (key, value) = (key.value(row, random, now), value.value(row, random, now));
                    if !entries.iter().any(|(known, _)| *known == key) {
                        entries.push((key, value));
                    }
                }
                Value::Map(entries)
            }
            Kind::Row(fields) => {
                Value::Row(fields.iter().map(|field| field.value(row, random, now)).collect())
            }
            Kind::Sequence(start, _) => {
                let number = start + row as i64;
                match &self.kind {
                    TypeKind::Float | TypeKind::Double => Value::Float(number as f64),
                    TypeKind::Decimal(_, scale) => {
                        Value::Decimal(i128::from(number) * POWERS[usize::from(*scale)])
                    }
                    kind if kind.is_text() => Value::Text(number.to_string()),
                    _ => Value::Int(number),
                }
            }
        }
    }
}

fn sequence(options: &mut OptionReader<'_>, prefix: &str, kind: &TypeKind) -> SqlResult<Kind> {
    if !(kind.is_numeric() || kind.is_text()) {
        return Err(SqlError::new(format!("'{prefix}.kind' = 'sequence': there are no sequences of {kind}")));
    }
    let mut bound = |name: &str| -> SqlResult<i64> {
        let key = format!("{prefix}.{name}");
        options.required(&key)?;
        Ok(options.whole(&key, i64::MIN)?.unwrap_or_default())
    };
    let (start, end) = (bound("start")?, bound("end")?);
    if end < start {
        return Err(SqlError::new(format!("'{prefix}.end' = '{end}' is before the start, {start}")));
    }
    let (least, most) = range(kind);
    if start < least || end > most {
        return Err(SqlError::new(format!(
            "'{prefix}': the sequence from {start} to {end} does not fit {kind}"
        )));
    }
    let length = u64::try_from(i128::from(end) - i128::from(start) + 1).unwrap_or(u64::MAX);
    Ok(Kind::Sequence(start, length))
}

fn range(kind: &TypeKind) -> (i64, i64) {
    match kind {
        TypeKind::TinyInt => (i64::from(i8::MIN), i64::from(i8::MAX)),
        TypeKind::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
        TypeKind::Int | TypeKind::IntervalYearMonth => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

fn random(options: &mut OptionReader<'_>, prefix: &str, kind: &TypeKind) -> SqlResult<Kind> {
    let key = |name: &str| format!("{prefix}.{name}");
    let wrong_order =
        |least: &str, most: &str| SqlError::new(format!("'{prefix}': min {least} is above max {most}"));
    Ok(match kind {
        TypeKind::Boolean => Kind::Boolean,
        kind if kind.is_integer() || kind.is_interval() => {
            let (least, most) = range(kind);
            let from = options.whole(&key("min"), least)?.unwrap_or(least);
            let to = options.whole(&key("max"), i64::MIN)?.unwrap_or(most);
            if to > most {
                return Err(SqlError::new(format!("'{}' = '{to}' does not fit {kind}", key("max"))));
            }
            if from > to {
                return Err(wrong_order(&from.to_string(), &to.to_string()));
            }
            Kind::Whole(from, to)
        }
        TypeKind::Float | TypeKind::Double => {
            let widest = if *kind == TypeKind::Float { f64::from(f32::MAX) } else { f64::MAX / 2.0 };
            let from = options.float(&key("min"))?.unwrap_or(-widest);
            let to = options.float(&key("max"))?.unwrap_or(widest);
            if from > to {
                return Err(wrong_order(&from.to_string(), &to.to_string()));
            }
            Kind::Float(from, to)
        }
        TypeKind::Decimal(precision, scale) => {
            let widest = POWERS[usize::from(*precision)] - 1;
            let mut bound = |name: &str, default: i128| match options.text(&key(name)) {
                Some(text) => text_parse::decimal(text, *precision, *scale).ok_or_else(|| {
                    SqlError::new(format!("'{prefix}.{name}' = '{text}' does not fit {kind}"))
                }),
                None => Ok(default),
            };
            let (from, to) = (bound("min", 0)?, bound("max", widest)?);
            if from > to {
                return Err(wrong_order(&from.to_string(), &to.to_string()));
            }
            Kind::Decimal(from, to)
        }
        TypeKind::Char(length) | TypeKind::Binary(length) => sized(kind, i64::from(*length), false),
        TypeKind::VarChar(most) | TypeKind::VarBinary(most) => {
            let length = options.whole(&key("length"), 1)?;
            if length.is_some_and(|length| length > i64::from(*most)) {
                return Err(SqlError::new(format!("'{}' is longer than {kind}", key("length"))));
            }
            let varies = options.bool(&key("var-len"), false)?;
            sized(kind, length.unwrap_or(TEXT_LENGTH).min(i64::from(*most)), varies)
        }
        kind if kind.is_temporal() => {
            let past = options.duration(&key("max-past"))?.unwrap_or_default();
            Kind::Past(i64::try_from(past.as_millis()).unwrap_or(i64::MAX / 4))
        }
        TypeKind::Array(item) => {
            let length = options.whole(&key("length"), 0)?.unwrap_or(COLLECTION_LENGTH);
            Kind::Array(Box::new(Field::read(options, &key("element"), &item.kind)?), length)
        }
        TypeKind::Map(map_key, value) => {
            let length = options.whole(&key("length"), 0)?.unwrap_or(COLLECTION_LENGTH);
            let map_key = Field::read(options, &key("key"), &map_key.kind)?;
            Kind::Map(Box::new(map_key), Box::new(Field::read(options, &key("value"), &value.kind)?), length)
        }
        TypeKind::Multiset(item) => {
            let length = options.whole(&key("length"), 0)?.unwrap_or(COLLECTION_LENGTH);
            let count = Field { kind: TypeKind::Int, how: Kind::Whole(1, 10), null_rate: 0.0 };
            let item = Field::read(options, &key("element"), &item.kind)?;
            Kind::Map(Box::new(item), Box::new(count), length)
        }
        TypeKind::Row(fields) => {
            let fields =
                fields.iter().map(|field| Field::read(options, &key(&field.name), &field.data_type.kind));
            Kind::Row(fields.collect::<SqlResult<_>>()?)
        }
        _ => return Err(SqlError::new(format!("'{prefix}': there are no random values of {kind}"))),
    })
}

fn sized(kind: &TypeKind, length: i64, varies: bool) -> Kind {
    if kind.is_text() { Kind::Text(length, varies) } else { Kind::Bytes(length, varies) }
}
