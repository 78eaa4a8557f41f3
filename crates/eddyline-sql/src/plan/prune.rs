//! Columns that nobody reads are not read, not computed, and not carried along.
//!
//! Each relation is rebuilt from what the ones above it use. Operators that keep rows, or send them to other workers, get
//! exactly the columns that are used; between them columns may be left over that a filter used.

use super::{Column, Op, Rel, WindowKind};
use crate::expr::Typed;
use std::collections::BTreeSet;

type Columns = BTreeSet<usize>;

/// `rel` without what is not needed for its columns, which all stay.
pub(super) fn prune(rel: Rel) -> Rel {
    let all: Columns = (0..rel.columns.len()).collect();
    narrow(rel, &all).rel
}

/// A relation with some of its columns.
struct Narrowed {
    rel: Rel,
    /// For each column its number before; ascending.
    kept: Vec<usize>,
}

impl Narrowed {
    fn whole(rel: Rel) -> Self {
        let kept = (0..rel.columns.len()).collect();
        Narrowed { rel, kept }
    }

    /// Where column `before` is now.
    fn place(&self, before: usize) -> usize {
        self.kept.binary_search(&before).expect("invariant: columns that are used are kept")
    }

    fn places(&self, before: &[usize]) -> Vec<usize> {
        before.iter().map(|column| self.place(*column)).collect()
    }

    fn expr(&self, expr: Typed) -> Typed {
        expr.with_columns(&|column| self.place(column))
    }

    /// Without columns that are not `needed`; one stays if none is, so that rows can be counted.
    fn exact(self, needed: &Columns) -> Self {
        let is_kept = |column: &usize| needed.contains(column);
        let mut kept: Vec<usize> = self.kept.iter().copied().filter(is_kept).collect();
        if kept.is_empty() {
            kept.extend(self.kept.first());
        }
        if kept == self.kept {
            return self;
        }
        let places = self.places(&kept);
        let names = places.iter().map(|place| self.rel.columns[*place].name.clone()).collect();
        let exprs = places.iter().map(|place| self.rel.typed(*place)).collect();
        Narrowed { rel: self.rel.project(exprs, names), kept }
    }

    /// The columns of `rel`, which has those of `self` first, then `added` more from `width` on.
    fn with_added(&self, width: usize, added: usize) -> Vec<usize> {
        self.kept.iter().copied().chain(width..width + added).collect()
    }
}

/// The columns among `needed` that an input of `width` columns has.
fn below(needed: &Columns, width: usize) -> Columns {
    needed.range(..width).copied().collect()
}

/// Those from `width` on, counted from there.
fn behind(needed: &Columns, width: usize) -> Columns {
    needed.range(width..).map(|column| column - width).collect()
}

/// The operation over its inputs with the columns `kept` of `columns`.
fn rebuilt(op: Op, columns: &[Column], kept: Vec<usize>) -> Narrowed {
    let columns = kept.iter().map(|column| columns[*column].clone()).collect();
    Narrowed { rel: Rel::new(op, columns), kept }
}

/// At least one column of `width`.
fn at_least_one(needed: &Columns, width: usize) -> Columns {
    if needed.is_empty() && width > 0 { Columns::from([0]) } else { needed.clone() }
}

fn narrow(rel: Rel, needed: &Columns) -> Narrowed {
    let Rel { op, columns, state_ttl_ms } = rel;
    let Narrowed { rel, kept } = narrow_op(*op, columns, needed);
    Narrowed { rel: rel.with_ttl(state_ttl_ms), kept }
}

