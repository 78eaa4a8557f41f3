//! The operator that runs a [`KeyedProcessFunction`].

use super::core::{KeyOf, KeyedCore, ProcessingTimersAtEnd};
use super::fetching::hashes_of;
use super::key_run::KeyRun;
use crate::function::{KeyedProcessFunction, TimeDomain};
use crate::side_output::SidePorts;
use eddyline_core::{Batch, Data, EventTime, Key, Result};
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use std::ops::Range;

/// One instance.
pub(crate) struct KeyedProcessOperator<K, T, U, F> {
    core: KeyedCore<K, U>,
    key_of: KeyOf<T, K>,
    keys: KeyRun<K>,
    function: F,
}

impl<K, T, U, F> KeyedProcessOperator<K, T, U, F>
where
    K: Key,
    T: Data,
    U: Data,
    F: KeyedProcessFunction<K, T, U>,
{
    pub(crate) fn new(
        function: F,
        key_of: KeyOf<T, K>,
        ports: SidePorts,
        at_end: ProcessingTimersAtEnd,
    ) -> Self {
        KeyedProcessOperator { core: KeyedCore::new(ports, at_end), key_of, keys: KeyRun::new(), function }
    }
}

impl<K: Key, T: Data, U: Data, F: KeyedProcessFunction<K, T, U>> Stateful
    for KeyedProcessOperator<K, T, U, F>
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.core.visit(visit)
    }
}

impl<K: Key, T: Data, U: Data, F: KeyedProcessFunction<K, T, U>> Operator
    for KeyedProcessOperator<K, T, U, F>
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.open(context, |open| self.function.open(open))
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.finish(0, context)
    }

    fn key_hashes(&mut self, _input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        hashes_of(batch, rows, |value: &T| (self.key_of)(value))
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let mut rows = batch.take_rows::<T>()?.into_iter();
        let mut row = 0;
        while !rows.as_slice().is_empty() {
            self.keys.read(&self.key_of, rows.as_slice(), row);
            self.core.states.states.warm(self.keys.hashes());
            // The keys come first: when there are no more, no record may have been taken.
            for ((hash, key), record) in self.keys.drain().zip(rows.by_ref()) {
                at_row(row);
                row += 1;
                self.core.call((hash, &key), record.timestamp, context, |keyed, out| {
                    self.function.process_element(record.value, keyed, out)
                })?;
                self.core.flush_full(batch.created_micros, context)?;
            }
        }
        self.core.finish(batch.created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let function = &mut self.function;
        self.core.on_watermark(watermark, context, |time, domain, keyed, out| {
            function.on_timer(time, domain, keyed, out)
        })
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let function = &mut self.function;
        self.core.fire(TimeDomain::ProcessingTime, now_ms, context, |time, domain, keyed, out| {
            function.on_timer(time, domain, keyed, out)
        })
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let function = &mut self.function;
        self.core.on_end(context, |time, domain, keyed, out| function.on_timer(time, domain, keyed, out))
    }

    fn accepts_input(&self) -> bool {
        self.core.accepts_input()
    }

    fn close(&mut self) {
        self.function.close();
    }
}
