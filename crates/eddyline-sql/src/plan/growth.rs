//! Which operations of a plan keep state that grows for ever.

use super::explain::describe;
use super::{FrameBound, Op, Rel, interval_bounds, is_time_ordered, is_window_join};
use crate::catalog::TableDef;

/// What is said of operations whose state grows without bound: their input never ends, no window ends it, and it has no
/// time to live. `ttl_ms` is what is set for all state.
pub(crate) fn growing_state(rel: &Rel, ttl_ms: i64, is_bounded: &dyn Fn(&TableDef) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    find(rel, ttl_ms, is_bounded, &mut found);
    found
}

fn find(rel: &Rel, ttl_ms: i64, is_bounded: &dyn Fn(&TableDef) -> bool, found: &mut Vec<String>) {
    for input in rel.inputs() {
        find(input, ttl_ms, is_bounded, found);
    }
    let grows = |input: &Rel, ttl_ms: i64| ttl_ms == 0 && is_endless(input, is_bounded);
    let hinted = |input: &Rel| input.hinted_ttl_ms().unwrap_or(ttl_ms);
    let does = match &*rel.op {
        Op::Aggregate { input, keys, window: None, calls } => {
            let keeps_values = calls.iter().any(|call| call.distinct);
            (!keys.is_empty() || keeps_values) && grows(input, hinted(input))
        }
        Op::Join { left, right, .. } if !is_window_join(rel) && interval_bounds(rel).is_none() => {
            grows(left, hinted(left)) || grows(right, hinted(right))
        }
        Op::Rank { input, partition, end, window: None, .. } => {
            (!partition.is_empty() || *end == u64::MAX) && grows(input, ttl_ms)
        }
        Op::Over { input, groups } => {
            let keeps_partitions = groups
                .iter()
                .any(|group| !group.partition.is_empty() && group.frame.preceding == FrameBound::Unbounded);
            (keeps_partitions || !is_time_ordered(rel)) && grows(input, ttl_ms)
        }
        Op::Set { left, right, .. } => grows(left, ttl_ms) || grows(right, ttl_ms),
        _ => false,
    };
    if does {
        found.push(format!(
            "the state of {} grows without bound: set 'table.exec.state.ttl', or aggregate and join by windows",
            describe(rel, false)
        ));
    }
}

fn is_endless(rel: &Rel, is_bounded: &dyn Fn(&TableDef) -> bool) -> bool {
    match &*rel.op {
        Op::Scan { table, .. } => !is_bounded(table),
        _ => rel.inputs().into_iter().any(|input| is_endless(input, is_bounded)),
    }
}
