//! Computing expressions over the columns of a batch.
//!
//! Each node is computed for the whole batch at once. Where a part may fail and not all rows need it (CASE, AND, OR,
//! COALESCE), it is computed for the rows that do alone.

use super::operand::{Operand, repeat};
use super::{Node, Typed, arithmetic, cast, compare};
use crate::functions::{CallInfo, Eval};
use crate::row::{ColumnBuilder, ColumnView, Value, views_of};
use crate::types::{SqlType, TypeKind};
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, NullArray, RecordBatch, RecordBatchOptions, StructArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What expressions may know besides the row.
#[derive(Debug, Clone)]
pub(crate) struct EvalContext {
    pub(crate) zone: TimeZone,
    /// The current time, microseconds since the epoch.
    pub(crate) now_micros: i64,
    /// Whether a CAST that fails gives NULL (`table.exec.legacy-cast-behaviour`).
    pub(crate) lenient_casts: bool,
}

pub(crate) type EvalResult<T> = Result<T, String>;

/// A chain such as `a + b - c`, which nests to the left, from its first operand on: a long one must not need stack.
fn chain(expr: &Typed, batch: &RecordBatch, context: &EvalContext) -> EvalResult<ArrayRef> {
    let (mut steps, mut first) = (Vec::new(), expr);
    while let Node::Arithmetic(op, left, right) = &*first.node {
        steps.push((op, left, right, first));
        first = left;
    }
    let mut value: Option<ArrayRef> = None;
    for (op, left, right, whole) in steps.into_iter().rev() {
        let (a, b) = match value.take() {
            None => operands(left, right, batch, context)?,
            Some(value) => (Operand::column(value), operand(right, batch, context)?),
        };
        let kinds = (&left.data_type.kind, &right.data_type.kind, &whole.data_type.kind);
        value = Some(arithmetic::binary(*op, &a, kinds.0, &b, kinds.1, kinds.2)?);
    }
    value.ok_or_else(|| "a computation without operands".to_owned())
}

/// The value of `expr` for each row of `batch`.
pub(crate) fn evaluate(expr: &Typed, batch: &RecordBatch, context: &EvalContext) -> EvalResult<ArrayRef> {
    let rows = batch.num_rows();
    match &*expr.node {
        Node::Column(column) => Ok(batch.column(*column).clone()),
        Node::Literal(value) => Ok(repeat(value, &expr.data_type.kind, rows)),
        Node::Arithmetic(..) => chain(expr, batch, context),
        Node::Negate(operand) => {
            arithmetic::negate(&evaluate(operand, batch, context)?, &operand.data_type.kind)
        }
        Node::Compare(op, left, right) => {
            let (a, b) = operands(left, right, batch, context)?;
            compare::compare(*op, &a, &b)
        }
        Node::Distinct { left, right, negated } => {
            compare::distinct(&evaluate(left, batch, context)?, &evaluate(right, batch, context)?, *negated)
        }
        Node::And(parts) => logic(parts, batch, context, false),
        Node::Or(parts) => logic(parts, batch, context, true),
        Node::Not(operand) => {
            let operand = evaluate(operand, batch, context)?;
            arrow_arith::boolean::not(operand.as_boolean()).map(as_ref).map_err(text)
        }
        Node::IsNull(operand) => {
            arrow_arith::boolean::is_null(&evaluate(operand, batch, context)?).map(as_ref).map_err(text)
        }
        Node::IsTruth(operand, wanted) => {
            let operand = evaluate(operand, batch, context)?;
            let truth = operand.as_boolean().iter().map(|value| Some(value == Some(*wanted)));
            Ok(as_ref(truth.collect::<BooleanArray>()))
        }
        Node::Cast { expr: operand, is_try } => {
            let column = evaluate(operand, batch, context)?;
            let lenient = *is_try || context.lenient_casts;
            cast::cast(&column, &operand.data_type.kind, &expr.data_type.kind, lenient, context)
        }
        Node::Case { branches, otherwise } => case(branches, otherwise, &expr.data_type, batch, context),
        Node::Coalesce(parts) => coalesce(parts, &expr.data_type, batch, context),
        Node::Call(function, arguments) => call(function.0, arguments, &expr.data_type, batch, context),
        Node::Row(parts) => row(parts, &expr.data_type.kind, batch, context),
        Node::Array(parts) => collect(parts, &expr.data_type.kind, batch, context, Value::List),
        Node::Map(parts) => collect(parts, &expr.data_type.kind, batch, context, map_of),
        Node::Index(container, index) => {
            let (container, index) = (evaluate(container, batch, context)?, evaluate(index, batch, context)?);
            element(&container, &index, &expr.data_type.kind)
        }
        Node::Field(operand, field) => self::field(&evaluate(operand, batch, context)?, *field),
        Node::Outer { .. } | Node::Aggregate(_) | Node::Over(_) | Node::Subquery(_) => {
            Err("an expression was planned wrongly: please report it".into())
        }
    }
}