fn narrow_op(op: Op, columns: Vec<Column>, needed: &Columns) -> Narrowed {
    match op {
        Op::Values { rows } => Narrowed::whole(Rel::new(Op::Values { rows }, columns)).exact(needed),
        Op::Scan { table, computed, watermark, .. } => {
            let mut wanted = needed.clone();
            // By them the changes of a row are told from those of others.
            wanted.extend(table.primary_key.iter().filter_map(|name| table.column(name)));
            if let Some((column, expr)) = &watermark {
                wanted.insert(*column);
                wanted.extend(expr.columns());
            }
            let marks = (0..computed.len()).map(|column| wanted.contains(&column)).collect();
            Narrowed::whole(Rel::new(Op::Scan { table, computed, watermark, needed: marks }, columns))
                .exact(needed)
        }
        Op::Project { input, exprs } => {
            let kept: Vec<usize> = at_least_one(needed, exprs.len()).into_iter().collect();
            let exprs: Vec<Typed> = kept.iter().map(|number| exprs[*number].clone()).collect();
            let input = narrow(input, &exprs.iter().flat_map(Typed::columns).collect());
            let exprs = exprs.into_iter().map(|expr| input.expr(expr)).collect();
            rebuilt(Op::Project { input: input.rel, exprs }, &columns, kept)
        }
        Op::Filter { input, predicate } => {
            let mut wanted = needed.clone();
            wanted.extend(predicate.columns());
            let input = narrow(input, &wanted);
            let (predicate, kept) = (input.expr(predicate), input.kept);
            rebuilt(Op::Filter { input: input.rel, predicate }, &columns, kept)
        }
        Op::Aggregate { input, keys, mut calls, window } => {
            let mut wanted: Columns = keys.iter().copied().collect();
            for call in &calls {
                wanted.extend(call.args.iter().copied());
                wanted.extend(call.filter);
                wanted.extend(call.order.iter().map(|order| order.column));
            }
            let input = narrow(input, &wanted).exact(&wanted);
            for call in &mut calls {
                call.args = input.places(&call.args);
                call.filter = call.filter.map(|column| input.place(column));
                call.order.iter_mut().for_each(|order| order.column = input.place(order.column));
            }
            let keys = input.places(&keys);
            Narrowed::whole(Rel::new(Op::Aggregate { input: input.rel, keys, calls, window }, columns))
        }
        Op::Window { input, kind, time, partition } => {
            let width = input.columns.len();
            let mut wanted = below(needed, width);
            wanted.insert(time);
            wanted.extend(partition.iter().copied());
            let mut input = narrow(input, &wanted);
            if matches!(kind, WindowKind::Session { .. }) {
                input = input.exact(&wanted);
            }
            let (time, partition) = (input.place(time), input.places(&partition));
            let kept = input.with_added(width, columns.len() - width);
            rebuilt(Op::Window { input: input.rel, kind, time, partition }, &columns, kept)
        }
        Op::Unnest { input, expr, outer, ordinality } => {
            let width = input.columns.len();
            let mut wanted = below(needed, width);
            wanted.extend(expr.columns());
            let input = narrow(input, &wanted);
            let (expr, kept) = (input.expr(expr), input.with_added(width, columns.len() - width));
            rebuilt(Op::Unnest { input: input.rel, expr, outer, ordinality }, &columns, kept)
        }
        Op::Expand { input, projections } => {
            let kept: Vec<usize> = at_least_one(needed, columns.len()).into_iter().collect();
            let pick = |exprs: Vec<Typed>| kept.iter().map(|number| exprs[*number].clone()).collect();
            let projections: Vec<Vec<Typed>> = projections.into_iter().map(pick).collect();
            let input = narrow(input, &projections.iter().flatten().flat_map(Typed::columns).collect());
            let over = |exprs: Vec<Typed>| exprs.into_iter().map(|expr| input.expr(expr)).collect();
            let projections = projections.into_iter().map(over).collect();
            rebuilt(Op::Expand { input: input.rel, projections }, &columns, kept)
        }
        op @ (Op::Over { .. } | Op::Rank { .. } | Op::Sort { .. } | Op::Limit { .. }) => {
            ordered(op, &columns, needed)
        }
        op @ (Op::Join { .. } | Op::TemporalJoin { .. } | Op::Set { .. } | Op::Union { .. }) => {
            joined(op, columns, needed)
        }
    }
}

