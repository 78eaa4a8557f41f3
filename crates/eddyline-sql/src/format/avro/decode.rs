//! From a file's schema to the columns of a table: fields by name, values widened where nothing is lost.

use super::bytes::Bytes;
use super::container::BlockReader;
use super::schema::{Logical, Schema, Shape};
use crate::format::FormatSchema;
use crate::parser::span::nearest;
use crate::row::{ColumnBuilder, Value};
use crate::types::{RowField, SqlType, TypeKind};
use arrow_array::ArrayRef;
use std::fs::File;

/// How a value of the file becomes one of the table.
enum Plan {
    Null,
    Bool,
    /// Multiplied, then divided.
    Int(i64, i64),
    /// A number no greater than this.
    Narrow(i64),
    /// A whole number as a floating one.
    IntToFloat,
    /// Of so many digits, and of them so many behind the point.
    IntToDecimal(u8, u8),
    Float,
    Double,
    Text,
    Bytes,
    Fixed(usize),
    Decimal(Decimal),
    Symbol(Vec<String>),
    List(Box<Plan>),
    Map(Box<Plan>),
    /// What each branch becomes, or why it cannot.
    Union(Vec<Result<Plan, String>>),
    /// The fields of the file, in order, and how many the table has.
    Row(Vec<Step>, usize),
}

/// A decimal of so many bytes, or of a length of its own, from one scale to so many digits of another.
struct Decimal {
    size: Option<usize>,
    from: u8,
    digits: u8,
    scale: u8,
}

/// What is done with a field of the file.
enum Step {
    /// It goes to a field of the table.
    Take(usize, Plan),
    /// The number of its type.
    Skip(usize),
}

/// The deepest that records may be nested in what is passed over.
const DEPTH_MAX: usize = 1_000;

impl Schema {
    /// How values of type `place` become those of a column. The table's type ends, so this does.
    fn plan(&self, place: usize, wanted: &TypeKind) -> Result<Plan, String> {
        let found = &self.types[place];
        let wrong = || Err(format!("the file has {} where the table has {wanted}", found.shape.name()));
        if let Shape::Union(branches) = &found.shape {
            let plans: Vec<_> = branches.iter().map(|branch| self.plan(*branch, wanted)).collect();
            let is_value = |place: &usize| self.types[*place].shape != Shape::Null;
            let usable = branches.iter().zip(&plans).any(|(place, plan)| is_value(place) && plan.is_ok());
            if !usable && let Some(Err(reason)) = plans.iter().find(|plan| plan.is_err()) {
                return Err(reason.clone());
            }
            return Ok(Plan::Union(plans));
        }
        Ok(match (&found.shape, wanted) {
            (Shape::Null, _) => Plan::Null,
            (Shape::Boolean, TypeKind::Boolean) => Plan::Bool,
            (Shape::Int | Shape::Long, kind) => return self.numbers(place, kind).map_or_else(wrong, Ok),
            (Shape::Float, TypeKind::Float | TypeKind::Double) => Plan::Float,
            (Shape::Double, TypeKind::Float | TypeKind::Double) => Plan::Double,
            (shape @ (Shape::Bytes | Shape::Fixed(_)), TypeKind::Decimal(digits, scale)) => {
                let Some(Logical::Decimal(from)) = found.logical else { return wrong() };
                let size = if let Shape::Fixed(size) = shape { Some(*size) } else { None };
                Plan::Decimal(Decimal { size, from, digits: *digits, scale: *scale })
            }
            (Shape::Bytes | Shape::Text, kind) if kind.is_text() => Plan::Text,
            (Shape::Bytes | Shape::Text, kind) if kind.is_bytes() => Plan::Bytes,
            (Shape::Fixed(size), kind) if kind.is_bytes() => Plan::Fixed(*size),
            (Shape::Enum(symbols), kind) if kind.is_text() => Plan::Symbol(symbols.clone()),
            (Shape::Array(item), TypeKind::Array(kind)) => {
                Plan::List(Box::new(self.plan(*item, &kind.kind)?))
            }
            (Shape::Map(value), TypeKind::Map(key, kind)) if key.kind.is_text() => {
                Plan::Map(Box::new(self.plan(*value, &kind.kind)?))
            }
            (Shape::Map(value), TypeKind::Multiset(key)) if key.kind.is_text() => {
                Plan::Map(Box::new(self.plan(*value, &TypeKind::Int)?))
            }
            (Shape::Record(_), TypeKind::Row(fields)) => self.row(place, fields)?,
            _ => return wrong(),
        })
    }

