//! Identities of operators: what they compute, and where in the plan.
//!
//! The identity is a hash of the operation without generated names, of the types of its columns, and of the identities
//! of its inputs; equal ones are numbered in order.

use crate::expr::Typed;
use crate::plan::{Op, Rel};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Hands out identities.
#[derive(Default)]
pub(crate) struct Uids {
    used: BTreeMap<String, usize>,
}

impl Uids {
    /// The identity of an operator called `name` that computes what `described` says over `inputs`.
    pub(crate) fn next(&mut self, name: &str, described: &str, inputs: &[&str]) -> String {
        let text = format!("{name}|{described}|{}", inputs.join(","));
        let base = format!(
            "sql-{}-{:016x}",
            name.to_lowercase().replace(' ', "-"),
            eddyline_core::stable_hash(text.as_bytes())
        );
        let count = self.used.entry(base.clone()).or_default();
        *count += 1;
        if *count == 1 { base } else { format!("{base}-{count}") }
    }
}

/// Whether equal operations over equal rows give equal rows.
pub(crate) fn is_deterministic(rel: &Rel) -> bool {
    let exprs: Vec<&Typed> = match &*rel.op {
        Op::Scan { computed, watermark, .. } => {
            computed.iter().flatten().chain(watermark.iter().map(|(_, expr)| expr)).collect()
        }
        Op::Project { exprs, .. } => exprs.iter().collect(),
        Op::Filter { predicate, .. } => vec![predicate],
        Op::Join { condition, .. } => condition.iter().collect(),
        Op::TemporalJoin { condition, .. } => vec![condition],
        Op::Unnest { expr, .. } => vec![expr],
        Op::Expand { projections, .. } => projections.iter().flatten().collect(),
        _ => Vec::new(),
    };
    exprs.into_iter().all(Typed::is_deterministic)
}

/// What decides about the operator of `rel`, besides its inputs: as [`describe`], and what columns mean.
pub(crate) fn fingerprint(rel: &Rel) -> String {
    let mut text = describe(rel);
    for columns in std::iter::once(rel).chain(rel.inputs()).map(|rel| &rel.columns) {
        for column in columns {
            let _ = write!(text, "{:?}{:?};", column.time, column.window);
        }
    }
    text
}

/// What an operation computes, without the names of columns.
pub(crate) fn describe(rel: &Rel) -> String {
    let mut text = String::new();
    let mut add = |part: &dyn std::fmt::Debug| {
        let _ = write!(text, "{part:?};");
    };
    match &*rel.op {
        Op::Scan { table, .. } => add(&table.path),
        Op::Values { rows } => add(rows),
        Op::Project { exprs, .. } => add(exprs),
        Op::Filter { predicate, .. } => add(predicate),
        Op::Join { kind, condition, .. } => add(&(kind, condition)),
        Op::TemporalJoin { kind, condition, times, .. } => add(&("temporal", kind, condition, times)),
        Op::Aggregate { keys, calls, window, .. } => add(&(keys, calls, window)),
        Op::Window { kind, time, partition, .. } => add(&(kind, time, partition)),
        Op::Over { groups, .. } => add(groups),
        Op::Rank { function, partition, order, start, end, number, .. } => {
            add(&(function, partition, order, start, end, number));
        }
        Op::Sort { order, .. } => add(order),
        Op::Limit { order, offset, fetch, .. } => add(&(order, offset, fetch)),
        Op::Set { op, all, .. } => add(&(op, all)),
        Op::Union { .. } => {}
        Op::Unnest { expr, outer, ordinality, .. } => add(&(expr, outer, ordinality)),
        Op::Expand { projections, .. } => add(projections),
    }
    for column in &rel.columns {
        let _ = write!(text, "{};", column.data_type.kind);
    }
    text
}
