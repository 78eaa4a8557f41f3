//! Making values of one type out of those of another, where no CAST is written.

use crate::expr::{Arithmetic, Comparison, EvalContext, Node, Typed, cast_value};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::row::Value;
use crate::types::{SqlType, TypeKind, common_type, implicitly_castable};

/// `expr` as a value of `kind`; constants are cast at once.
pub(crate) fn cast_to(expr: Typed, kind: &TypeKind, context: &EvalContext) -> Typed {
    if expr.data_type.kind == *kind {
        return expr;
    }
    let data_type = kind.clone().with_nullability(expr.data_type.nullable);
    if let Some(value) = expr.as_literal()
        && let Some(value) = cast_value(value, &expr.data_type.kind, kind, context)
    {
        return Typed::literal(value, data_type);
    }
    Typed::new(Node::Cast { expr, is_try: false }, data_type)
}

/// `expr` as a value of a table's column of type `target`.
pub(crate) fn store_as(
    expr: Typed,
    target: &SqlType,
    context: &EvalContext,
    column: &str,
    span: Span,
) -> SqlResult<Typed> {
    if !implicitly_castable(&expr.data_type.kind, &target.kind) {
        return Err(SqlError::at(
            span,
            format!("column `{column}` is {}, but the query gives {}", target.kind, expr.data_type.kind),
        )
        .hint(format!("CAST the value AS {}", target.kind)));
    }
    // What is stored keeps the column's declared length, but text is not cut on the way.
    let kind = match (&expr.data_type.kind, &target.kind) {
        (from, to) if from.is_text() && to.is_text() => from.clone(),
        (from, to) if from.is_bytes() && to.is_bytes() => from.clone(),
        (_, to) => to.clone(),
    };
    Ok(cast_to(expr, &kind, context))
}

/// Both sides as one type, so that they can be compared.
pub(crate) fn comparable(
    left: Typed,
    right: Typed,
    span: Span,
    context: &EvalContext,
) -> SqlResult<(Typed, Typed)> {
    let (a, b) = (&left.data_type.kind, &right.data_type.kind);
    if a == b {
        return Ok((left, right));
    }
    // A constant text is read as what it is compared with, where that has a text form of its own.
    let is_text_constant = |expr: &Typed| expr.data_type.kind.is_text() && expr.as_literal().is_some();
    if b.is_temporal() && is_text_constant(&left) {
        return Ok((constant_as(left, &right.data_type.kind, span, context)?, right));
    }
    if a.is_temporal() && is_text_constant(&right) {
        let right = constant_as(right, &left.data_type.kind, span, context)?;
        return Ok((left, right));
    }
    match common_type(&left.data_type, &right.data_type) {
        Some(common) => Ok((cast_to(left, &common.kind, context), cast_to(right, &common.kind, context))),
        None => Err(SqlError::at(span, format!("{a} cannot be compared with {b}")).hint("CAST one of them")),
    }
}

fn constant_as(text: Typed, kind: &TypeKind, span: Span, context: &EvalContext) -> SqlResult<Typed> {
    let value = text.as_literal().and_then(|value| cast_value(value, &text.data_type.kind, kind, context));
    match value {
        Some(value) => Ok(Typed::literal(value, kind.clone().not_null())),
        None => Err(SqlError::at(span, format!("the text is no {kind}"))),
    }
}

pub(crate) fn compare(
    op: Comparison,
    left: Typed,
    right: Typed,
    span: Span,
    context: &EvalContext,
) -> SqlResult<Typed> {
    let (left, right) = comparable(left, right, span, context)?;
    let nullable = left.data_type.nullable || right.data_type.nullable;
    Ok(Typed::new(Node::Compare(op, left, right), TypeKind::Boolean.with_nullability(nullable)))
}