    /// Whole numbers, and what is counted in them.
    fn numbers(&self, place: usize, kind: &TypeKind) -> Option<Plan> {
        let found = &self.types[place];
        let scaled = |from: i64, to: i64| Plan::Int((to / from).max(1), (from / to).max(1));
        Some(match (kind, found.logical) {
            (TypeKind::BigInt, None) => Plan::Int(1, 1),
            (TypeKind::Int, None) if found.shape == Shape::Int => Plan::Int(1, 1),
            (TypeKind::SmallInt, None) if found.shape == Shape::Int => Plan::Narrow(i64::from(i16::MAX)),
            (TypeKind::TinyInt, None) if found.shape == Shape::Int => Plan::Narrow(i64::from(i8::MAX)),
            (TypeKind::Float | TypeKind::Double, None) => Plan::IntToFloat,
            (TypeKind::Decimal(digits, scale), None) => Plan::IntToDecimal(*digits, *scale),
            (TypeKind::Date, None) if found.shape == Shape::Int => Plan::Int(1, 1),
            (TypeKind::Time(_), Some(Logical::Units(units, true))) => scaled(units, 1_000),
            (TypeKind::Time(_), None) if found.shape == Shape::Int => Plan::Int(1, 1),
            (TypeKind::Timestamp(digits) | TypeKind::TimestampLtz(digits), logical) => {
                let units = match logical {
                    Some(Logical::Units(units, false)) => units,
                    // As Flink writes them.
                    None if found.shape == Shape::Long && *digits > 3 => 1_000_000,
                    None if found.shape == Shape::Long => 1_000,
                    _ => return None,
                };
                scaled(units, if kind.in_nanos() { 1_000_000_000 } else { 1_000_000 })
            }
            _ => return None,
        })
    }

    /// The type of the records, and which branch that is if the schema is a union.
    fn root(&self) -> (usize, Option<i64>) {
        let Shape::Union(branches) = &self.types[0].shape else { return (0, None) };
        let is_record = |place: &usize| matches!(self.types[*place].shape, Shape::Record(_));
        match branches.iter().position(is_record) {
            Some(number) => (branches[number], Some(number as i64)),
            None => (0, None),
        }
    }

    fn row(&self, place: usize, wanted: &[RowField]) -> Result<Plan, String> {
        let Shape::Record(found) = &self.types[place].shape else {
            return Err("the schema of the file is no record".into());
        };
        let mut steps = Vec::new();
        for (name, data_type) in found {
            steps.push(match wanted.iter().position(|field| field.name == *name) {
                None => Step::Skip(*data_type),
                Some(field) => {
                    let plan = self.plan(*data_type, &wanted[field].data_type.kind);
                    Step::Take(field, plan.map_err(|reason| format!("column `{name}`: {reason}"))?)
                }
            });
        }
        for field in wanted.iter().filter(|field| !field.data_type.nullable) {
            if !found.iter().any(|(name, _)| *name == field.name) {
                return Err(format!("it has no column `{}`, which is NOT NULL in the table", field.name));
            }
        }
        Ok(Plan::Row(steps, wanted.len()))
    }
}

/// An Avro file that is being read.
pub(crate) struct AvroFile {
    blocks: BlockReader,
    schema: Schema,
    /// Which branch of a union the records are, if they are one of a union: Flink writes such files.
    branch: Option<i64>,
    steps: Vec<Step>,
    types: Vec<SqlType>,
    /// The block that is being read: where it begins, its records, how many of them are read and left.
    begin: u64,
    records: Vec<u8>,
    at: usize,
    taken: u64,
    left: u64,
}

impl AvroFile {
    /// Opens `file` in the block at byte `block` (0: the first), behind `taken` records of it.
    ///
    /// # Errors
    /// The reason, if it is no Avro file, or its schema does not fit.
    pub(crate) fn open(file: File, schema: &FormatSchema, block: u64, taken: u64) -> Result<Self, String> {
        let mut blocks = BlockReader::open(file)?;
        let found = Schema::parse(&blocks.schema)?;
        let (root, branch) = found.root();
        let fields: Vec<RowField> = schema
            .wanted_columns()
            .map(|column| RowField { name: column.name.clone(), data_type: column.data_type.clone() })
            .collect();
        let Plan::Row(steps, _) = found.row(root, &fields)? else {
            unreachable!("invariant: a record becomes a row");
        };
        let takes = steps.iter().any(|step| matches!(step, Step::Take(..)));
        if !takes && !fields.is_empty() {
            let Shape::Record(names) = &found.types[root].shape else {
                return Err("its schema is no record".into());
            };
            let near = fields
                .iter()
                .find_map(|field| nearest(&field.name, names.iter().map(|(name, _)| name.as_str())));
            let hint = near.map(|near| format!(" (there is `{near}`)")).unwrap_or_default();
            let wanted: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            return Err(format!("it has none of the columns {}{hint}", wanted.join(", ")));
        }
        if block > 0 {
            blocks.seek(block)?;
        }
        let types = fields.into_iter().map(|field| field.data_type).collect();
        let begin = blocks.at;
        let mut opened = AvroFile {
            blocks,
            schema: found,
            branch,
            steps,
            types,
            begin,
            records: Vec::new(),
            at: 0,
            taken: 0,
            left: 0,
        };
        if taken > 0 {
            opened.skip(taken)?;
        }
        Ok(opened)
    }

