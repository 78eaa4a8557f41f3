//! Handing each part of an access to whoever counts it, without copying any of it.

use crate::event::LogEvent;
use eddyline::{Data, Operator, OperatorContext, Result};
use eddyline_connectors::sink::DeadLetter;
use eddyline_core::{Batch, Record};
use eddyline_runtime::Stateful;

/// What became of a line.
#[derive(Debug, Clone, Data)]
pub(super) enum Parsed {
    /// It was an access.
    Access(LogEvent),
    /// It was not.
    Dead(DeadLetter),
}

/// An access as its session sees it.
#[derive(Debug, Clone, Data)]
pub(super) struct Visit {
    pub(super) host: String,
    pub(super) bytes: u64,
}

/// The number of outputs; output 0 has status and bytes.
pub(super) const OUTPUTS: usize = 4;
/// Visits.
pub(super) const VISITS: usize = 1;
/// Paths.
pub(super) const PATHS: usize = 2;
/// Dead letters.
pub(super) const DEAD_LETTERS: usize = 3;

/// Takes accesses apart.
pub(super) struct Dispatch;

impl Stateful for Dispatch {}

impl Operator for Dispatch {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created = batch.created_micros;
        let rows = batch.take_rows::<Parsed>()?;
        let mut sizes = Vec::with_capacity(rows.len());
        let mut visits = Vec::with_capacity(rows.len());
        let mut paths = Vec::with_capacity(rows.len());
        let mut dead = Vec::new();
        for Record { value, timestamp } in rows {
            match value {
                Parsed::Access(LogEvent { host, path, status, bytes, .. }) => {
                    sizes.push(Record::new((status, bytes), timestamp));
                    visits.push(Record::new(Visit { host, bytes }, timestamp));
                    paths.push(Record::new(path, timestamp));
                }
                Parsed::Dead(letter) => dead.push(Record::new(letter, timestamp)),
            }
        }
        context.emit_rows(0, sizes, created)?;
        context.emit_rows(VISITS, visits, created)?;
        context.emit_rows(PATHS, paths, created)?;
        context.emit_rows(DEAD_LETTERS, dead, created)
    }
}