/// `left op right` with Flink's result types.
pub(crate) fn arithmetic(
    op: Arithmetic,
    left: Typed,
    right: Typed,
    span: Span,
    context: &EvalContext,
) -> SqlResult<Typed> {
    use TypeKind::*;
    let (left, right) = (null_as(left, &right), right);
    let (left, right) = (left.clone(), null_as(right, &left));
    let (a, b) = (left.data_type.kind.clone(), right.data_type.kind.clone());
    let nullable = left.data_type.nullable || right.data_type.nullable;
    let wrong = || {
        SqlError::at(span, format!("{a} {} {b} is not possible", op.symbol()))
            .hint("CAST the operands to types that fit")
    };
    let make = |left: Typed, right: Typed, kind: TypeKind| {
        Ok(Typed::new(Node::Arithmetic(op, left, right), kind.with_nullability(nullable)))
    };
    if a.is_temporal() || b.is_temporal() {
        return match (op, a.is_interval(), b.is_interval()) {
            (Arithmetic::Add | Arithmetic::Subtract, false, true) if a.is_temporal() => {
                make(left, right, temporal_sum(&a, &b))
            }
            (Arithmetic::Add, true, false) => make(left, right, temporal_sum(&b, &a)),
            _ => Err(wrong()),
        };
    }
    if a.is_interval() || b.is_interval() {
        return match op {
            Arithmetic::Add | Arithmetic::Subtract if a == b => make(left, right, a.clone()),
            Arithmetic::Multiply | Arithmetic::Divide if a.is_interval() && b.is_numeric() => {
                let right = if b.is_exact() { cast_to(right, &BigInt, context) } else { right };
                make(left, right, a.clone())
            }
            Arithmetic::Multiply if b.is_interval() && a.is_numeric() => {
                let left = if a.is_exact() { cast_to(left, &BigInt, context) } else { left };
                make(right, left, b.clone())
            }
            _ => Err(wrong()),
        };
    }
    if !a.is_numeric() || !b.is_numeric() {
        return Err(wrong());
    }
    if matches!((&a, &b), (Decimal(..), _) | (_, Decimal(..))) && !a.is_approximate() && !b.is_approximate() {
        let ((p1, s1), (p2, s2)) = (a.as_decimal().unwrap_or((38, 0)), b.as_decimal().unwrap_or((38, 0)));
        let kind = decimal_result(op, (i32::from(p1), i32::from(s1)), (i32::from(p2), i32::from(s2)));
        return make(left, right, kind);
    }
    let common = common_type(&left.data_type, &right.data_type).ok_or_else(wrong)?.kind;
    make(cast_to(left, &common, context), cast_to(right, &common, context), common)
}

/// A bare NULL takes the type of the other side.
fn null_as(expr: Typed, other: &Typed) -> Typed {
    if expr.data_type.kind != TypeKind::Null {
        return expr;
    }
    let kind = match &other.data_type.kind {
        TypeKind::Null => TypeKind::Int,
        kind if kind.is_temporal() => TypeKind::IntervalDaySecond,
        kind => kind.clone(),
    };
    Typed::literal(Value::Null, kind.nullable())
}

fn temporal_sum(time: &TypeKind, interval: &TypeKind) -> TypeKind {
    let _ = interval;
    time.clone()
}

/// The type of a decimal computation: Flink's rules, which cut digits behind the point where 38 are not enough.
fn decimal_result(op: Arithmetic, (p1, s1): (i32, i32), (p2, s2): (i32, i32)) -> TypeKind {
    let (precision, scale) = match op {
        Arithmetic::Add | Arithmetic::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Arithmetic::Multiply => (p1 + p2 + 1, s1 + s2),
        Arithmetic::Divide => {
            let scale = (s1 + p2 + 1).max(6);
            (p1 - s1 + s2 + scale, scale)
        }
        Arithmetic::Modulo => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    if precision <= 38 {
        return TypeKind::Decimal(precision as u8, scale as u8);
    }
    let scale = (38 - (precision - scale)).max(scale.min(6));
    TypeKind::Decimal(38, scale as u8)
}