/// Operations that keep the rows of one input in an order.
fn ordered(op: Op, columns: &[Column], needed: &Columns) -> Narrowed {
    match op {
        Op::Over { input, mut groups } => {
            let width = input.columns.len();
            let mut wanted = below(needed, width);
            for group in &groups {
                wanted.extend(group.partition.iter().copied());
                wanted.extend(group.order.iter().map(|order| order.column));
                wanted
                    .extend(group.calls.iter().flat_map(|call| call.args.iter().copied().chain(call.filter)));
            }
            let input = narrow(input, &wanted).exact(&wanted);
            for group in &mut groups {
                group.partition = input.places(&group.partition);
                group.order.iter_mut().for_each(|order| order.column = input.place(order.column));
                for call in &mut group.calls {
                    call.args = input.places(&call.args);
                    call.filter = call.filter.map(|column| input.place(column));
                }
            }
            let kept = input.with_added(width, columns.len() - width);
            rebuilt(Op::Over { input: input.rel, groups }, columns, kept)
        }
        Op::Rank { input, function, partition, mut order, start, end, number, window } => {
            let width = input.columns.len();
            let mut wanted = below(needed, width);
            wanted.extend(partition.iter().copied());
            wanted.extend(order.iter().map(|order| order.column));
            let input = narrow(input, &wanted).exact(&wanted);
            let partition = input.places(&partition);
            order.iter_mut().for_each(|order| order.column = input.place(order.column));
            let kept = input.with_added(width, columns.len() - width);
            let op = Op::Rank { input: input.rel, function, partition, order, start, end, number, window };
            rebuilt(op, columns, kept)
        }
        Op::Sort { input, mut order } => {
            let mut wanted = needed.clone();
            wanted.extend(order.iter().map(|order| order.column));
            let input = narrow(input, &wanted).exact(&wanted);
            order.iter_mut().for_each(|order| order.column = input.place(order.column));
            rebuilt(Op::Sort { input: input.rel, order }, columns, input.kept)
        }
        Op::Limit { input, mut order, offset, fetch } => {
            let mut wanted = at_least_one(needed, columns.len());
            wanted.extend(order.iter().map(|order| order.column));
            let input = narrow(input, &wanted).exact(&wanted);
            order.iter_mut().for_each(|order| order.column = input.place(order.column));
            rebuilt(Op::Limit { input: input.rel, order, offset, fetch }, columns, input.kept)
        }
        op => Narrowed::whole(Rel::new(op, columns.to_vec())),
    }
}

/// Operations of several inputs.
fn joined(op: Op, columns: Vec<Column>, needed: &Columns) -> Narrowed {
    match op {
        Op::Join { left, right, kind, condition } => {
            let width = left.columns.len();
            let mut wanted = if kind.has_right() { needed.clone() } else { below(needed, width) };
            wanted.extend(condition.iter().flat_map(Typed::columns));
            let sides = Sides::new(left, right, &wanted);
            let condition = condition.map(|condition| sides.expr(condition));
            let kept = if kind.has_right() { sides.kept() } else { sides.left.kept.clone() };
            let op = Op::Join { left: sides.left.rel, right: sides.right.rel, kind, condition };
            rebuilt(op, &columns, kept)
        }
        Op::TemporalJoin { left, right, kind, condition, times } => {
            let width = left.columns.len();
            let mut wanted = needed.clone();
            wanted.extend(condition.columns());
            wanted.extend([times.0, width + times.1]);
            let sides = Sides::new(left, right, &wanted);
            let condition = sides.expr(condition);
            let times = (sides.left.place(times.0), sides.right.place(times.1));
            let kept = sides.kept();
            let op =
                Op::TemporalJoin { left: sides.left.rel, right: sides.right.rel, kind, condition, times };
            rebuilt(op, &columns, kept)
        }
        Op::Set { left, right, op, all } => {
            let (left, right) = (prune(left), prune(right));
            Narrowed::whole(Rel::new(Op::Set { left, right, op, all }, columns))
        }
        Op::Union { inputs } => {
            let needed = at_least_one(needed, columns.len());
            let narrowed = |input: Rel| narrow(input, &needed).exact(&needed).rel;
            let inputs = inputs.into_iter().map(narrowed).collect();
            rebuilt(Op::Union { inputs }, &columns, needed.into_iter().collect())
        }
        op => Narrowed::whole(Rel::new(op, columns)),
    }
}

/// Both inputs of a join.
struct Sides {
    left: Narrowed,
    right: Narrowed,
    /// The number of columns that the left side had.
    width: usize,
}

impl Sides {
    fn new(left: Rel, right: Rel, wanted: &Columns) -> Self {
        let width = left.columns.len();
        let (of_left, of_right) = (below(wanted, width), behind(wanted, width));
        let (left, right) =
            (narrow(left, &of_left).exact(&of_left), narrow(right, &of_right).exact(&of_right));
        Sides { left, right, width }
    }

    /// A condition over both sides.
    fn expr(&self, condition: Typed) -> Typed {
        let now = self.left.kept.len();
        condition.with_columns(&|column| match column.checked_sub(self.width) {
            None => self.left.place(column),
            Some(column) => now + self.right.place(column),
        })
    }

    fn kept(&self) -> Vec<usize> {
        let right = self.right.kept.iter().map(|column| column + self.width);
        self.left.kept.iter().copied().chain(right).collect()
    }
}
