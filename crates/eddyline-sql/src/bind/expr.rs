//! Expressions: from trees to typed ones.

use super::coerce::{arithmetic, cast_to, comparable, compare};
use super::scope::{Scope, field_of};
use super::{Binder, aggregate::AggregateSpec, over::OverSpec, subquery::Subquery};
use crate::expr::{Arithmetic, Comparison, Node, Typed};
use crate::parser::ast::{BinaryOp, Expr, ExprKind, IsTest, Literal, UnaryOp};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::row::Value;
use crate::types::{Interval, SqlType, TypeKind, common_type_of};

/// What binding an expression finds besides it.
#[derive(Default)]
pub(super) struct Found {
    /// Aggregate calls; none if they are not allowed here.
    pub(super) aggregates: Option<Vec<AggregateSpec>>,
    /// OVER calls; none if they are not allowed here.
    pub(super) overs: Option<Vec<OverSpec>>,
    /// Sub-queries.
    pub(super) subqueries: Vec<Subquery>,
    /// Where it is not allowed to aggregate: why.
    pub(super) place: &'static str,
    /// Whether no group is without rows.
    pub(super) place_grouped: bool,
}

/// Expressions over one scope.
pub(super) struct ExprBinder<'b, 'a> {
    pub(super) binder: &'b Binder<'a>,
    pub(super) scope: &'b Scope<'b>,
    pub(super) found: Found,
    /// Names that stand for whole expressions: the columns of SELECT in ORDER BY, HAVING and QUALIFY.
    pub(super) aliases: Vec<(String, Typed)>,
    pub(super) windows: &'b [(crate::parser::ast::Ident, crate::parser::ast::WindowSpec)],
}

impl<'b, 'a> ExprBinder<'b, 'a> {
    pub(super) fn new(binder: &'b Binder<'a>, scope: &'b Scope<'b>, place: &'static str) -> Self {
        let found = Found { place, ..Found::default() };
        ExprBinder { binder, scope, found, aliases: Vec::new(), windows: &[] }
    }

    /// A condition: a BOOLEAN.
    pub(super) fn condition(&mut self, expr: &Expr) -> SqlResult<Typed> {
        let typed = self.bind(expr)?;
        match typed.data_type.kind {
            TypeKind::Boolean => Ok(typed),
            TypeKind::Null => Ok(Typed::literal(Value::Null, TypeKind::Boolean.nullable())),
            ref kind => Err(SqlError::at(expr.span, format!("{} is BOOLEAN, not {kind}", self.found.place))),
        }
    }