/// One side of a computation.
fn operand(expr: &Typed, batch: &RecordBatch, context: &EvalContext) -> EvalResult<Operand> {
    Ok(match expr.as_literal() {
        Some(value) => Operand::constant(value, &expr.data_type.kind),
        None => Operand::column(evaluate(expr, batch, context)?),
    })
}

/// Both sides of a computation, of which one at most is a constant.
fn operands(
    left: &Typed,
    right: &Typed,
    batch: &RecordBatch,
    context: &EvalContext,
) -> EvalResult<(Operand, Operand)> {
    let right = operand(right, batch, context)?;
    let left = match left.as_literal() {
        Some(value) if !right.is_constant() => Operand::constant(value, &left.data_type.kind),
        _ => Operand::column(evaluate(left, batch, context)?),
    };
    Ok((left, right))
}

/// The rows for which `expr` is TRUE.
pub(crate) fn evaluate_predicate(
    expr: &Typed,
    batch: &RecordBatch,
    context: &EvalContext,
) -> EvalResult<BooleanArray> {
    evaluate(expr, batch, context).map(|result| without_nulls(&result))
}

/// Where a condition holds: where it is NULL, it does not.
pub(crate) fn without_nulls(condition: &ArrayRef) -> BooleanArray {
    let condition = condition.as_boolean();
    match condition.null_count() {
        0 => condition.clone(),
        _ => arrow_select::filter::prep_null_mask_filter(condition),
    }
}

