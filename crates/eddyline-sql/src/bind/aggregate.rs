//! GROUP BY: keys, grouping sets, aggregate calls, and what may be said of them afterwards.

use super::expr::ExprBinder;
use crate::expr::{Arithmetic, Node, Typed};
use crate::parser::ast::{Expr, ExprKind, GroupItem, Literal};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{AggregateCall, AggregateFunction, Column, Op, Rel, WindowBound};
use crate::row::{SortOrder, Value};
use crate::types::{SqlType, TypeKind};

/// An aggregate call whose arguments are still expressions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AggregateSpec {
    pub(super) function: AggregateFunction,
    pub(super) args: Vec<Typed>,
    pub(super) distinct: bool,
    pub(super) filter: Option<Typed>,
    pub(super) order: Vec<(Typed, bool, bool)>,
    pub(super) ignore_nulls: bool,
    pub(super) result: SqlType,
}

/// The name of the column that says of which grouping set a row is.
const GROUPING_COLUMN: usize = usize::MAX;

/// The keys of a GROUP BY.
#[derive(Debug, Clone, Default)]
pub(super) struct Grouping {
    pub(super) keys: Vec<Typed>,
    /// The keys of each grouping set, by number; one set of all if there is no other.
    pub(super) sets: Vec<Vec<usize>>,
    pub(super) grouped: bool,
}

impl Grouping {
    fn key(&mut self, typed: Typed) -> usize {
        self.keys.iter().position(|known| *known == typed).unwrap_or_else(|| {
            self.keys.push(typed);
            self.keys.len() - 1
        })
    }

    pub(super) fn is_simple(&self) -> bool {
        self.sets.len() == 1
    }
}

impl ExprBinder<'_, '_> {
    pub(super) fn found_grouped(&self) -> bool {
        self.found.place_grouped
    }

    /// GROUP BY's items; a number means the item of SELECT, a name perhaps one of its aliases.
    pub(super) fn grouping(
        &mut self,
        items: &[GroupItem],
        selected: &[(Expr, Option<String>)],
    ) -> SqlResult<Grouping> {
        let mut grouping = Grouping { grouped: !items.is_empty(), ..Grouping::default() };
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        for item in items {
            let choices: Vec<Vec<usize>> = match item {
                GroupItem::Expr(expr) => {
                    let keys = match &*expr.kind {
                        ExprKind::Row(items) => items.clone(),
                        _ => vec![expr.clone()],
                    };
                    vec![self.keys_of(&keys, selected, &mut grouping)?]
                }
                GroupItem::Sets(sets) => self.all_keys(sets, selected, &mut grouping)?,
                GroupItem::Rollup(parts) => {
                    let parts = self.all_keys(parts, selected, &mut grouping)?;
                    (0..=parts.len()).rev().map(|count| parts[..count].concat()).collect()
                }
                GroupItem::Cube(parts) => {
                    let parts = self.all_keys(parts, selected, &mut grouping)?;
                    if parts.len() > 10 {
                        return Err(SqlError::new("a CUBE has at most 10 columns"));
                    }
                    let count = parts.len();
                    let subset = |bits: usize| -> Vec<usize> {
                        (0..count)
                            .filter(|place| bits >> (count - 1 - place) & 1 == 1)
                            .flat_map(|place| parts[place].clone())
                            .collect()
                    };
                    (0..1usize << count).rev().map(subset).collect()
                }
            };
            sets = sets
                .iter()
                .flat_map(|set| choices.iter().map(move |choice| [set.clone(), choice.clone()].concat()))
                .collect();
        }
        for set in &mut sets {
            set.sort_unstable();
            set.dedup();
        }
        grouping.sets = sets;
        Ok(grouping)
    }

    fn all_keys(
        &mut self,
        sets: &[Vec<Expr>],
        selected: &[(Expr, Option<String>)],
        grouping: &mut Grouping,
    ) -> SqlResult<Vec<Vec<usize>>> {
        sets.iter().map(|set| self.keys_of(set, selected, grouping)).collect()
    }