    pub(super) fn bind_all(&mut self, exprs: &[Expr]) -> SqlResult<Vec<Typed>> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    pub(super) fn bind(&mut self, expr: &Expr) -> SqlResult<Typed> {
        let span = expr.span;
        let context = &self.binder.context.clone();
        match &*expr.kind {
            ExprKind::Name(parts) => self.name(parts),
            ExprKind::Literal(literal) => self.literal(literal, span),
            ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ExprKind::Is { expr, test, negated } => self.is_test(expr, test, *negated, span),
            ExprKind::Between { expr, low, high, negated, symmetric } => {
                let (value, low, high) = (self.bind(expr)?, self.bind(low)?, self.bind(high)?);
                let within = |low: Typed, high: Typed| -> SqlResult<Typed> {
                    Ok(Typed::and(vec![
                        compare(Comparison::GreaterOrEqual, value.clone(), low, span, context)?,
                        compare(Comparison::LessOrEqual, value.clone(), high, span, context)?,
                    ]))
                };
                let mut result = within(low.clone(), high.clone())?;
                if *symmetric {
                    result = or(vec![result, within(high, low)?]);
                }
                Ok(if *negated { not(result) } else { result })
            }
            ExprKind::InList { expr, list, negated } => {
                let value = self.bind(expr)?;
                let items = self.bind_all(list)?;
                let each = items
                    .into_iter()
                    .map(|item| compare(Comparison::Equal, value.clone(), item, span, context));
                let any = or(each.collect::<SqlResult<_>>()?);
                Ok(if *negated { not(any) } else { any })
            }
            ExprKind::InQuery { expr, query, negated } => self.in_query(expr, query, *negated, span),
            ExprKind::Like { expr, pattern, escape, negated, similar } => {
                let name = if *similar { "SIMILAR TO" } else { "LIKE" };
                let mut args = vec![self.bind(expr)?, self.bind(pattern)?];
                if let Some(escape) = escape {
                    args.push(self.bind(escape)?);
                }
                let matches = self.library_call(name, args, span)?;
                Ok(if *negated { not(matches) } else { matches })
            }
            ExprKind::Exists(query) => self.exists(query),
            ExprKind::Scalar(query) => self.scalar_query(query, span),
            ExprKind::Quantified { expr, op, all, query } => self.quantified(expr, *op, *all, query, span),
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_ref(), branches, otherwise.as_ref(), span)
            }
            ExprKind::Cast { expr, target, is_try } => {
                let operand = self.bind(expr)?;
                self.cast(operand, target, *is_try, span)
            }
            ExprKind::Call(call) => self.call(call, span),
            ExprKind::Row(items) => {
                let items = self.bind_all(items)?;
                Ok(row_of(items))
            }
            ExprKind::Array(items) => {
                let items = self.bind_all(items)?;
                self.array(items, span)
            }
            ExprKind::Map(items) => {
                let items = self.bind_all(items)?;
                self.map(items, span)
            }
            ExprKind::Index(container, index) => {
                let (container, index) = (self.bind(container)?, self.bind(index)?);
                self.index(container, index, span)
            }
            ExprKind::Field(row, field) => {
                let row = self.bind(row)?;
                field_of(row, field)
            }
            ExprKind::Symbol(word) => {
                Ok(Typed::literal(Value::Text(word.clone()), TypeKind::STRING.not_null()))
            }
            ExprKind::ArrayQuery => Err(SqlError::at(span, "ARRAY(query) is not supported")),
            ExprKind::Descriptor(_) | ExprKind::Table(_) => {
                Err(SqlError::at(span, "tables and DESCRIPTOR are arguments of table functions only"))
            }
            ExprKind::Named(_, value) => self.bind(value),
        }
    }

    fn name(&mut self, parts: &[crate::parser::ast::Ident]) -> SqlResult<Typed> {
        match self.scope.resolve(parts) {
            Ok(found) => Ok(found),
            Err(error) => match parts {
                [name] => match self.aliases.iter().find(|(alias, _)| *alias == name.name) {
                    Some((_, typed)) => Ok(typed.clone()),
                    None => Err(error),
                },
                _ => Err(error),
            },
        }
    }

    fn literal(&self, literal: &Literal, span: Span) -> SqlResult<Typed> {
        Ok(match literal {
            Literal::Null => Typed::literal(Value::Null, TypeKind::Null.nullable()),
            Literal::Bool(value) => Typed::bool(*value),
            Literal::Number(digits) => number(digits, span)?,
            Literal::Text(text) => {
                let length = text.chars().count().max(1) as u32;
                let kind = if text.is_empty() { TypeKind::STRING } else { TypeKind::Char(length) };
                Typed::literal(Value::Text(text.clone()), kind.not_null())
            }
            Literal::Bytes(bytes) => {
                let kind = TypeKind::Binary(bytes.len().max(1) as u32);
                Typed::literal(Value::Bytes(bytes.clone()), kind.not_null())
            }
            Literal::Date(text) => self.temporal(text, TypeKind::Date, span)?,
            Literal::Time(text) => self.temporal(text, TypeKind::Time(0), span)?,
            Literal::Timestamp(text) => {
                let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim().len());
                self.temporal(text, TypeKind::Timestamp(digits.min(9) as u8), span)?
            }
            Literal::Interval(Interval::Months(months)) => {
                Typed::literal(Value::Int(i64::from(*months)), TypeKind::IntervalYearMonth.not_null())
            }
            Literal::Interval(Interval::Millis(millis)) => {
                Typed::literal(Value::Int(*millis), TypeKind::IntervalDaySecond.not_null())
            }
        })
    }

    fn temporal(&self, text: &str, kind: TypeKind, span: Span) -> SqlResult<Typed> {
        let value = Value::Text(text.to_owned());
        match crate::expr::cast_value(&value, &TypeKind::STRING, &kind, &self.binder.context) {
            Some(value) => Ok(Typed::literal(value, kind.not_null())),
            None => Err(SqlError::at(span, format!("'{text}' is no {kind}"))),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, span: Span) -> SqlResult<Typed> {
        // The smallest BIGINT has no positive counterpart.
        if op == UnaryOp::Minus
            && let ExprKind::Literal(Literal::Number(digits)) = &*operand.kind
        {
            return number(&format!("-{digits}"), span);
        }
        let operand = self.bind(operand)?;
        let kind = operand.data_type.kind.clone();
        match op {
            UnaryOp::Not if kind == TypeKind::Boolean => Ok(not(operand)),
            UnaryOp::Not if kind == TypeKind::Null => {
                Ok(Typed::literal(Value::Null, TypeKind::Boolean.nullable()))
            }
            UnaryOp::Not => Err(SqlError::at(span, format!("NOT takes a BOOLEAN, not {kind}"))),
            _ if !kind.is_numeric() && !kind.is_interval() && kind != TypeKind::Null => {
                Err(SqlError::at(span, format!("a sign cannot stand before {kind}")))
            }
            UnaryOp::Plus => Ok(operand),
            UnaryOp::Minus => {
                let data_type = operand.data_type.clone();
                if let (Some(Value::Int(value)), true) = (operand.as_literal(), kind.is_interval()) {
                    return Ok(Typed::literal(Value::Int(-value), data_type));
                }
                Ok(Typed::new(Node::Negate(operand), data_type))
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> SqlResult<Typed> {
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            return self.logic(op, left, right);
        }
        let context = self.binder.context.clone();
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        if let Some(comparison) = comparison_of(op) {
            return self.comparison(comparison, left, right, span);
        }
        if op == BinaryOp::Concat {
            return self.library_call("||", vec![left, right], span);
        }
        let op = match op {
            BinaryOp::Plus => Arithmetic::Add,
            BinaryOp::Minus => Arithmetic::Subtract,
            BinaryOp::Multiply => Arithmetic::Multiply,
            BinaryOp::Divide => Arithmetic::Divide,
            _ => Arithmetic::Modulo,
        };
        arithmetic(op, left, right, span, &context)
    }

    /// Long chains of AND and OR are taken apart without going deeper for each term.
    fn logic(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> SqlResult<Typed> {
        let mut terms = vec![right];
        let mut rest = left;
        while let ExprKind::Binary(inner, next, term) = &*rest.kind
            && *inner == op
        {
            terms.push(term);
            rest = next;
        }
        terms.push(rest);
        let mut parts = Vec::with_capacity(terms.len());
        for term in terms.into_iter().rev() {
            let part = self.bind(term)?;
            match part.data_type.kind {
                TypeKind::Boolean => parts.push(part),
                TypeKind::Null => parts.push(Typed::literal(Value::Null, TypeKind::Boolean.nullable())),
                ref kind => {
                    return Err(SqlError::at(term.span, format!("AND and OR take BOOLEAN, not {kind}")));
                }
            }
        }
        Ok(if op == BinaryOp::And { Typed::and(parts) } else { or(parts) })
    }

    pub(super) fn comparison(
        &self,
        op: Comparison,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> SqlResult<Typed> {
        // Rows are compared field by field.
        if let (Node::Row(a), Node::Row(b)) = (&*left.node, &*right.node)
            && a.len() == b.len()
            && matches!(op, Comparison::Equal | Comparison::NotEqual)
        {
            let pairs = a.iter().cloned().zip(b.iter().cloned());
            let equal = pairs.map(|(a, b)| compare(Comparison::Equal, a, b, span, &self.binder.context));
            let all = Typed::and(equal.collect::<SqlResult<_>>()?);
            return Ok(if op == Comparison::Equal { all } else { not(all) });
        }
        compare(op, left, right, span, &self.binder.context)
    }

    fn is_test(&mut self, operand: &Expr, test: &IsTest, negated: bool, span: Span) -> SqlResult<Typed> {
        let operand = self.bind(operand)?;
        let boolean = TypeKind::Boolean.not_null();
        let result = match test {
            IsTest::Null | IsTest::Unknown => Typed::new(Node::IsNull(operand), boolean),
            IsTest::True | IsTest::False => {
                if !matches!(operand.data_type.kind, TypeKind::Boolean) {
                    return Err(SqlError::at(
                        span,
                        format!("IS TRUE takes a BOOLEAN, not {}", operand.data_type.kind),
                    ));
                }
                Typed::new(Node::IsTruth(operand, matches!(test, IsTest::True)), boolean)
            }
            IsTest::DistinctFrom(other) => {
                let other = self.bind(other)?;
                let (left, right) = comparable(operand, other, span, &self.binder.context)?;
                return Ok(Typed::new(Node::Distinct { left, right, negated }, boolean));
            }
            IsTest::Json(kind) => {
                let kind = Typed::literal(Value::Text(kind.clone()), TypeKind::STRING.not_null());
                self.library_call("IS JSON", vec![operand, kind], span)?
            }
        };
        Ok(if negated { not(result) } else { result })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        span: Span,
    ) -> SqlResult<Typed> {
        let context = self.binder.context.clone();
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut bound = Vec::new();
        for (when, then) in branches {
            let condition = match &operand {
                Some(operand) => {
                    let value = self.bind(when)?;
                    compare(Comparison::Equal, operand.clone(), value, when.span, &context)?
                }
                None => {
                    let condition = self.bind(when)?;
                    if !matches!(condition.data_type.kind, TypeKind::Boolean | TypeKind::Null) {
                        return Err(SqlError::at(
                            when.span,
                            format!("WHEN takes a BOOLEAN, not {}", condition.data_type.kind),
                        ));
                    }
                    cast_to(condition, &TypeKind::Boolean, &context)
                }
            };
            bound.push((condition, self.bind(then)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => Typed::literal(Value::Null, TypeKind::Null.nullable()),
        };
        let types = bound.iter().map(|(_, then)| &then.data_type).chain([&otherwise.data_type]);
        let common = common_type_of(types).ok_or_else(|| {
            SqlError::at(span, "the branches of CASE have no type in common").hint("CAST them to one")
        })?;
        let branches =
            bound.into_iter().map(|(when, then)| (when, cast_to(then, &common.kind, &context))).collect();
        let otherwise = cast_to(otherwise, &common.kind, &context);
        Ok(Typed::new(Node::Case { branches, otherwise }, common))
    }

    pub(super) fn cast(
        &self,
        operand: Typed,
        target: &SqlType,
        is_try: bool,
        span: Span,
    ) -> SqlResult<Typed> {
        let (from, to) = (&operand.data_type.kind, &target.kind);
        if !castable(from, to) {
            return Err(SqlError::at(span, format!("{from} cannot be cast to {to}")));
        }
        let nullable = operand.data_type.nullable || is_try;
        if from == to {
            return Ok(Typed { node: operand.node, data_type: to.clone().with_nullability(nullable) });
        }
        Ok(Typed::new(Node::Cast { expr: operand, is_try }, to.clone().with_nullability(nullable)))
    }

    pub(super) fn array(&self, items: Vec<Typed>, span: Span) -> SqlResult<Typed> {
        let common = common_type_of(items.iter().map(|item| &item.data_type));
        let common = match common {
            Some(common) => common,
            None if items.is_empty() => TypeKind::Null.nullable(),
            None => return Err(SqlError::at(span, "the elements of the array have no type in common")),
        };
        let items = items.into_iter().map(|item| cast_to(item, &common.kind, &self.binder.context)).collect();
        Ok(Typed::new(Node::Array(items), TypeKind::Array(Box::new(common)).not_null()))
    }

    pub(super) fn map(&self, items: Vec<Typed>, span: Span) -> SqlResult<Typed> {
        let of =
            |places: usize| common_type_of(items.iter().skip(places).step_by(2).map(|item| &item.data_type));
        if !items.len().is_multiple_of(2) {
            return Err(SqlError::at(span, "a map is made of pairs of key and value"));
        }
        let (Some(key), Some(value)) = (of(0), of(1)) else {
            return Err(SqlError::at(span, "the keys, or the values, of the map have no type in common"));
        };
        let context = &self.binder.context;
        let cast = |(place, item): (usize, Typed)| {
            cast_to(item, if place % 2 == 0 { &key.kind } else { &value.kind }, context)
        };
        let items: Vec<Typed> = items.into_iter().enumerate().map(cast).collect();
        Ok(Typed::new(Node::Map(items), TypeKind::Map(Box::new(key), Box::new(value)).not_null()))
    }

    fn index(&self, container: Typed, index: Typed, span: Span) -> SqlResult<Typed> {
        let context = &self.binder.context;
        match &container.data_type.kind {
            TypeKind::Array(item) if index.data_type.kind.is_integer() => {
                let item = item.as_nullable();
                Ok(Typed::new(Node::Index(container, index), item))
            }
            TypeKind::Map(key, value) => {
                let (key, value) = (key.kind.clone(), value.as_nullable());
                let index = cast_to(index, &key, context);
                Ok(Typed::new(Node::Index(container, index), value))
            }
            TypeKind::Row(fields) => match index.as_literal() {
                Some(Value::Int(place)) if *place >= 1 && (*place as usize) <= fields.len() => {
                    let data_type = fields[*place as usize - 1].data_type.as_nullable();
                    Ok(Typed::new(Node::Field(container, *place as usize - 1), data_type))
                }
                _ => Err(SqlError::at(span, "a ROW is indexed by the number of a field")),
            },
            kind => Err(SqlError::at(span, format!("{kind} cannot be indexed by {}", index.data_type.kind))),
        }
    }
}

pub(super) fn row_of(items: Vec<Typed>) -> Typed {
    let fields = items.iter().enumerate().map(|(number, item)| crate::types::RowField {
        name: format!("EXPR${number}"),
        data_type: item.data_type.clone(),
    });
    let kind = TypeKind::Row(fields.collect());
    Typed::new(Node::Row(items), kind.not_null())
}

pub(super) fn comparison_of(op: BinaryOp) -> Option<Comparison> {
    Some(match op {
        BinaryOp::Equal => Comparison::Equal,
        BinaryOp::NotEqual => Comparison::NotEqual,
        BinaryOp::Less => Comparison::Less,
        BinaryOp::LessOrEqual => Comparison::LessOrEqual,
        BinaryOp::Greater => Comparison::Greater,
        BinaryOp::GreaterOrEqual => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

pub(super) fn not(operand: Typed) -> Typed {
    let data_type = operand.data_type.clone();
    match *operand.node {
        Node::Not(inner) => inner,
        node => {
            Typed::new(Node::Not(Typed { node: Box::new(node), data_type: data_type.clone() }), data_type)
        }
    }
}

pub(super) fn or(mut parts: Vec<Typed>) -> Typed {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let nullable = parts.iter().any(|part| part.data_type.nullable);
    Typed::new(Node::Or(parts), TypeKind::Boolean.with_nullability(nullable))
}

/// A number as written: INT or BIGINT if it fits, DECIMAL with a point, DOUBLE with an exponent.
fn number(digits: &str, span: Span) -> SqlResult<Typed> {
    let bare = digits.trim_start_matches('-');
    if bare.contains(['e', 'E']) {
        let value: f64 =
            digits.parse().map_err(|_| SqlError::at(span, format!("`{digits}` is no number")))?;
        return Ok(Typed::literal(Value::Float(value), TypeKind::Double.not_null()));
    }
    if !bare.contains('.')
        && let Ok(value) = digits.parse::<i64>()
    {
        let kind = if i32::try_from(value).is_ok() { TypeKind::Int } else { TypeKind::BigInt };
        return Ok(Typed::literal(Value::Int(value), kind.not_null()));
    }
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    let scale = fraction.len();
    let precision = (whole.trim_start_matches('0').len() + scale).max(1).max(scale);
    if precision > 38 {
        return Err(SqlError::at(span, format!("`{digits}` has more than 38 digits")));
    }
    let unscaled = format!("{whole}{fraction}").parse::<i128>().unwrap_or(0);
    let unscaled = if digits.starts_with('-') { -unscaled } else { unscaled };
    Ok(Typed::literal(Value::Decimal(unscaled), TypeKind::Decimal(precision as u8, scale as u8).not_null()))
}

/// Whether CAST knows a way from one type to the other.
fn castable(from: &TypeKind, to: &TypeKind) -> bool {
    use TypeKind::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Null, _) => true,
        (_, Char(_) | VarChar(_)) => true,
        (a, Boolean) => a.is_text() || a.is_integer() || a.is_numeric(),
        (a, b) if b.is_numeric() => a.is_numeric() || a.is_text() || *a == Boolean || a.is_interval(),
        (a, b) if b.is_bytes() => a.is_bytes() || a.is_text(),
        (a, Date) => a.is_text() || a.is_timestamp(),
        (a, Time(_)) => a.is_text() || a.is_timestamp() || matches!(a, Time(_)),
        (a, Timestamp(_) | TimestampLtz(_)) => a.is_text() || a.is_temporal(),
        (a, b) if b.is_interval() => a.is_integer() || a == b,
        (Array(a), Array(b)) | (Multiset(a), Multiset(b)) => castable(&a.kind, &b.kind),
        (Map(k1, v1), Map(k2, v2)) => castable(&k1.kind, &k2.kind) && castable(&v1.kind, &v2.kind),
        (Row(a), Row(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| castable(&a.data_type.kind, &b.data_type.kind))
        }
        _ => false,
    }
}
