//! Golden values: expressions and what Flink 2.3 gives for them.

use super::{Argument, find, names};
use crate::expr::{EvalContext, FunctionRef, Node, Typed, evaluate, fold, text_format, text_parse};
use crate::parser::ast::{Expr, ExprKind, IsTest, Literal, SelectItem, SetExpr, Statement, UnaryOp};
use crate::parser::parse_script;
use crate::row::{ColumnBuilder, Value};
use crate::types::{Interval, RowField, SqlType, TypeKind, common_type_of};
use arrow_array::RecordBatch;
use jiff::tz::TimeZone;

fn context(zone: &str) -> EvalContext {
    EvalContext {
        zone: TimeZone::get(zone).unwrap(),
        now_micros: 1_700_000_000_123_456,
        lenient_casts: false,
    }
}

/// The expression of `SELECT text`, bound: types from the bottom up, as the functions resolve them.
fn bound(text: &str) -> Result<Typed, String> {
    let script = format!("SELECT {text}");
    let mut parsed = parse_script(&script).map_err(|error| error.message)?;
    let Statement::Query(query) = parsed.remove(0).statement else { return Err("no query".into()) };
    let SetExpr::Select(select) = query.body else { return Err("no SELECT".into()) };
    match &select.items[..] {
        [SelectItem::Expr(expr, _)] => bind(expr),
        _ => Err("more than one expression".into()),
    }
}

fn literal(literal: &Literal) -> Typed {
    let (value, kind) = match literal {
        Literal::Null => return Typed::literal(Value::Null, TypeKind::Null.nullable()),
        Literal::Bool(value) => (Value::Bool(*value), TypeKind::Boolean),
        Literal::Number(digits) if digits.contains(['e', 'E']) => {
            (Value::Float(digits.parse().unwrap()), TypeKind::Double)
        }
        Literal::Number(digits) => match digits.split_once('.') {
            Some((whole, fraction)) => {
                let unscaled: i128 = format!("{whole}{fraction}").parse().unwrap();
                let precision = unscaled.to_string().len().max(fraction.len());
                (Value::Decimal(unscaled), TypeKind::Decimal(precision as u8, fraction.len() as u8))
            }
            None => {
                let value: i64 = digits.parse().unwrap();
                (
                    Value::Int(value),
                    if i32::try_from(value).is_ok() { TypeKind::Int } else { TypeKind::BigInt },
                )
            }
        },
        Literal::Text(text) => (Value::Text(text.clone()), TypeKind::Char(text.chars().count() as u32)),
        Literal::Bytes(bytes) => (Value::Bytes(bytes.clone()), TypeKind::Binary(bytes.len() as u32)),
        Literal::Date(text) => (Value::Int(text_parse::date(text).unwrap()), TypeKind::Date),
        Literal::Time(text) => (Value::Int(text_parse::time(text).unwrap() / 1_000_000), TypeKind::Time(0)),
        Literal::Timestamp(text) => {
            let precision = text.split_once('.').map_or(0, |(_, fraction)| fraction.len() as u8);
            let micros = text_parse::timestamp_nanos(text).unwrap() / 1_000;
            (Value::Int(micros as i64), TypeKind::Timestamp(precision))
        }
        Literal::Interval(Interval::Months(months)) => {
            (Value::Int(i64::from(*months)), TypeKind::IntervalYearMonth)
        }
        Literal::Interval(Interval::Millis(millis)) => (Value::Int(*millis), TypeKind::IntervalDaySecond),
    };
    Typed::literal(value, kind.not_null())
}

