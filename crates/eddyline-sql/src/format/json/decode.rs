//! From JSON to columns.
//!
//! A value goes from the text straight into its column. Whatever happens, a column has one entry more after a value
//! was read, so that a bad row can be completed and left out.

use super::JsonOptions;
use super::cursor::{Cursor, Fault, Parsed, Token, write_compact};
use crate::format::number::{self, DecimalText};
use crate::format::rows::{FormatSchema, RowsBuilder};
use crate::format::time::{self, TimestampStyle};
use crate::format::{RecordDecoder, base64};
use crate::row::{ColumnBuilder, Nested, kind};
use crate::types::{SqlType, TypeKind};
use eddyline_formats::RawRecord;

/// How values of a type are read.
enum Plan {
    Null,
    Boolean,
    /// With the least and the greatest value, and whether a fraction is cut off.
    Whole(i64, i64, bool),
    Float,
    Double,
    Text,
    Bytes,
    Decimal(u8, u8),
    Date,
    Time(u8),
    Timestamp(TypeKind, bool),
    Array(Box<Plan>),
    Map(Box<Plan>),
    Row(RowPlan),
}

impl Plan {
    fn new(kind: &TypeKind) -> Plan {
        match kind {
            TypeKind::Null => Plan::Null,
            TypeKind::Boolean => Plan::Boolean,
            TypeKind::TinyInt => Plan::Whole(i64::from(i8::MIN), i64::from(i8::MAX), false),
            TypeKind::SmallInt => Plan::Whole(i64::from(i16::MIN), i64::from(i16::MAX), false),
            TypeKind::Int | TypeKind::IntervalYearMonth => {
                Plan::Whole(i64::from(i32::MIN), i64::from(i32::MAX), true)
            }
            TypeKind::BigInt | TypeKind::IntervalDaySecond => Plan::Whole(i64::MIN, i64::MAX, true),
            TypeKind::Float => Plan::Float,
            TypeKind::Double => Plan::Double,
            TypeKind::Decimal(precision, scale) => Plan::Decimal(*precision, *scale),
            TypeKind::Char(_) | TypeKind::VarChar(_) => Plan::Text,
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Plan::Bytes,
            TypeKind::Date => Plan::Date,
            TypeKind::Time(precision) => Plan::Time(*precision),
            TypeKind::Timestamp(_) => Plan::Timestamp(kind.clone(), false),
            TypeKind::TimestampLtz(_) => Plan::Timestamp(kind.clone(), true),
            TypeKind::Array(item) => Plan::Array(Box::new(Plan::new(&item.kind))),
            TypeKind::Map(_, value) => Plan::Map(Box::new(Plan::new(&value.kind))),
            TypeKind::Multiset(_) => Plan::Map(Box::new(Plan::new(&TypeKind::Int))),
            TypeKind::Row(fields) => {
                Plan::Row(RowPlan::new(fields.iter().map(|field| (field.name.as_str(), &field.data_type))))
            }
        }
    }
}

/// How objects are read: the fields by name.
pub(crate) struct RowPlan {
    names: Vec<String>,
    plans: Vec<Plan>,
}

impl RowPlan {
    pub(crate) fn new<'a>(fields: impl IntoIterator<Item = (&'a str, &'a SqlType)>) -> Self {
        let (names, plans) =
            fields.into_iter().map(|(name, field)| (name.to_owned(), Plan::new(&field.kind))).unzip();
        RowPlan { names, plans }
    }

    /// The field `name`; objects mostly have their fields in the table's order, so `guess` is tried first.
    #[inline]
    fn find(&self, name: &str, guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|known| known == name) {
            return Some(guess);
        }
        self.names.iter().position(|known| known == name)
    }
}

/// Which fields of an object were there.
#[derive(Default)]
struct Seen {
    first: u64,
    rest: Vec<bool>,
}

impl Seen {
    #[inline]
    fn has(&self, field: usize) -> bool {
        if field < 64 { self.first >> field & 1 == 1 } else { self.rest.get(field - 64) == Some(&true) }
    }

