//! State that may lie in a store: tables, the keys by which batches use them, and timers whose keys are fetched first.

use super::Settings;
use super::batches::{Incoming, hash_of};
use crate::row::{RowBytes, encode_row, views, views_of};
use eddyline_core::{Batch, Data, Result};
use eddyline_runtime::{Due, DueTimers, OperatorContext};
use eddyline_state::ttl::LivingTable;
use eddyline_state::{KeyedTable, ManagedState, Timer, TimerTable};
use std::ops::Range;

/// An empty table for the keys of the instance. Final results are given by reading all of it at the end: then it is
/// always in memory.
pub(crate) fn keyed_table<V: Data>(
    name: &str,
    settings: &Settings,
    context: &OperatorContext<'_>,
) -> Result<KeyedTable<RowBytes, V>> {
    if settings.batch {
        let info = context.info();
        return Ok(KeyedTable::new(name, info.key_groups, info.max_parallelism));
    }
    context.states().keyed_table(name)
}

/// As [`keyed_table`], with values that live as long as the settings say.
pub(crate) fn living_table<V: Data>(
    name: &str,
    settings: &Settings,
    context: &OperatorContext<'_>,
) -> Result<LivingTable<RowBytes, V>> {
    if settings.batch || settings.ttl_ms == 0 {
        return keyed_table(name, settings, context).map(LivingTable::forever);
    }
    Ok(LivingTable::aging(context.states().aging_table(name)?, settings.ttl_ms))
}

/// What an operator has before it is opened.
pub(crate) fn unopened<V: Data>(name: &str) -> LivingTable<RowBytes, V> {
    LivingTable::forever(KeyedTable::new(name, eddyline_core::KeyGroupRange { start: 0, end: 1 }, 1))
}

/// The hashes of the keys that rows of a batch have in `columns`. NULL is a key like any other.
pub(crate) fn hashes_of(
    batch: &Batch,
    updating: bool,
    columns: &[usize],
    rows: Range<usize>,
) -> Result<Vec<u64>> {
    let input = Incoming::new(batch, updating)?;
    let views = views(&input.rows, columns);
    let mut key = RowBytes::new();
    Ok(rows
        .map(|row| {
            key.clear();
            encode_row(&views, row, &mut key);
            hash_of(&key)
        })
        .collect())
}

/// As [`hashes_of`], of whole rows.
pub(crate) fn hashes_of_rows(batch: &Batch, updating: bool, rows: Range<usize>) -> Result<Vec<u64>> {
    let input = Incoming::new(batch, updating)?;
    let views = views_of(input.rows.columns());
    Ok(rows.map(|row| hash_of(&crate::row::row_bytes(&views, row))).collect())
}

/// What [`Firing::next`] answers.
pub(crate) enum Next {
    /// A timer that is due; what its key has is in memory.
    Timer(Timer<RowBytes>),
    /// None is due.
    None,
    /// What the next one needs is on its way.
    Waiting,
}

/// Timers that fire, maybe over several calls; no input is taken meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Firing {
    due: DueTimers,
    is_waiting: bool,
}

impl Firing {
    /// Takes the next timer that is due at `until`.
    pub(crate) fn next<const N: usize>(
        &mut self,
        timers: &mut TimerTable<RowBytes>,
        until: i64,
        mut states: [&mut dyn ManagedState; N],
        context: &OperatorContext<'_>,
    ) -> Result<Next> {
        if self.due.next(timers, until, &mut states)? == Due::Waiting {
            self.is_waiting = true;
            return Ok(Next::Waiting);
        }
        if let Some(timer) = timers.pop_due(until) {
            return Ok(Next::Timer(timer));
        }
        if std::mem::take(&mut self.is_waiting) {
            // Input was refused meanwhile.
            context.waker().wake_by_ref();
        }
        Ok(Next::None)
    }

    pub(crate) fn accepts_input(&self) -> bool {
        !self.is_waiting
    }
}
