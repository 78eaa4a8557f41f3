//! Joins in the graph: by equality of all that ever came, by window, by interval, by version.

use super::translate::{Stream, Translator};
use crate::expr::{Node, Typed};
use crate::operators::interval_join::{Interval, IntervalJoin};
use crate::operators::join::{JoinSpec, StreamJoin, WindowJoin};
use crate::operators::temporal_join::TemporalJoin;
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::{
    JoinKind, Op, RankFunction, Rel, TimeAttribute, interval_bounds, join_keys, window_join_keys,
};
use crate::row::Value;
use crate::types::TypeKind;
use eddyline_runtime::graph::NodeSpec;

impl Translator {
    pub(super) fn join(&mut self, rel: &Rel) -> SqlResult<Stream> {
        let Op::Join { left, right, kind, condition } = &*rel.op else {
            return Err(SqlError::new("a join was expected"));
        };
        let window = window_join_keys(rel);
        let (pairs, residual) = join_keys(condition.as_ref(), left.columns.len());
        let (left_stream, right_stream) = (self.stream(left)?, self.stream(right)?);
        let updating = [left_stream.updating, right_stream.updating];
        let appends = updating == [false, false];
        let interval = interval_bounds(rel).filter(|_| window.is_none() && appends && !self.settings.batch);
        let output_updating = window.is_none()
            && interval.is_none()
            && !self.settings.batch
            && (!appends || !matches!(kind, JoinKind::Inner | JoinKind::Semi));
        let keys =
            [pairs.iter().map(|(a, _)| *a).collect::<Vec<_>>(), pairs.iter().map(|(_, b)| *b).collect()];
        let spec = JoinSpec {
            kind: *kind,
            keys: keys.clone(),
            types: [left.types(), right.types()],
            updating,
            residual: (!residual.is_empty()).then(|| crate::expr::Typed::and(residual)),
            output_updating,
            output: rel.types(),
            ttl_ms: [self.ttl_ms_of(left), self.ttl_ms_of(right)],
            settings: if window.is_some() { self.window_settings(rel) } else { self.settings.clone() },
        };
        let [left_keys, right_keys] = keys;
        let inputs = vec![(left_stream, Self::keyed(left_keys)), (right_stream, Self::keyed(right_keys))];
        if let Some(bounds) = interval {
            let interval = Interval { lower: bounds.lower, upper: bounds.upper };
            let times = [bounds.left, bounds.right];
            let make = move || IntervalJoin::new(spec.clone(), interval, times);
            let node = NodeSpec::named("IntervalJoin").generating_watermarks();
            return Ok(self.operator(node, rel, inputs, false, make));
        }
        match window {
            Some(((_, left_end), (_, right_end))) => {
                let make = move || WindowJoin::new(spec.clone(), [left_end, right_end]);
                Ok(self.operator(NodeSpec::named("WindowJoin"), rel, inputs, false, make))
            }
            None => {
                let make = move || StreamJoin::new(spec.clone());
                Ok(self.operator(NodeSpec::named("Join"), rel, inputs, output_updating, make))
            }
        }
    }

    pub(super) fn temporal_join(&mut self, rel: &Rel) -> SqlResult<Stream> {
        let Op::TemporalJoin { left, right, kind, condition, times } = &*rel.op else {
            return Err(SqlError::new("a temporal join was expected"));
        };
        let Some(versions) = versions_of(right) else {
            return Err(SqlError::new("a temporal join needs a primary key of the table of versions").hint(
                "define a PRIMARY KEY, or a view of the last row by ROW_NUMBER() OVER (PARTITION BY … ORDER BY rowtime DESC)",
            ));
        };
        let (pairs, residual) = join_keys(Some(condition), left.columns.len());
        let keys: [Vec<usize>; 2] =
            [pairs.iter().map(|(a, _)| *a).collect(), pairs.iter().map(|(_, b)| *b).collect()];
        let is_given = |key: &usize| keys[1].iter().any(|column| versions.origin(*column) == Some(*key));
        if !versions.keys.iter().all(is_given) {
            return Err(SqlError::new(
                "the ON of a temporal join must equate all columns of the primary key of the table of versions",
            ));
        }
        let (left_stream, right_stream) = (self.stream(left)?, self.stream(&versions.rel)?);
        let updating = [left_stream.updating, right_stream.updating];
        let spec = JoinSpec {
            kind: *kind,
            keys: keys.clone(),
            types: [left.types(), right.types()],
            updating,
            residual: (!residual.is_empty()).then(|| Typed::and(residual)),
            output_updating: updating[0],
            output: rel.types(),
            ttl_ms: [0, 0],
            settings: self.settings.clone(),
        };
        let [left_keys, right_keys] = keys;
        let inputs = vec![(left_stream, Self::keyed(left_keys)), (right_stream, Self::keyed(right_keys))];
        let (times, newer_only) = ([times.0, times.1], versions.newer_only);
        let make = move || TemporalJoin::new(spec.clone(), times, newer_only);
        Ok(self.operator(NodeSpec::named("TemporalJoin"), rel, inputs, updating[0], make))
    }
}

/// A relation of versions: rows that replace each other by key as time goes on.
struct Versions {
    rel: Rel,
    keys: Vec<usize>,
    /// Whether a row that is older than one before it is no version.
    newer_only: bool,
}

impl Versions {
    /// The column that `column` is, or is a cast of.
    fn origin(&self, column: usize) -> Option<usize> {
        let Op::Project { exprs, .. } = &*self.rel.op else { return Some(column) };
        if self.keys.contains(&column) {
            return Some(column);
        }
        let Node::Cast { expr, .. } = &*exprs[column].node else { return Some(column) };
        let from = expr.as_column()?;
        exprs.iter().position(|expr| expr.as_column() == Some(from))
    }
}

/// The versions that `rel` has, if it has a key. The last row of each key by time is a relation of versions, too.
fn versions_of(rel: &Rel) -> Option<Versions> {
    match &*rel.op {
        Op::Scan { table, .. } if !table.primary_key.is_empty() => {
            let keys = table.primary_key.iter().map(|name| table.column(name));
            Some(Versions { rel: rel.clone(), keys: keys.collect::<Option<_>>()?, newer_only: false })
        }
        Op::Filter { input, predicate } => {
            let below = versions_of(input)?;
            let op = Op::Filter { input: below.rel, predicate: predicate.clone() };
            Some(Versions { rel: Rel::new(op, rel.columns.clone()), ..below })
        }
        Op::Project { input, exprs } => {
            let below = versions_of(input)?;
            let place = |key: &usize| exprs.iter().position(|expr| expr.as_column() == Some(*key));
            let keys = below.keys.iter().map(place).collect::<Option<_>>()?;
            let op = Op::Project { input: below.rel, exprs: exprs.clone() };
            Some(Versions { rel: Rel::new(op, rel.columns.clone()), keys, newer_only: below.newer_only })
        }
        Op::Rank {
            input,
            function: RankFunction::RowNumber,
            partition,
            order,
            start: 1,
            end: 1,
            number,
            window: None,
        } => {
            let [first] = order.as_slice() else { return None };
            let is_time = input.columns[first.column].time == Some(TimeAttribute::Rowtime);
            if !first.descending || !is_time {
                return None;
            }
            let mut versions = input.clone();
            if *number {
                versions = versions.append(vec![Typed::literal(Value::Int(1), TypeKind::BigInt.not_null())]);
                versions.columns.clone_from(&rel.columns);
            }
            Some(Versions { rel: versions, keys: partition.clone(), newer_only: true })
        }
        _ => None,
    }
}