    fn keys_of(
        &mut self,
        exprs: &[Expr],
        selected: &[(Expr, Option<String>)],
        grouping: &mut Grouping,
    ) -> SqlResult<Vec<usize>> {
        let mut keys = Vec::new();
        for expr in exprs {
            let chosen = match &*expr.kind {
                ExprKind::Literal(Literal::Number(digits)) => match digits.parse::<usize>() {
                    Ok(place) if (1..=selected.len()).contains(&place) => Some(&selected[place - 1].0),
                    _ => return Err(SqlError::at(expr.span, format!("SELECT has no item number {digits}"))),
                },
                ExprKind::Name(parts) if parts.len() == 1 && self.scope.resolve(parts).is_err() => {
                    let named =
                        selected.iter().find(|(_, alias)| alias.as_deref() == Some(parts[0].name.as_str()));
                    named.map(|(expr, _)| expr)
                }
                _ => None,
            };
            let typed = self.bind(chosen.unwrap_or(expr))?;
            keys.push(grouping.key(typed));
        }
        Ok(keys)
    }

    /// `GROUPING(a, b)`: a bit per argument, set where the row's grouping set lacks it. The bits are looked up among
    /// the keys once those are known; until then the call is a row of its arguments behind a marker.
    pub(super) fn grouping_bits(&self, args: Vec<Typed>, span: Span) -> SqlResult<Typed> {
        if args.len() > 31 {
            return Err(SqlError::at(span, "GROUPING takes at most 31 arguments"));
        }
        let marker = Typed::new(Node::Aggregate(GROUPING_COLUMN), TypeKind::BigInt.not_null());
        let mut parts = vec![marker];
        parts.extend(args);
        Ok(Typed::new(Node::Row(parts), TypeKind::BigInt.not_null()))
    }
}

/// What a query with aggregates is made of.
pub(super) struct Aggregated {
    pub(super) rel: Rel,
    grouping: Grouping,
    /// Place of the column with the grouping set's bits, if there are several.
    bits: Option<usize>,
    first_call: usize,
}

/// Aggregates `input` by `grouping`.
pub(super) fn aggregate(input: Rel, grouping: Grouping, specs: &[AggregateSpec]) -> SqlResult<Aggregated> {
    let mut exprs: Vec<Typed> = grouping.keys.clone();
    let mut place = |typed: &Typed| -> usize {
        exprs.iter().position(|known| known == typed).unwrap_or_else(|| {
            exprs.push(typed.clone());
            exprs.len() - 1
        })
    };
    let mut calls: Vec<AggregateCall> = specs
        .iter()
        .map(|spec| AggregateCall {
            function: spec.function,
            args: spec.args.iter().map(&mut place).collect(),
            distinct: spec.distinct,
            filter: spec.filter.as_ref().map(&mut place),
            order: spec
                .order
                .iter()
                .map(|(typed, descending, nulls_first)| SortOrder {
                    column: place(typed),
                    descending: *descending,
                    nulls_first: *nulls_first,
                })
                .collect(),
            ignore_nulls: spec.ignore_nulls,
            result: spec.result.clone(),
        })
        .collect();
    let key_count = grouping.keys.len();
    let names: Vec<String> = exprs
        .iter()
        .enumerate()
        .map(|(number, expr)| match expr.as_column() {
            Some(column) => input.columns[column].name.clone(),
            None => format!("$f{number}"),
        })
        .collect();
    let mut rel = input.project(exprs, names);
    let mut keys: Vec<usize> = (0..key_count).collect();
    let bits = if grouping.is_simple() {
        keys = grouping.sets.first().cloned().unwrap_or_default();
        // All keys are in the one set, in order.
        None
    } else {
        rel = expand(rel, &grouping, &mut calls);
        keys.push(rel.columns.len() - 1);
        Some(key_count)
    };
    let window = window_of(&rel, &keys);
    let columns = keys.iter().map(|key| rel.columns[*key].clone()).map(|mut column| {
        if window.is_none() {
            column.window = None;
        }
        // A time attribute that is grouped by without a window is a plain timestamp afterwards.
        if window.is_none() || column.time == Some(crate::plan::TimeAttribute::Proctime) {
            column.time = None;
        }
        column
    });
    let mut columns: Vec<Column> = columns.collect();
    let first_call = columns.len();
    columns.extend(
        calls
            .iter()
            .enumerate()
            .map(|(number, call)| Column::new(format!("$a{number}"), call.result.clone())),
    );
    let rel = Rel::new(Op::Aggregate { input: rel, keys, calls, window }, columns);
    Ok(Aggregated { rel, grouping, bits, first_call })
}

/// The places among `keys` of a window's start and end, if both are there.
pub(crate) fn window_of(rel: &Rel, keys: &[usize]) -> Option<(usize, usize)> {
    let find = |bound| keys.iter().position(|key| rel.columns[*key].window == Some(bound));
    Some((find(WindowBound::Start)?, find(WindowBound::End)?))
}

