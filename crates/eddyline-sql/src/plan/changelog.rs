//! Which relations only ever gain rows, and which change rows that they gave.

use super::{JoinKind, Op, Rel};
use crate::catalog::TableDef;

/// What happens to the rows of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangelogMode {
    /// Rows are inserted only.
    Append,
    /// Rows are taken back and replaced, too.
    Retract,
}

impl ChangelogMode {
    pub(crate) fn is_updating(self) -> bool {
        self == ChangelogMode::Retract
    }

    /// As EXPLAIN shows it.
    pub(crate) fn symbols(self) -> &'static str {
        match self {
            ChangelogMode::Append => "[I]",
            ChangelogMode::Retract => "[I,UB,UA,D]",
        }
    }
}

/// The mode of `rel`; `is_changelog` tells of a table whether its rows are changes. Bounded queries give final results.
pub(crate) fn changelog_mode(
    rel: &Rel,
    batch: bool,
    is_changelog: &dyn Fn(&TableDef) -> bool,
) -> ChangelogMode {
    let inputs =
        || rel.inputs().into_iter().any(|input| changelog_mode(input, batch, is_changelog).is_updating());
    let updating = match &*rel.op {
        Op::Scan { table, .. } => is_changelog(table),
        Op::Values { .. } => false,
        Op::Aggregate { window, .. } => window.is_none() && !batch,
        Op::Rank { window, .. } => window.is_none() && !batch,
        Op::Over { .. } => !batch && (inputs() || !super::is_time_ordered(rel)),
        Op::Join { kind, .. } => {
            !batch
                && (inputs()
                    || (*kind != JoinKind::Inner
                        && *kind != JoinKind::Semi
                        && !super::is_window_join(rel)
                        && super::interval_bounds(rel).is_none()))
        }
        Op::Limit { order, .. } => !batch && (!order.is_empty() || inputs()),
        Op::Set { .. } => !batch,
        Op::Sort { .. } => !batch && inputs(),
        Op::Project { .. }
        | Op::Filter { .. }
        | Op::Window { .. }
        | Op::Union { .. }
        | Op::Unnest { .. }
        | Op::Expand { .. } => inputs(),
    };
    if updating { ChangelogMode::Retract } else { ChangelogMode::Append }
}