    #[inline]
    fn add(&mut self, field: usize) {
        if field < 64 {
            self.first |= 1 << field;
        } else {
            self.rest.resize(self.rest.len().max(field - 63), false);
            self.rest[field - 64] = true;
        }
    }
}

/// Reads values; keeps what is needed again and again.
pub(crate) struct ValueDecoder {
    fail_on_missing_field: bool,
    ignore_errors: bool,
    style: TimestampStyle,
    /// Fields that were set to NULL as they could not be read.
    pub(crate) fields_ignored: u64,
    text: String,
    name: String,
}

impl ValueDecoder {
    pub(crate) fn new(options: &JsonOptions) -> Self {
        ValueDecoder {
            fail_on_missing_field: options.fail_on_missing_field,
            ignore_errors: options.ignore_parse_errors,
            style: options.timestamps,
            fields_ignored: 0,
            text: String::new(),
            name: String::new(),
        }
    }

    /// Reads an object into `columns`.
    pub(crate) fn row(
        &mut self,
        cursor: &mut Cursor<'_>,
        plan: &RowPlan,
        columns: &mut [ColumnBuilder],
    ) -> Parsed<()> {
        let mut seen = Seen::default();
        let read = self.members(cursor, plan, columns, &mut seen);
        let mut missing = None;
        for (field, column) in columns.iter_mut().enumerate() {
            if !seen.has(field) {
                missing = missing.or(Some(field));
                column.append_null();
            }
        }
        read?;
        match missing {
            Some(field) if self.fail_on_missing_field => {
                Err(Fault::value("is missing").in_field(&plan.names[field]))
            }
            _ => Ok(()),
        }
    }

    fn members(
        &mut self,
        cursor: &mut Cursor<'_>,
        plan: &RowPlan,
        columns: &mut [ColumnBuilder],
        seen: &mut Seen,
    ) -> Parsed<()> {
        cursor.begin_object()?;
        let (mut first, mut guess) = (true, 0);
        while cursor.has_next(b'}', first)? {
            first = false;
            let found = plan.find(cursor.name(&mut self.name)?, guess);
            match found {
                Some(field) if !seen.has(field) => {
                    seen.add(field);
                    guess = field + 1;
                    let read = self.value(cursor, &plan.plans[field], &mut columns[field]);
                    read.map_err(|fault| fault.in_field(&plan.names[field]))?;
                }
                _ => {
                    cursor.skip_value()?;
                }
            }
        }
        Ok(())
    }