    /// Where reading goes on: a block, and records of it that were read.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.begin, self.taken)
    }

    fn next_block(&mut self) -> Result<bool, String> {
        self.begin = self.blocks.at;
        (self.at, self.taken, self.left) = (0, 0, 0);
        let Some((records, count)) = self.blocks.next()? else { return Ok(false) };
        (self.records, self.left) = (records, count);
        Ok(true)
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        let is_there = self.next_block()?;
        if !is_there || self.left < count {
            return Err(format!("the block at byte {} was changed since it was read", self.begin));
        }
        let mut builders = Vec::new();
        for _ in 0..count {
            self.record(&mut builders)?;
        }
        Ok(())
    }

    /// Decodes a record into `builders`, or skips it if there are none.
    fn record(&mut self, builders: &mut [ColumnBuilder]) -> Result<(), String> {
        let mut input = Bytes::new(&self.records[self.at..]);
        let before = self.records.len() - self.at;
        let mut seen = vec![false; builders.len()];
        let damaged = |reason: String| {
            format!("record {} of the block at byte {}: {reason}", self.taken + 1, self.begin)
        };
        if let Some(branch) = self.branch
            && input.long().map_err(damaged)? != branch
        {
            return Err(damaged("it is no record".into()));
        }
        for step in &self.steps {
            match step {
                Step::Skip(place) => skip(&self.schema, *place, &mut input, 0).map_err(damaged)?,
                Step::Take(column, plan) => {
                    let (mut plan, mut is_null) = (plan, false);
                    if let Plan::Union(branches) = plan {
                        plan = branch(branches, &mut input).map_err(damaged)?;
                        is_null = matches!(plan, Plan::Null);
                    }
                    let Some(builder) = builders.get_mut(*column) else {
                        value(&self.schema, plan, &mut input).map_err(damaged)?;
                        continue;
                    };
                    seen[*column] = true;
                    match plan {
                        _ if is_null => builder.append_null(),
                        Plan::Int(1, 1) => builder.append_int(input.long().map_err(damaged)?),
                        Plan::Text => {
                            let text = text(input.sized().map_err(damaged)?).map_err(damaged)?;
                            builder.append_text(text);
                        }
                        plan => builder.append(&value(&self.schema, plan, &mut input).map_err(damaged)?),
                    }
                }
            }
        }
        for (builder, seen) in builders.iter_mut().zip(seen) {
            if !seen {
                builder.append_null();
            }
        }
        self.at += before - input.left();
        self.taken += 1;
        self.left -= 1;
        Ok(())
    }

    /// The next rows, `rows_max` at most, and how many they are; none at the end.
    pub(crate) fn next(&mut self, rows_max: usize) -> Result<Option<(Vec<ArrayRef>, usize)>, String> {
        while self.left == 0 {
            if !self.next_block()? {
                return Ok(None);
            }
        }
        let mut builders: Vec<ColumnBuilder> =
            self.types.iter().map(|data_type| ColumnBuilder::new(&data_type.kind)).collect();
        let count = rows_max.max(1).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for _ in 0..count {
            self.record(&mut builders)?;
        }
        if self.left == 0 && self.at != self.records.len() {
            return Err(format!("the block at byte {} has more bytes than records", self.begin));
        }
        Ok(Some((builders.into_iter().map(ColumnBuilder::finish).collect(), count)))
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a text is no UTF-8".to_owned())
}

/// The plan of the branch that comes.
fn branch<'a>(branches: &'a [Result<Plan, String>], input: &mut Bytes<'_>) -> Result<&'a Plan, String> {
    let number = usize::try_from(input.long()?).ok();
    match number.and_then(|number| branches.get(number)) {
        Some(Ok(plan)) => Ok(plan),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err("a union has no such branch".into()),
    }
}

