//! The operators that run functions on a stream and a broadcast stream. Input 0 is the stream, input 1 the broadcast
//! one.

use super::core::{KeyOf, KeyedCore, ProcessingTimersAtEnd};
use super::fetching::hashes_of;
use crate::function::{
    BroadcastContext, BroadcastOpenContext, BroadcastProcessFunction, BroadcastReadContext, BroadcastReader,
    Collector, KeyedBroadcastProcessFunction, ProcessContext, RuntimeContext, TimeDomain,
};
use crate::side_output::{SideOutputs, SidePorts};
use crate::state::States;
use eddyline_core::{Batch, Data, EventTime, Key, Result};
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use std::marker::PhantomData;
use std::ops::Range;

/// The broadcast input.
const BROADCAST: usize = 1;
/// Shows broadcast state to functions on keyed streams.
const READER: BroadcastReader = BroadcastReader { _private: () };

fn process_context<'a>(
    runtime: &'a Option<RuntimeContext>,
    context: &OperatorContext<'_>,
    timestamp: EventTime,
    side: &'a mut SideOutputs,
) -> ProcessContext<'a> {
    let runtime = runtime.as_ref().expect("invariant: an operator is opened before it is used");
    ProcessContext { runtime, watermark: context.watermark(), timestamp, side }
}

/// One instance without keys.
pub(crate) struct BroadcastOperator<T, B, U, F> {
    function: F,
    states: States,
    runtime: Option<RuntimeContext>,
    ports: SidePorts,
    side: SideOutputs,
    out: Collector<U>,
    _types: PhantomData<fn(T, B)>,
}

impl<T, B, U, F> BroadcastOperator<T, B, U, F> {
    pub(crate) fn new(function: F, ports: SidePorts) -> Self {
        BroadcastOperator {
            function,
            states: States::default(),
            runtime: None,
            ports,
            side: SideOutputs::none(),
            out: Collector::at(0),
            _types: PhantomData,
        }
    }
}

impl<T: Data, B: Data, U: Data, F: BroadcastProcessFunction<T, B, U>> Stateful
    for BroadcastOperator<T, B, U, F>
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.states.visit(visit)
    }
}

impl<T: Data, B: Data, U: Data, F: BroadcastProcessFunction<T, B, U>> Operator
    for BroadcastOperator<T, B, U, F>
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.side = self.ports.outputs();
        let runtime = self.runtime.insert(RuntimeContext::new(context, self.states.clone()));
        self.function.open(&mut BroadcastOpenContext { runtime, states: &self.states, keyed: None })?;
        self.states.seal();
        Ok(())
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created_micros = batch.created_micros;
        if input == BROADCAST {
            for (row, record) in batch.take_rows::<B>()?.into_iter().enumerate() {
                at_row(row as u64);
                self.out.set_timestamp(record.timestamp);
                let process = process_context(&self.runtime, context, record.timestamp, &mut self.side);
                self.function.process_broadcast_element(
                    record.value,
                    &mut BroadcastContext { process },
                    &mut self.out,
                )?;
                self.out.flush_full(0, created_micros, context)?;
            }
        } else {
            for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
                at_row(row as u64);
                self.out.set_timestamp(record.timestamp);
                let process = process_context(&self.runtime, context, record.timestamp, &mut self.side);
                let mut read = BroadcastReadContext { process };
                self.function.process_element(record.value, &mut read, &mut self.out)?;
                self.out.flush_full(0, created_micros, context)?;
            }
        }
        self.side.flush(created_micros, context)?;
        self.out.flush(0, created_micros, context)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

/// One instance with keys on the side that is not broadcast.
pub(crate) struct KeyedBroadcastOperator<K, T, B, U, F> {
    core: KeyedCore<K, U>,
    key_of: KeyOf<T, K>,
    function: F,
    _broadcast: PhantomData<fn(B)>,
}

impl<K: Key, T: Data, B, U: Data, F> KeyedBroadcastOperator<K, T, B, U, F> {
    pub(crate) fn new(function: F, key_of: KeyOf<T, K>, ports: SidePorts) -> Self {
        let core = KeyedCore::new(ports, ProcessingTimersAtEnd::Drop);
        KeyedBroadcastOperator { core, key_of, function, _broadcast: PhantomData }
    }
}

impl<K, T, B, U, F> Stateful for KeyedBroadcastOperator<K, T, B, U, F>
where
    K: Key,
    T: Data,
    B: Data,
    U: Data,
    F: KeyedBroadcastProcessFunction<K, T, B, U>,
{
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.core.visit(visit)
    }
}

impl<K, T, B, U, F> Operator for KeyedBroadcastOperator<K, T, B, U, F>
where
    K: Key,
    T: Data,
    B: Data,
    U: Data,
    F: KeyedBroadcastProcessFunction<K, T, B, U>,
{
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let function = &mut self.function;
        self.core.open(context, |open| {
            let states = open.states.states.clone();
            let keyed = Some(&mut *open.states);
            function.open(&mut BroadcastOpenContext { runtime: open.runtime, states: &states, keyed })
        })
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.finish(0, context)
    }

    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        match input {
            BROADCAST => Ok(Vec::new()),
            _ => hashes_of(batch, rows, |value: &T| (self.key_of)(value)),
        }
    }

    fn on_batch(&mut self, input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created_micros = batch.created_micros;
        if input == BROADCAST {
            for (row, record) in batch.take_rows::<B>()?.into_iter().enumerate() {
                at_row(row as u64);
                self.core.out.set_timestamp(record.timestamp);
                let process =
                    process_context(&self.core.runtime, context, record.timestamp, &mut self.core.side);
                let out = &mut self.core.out;
                self.function.process_broadcast_element(
                    record.value,
                    &mut BroadcastContext { process },
                    out,
                )?;
                self.core.flush_full(created_micros, context)?;
            }
        } else {
            for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
                at_row(row as u64);
                let key = (self.key_of)(&record.value);
                self.core.call((key.stable_hash(), &key), record.timestamp, context, |keyed, out| {
                    self.function.process_element(record.value, keyed, &READER, out)
                })?;
                self.core.flush_full(created_micros, context)?;
            }
        }
        self.core.finish(created_micros, context)
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let function = &mut self.function;
        self.core.on_watermark(watermark, context, |time, domain, keyed, out| {
            function.on_timer(time, domain, keyed, &READER, out)
        })
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let function = &mut self.function;
        self.core.fire(TimeDomain::ProcessingTime, now_ms, context, |time, domain, keyed, out| {
            function.on_timer(time, domain, keyed, &READER, out)
        })
    }

    fn accepts_input(&self) -> bool {
        self.core.accepts_input()
    }

    fn close(&mut self) {
        self.function.close();
    }
}