/// Each row once per grouping set, with NULL for the keys that the set lacks; columns that calls read are kept apart.
fn expand(rel: Rel, grouping: &Grouping, calls: &mut [AggregateCall]) -> Rel {
    let key_count = grouping.keys.len();
    // Arguments that are keys, too, are read from copies.
    let width = rel.columns.len();
    let mut copies: Vec<usize> = Vec::new();
    for call in calls.iter_mut() {
        let order = call.order.iter_mut().map(|order| &mut order.column);
        for column in call.args.iter_mut().chain(call.filter.iter_mut()).chain(order) {
            if *column < key_count {
                let place = copies.iter().position(|copy| copy == column).unwrap_or_else(|| {
                    copies.push(*column);
                    copies.len() - 1
                });
                *column = width + place;
            }
        }
    }
    let mut columns: Vec<Column> = rel.columns.clone();
    for key in &mut columns[..key_count] {
        key.data_type.nullable = true;
    }
    columns.extend(copies.iter().map(|copy| rel.columns[*copy].clone()));
    columns.push(Column::new("$grouping", TypeKind::BigInt.not_null()));
    let projections = grouping.sets.iter().map(|set| {
        let mut bits = 0i64;
        let mut exprs: Vec<Typed> = (0..width)
            .map(|column| {
                if column < key_count && !set.contains(&column) {
                    bits |= 1 << (key_count - 1 - column);
                    Typed::literal(Value::Null, rel.columns[column].data_type.as_nullable())
                } else {
                    rel.typed(column)
                }
            })
            .collect();
        exprs.extend(copies.iter().map(|copy| rel.typed(*copy)));
        exprs.push(Typed::literal(Value::Int(bits), TypeKind::BigInt.not_null()));
        exprs
    });
    let projections = projections.collect();
    // Bounds of windows stay what they are where every set has them.
    for (number, column) in columns.iter_mut().enumerate().take(key_count) {
        if !grouping.sets.iter().all(|set| set.contains(&number)) {
            column.window = None;
            column.time = None;
        }
    }
    Rel::new(Op::Expand { input: rel, projections }, columns)
}

impl Aggregated {
    /// `typed`, which speaks of the aggregate's input, over its result.
    pub(super) fn rewrite(&self, typed: &mut Typed, span: Span) -> SqlResult<()> {
        let mut wrong: Option<usize> = None;
        typed.rewrite(&mut |part| {
            if let Node::Row(parts) = &*part.node
                && matches!(parts.first().map(|first| &*first.node), Some(Node::Aggregate(GROUPING_COLUMN)))
            {
                return Some(self.bits_of(&parts[1..]));
            }
            if let Some(key) = self.grouping.keys.iter().position(|key| key == part) {
                return Some(self.rel.typed(key));
            }
            match *part.node {
                Node::Aggregate(number) => Some(self.rel.typed(self.first_call + number)),
                Node::Column(column) => {
                    wrong.get_or_insert(column);
                    Some(part.clone())
                }
                _ => None,
            }
        });
        match wrong {
            None => Ok(()),
            Some(_) => Err(SqlError::at(span, "a column is neither grouped by nor aggregated")
                .hint("add it to GROUP BY, or put it into an aggregate function such as MAX")),
        }
    }

    /// The bits of the keys `parts`, taken from those of the grouping set.
    fn bits_of(&self, parts: &[Typed]) -> Typed {
        let int = |value: i64| Typed::literal(Value::Int(value), TypeKind::BigInt.not_null());
        let Some(bits) = self.bits else { return int(0) };
        let total = self.grouping.keys.len();
        let mut sum = int(0);
        for (place, part) in parts.iter().enumerate() {
            let Some(key) = self.grouping.keys.iter().position(|key| key == part) else { continue };
            let binary = |op, a, b| Typed::new(Node::Arithmetic(op, a, b), TypeKind::BigInt.not_null());
            let shifted = binary(Arithmetic::Divide, self.rel.typed(bits), int(1 << (total - 1 - key)));
            let bit = binary(Arithmetic::Modulo, shifted, int(2));
            let weighted = binary(Arithmetic::Multiply, bit, int(1 << (parts.len() - 1 - place)));
            sum = binary(Arithmetic::Add, sum, weighted);
        }
        sum
    }

    /// The place among the result's columns of column `column` of the aggregate's input, if it is a key.
    pub(super) fn key_of(&self, column: usize) -> Option<usize> {
        self.grouping.keys.iter().position(|key| key.as_column() == Some(column))
    }
}