fn value(schema: &Schema, plan: &Plan, input: &mut Bytes<'_>) -> Result<Value, String> {
    Ok(match plan {
        Plan::Null => Value::Null,
        Plan::Bool => Value::Bool(input.take(1)?[0] != 0),
        Plan::Int(times, by) => {
            let value = input.long()?.checked_mul(*times).ok_or("a time is out of range")?;
            Value::Int(value.div_euclid(*by))
        }
        Plan::Narrow(most) => {
            let value = input.long()?;
            if value > *most || value < -most - 1 {
                return Err(format!("{value} is out of the range of the column's type"));
            }
            Value::Int(value)
        }
        Plan::IntToFloat => Value::Float(input.long()? as f64),
        Plan::IntToDecimal(digits, scale) => rescaled(i128::from(input.long()?), 0, *digits, *scale)?,
        Plan::Float => {
            let bytes = input.take(4)?;
            Value::Float(f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        }
        Plan::Double => {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(input.take(8)?);
            Value::Float(f64::from_le_bytes(bytes))
        }
        Plan::Text => Value::Text(text(input.sized()?)?.to_owned()),
        Plan::Bytes => Value::Bytes(input.sized()?.to_vec()),
        Plan::Fixed(size) => Value::Bytes(input.take(*size)?.to_vec()),
        Plan::Decimal(decimal) => {
            let bytes = match decimal.size {
                Some(size) => input.take(size)?,
                None => input.sized()?,
            };
            rescaled(unscaled(bytes)?, decimal.from, decimal.digits, decimal.scale)?
        }
        Plan::Symbol(symbols) => {
            let symbol = usize::try_from(input.long()?).ok().and_then(|number| symbols.get(number));
            Value::Text(symbol.ok_or("an enum has no such symbol")?.clone())
        }
        Plan::List(item) => {
            let mut items = Vec::new();
            while let Some(count) = input.entries()? {
                for _ in 0..count {
                    items.push(value(schema, item, input)?);
                }
            }
            Value::List(items)
        }
        Plan::Map(plan) => {
            let mut entries = Vec::new();
            while let Some(count) = input.entries()? {
                for _ in 0..count {
                    let key = Value::Text(text(input.sized()?)?.to_owned());
                    entries.push((key, value(schema, plan, input)?));
                }
            }
            Value::Map(entries)
        }
        Plan::Union(branches) => value(schema, branch(branches, input)?, input)?,
        Plan::Row(steps, width) => {
            let mut row = vec![Value::Null; *width];
            for step in steps {
                match step {
                    Step::Take(field, plan) => row[*field] = value(schema, plan, input)?,
                    Step::Skip(place) => skip(schema, *place, input, 0)?,
                }
            }
            Value::Row(row)
        }
    })
}

/// The number of big-endian bytes in two's complement.
fn unscaled(bytes: &[u8]) -> Result<i128, String> {
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let fill = if is_negative { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    if bytes[..extra].iter().any(|byte| *byte != fill) {
        return Err("a decimal has more than 38 digits".into());
    }
    let mut wide = [fill; 16];
    wide[16 - (bytes.len() - extra)..].copy_from_slice(&bytes[extra..]);
    Ok(i128::from_be_bytes(wide))
}

fn rescaled(value: i128, from: u8, digits: u8, to: u8) -> Result<Value, String> {
    let factor = 10i128.pow(u32::from(from.abs_diff(to).min(38)));
    let half = value.signum() * factor / 2;
    let value = if to >= from {
        value.checked_mul(factor)
    } else {
        value.checked_add(half).map(|value| value / factor)
    };
    let value = value.filter(|value| value.unsigned_abs() < 10u128.pow(u32::from(digits.min(38))));
    value.map(Value::Decimal).ok_or_else(|| format!("a decimal has more than {digits} digits"))
}

/// Passes over a value of type `place`.
fn skip(schema: &Schema, place: usize, input: &mut Bytes<'_>, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("records are nested more than {DEPTH_MAX} deep"));
    }
    let depth = depth + 1;
    match &schema.types[place].shape {
        Shape::Null => {}
        Shape::Boolean => drop(input.take(1)?),
        Shape::Int | Shape::Long | Shape::Enum(_) => drop(input.long()?),
        Shape::Float => drop(input.take(4)?),
        Shape::Double => drop(input.take(8)?),
        Shape::Bytes | Shape::Text => drop(input.sized()?),
        Shape::Fixed(size) => drop(input.take(*size)?),
        Shape::Array(item) => {
            while let Some(count) = input.entries()? {
                (0..count).try_for_each(|_| skip(schema, *item, input, depth))?;
            }
        }
        Shape::Map(value) => {
            while let Some(count) = input.entries()? {
                for _ in 0..count {
                    input.sized()?;
                    skip(schema, *value, input, depth)?;
                }
            }
        }
        Shape::Union(branches) => {
            let number = usize::try_from(input.long()?).ok();
            let branch =
                number.and_then(|number| branches.get(number)).ok_or("a union has no such branch")?;
            skip(schema, *branch, input, depth)?;
        }
        Shape::Record(fields) => {
            for (_, field) in fields {
                skip(schema, *field, input, depth)?;
            }
        }
    }
    Ok(())
}