fn bind(expr: &Expr) -> Result<Typed, String> {
    let all = |parts: &[Expr]| parts.iter().map(bind).collect::<Result<Vec<_>, _>>();
    Ok(match &*expr.kind {
        ExprKind::Literal(value) => literal(value),
        ExprKind::Symbol(word) => literal(&Literal::Text(word.clone())),
        ExprKind::Unary(UnaryOp::Minus, operand) => {
            let operand = bind(operand)?;
            let data_type = operand.data_type.clone();
            Typed::new(Node::Negate(operand), data_type)
        }
        ExprKind::Cast { expr, target, is_try } => {
            let expr = bind(expr)?;
            let target = target.kind.clone().with_nullability(expr.data_type.nullable);
            Typed::new(Node::Cast { expr, is_try: *is_try }, target)
        }
        ExprKind::Array(items) => {
            let items = all(items)?;
            let item = common_type_of(items.iter().map(|item| &item.data_type)).ok_or("no common type")?;
            let items = items.into_iter().map(|part| cast_to(part, &item)).collect();
            Typed::new(Node::Array(items), TypeKind::Array(Box::new(item)).not_null())
        }
        ExprKind::Map(parts) => {
            let parts = all(parts)?;
            let of = |first: usize| {
                common_type_of(parts.iter().skip(first).step_by(2).map(|part| &part.data_type))
            };
            let (key, value) = (of(0).ok_or("no key")?, of(1).ok_or("no value")?);
            let types = [key, value];
            let parts =
                parts.into_iter().zip(types.iter().cycle()).map(|(part, to)| cast_to(part, to)).collect();
            let [key, value] = types.map(Box::new);
            Typed::new(Node::Map(parts), TypeKind::Map(key, value).not_null())
        }
        ExprKind::Row(parts) => {
            let parts = all(parts)?;
            let fields = parts.iter().enumerate().map(|(number, part)| RowField {
                name: format!("EXPR${number}"),
                data_type: part.data_type.clone(),
            });
            let kind = TypeKind::Row(fields.collect());
            Typed::new(Node::Row(parts), kind.not_null())
        }
        ExprKind::Call(call) => {
            let args = all(&call.args)?;
            bind_call(&call.name[0].name, args)?
        }
        ExprKind::Like { expr, pattern, escape, similar, .. } => {
            let parts = [Some(expr), Some(pattern), escape.as_ref()];
            let args = parts.into_iter().flatten().map(bind).collect::<Result<_, _>>()?;
            bind_call(if *similar { "SIMILAR TO" } else { "LIKE" }, args)?
        }
        ExprKind::Is { expr, test: IsTest::Json(kind), negated: false } => {
            bind_call("IS JSON", vec![bind(expr)?, literal(&Literal::Text(kind.clone()))])?
        }
        ExprKind::Binary(crate::parser::ast::BinaryOp::Concat, left, right) => {
            bind_call("||", vec![bind(left)?, bind(right)?])?
        }
        other => return Err(format!("the test binds no {other:?}")),
    })
}

fn cast_to(part: Typed, to: &SqlType) -> Typed {
    if part.data_type.kind == to.kind {
        return part;
    }
    Typed::new(Node::Cast { expr: part, is_try: false }, to.clone())
}

fn bind_call(name: &str, args: Vec<Typed>) -> Result<Typed, String> {
    let function = find(name).ok_or_else(|| format!("there is no function {name}"))?;
    let arguments: Vec<Argument> = args
        .iter()
        .map(|arg| {
            let is_constant = !matches!(*arg.node, Node::Column(_)) && arg.is_deterministic();
            let literal = if is_constant { fold(arg, &context("UTC")).ok() } else { None };
            Argument { data_type: arg.data_type.clone(), literal }
        })
        .collect();
    let resolved = (function.resolve)(&arguments).map_err(|why| format!("{name} {why}"))?;
    assert_eq!(resolved.params.len(), args.len(), "{name} answers a type for each argument");
    let args = args.into_iter().zip(&resolved.params).map(|(arg, to)| cast_to(arg, to)).collect();
    Ok(Typed::new(Node::Call(FunctionRef(function), args), resolved.result))
}

/// The value as the golden files have it: timestamps without zeros at the end.
fn shown(value: &Value, data_type: &SqlType, zone: &TimeZone) -> String {
    if let (Value::Bytes(bytes), _) = (value, data_type) {
        return format!("0x{}", super::numerals::hex_of(bytes, false));
    }
    let is_instant = matches!(data_type.kind, TypeKind::TimestampLtz(_));
    let text = text_format::value_to_text(value, &data_type.kind, zone);
    if !data_type.kind.is_timestamp() || value.is_null() {
        return text;
    }
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if is_instant { format!("{text}Z") } else { text.to_owned() }
}

/// What comes of the expression in a line, in two ways: alone, and over a column of rows.
fn outcome(text: &str, zone: &str) -> Result<String, String> {
    let expr = bound(text)?;
    let value = fold(&expr, &context(zone))?;
    let is_fixed = expr.is_deterministic();
    if is_fixed {
        assert!(expr.data_type.nullable || !value.is_null(), "{text} is NULL, but typed as NOT NULL");
        assert_eq!(over_rows(&expr, zone)?, vec![value.clone(); 3], "{text} over rows");
    }
    Ok(shown(&value, &expr.data_type, &TimeZone::get(zone).unwrap()))
}

