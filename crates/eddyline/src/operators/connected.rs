//! The operators that run functions on two streams. Input 0 is the first stream, input 1 the second.

use super::core::{KeyOf, KeyedCore, ProcessingTimersAtEnd};
use super::fetching::hashes_of;
use super::process_function::ProcessCore;
use crate::function::{CoProcessFunction, KeyedCoProcessFunction, TimeDomain};
use crate::side_output::SidePorts;
use eddyline_core::{Batch, Data, EventTime, Key, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use std::marker::PhantomData;
use std::ops::Range;

/// The input of the first stream.
const FIRST: usize = 0;

/// One instance without keys.
pub(crate) struct CoProcessOperator<A, B, U, F> {
    core: ProcessCore<U>,
    function: F,
    _inputs: PhantomData<fn(A, B)>,
}

impl<A, B, U: Data, F> CoProcessOperator<A, B, U, F> {
    pub(crate) fn new(function: F, ports: SidePorts) -> Self {
        CoProcessOperator { core: ProcessCore::new(ports), function, _inputs: PhantomData }
    }
}

impl<A: Data, B: Data, U: Data, F: CoProcessFunction<A, B, U>> Stateful for CoProcessOperator<A, B, U, F> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.core.states.visit(visit)
    }
}

impl<A: Data, B: Data, U: Data, F: CoProcessFunction<A, B, U>> Operator for CoProcessOperator<A, B, U, F> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.open(context, |open| self.function.open(open))
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        self.function.restored()
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created_micros = batch.created_micros;
        if input == FIRST {
            for (row, record) in batch.take_rows::<A>()?.into_iter().enumerate() {
                at_row(row as u64);
                self.core.call(record.timestamp, created_micros, context, |given, out| {
                    self.function.process_element1(record.value, given, out)
                })?;
            }
        } else {
            for (row, record) in batch.take_rows::<B>()?.into_iter().enumerate() {
                at_row(row as u64);
                self.core.call(record.timestamp, created_micros, context, |given, out| {
                    self.function.process_element2(record.value, given, out)
                })?;
            }
        }
        self.core.flush(created_micros, context)
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.function.snapshot()
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.core.finish(context, |out| self.function.finish(out))
    }

    fn close(&mut self) {
        self.function.close();
    }
}

/// One instance with keys.
pub(crate) struct KeyedCoProcessOperator<K, A, B, U, F> {
    core: KeyedCore<K, U>,
    keys: (KeyOf<A, K>, KeyOf<B, K>),
    function: F,
}

impl<K: Key, A, B, U: Data, F> KeyedCoProcessOperator<K, A, B, U, F> {
    pub(crate) fn new(
        function: F,
        keys: (KeyOf<A, K>, KeyOf<B, K>),
        ports: SidePorts,
        at_end: ProcessingTimersAtEnd,
    ) -> Self {
        KeyedCoProcessOperator { core: KeyedCore::new(ports, at_end), keys, function }
    }
}

impl<K, A, B, U, F> Stateful for KeyedCoProcessOperator<K, A, B, U, F>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    F: KeyedCoProcessFunction<K, A, B, U>,
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.core.visit(visit)
    }
}

impl<K, A, B, U, F> Operator for KeyedCoProcessOperator<K, A, B, U, F>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    F: KeyedCoProcessFunction<K, A, B, U>,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.open(context, |open| self.function.open(open))
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.finish(0, context)
    }

    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        match input {
            FIRST => hashes_of(batch, rows, |value: &A| (self.keys.0)(value)),
            _ => hashes_of(batch, rows, |value: &B| (self.keys.1)(value)),
        }
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created_micros = batch.created_micros;
        if input == FIRST {
            for (row, record) in batch.take_rows::<A>()?.into_iter().enumerate() {
                at_row(row as u64);
                let key = (self.keys.0)(&record.value);
                self.core.call((key.stable_hash(), &key), record.timestamp, context, |keyed, out| {
                    self.function.process_element1(record.value, keyed, out)
                })?;
                self.core.flush_full(created_micros, context)?;
            }
        } else {
            for (row, record) in batch.take_rows::<B>()?.into_iter().enumerate() {
                at_row(row as u64);
                let key = (self.keys.1)(&record.value);
                self.core.call((key.stable_hash(), &key), record.timestamp, context, |keyed, out| {
                    self.function.process_element2(record.value, keyed, out)
                })?;
                self.core.flush_full(created_micros, context)?;
            }
        }
        self.core.finish(created_micros, context)
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