    /// Reads the fields whose values begin where `place_of` says; those that have no place are NULL.
    pub(crate) fn row_at(
        &mut self,
        cursor: &mut Cursor<'_>,
        plan: &RowPlan,
        columns: &mut [ColumnBuilder],
        mut place_of: impl FnMut(&mut Cursor<'_>, &str) -> Option<usize>,
    ) -> Parsed<()> {
        let mut outcome = Ok(());
        for (field, column) in columns.iter_mut().enumerate() {
            let name = &plan.names[field];
            let place = place_of(cursor, name);
            match place {
                Some(place) if outcome.is_ok() => {
                    cursor.at = place;
                    outcome =
                        self.value(cursor, &plan.plans[field], column).map_err(|fault| fault.in_field(name));
                }
                _ => column.append_null(),
            }
        }
        outcome
    }

    /// Reads a value into `column`.
    fn value(&mut self, cursor: &mut Cursor<'_>, plan: &Plan, column: &mut ColumnBuilder) -> Parsed<()> {
        let token = match cursor.token() {
            Ok(token) => token,
            Err(fault) => {
                column.append_null();
                return Err(fault);
            }
        };
        let start = cursor.at;
        let read = match (token, plan) {
            (Token::Null, _) => {
                column.append_null();
                return cursor.word("null");
            }
            (Token::Array, Plan::Array(item)) => return self.array(cursor, item, column),
            (Token::Object, Plan::Map(value)) => return self.map(cursor, value, column),
            (Token::Object, Plan::Row(row)) => {
                let Nested::Row(fields) = column.nested() else {
                    unreachable!("invariant: rows have fields")
                };
                let read = self.row(cursor, row, fields);
                column.end_nested(0);
                return read;
            }
            _ => self.scalar(cursor, token, plan, column),
        };
        let Err(fault) = read else { return Ok(()) };
        column.append_null();
        if fault.is_syntax || !self.ignore_errors {
            return Err(fault);
        }
        self.fields_ignored += 1;
        cursor.at = start;
        cursor.skip_value().map(|_| ())
    }

    fn array(&mut self, cursor: &mut Cursor<'_>, item: &Plan, column: &mut ColumnBuilder) -> Parsed<()> {
        let Nested::List(items) = column.nested() else { unreachable!("invariant: arrays have items") };
        let (mut count, mut read) = (0, cursor.begin_array());
        while read.is_ok() {
            match cursor.has_next(b']', count == 0) {
                Ok(true) => {
                    count += 1;
                    read = self.value(cursor, item, items);
                }
                Ok(false) => break,
                Err(fault) => read = Err(fault),
            }
        }
        column.end_nested(count);
        read
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, value: &Plan, column: &mut ColumnBuilder) -> Parsed<()> {
        let members = match cursor.members() {
            Ok(members) => members,
            Err(fault) => {
                column.append_null();
                return Err(fault);
            }
        };
        let end = cursor.at;
        let Nested::Map(keys, values) = column.nested() else { unreachable!("invariant: maps have entries") };
        let mut outcome = Ok(());
        for (key, place) in &members {
            keys.append_text(key);
            if outcome.is_err() {
                values.append_null();
                continue;
            }
            cursor.at = *place;
            outcome = self.value(cursor, value, values);
        }
        column.end_nested(members.len());
        cursor.at = end;
        outcome
    }

    /// Reads a value that has no parts; appends nothing if that fails.
    #[inline]
    fn scalar(
        &mut self,
        cursor: &mut Cursor<'_>,
        token: Token,
        plan: &Plan,
        column: &mut ColumnBuilder,
    ) -> Parsed<()> {
        match (plan, token) {
            (Plan::Text, Token::Text) => column.append_text(cursor.string(&mut self.text)?),
            (Plan::Whole(least, most, _), Token::Number) => {
                let start = cursor.at;
                if let Some(value) = cursor.short_whole().filter(|value| (least..=most).contains(&value)) {
                    column.append_int(value);
                    return Ok(());
                }
                cursor.at = start;
                let (text, is_float) = cursor.number()?;
                let value = whole(text, is_float, plan).filter(|value| (least..=most).contains(&value));
                let wrong = || Fault::value(format!("{text} is no whole number from {least} to {most}"));
                column.append_int(value.ok_or_else(wrong)?);
            }
            (Plan::Text, Token::Object | Token::Array) => {
                let text = cursor.skip_value()?;
                self.text.clear();
                write_compact(text, &mut self.text)?;
                column.append_text(&self.text);
            }
            (Plan::Array(_), _) => return Err(Fault::value("is no array")),
            (Plan::Map(_) | Plan::Row(_), _) => return Err(Fault::value("is no object")),
            (_, Token::Object | Token::Array) => {
                return Err(Fault::value("is an object or an array, not a single value"));
            }
            (Plan::Boolean, Token::True) => {
                cursor.word("true")?;
                column.append_bool(true);
            }
            (Plan::Boolean, Token::False) => {
                cursor.word("false")?;
                column.append_bool(false);
            }
            _ => {
                let ValueDecoder { text: scratch, style, .. } = self;
                let text = match token {
                    Token::Text => cursor.string(scratch)?,
                    Token::Number => cursor.number()?.0,
                    Token::True => cursor.word("true").map(|()| "true")?,
                    _ => cursor.word("false").map(|()| "false")?,
                };
                return from_text(text, plan, *style, column);
            }
        }
        Ok(())
    }
}

/// The whole number in a JSON number.
#[inline]
fn whole(text: &str, is_float: bool, plan: &Plan) -> Option<i64> {
    if !is_float {
        return number::whole(text);
    }
    if !matches!(plan, Plan::Whole(_, _, true)) {
        return None;
    }
    // A fraction is cut off.
    let value: f64 = text.parse().ok()?;
    (value.abs() < 9.3e18).then_some(value as i64)
}

fn from_text(text: &str, plan: &Plan, style: TimestampStyle, column: &mut ColumnBuilder) -> Parsed<()> {
    let wrong = |what: &str| Fault::value(format!("`{}` is no {what}", shortened(text)));
    match plan {
        Plan::Text => column.append_text(text),
        Plan::Boolean => column.append_bool(text.trim().eq_ignore_ascii_case("true")),
        Plan::Whole(least, most, _) => {
            let value = number::whole(text.trim()).filter(|value| (least..=most).contains(&value));
            column.append_int(value.ok_or_else(|| wrong(&format!("whole number from {least} to {most}")))?);
        }
        Plan::Float => {
            let value = match text.trim().parse::<f32>() {
                Ok(value) if text.trim().ends_with(|last: char| last.is_ascii_digit()) => f64::from(value),
                _ => number::float(text.trim()).ok_or_else(|| wrong("number"))?,
            };
            column.append_float(value);
        }
        Plan::Double => column.append_float(number::float(text.trim()).ok_or_else(|| wrong("number"))?),
        Plan::Decimal(precision, scale) => match number::decimal(text.trim(), *precision, *scale) {
            DecimalText::Value(value) => column.append_decimal(value),
            DecimalText::TooLarge => column.append_null(),
            DecimalText::NoNumber => return Err(wrong("number")),
        },
        Plan::Bytes => column.append_bytes(&base64::decode(text).ok_or_else(|| wrong("Base64"))?),
        Plan::Date => column.append_int(time::date(text).ok_or_else(|| wrong("date such as 2020-12-30"))?),
        Plan::Time(precision) => {
            column.append_int(time::time(text, *precision).ok_or_else(|| wrong("time such as 12:13:14"))?);
        }
        Plan::Timestamp(kind, zoned) => {
            let value = time::timestamp(text, kind, style, *zoned).ok_or_else(|| {
                let (t, z) = (style.separator() as char, if *zoned { "Z" } else { "" });
                wrong(&format!("timestamp such as 2020-12-30{t}12:13:14{z}"))
            })?;
            column.append_int(value);
        }
        Plan::Null => column.append_null(),
        Plan::Array(_) | Plan::Map(_) | Plan::Row(_) => return Err(wrong("array or object")),
    }
    Ok(())
}

/// The beginning of a value, for messages.
fn shortened(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Reads JSON objects, one a record.
pub(crate) struct JsonDecoder {
    plan: RowPlan,
    values: ValueDecoder,
}

impl JsonDecoder {
    pub(crate) fn new(schema: &FormatSchema, options: &JsonOptions) -> Self {
        let fields = schema.wanted_columns().map(|column| (column.name.as_str(), &column.data_type));
        JsonDecoder { plan: RowPlan::new(fields), values: ValueDecoder::new(options) }
    }
}

impl RecordDecoder for JsonDecoder {
    fn fields_ignored(&self) -> u64 {
        self.values.fields_ignored
    }

    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String> {
        let text = text_of(record.bytes)?;
        let mut cursor = Cursor::new(text);
        if cursor.at_end() {
            return Ok(());
        }
        let row = out.rows();
        if cursor.token().map_err(|fault| fault.describe())? != Token::Object {
            return Err("the record is no JSON object".into());
        }
        let read = self.values.row(&mut cursor, &self.plan, &mut out.columns);
        out.end_row(kind::INSERT);
        let read = read.and_then(|()| at_end(&mut cursor));
        read.map_err(|fault| {
            out.spoil_from(row);
            fault.describe()
        })
    }
}

/// The text of a record.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes)
        .map_err(|error| format!("no UTF-8 from byte {} of the record on", error.valid_up_to()))
}

/// Fails if something follows the value that was read.
pub(crate) fn at_end(cursor: &mut Cursor<'_>) -> Parsed<()> {
    if cursor.at_end() {
        return Ok(());
    }
    Err(Fault::syntax(format!("no JSON: something follows the object at byte {}", cursor.at)))
}