/// The value in each of three rows of an empty batch.
fn over_rows(expr: &Typed, zone: &str) -> Result<Vec<Value>, String> {
    let mut builder = ColumnBuilder::new(&TypeKind::Int);
    (0..3).for_each(|row| builder.append_int(row));
    let schema = crate::types::arrow_schema([("n", &TypeKind::Int.nullable())]);
    let batch = RecordBatch::try_new(schema, vec![builder.finish()]).unwrap();
    let column = evaluate(expr, &batch, &context(zone))?;
    let view = crate::row::ColumnView::new(&column);
    Ok((0..3).map(|row| view.value(row)).collect())
}

/// Checks lines `expression ==> value` and `expression ==! part of an error`.
fn check(golden: &str, zone: &str) {
    let mut failed = Vec::new();
    for line in golden.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some((text, expected)) = line.split_once(" ==> ") {
            let found = outcome(text, zone);
            if found.as_deref() != Ok(expected) {
                failed.push(format!("{text}\n  expected {expected}\n  found    {found:?}"));
            }
        } else {
            let (text, expected) = line.split_once(" ==! ").unwrap_or_else(|| panic!("no case: {line}"));
            let found = outcome(text, zone);
            if !matches!(&found, Err(error) if error.contains(expected)) {
                failed.push(format!("{text}\n  expected an error with {expected}\n  found    {found:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn texts_are_flinks() {
    check(include_str!("golden/text.txt"), "UTC");
}

#[test]
fn numbers_are_flinks() {
    check(include_str!("golden/math.txt"), "UTC");
}

#[test]
fn times_are_flinks() {
    check(include_str!("golden/time.txt"), "UTC");
}

#[test]
fn collections_are_flinks() {
    check(include_str!("golden/collection.txt"), "UTC");
}

#[test]
fn json_is_flinks() {
    check(include_str!("golden/json.txt"), "UTC");
}

#[test]
fn instants_are_read_in_the_sessions_zone() {
    check(include_str!("golden/zone.txt"), "America/New_York");
}

#[test]
fn a_name_is_there_once() {
    let count = names().count();
    let all: usize = super::registry::count();
    assert_eq!(count, all, "two functions share a name");
    assert!(find("upper").is_some() && find("no_such").is_none());
    assert!(names().all(|name| name == name.to_uppercase()));
}

#[test]
fn columns_of_nulls_give_nulls() {
    for text in [
        "UPPER(CAST(NULL AS STRING))",
        "SUBSTRING('abc', CAST(NULL AS INT))",
        "NULL LIKE 'a%'",
        "'a' || NULL",
        "CONCAT('a', NULL)",
        "SPLIT_INDEX('a,b', NULL, 0)",
        "HOUR(CAST(NULL AS TIMESTAMP(3)))",
        "DATE_FORMAT(CAST(NULL AS TIMESTAMP(3)), 'yyyy')",
        "MOD(NULL, 2)",
        "ABS(CAST(NULL AS INT))",
        "REGEXP_EXTRACT('a', NULL, 0)",
        "JSON_VALUE(NULL, '$.a')",
        "ARRAY_CONTAINS(CAST(NULL AS ARRAY<INT>), 1)",
        "EXTRACT(YEAR FROM NULL)",
    ] {
        assert_eq!(outcome(text, "UTC").as_deref(), Ok("NULL"), "{text}");
    }
}

#[test]
fn random_numbers_and_uuids_are_in_their_ranges() {
    let expr = bound("RAND()").unwrap();
    let Value::Float(number) = fold(&expr, &context("UTC")).unwrap() else { panic!("no number") };
    assert!((0.0..1.0).contains(&number));
    let one = outcome("UUID()", "UTC").unwrap();
    assert_eq!((one.len(), &one[14..15]), (36, "4"));
    assert_ne!(one, outcome("UUID()", "UTC").unwrap());
    for _ in 0..50 {
        let number: i64 = outcome("RAND_INTEGER(3)", "UTC").unwrap().parse().unwrap();
        assert!((0..3).contains(&number));
    }
}