/// The value of an expression without columns.
pub(crate) fn fold(expr: &Typed, context: &EvalContext) -> EvalResult<Value> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).map_err(text)?;
    Ok(ColumnView::new(&evaluate(expr, &one, context)?).value(0))
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn as_ref(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// AND (`absorbing` FALSE) and OR (`absorbing` TRUE).
fn logic(
    parts: &[Typed],
    batch: &RecordBatch,
    context: &EvalContext,
    absorbing: bool,
) -> EvalResult<ArrayRef> {
    let mut result: Option<BooleanArray> = None;
    for part in parts {
        result = Some(match result {
            None => evaluate(part, batch, context)?.as_boolean().clone(),
            Some(so_far) => {
                let valid = so_far.len() - so_far.null_count();
                let decided = if absorbing { so_far.true_count() } else { valid - so_far.true_count() };
                if decided == so_far.len() {
                    return Ok(as_ref(so_far));
                }
                let next = if decided > 0 && part.can_fail() {
                    let open: Vec<u32> = (0u32..)
                        .zip(so_far.iter())
                        .filter(|(_, value)| *value != Some(absorbing))
                        .map(|(row, _)| row)
                        .collect();
                    let some = rows_for(batch, &open, [part])?;
                    spread(&evaluate(part, &some, context)?, &open, so_far.len())?
                } else {
                    evaluate(part, batch, context)?
                };
                let next = next.as_boolean();
                if absorbing {
                    arrow_arith::boolean::or_kleene(&so_far, next).map_err(text)?
                } else {
                    arrow_arith::boolean::and_kleene(&so_far, next).map_err(text)?
                }
            }
        });
    }
    result.map(as_ref).ok_or_else(|| "a condition without parts".to_owned())
}

/// Some of the rows, for computing `exprs`: columns that these do not use are all NULL.
fn rows_for<'e>(
    batch: &RecordBatch,
    rows: &[u32],
    exprs: impl IntoIterator<Item = &'e Typed>,
) -> EvalResult<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let used: BTreeSet<usize> = exprs.into_iter().flat_map(Typed::columns).collect();
    let indices = UInt32Array::from(rows.to_vec());
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (number, column) in batch.columns().iter().enumerate() {
        columns.push(if used.contains(&number) {
            arrow_select::take::take(column, &indices, None).map_err(text)?
        } else {
            as_ref(NullArray::new(rows.len()))
        });
        fields.push(Field::new("", columns[number].data_type().clone(), true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(text)
}

/// The values at their rows among `total` rows, NULL elsewhere.
fn spread(values: &ArrayRef, rows: &[u32], total: usize) -> EvalResult<ArrayRef> {
    let mut indices: Vec<Option<u32>> = vec![None; total];
    for (index, row) in (0u32..).zip(rows) {
        indices[*row as usize] = Some(index);
    }
    arrow_select::take::take(values, &UInt32Array::from(indices), None).map_err(text)
}

/// Joins results that were computed for some of the rows each.
fn assemble(parts: &[(ArrayRef, Vec<u32>)], kind: &TypeKind, total: usize) -> EvalResult<ArrayRef> {
    let mut places: Vec<(usize, usize)> = vec![(0, 0); total];
    for (part, (_, rows)) in parts.iter().enumerate() {
        for (index, row) in rows.iter().enumerate() {
            places[*row as usize] = (part, index);
        }
    }
    if total == 0 || parts.is_empty() {
        return Ok(ColumnBuilder::new(kind).finish());
    }
    let arrays: Vec<&dyn Array> = parts.iter().map(|(array, _)| array.as_ref()).collect();
    arrow_select::interleave::interleave(&arrays, &places).map_err(text)
}

fn case(
    branches: &[(Typed, Typed)],
    otherwise: &Typed,
    data_type: &SqlType,
    batch: &RecordBatch,
    context: &EvalContext,
) -> EvalResult<ArrayRef> {
    let total = batch.num_rows();
    let mut open: Vec<u32> = (0..total as u32).collect();
    let mut parts = Vec::new();
    for (when, then) in branches {
        if open.is_empty() {
            break;
        }
        let holds = evaluate_predicate(when, &rows_for(batch, &open, [when])?, context)?;
        let (mut here, mut rest) = (Vec::new(), Vec::new());
        for (index, row) in open.iter().enumerate() {
            if holds.value(index) { here.push(*row) } else { rest.push(*row) }
        }
        if !here.is_empty() {
            parts.push((evaluate(then, &rows_for(batch, &here, [then])?, context)?, here));
        }
        open = rest;
    }
    if !open.is_empty() {
        parts.push((evaluate(otherwise, &rows_for(batch, &open, [otherwise])?, context)?, open));
    }
    assemble(&parts, &data_type.kind, total)
}

fn coalesce(
    parts: &[Typed],
    data_type: &SqlType,
    batch: &RecordBatch,
    context: &EvalContext,
) -> EvalResult<ArrayRef> {
    let total = batch.num_rows();
    let mut open: Vec<u32> = (0..total as u32).collect();
    let mut found = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        if open.is_empty() {
            break;
        }
        let values = evaluate(part, &rows_for(batch, &open, [part])?, context)?;
        if number + 1 == parts.len() {
            found.push((values, std::mem::take(&mut open)));
            break;
        }
        let view = ColumnView::new(&values);
        let (mut here, mut at, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for (index, row) in open.iter().enumerate() {
            if view.is_null(index) {
                rest.push(*row);
            } else {
                here.push(*row);
                at.push(index as u32);
            }
        }
        let values = arrow_select::take::take(&values, &UInt32Array::from(at), None).map_err(text)?;
        found.push((values, here));
        open = rest;
    }
    assemble(&found, &data_type.kind, total)
}

fn call(
    function: &crate::functions::Function,
    arguments: &[Typed],
    data_type: &SqlType,
    batch: &RecordBatch,
    context: &EvalContext,
) -> EvalResult<ArrayRef> {
    let info = CallInfo {
        params: arguments.iter().map(|argument| argument.data_type.clone()).collect(),
        result: data_type.clone(),
        constant: arguments.iter().map(|argument| argument.as_literal().is_some()).collect(),
        zone: context.zone.clone(),
        now_micros: context.now_micros,
    };
    let columns =
        arguments.iter().map(|argument| evaluate(argument, batch, context)).collect::<Result<Vec<_>, _>>()?;
    let rows = batch.num_rows();
    let failed = |message: String| format!("{}: {message}", function.name);
    let (strict, compute) = match function.eval {
        Eval::Columns(compute) => return compute(&columns, rows, &info).map_err(failed),
        Eval::Strict(compute) => (true, compute),
        Eval::Rows(compute) => (false, compute),
    };
    let views = views_of(&columns);
    let mut builder = ColumnBuilder::new(&data_type.kind);
    let mut values = Vec::with_capacity(views.len());
    for row in 0..rows {
        if strict && views.iter().any(|view| view.is_null(row)) {
            builder.append_null();
            continue;
        }
        values.clear();
        values.extend(views.iter().map(|view| view.value(row)));
        builder.append(&compute(&values, &info).map_err(failed)?);
    }
    Ok(builder.finish())
}

fn row(parts: &[Typed], kind: &TypeKind, batch: &RecordBatch, context: &EvalContext) -> EvalResult<ArrayRef> {
    let columns = parts.iter().map(|part| evaluate(part, batch, context)).collect::<Result<Vec<_>, _>>()?;
    let DataType::Struct(fields) = kind.arrow() else { return Err("a row of another type".into()) };
    if columns.is_empty() {
        return Ok(as_ref(StructArray::new_empty_fields(batch.num_rows(), None)));
    }
    StructArray::try_new(fields, columns, None).map(as_ref).map_err(text)
}

fn map_of(values: Vec<Value>) -> Value {
    let mut entries: Vec<(Value, Value)> = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    Value::Map(entries)
}

fn collect(
    parts: &[Typed],
    kind: &TypeKind,
    batch: &RecordBatch,
    context: &EvalContext,
    make: fn(Vec<Value>) -> Value,
) -> EvalResult<ArrayRef> {
    let columns = parts.iter().map(|part| evaluate(part, batch, context)).collect::<Result<Vec<_>, _>>()?;
    let views = views_of(&columns);
    let mut builder = ColumnBuilder::new(kind);
    for row in 0..batch.num_rows() {
        builder.append(&make(views.iter().map(|view| view.value(row)).collect()));
    }
    Ok(builder.finish())
}

fn element(container: &ArrayRef, index: &ArrayRef, kind: &TypeKind) -> EvalResult<ArrayRef> {
    let (containers, indices) = (ColumnView::new(container), ColumnView::new(index));
    let mut builder = ColumnBuilder::new(kind);
    for row in 0..container.len() {
        let found = match (containers.value(row), indices.value(row)) {
            (Value::List(items), Value::Int(index)) => {
                usize::try_from(index).ok().and_then(|index| items.into_iter().nth(index.checked_sub(1)?))
            }
            (Value::Map(entries), key) => {
                entries.into_iter().find(|(known, _)| *known == key).map(|(_, value)| value)
            }
            (Value::Row(fields), Value::Int(index)) => {
                usize::try_from(index).ok().and_then(|index| fields.into_iter().nth(index.checked_sub(1)?))
            }
            _ => None,
        };
        builder.append(&found.unwrap_or(Value::Null));
    }
    Ok(builder.finish())
}

/// A field of a row; NULL where the row is.
fn field(operand: &ArrayRef, number: usize) -> EvalResult<ArrayRef> {
    let rows = operand.as_struct();
    let column = rows.column(number);
    match rows.nulls() {
        None => Ok(column.clone()),
        Some(nulls) => {
            let mask = BooleanArray::new(!nulls.inner(), None);
            arrow_select::nullif::nullif(column, &mask).map_err(text)
        }
    }
}
