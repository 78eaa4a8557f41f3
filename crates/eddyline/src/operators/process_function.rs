//! The operator that runs a [`ProcessFunction`].

use crate::function::{Collector, ProcessContext, ProcessFunction, RuntimeContext};
use crate::side_output::{SideOutputs, SidePorts};
use crate::state::States;
use eddyline_core::{Batch, Data, EventTime, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::panics::at_row;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::ManagedState;
use std::marker::PhantomData;

/// The parts of an operator on streams without keys that do not depend on its function.
pub(crate) struct ProcessCore<U> {
    pub(crate) states: States,
    runtime: Option<RuntimeContext>,
    ports: SidePorts,
    pub(crate) side: SideOutputs,
    pub(crate) out: Collector<U>,
}

impl<U: Data> ProcessCore<U> {
    pub(crate) fn new(ports: SidePorts) -> Self {
        ProcessCore {
            states: States::default(),
            runtime: None,
            ports,
            side: SideOutputs::none(),
            out: Collector::at(0),
        }
    }

    /// Prepares the outputs and lets the function declare its states.
    pub(crate) fn open(
        &mut self,
        context: &OperatorContext<'_>,
        declare: impl FnOnce(&mut RuntimeContext) -> Result<()>,
    ) -> Result<()> {
        self.side = self.ports.outputs();
        declare(self.runtime.insert(RuntimeContext::new(context, self.states.clone())))?;
        self.states.seal();
        Ok(())
    }

    /// Calls `function` for a record.
    #[inline]
    pub(crate) fn call(
        &mut self,
        timestamp: EventTime,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
        function: impl FnOnce(&mut ProcessContext<'_>, &mut Collector<U>) -> Result<()>,
    ) -> Result<()> {
        self.out.set_timestamp(timestamp);
        let mut given = ProcessContext {
            runtime: self.runtime.as_ref().expect("invariant: an operator is opened before it is used"),
            watermark: context.watermark(),
            timestamp,
            side: &mut self.side,
        };
        function(&mut given, &mut self.out)?;
        self.out.flush_full(0, created_micros, context)?;
        self.side.flush_full(created_micros, context)
    }

    /// Sends on what was collected.
    pub(crate) fn flush(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        self.side.flush(created_micros, context)?;
        self.out.flush(0, created_micros, context)
    }

    /// The input has ended: sends on what `finish` emits.
    pub(crate) fn finish(
        &mut self,
        context: &mut OperatorContext<'_>,
        finish: impl FnOnce(&mut Collector<U>) -> Result<()>,
    ) -> Result<Progress> {
        self.out.set_timestamp(EventTime::MIN);
        finish(&mut self.out)?;
        self.flush(0, context)?;
        Ok(Progress::Done)
    }
}

/// One instance.
pub(crate) struct ProcessOperator<T, U, F> {
    core: ProcessCore<U>,
    function: F,
    _input: PhantomData<fn(T)>,
}

impl<T, U: Data, F> ProcessOperator<T, U, F> {
    pub(crate) fn new(function: F, ports: SidePorts) -> Self {
        ProcessOperator { core: ProcessCore::new(ports), function, _input: PhantomData }
    }
}

impl<T: Data, U: Data, F: ProcessFunction<T, U>> Stateful for ProcessOperator<T, U, F> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.core.states.visit(visit)
    }
}

impl<T: Data, U: Data, F: ProcessFunction<T, U>> Operator for ProcessOperator<T, U, F> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.core.open(context, |open| self.function.open(open))
    }

    fn restored(&mut self, _context: &mut OperatorContext<'_>) -> Result<()> {
        self.function.restored()
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            at_row(row as u64);
            self.core.call(record.timestamp, batch.created_micros, context, |given, out| {
                self.function.process_element(record.value, given, out)
            })?;
        }
        self.core.flush(batch.created_micros, context)
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
