//! The operator behind aggregates that roll along: one state per key, one output per input.
//!
//! In batch mode only the last output of each key leaves, at the end of the input, with the greatest of its records'
//! timestamps.

use super::core::KeyOf;
use super::fetching::hashes_of;
use crate::function::Collector;
use eddyline_core::{Batch, Data, EventTime, Key, Result};
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{KeyedTable, ManagedState};
use std::marker::PhantomData;
use std::ops::Range;

/// How a state follows the records of a key.
pub(crate) trait Rolling<K, T>: 'static {
    /// What is kept per key.
    type State: Data;
    /// What leaves after each record.
    type Output: Data;

    /// The state after the first record of a key.
    fn first(&self, input: T) -> Self::State;
    /// Takes in a further record.
    fn next(&self, state: &mut Self::State, input: T);
    /// What leaves after a record.
    fn output(&self, key: &K, state: &Self::State) -> Self::Output;
}

/// What is left to be emitted at the end of the input.
type Finals<K, S> = Box<dyn Iterator<Item = (K, S)>>;

/// The name of the state.
const STATE: &str = "rolling";

/// One instance.
pub(crate) struct RollingOperator<K, T, R: Rolling<K, T>> {
    rolling: R,
    key_of: KeyOf<T, K>,
    table: Option<KeyedTable<K, R::State>>,
    /// The greatest timestamp of each key's records; only in batch mode, where there are no checkpoints.
    times: Option<KeyedTable<K, EventTime>>,
    finals: Option<Finals<K, R::State>>,
    out: Collector<R::Output>,
    _input: PhantomData<fn(T)>,
}

impl<K, T, R: Rolling<K, T>> RollingOperator<K, T, R> {
    pub(crate) fn new(rolling: R, key_of: KeyOf<T, K>) -> Self {
        RollingOperator {
            rolling,
            key_of,
            table: None,
            times: None,
            finals: None,
            out: Collector::at(0),
            _input: PhantomData,
        }
    }
}

impl<K: Key, T: Data, R: Rolling<K, T>> Stateful for RollingOperator<K, T, R> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.table.as_mut().map_or(Ok(()), |table| visit(table))
    }
}

impl<K: Key, T: Data, R: Rolling<K, T>> Operator for RollingOperator<K, T, R> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        if !context.is_batch() {
            self.table = Some(context.states().keyed_table(STATE)?);
        } else {
            self.table = Some(KeyedTable::new(STATE, info.key_groups, info.max_parallelism));
            self.times = Some(KeyedTable::new("times", info.key_groups, info.max_parallelism));
        }
        Ok(())
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, rows, |value: &T| (self.key_of)(value))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let table = self.table.as_mut().expect("invariant: an operator is opened before it is used");
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            at_row(row as u64);
            let key = (self.key_of)(&record.value);
            let hash = key.stable_hash();
            let mut input = Some(record.value);
            let state = table.entry_or_insert_with(hash, &key, || {
                self.rolling.first(input.take().expect("invariant: a state is made once"))
            });
            if let Some(input) = input {
                self.rolling.next(state, input);
            }
            if let Some(times) = &mut self.times {
                let time = times.entry_or_insert_with(hash, &key, || record.timestamp);
                *time = record.timestamp.max(*time);
                continue;
            }
            self.out.collect_with_time(self.rolling.output(&key, state), record.timestamp);
            self.out.flush_full(0, batch.created_micros, context)?;
        }
        self.out.flush(0, batch.created_micros, context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let Some(times) = &self.times else { return Ok(Progress::Done) };
        let table = self.table.as_mut().expect("invariant: an operator is opened before it is used");
        let finals = self.finals.get_or_insert_with(|| Box::new(table.drain()));
        while context.has_room() {
            let Some((key, state)) = finals.next() else {
                self.out.flush(0, 0, context)?;
                return Ok(Progress::Done);
            };
            let time = times.get(key.stable_hash(), &key).copied().unwrap_or(EventTime::MIN);
            self.out.collect_with_time(self.rolling.output(&key, &state), time);
            self.out.flush_full(0, 0, context)?;
        }
        self.out.flush(0, 0, context)?;
        Ok(Progress::More)
    }
}
