//! The relational plan: what a query computes, independent of how.

pub(crate) mod aggregate;
mod changelog;
mod empty;
mod explain;
mod growth;
mod interval;
mod keys;
mod prune;
mod rewrite;
mod upsert;

pub(crate) use aggregate::{AggregateCall, AggregateFunction};
pub(crate) use changelog::changelog_mode;
pub(crate) use explain::{explain, explain_sink};
pub(crate) use growth::growing_state;
pub(crate) use interval::interval_bounds;
pub(crate) use keys::with_key_columns;
pub(crate) use rewrite::optimize;
pub(crate) use upsert::upsert_keys;

use crate::catalog::TableDef;
use crate::expr::Typed;
use crate::row::{SortOrder, Value};
use crate::types::SqlType;
use std::sync::Arc;

/// Whether a column tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TimeAttribute {
    /// Event time: the table's watermark speaks of it.
    Rowtime,
    /// The time at which the row is processed.
    Proctime,
}

/// Whether a column is a bound of the window that its row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowBound {
    Start,
    End,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: SqlType,
    pub(crate) time: Option<TimeAttribute>,
    pub(crate) window: Option<WindowBound>,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, data_type: SqlType) -> Self {
        Column { name: name.into(), data_type, time: None, window: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

impl JoinKind {
    /// Whether rows have the columns of the right side.
    pub(crate) fn has_right(self) -> bool {
        !matches!(self, JoinKind::Semi | JoinKind::Anti)
    }

    pub(crate) fn pads_left(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }

    pub(crate) fn pads_right(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }
}

/// How rows are assigned to windows, lengths in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowKind {
    Tumble { size: i64, offset: i64 },
    Hop { slide: i64, size: i64, offset: i64 },
    Cumulate { step: i64, size: i64, offset: i64 },
    Session { gap: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OverCall {
    pub(crate) function: OverFunction,
    /// Columns of the input.
    pub(crate) args: Vec<usize>,
    pub(crate) filter: Option<usize>,
    pub(crate) result: SqlType,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum OverFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    /// Rows back (LAG) or, negative, ahead (LEAD); the default is the second argument.
    Shift(i64),
    Aggregate(AggregateFunction, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FrameBound {
    Unbounded,
    /// Rows, or milliseconds of a RANGE.
    Offset(i64),
    Current,
}

/// The rows that an OVER aggregate looks at: from so far before the row to so far behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    pub(crate) rows: bool,
    pub(crate) preceding: FrameBound,
    pub(crate) following: FrameBound,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OverGroup {
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<SortOrder>,
    pub(crate) frame: Frame,
    pub(crate) calls: Vec<OverCall>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RankFunction {
    RowNumber,
    Rank,
    DenseRank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SetOperation {
    Intersect,
    Except,
}

/// A relation: an operation and the columns that it has.
#[derive(Debug, Clone)]
pub(crate) struct Rel {
    pub(crate) op: Box<Op>,
    pub(crate) columns: Vec<Column>,
    /// How long state that is kept of its rows lives, milliseconds, if a hint says so.
    pub(crate) state_ttl_ms: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// A table's rows with computed columns and watermark: all columns of the table; those not `needed` are NULL.
    Scan {
        table: Arc<TableDef>,
        computed: Vec<Option<Typed>>,
        watermark: Option<(usize, Typed)>,
        needed: Vec<bool>,
    },
    Values {
        rows: Vec<Vec<Value>>,
    },
    Project {
        input: Rel,
        exprs: Vec<Typed>,
    },
    Filter {
        input: Rel,
        predicate: Typed,
    },
    /// The condition is over the columns of both sides.
    Join {
        left: Rel,
        right: Rel,
        kind: JoinKind,
        condition: Option<Typed>,
    },
    /// Rows of the left side with the versions of the right side's rows at their time; `times` are both rowtime columns.
    TemporalJoin {
        left: Rel,
        right: Rel,
        kind: JoinKind,
        condition: Typed,
        times: (usize, usize),
    },
    /// Keys, then calls. `window` are the places among the keys of the window's start and end.
    Aggregate {
        input: Rel,
        keys: Vec<usize>,
        calls: Vec<AggregateCall>,
        window: Option<(usize, usize)>,
    },
    /// All columns and window_start, window_end, window_time. `time` is the column that decides.
    Window {
        input: Rel,
        kind: WindowKind,
        time: usize,
        partition: Vec<usize>,
    },
    /// All columns and the calls of all groups.
    Over {
        input: Rel,
        groups: Vec<OverGroup>,
    },
    /// The rows of each partition whose rank is within the range; with the rank as a last column if `number`.
    Rank {
        input: Rel,
        function: RankFunction,
        partition: Vec<usize>,
        order: Vec<SortOrder>,
        start: u64,
        end: u64,
        number: bool,
        window: Option<(usize, usize)>,
    },
    Sort {
        input: Rel,
        order: Vec<SortOrder>,
    },
    Limit {
        input: Rel,
        order: Vec<SortOrder>,
        offset: u64,
        fetch: Option<u64>,
    },
    Set {
        left: Rel,
        right: Rel,
        op: SetOperation,
        all: bool,
    },
    /// UNION ALL
    Union {
        inputs: Vec<Rel>,
    },
    /// A row for each element of an array, map or multiset, behind the columns of the input.
    Unnest {
        input: Rel,
        expr: Typed,
        outer: bool,
        ordinality: bool,
    },
    /// Each row once per projection.
    Expand {
        input: Rel,
        projections: Vec<Vec<Typed>>,
    },
}

impl Rel {
    pub(crate) fn new(op: Op, columns: Vec<Column>) -> Self {
        Rel { op: Box::new(op), columns, state_ttl_ms: None }
    }

    pub(crate) fn types(&self) -> Vec<SqlType> {
        self.columns.iter().map(|column| column.data_type.clone()).collect()
    }

    /// Column `column` as an expression.
    pub(crate) fn typed(&self, column: usize) -> Typed {
        Typed::column(column, &self.columns[column].data_type)
    }

    /// All columns as expressions.
    pub(crate) fn all_typed(&self) -> Vec<Typed> {
        (0..self.columns.len()).map(|column| self.typed(column)).collect()
    }

    /// The values of `exprs`, named `names`; time attributes and window bounds stay what they are if passed on.
    pub(crate) fn project(self, exprs: Vec<Typed>, names: Vec<String>) -> Rel {
        let columns = exprs.iter().zip(names).map(|(expr, name)| {
            let passed = expr.as_column().map(|column| &self.columns[column]);
            Column {
                name,
                data_type: expr.data_type.clone(),
                time: passed.and_then(|column| column.time),
                window: passed.and_then(|column| column.window),
            }
        });
        let columns = columns.collect();
        Rel::new(Op::Project { input: self, exprs }, columns)
    }

    pub(crate) fn filter(self, predicate: Typed) -> Rel {
        if predicate.as_literal() == Some(&Value::Bool(true)) {
            return self;
        }
        let columns = self.columns.clone();
        Rel::new(Op::Filter { input: self, predicate }, columns)
    }

    /// The first `count` columns.
    pub(crate) fn keep(self, count: usize) -> Rel {
        if count == self.columns.len() {
            return self;
        }
        let names = self.columns[..count].iter().map(|column| column.name.clone()).collect();
        let exprs = (0..count).map(|column| self.typed(column)).collect();
        self.project(exprs, names)
    }

    /// The columns, and `more` behind them.
    pub(crate) fn append(self, more: Vec<Typed>) -> Rel {
        let mut names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        names.extend((0..more.len()).map(|number| format!("$e{number}")));
        let mut exprs = self.all_typed();
        exprs.extend(more);
        self.project(exprs, names)
    }

    /// `self` joined with `right`.
    pub(crate) fn join(self, right: Rel, kind: JoinKind, condition: Option<Typed>) -> Rel {
        let columns = join_columns(&self.columns, &right.columns, kind);
        Rel::new(Op::Join { left: self, right, kind, condition }, columns)
    }

    /// As [`Rel::state_ttl_ms`], if it is said of this relation or of the table of which these are the rows.
    pub(crate) fn hinted_ttl_ms(&self) -> Option<i64> {
        self.state_ttl_ms.or_else(|| match &*self.op {
            Op::Scan { table, .. } => table.state_ttl_ms,
            Op::Project { input, .. } | Op::Filter { input, .. } | Op::Window { input, .. } => {
                input.hinted_ttl_ms()
            }
            _ => None,
        })
    }

    /// The same, with what a hint said of `ttl_ms`, if there is none yet.
    pub(crate) fn with_ttl(mut self, ttl_ms: Option<i64>) -> Rel {
        self.state_ttl_ms = self.state_ttl_ms.or(ttl_ms);
        self
    }

    /// Whether rows are assigned to sessions somewhere.
    pub(crate) fn has_sessions(&self) -> bool {
        matches!(&*self.op, Op::Window { kind: WindowKind::Session { .. }, .. })
            || self.inputs().into_iter().any(Rel::has_sessions)
    }

    pub(crate) fn inputs(&self) -> Vec<&Rel> {
        match &*self.op {
            Op::Scan { .. } | Op::Values { .. } => Vec::new(),
            Op::Project { input, .. }
            | Op::Filter { input, .. }
            | Op::Aggregate { input, .. }
            | Op::Window { input, .. }
            | Op::Over { input, .. }
            | Op::Rank { input, .. }
            | Op::Sort { input, .. }
            | Op::Limit { input, .. }
            | Op::Unnest { input, .. }
            | Op::Expand { input, .. } => vec![input],
            Op::Join { left, right, .. }
            | Op::TemporalJoin { left, right, .. }
            | Op::Set { left, right, .. } => {
                vec![left, right]
            }
            Op::Union { inputs } => inputs.iter().collect(),
        }
    }

    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut Rel> {
        match &mut *self.op {
            Op::Scan { .. } | Op::Values { .. } => Vec::new(),
            Op::Project { input, .. }
            | Op::Filter { input, .. }
            | Op::Aggregate { input, .. }
            | Op::Window { input, .. }
            | Op::Over { input, .. }
            | Op::Rank { input, .. }
            | Op::Sort { input, .. }
            | Op::Limit { input, .. }
            | Op::Unnest { input, .. }
            | Op::Expand { input, .. } => vec![input],
            Op::Join { left, right, .. }
            | Op::TemporalJoin { left, right, .. }
            | Op::Set { left, right, .. } => {
                vec![left, right]
            }
            Op::Union { inputs } => inputs.iter_mut().collect(),
        }
    }
}

/// The columns of a join; those of a side that may be missing may be NULL.
pub(crate) fn join_columns(left: &[Column], right: &[Column], kind: JoinKind) -> Vec<Column> {
    let padded = |columns: &[Column], pads: bool| -> Vec<Column> {
        let column = |column: &Column| {
            let mut column = column.clone();
            column.data_type.nullable |= pads;
            column
        };
        columns.iter().map(column).collect()
    };
    let mut columns = padded(left, kind.pads_left());
    if kind.has_right() {
        columns.extend(padded(right, kind.pads_right()));
    }
    columns
}

/// Whether a join is by both bounds of the windows that its sides are in: then it is computed window by window.
pub(crate) fn is_window_join(rel: &Rel) -> bool {
    window_join_keys(rel).is_some()
}

/// The columns of both sides that are bounds of windows and are equal: `((left start, left end), (right start, right end))`.
pub(crate) fn window_join_keys(rel: &Rel) -> Option<((usize, usize), (usize, usize))> {
    let Op::Join { left, right, condition, .. } = &*rel.op else { return None };
    let (pairs, _) = join_keys(condition.as_ref(), left.columns.len());
    let find = |bound: WindowBound| {
        pairs
            .iter()
            .copied()
            .find(|(a, b)| left.columns[*a].window == Some(bound) && right.columns[*b].window == Some(bound))
    };
    let (start, end) = (find(WindowBound::Start)?, find(WindowBound::End)?);
    Some(((start.0, end.0), (start.1, end.1)))
}

/// The pairs of columns (left, right) that a join condition equates, and what else it says (over both sides).
pub(crate) fn join_keys(condition: Option<&Typed>, width: usize) -> (Vec<(usize, usize)>, Vec<Typed>) {
    use crate::expr::{Comparison, Node};
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for conjunct in condition.cloned().into_iter().flat_map(Typed::conjuncts) {
        if let Node::Compare(Comparison::Equal, a, b) = &*conjunct.node
            && let (Some(a), Some(b)) = (a.as_column(), b.as_column())
            && (a < width) != (b < width)
        {
            pairs.push(if a < width { (a, b - width) } else { (b, a - width) });
            continue;
        }
        rest.push(conjunct);
    }
    (pairs, rest)
}

/// Whether all OVER calls follow the rows' time, so that no row that was given changes.
pub(crate) fn is_time_ordered(rel: &Rel) -> bool {
    let Op::Over { input, groups } = &*rel.op else { return false };
    groups.iter().all(|group| match group.order.as_slice() {
        [first] => !first.descending && input.columns[first.column].time.is_some(),
        _ => false,
    })
}
