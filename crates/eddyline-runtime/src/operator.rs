//! What an operator is to the runtime.
//!
//! Operators are Eddyline's own; Timely stays behind these traits. The runtime calls an operator on its worker's
//! thread, never two calls at once, and a call must not block: what waits (files, networks, slow functions) runs
//! elsewhere and wakes the operator through [`OperatorContext::waker`].
//!
//! Order of calls: `open`, restore of the states, then any mix of `on_batch`, `on_watermark`,
//! `on_processing_time`, `on_wake`, `before_snapshot` (followed by a freeze of the states) and `on_commit`; when the
//! input has ended `on_end` until it says [`Progress::Done`]; at last `close`.

use crate::context::OperatorContext;
use eddyline_core::{Batch, EventTime, Result, Tick};
use eddyline_protocol::CheckpointId;
use eddyline_state::ManagedState;
use std::ops::Range;

/// Whether a call did all of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything is done.
    Done,
    /// There is more to emit: call again when the outputs have room.
    More,
    /// Something outside has to happen first; the operator's waker will be called.
    Waiting,
}

/// Lets the runtime see all states of an operator or source, in the same order each time.
pub trait Stateful {
    /// Calls `visit` once per state. States must exist from `open` on, or be created on first use and visited from
    /// then on; names are unique within the operator.
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let _ = visit;
        Ok(())
    }
}

/// One instance of an operator, on one worker.
pub trait Operator: Stateful {
    /// Prepares the instance; called once before anything else.
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Called once after the states have been restored (also when there was nothing to restore).
    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// The stable hashes of the keys by which the records `rows` of a batch use state that came in on `input`. Asked for
    /// ahead of the records if some state of the operator has a store: what these keys have is in memory when the
    /// records are processed.
    fn key_hashes(&mut self, input: usize, batch: &Batch, rows: Range<usize>) -> Result<Vec<u64>> {
        let _ = (input, batch, rows);
        Ok(Vec::new())
    }

    /// Takes the records of a batch that came in on `input`.
    fn on_batch(&mut self, input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()>;

    /// The watermark of the inputs has moved to `watermark`: no record before it is expected any more. Answering
    /// [`Progress::More`] makes the runtime call again with the same watermark once there is room.
    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let _ = (watermark, context);
        Ok(Progress::Done)
    }

    /// The time that was asked for by [`OperatorContext::wake_at`] has come.
    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let _ = (now_ms, context);
        Ok(Progress::Done)
    }

    /// The waker was called.
    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let _ = context;
        Ok(Progress::Done)
    }

    /// All inputs have ended and the final watermark was applied.
    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let _ = context;
        Ok(Progress::Done)
    }

    /// A cut has come: everything of the ticks before it was processed. Bring the states up to date; they are
    /// frozen right after. Sinks make what they wrote durable here, or at least hand it over to be made durable.
    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// Whether what [`Operator::before_snapshot`] handed over for `checkpoint` is durable by now. The worker's part
    /// of the checkpoint is not reported before that. Called from time to time until it says [`Progress::Done`].
    fn poll_prepared(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        let _ = checkpoint;
        Ok(Progress::Done)
    }

    /// `checkpoint` is complete and durable: make what belongs to it visible. Must be idempotent; called again
    /// after a restart for the checkpoint that was restored.
    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// Whether all that [`Operator::on_commit`] has begun is visible by now. The job does not end before that. Called
    /// whenever the worker has been woken, until it says [`Progress::Done`].
    fn poll_committed(&mut self) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// The watermark this operator promises to those after it, given that of its inputs. Only asked of operators
    /// whose node says that it generates watermarks.
    fn output_watermark(&self, input: EventTime) -> EventTime {
        input
    }

    /// Whether the operator has nothing to promise for now, so that nobody waits for its watermark; `inputs_idle` says
    /// whether that is so for all of its inputs. Only asked of operators whose node says that it generates watermarks.
    fn is_idle(&self, inputs_idle: bool) -> bool {
        inputs_idle
    }

    /// Whether the operator takes records now. One that answers no must see to it that its waker is called.
    fn accepts_input(&self) -> bool {
        true
    }

    /// Everything of ticks before `frontier` has been processed and emitted.
    fn on_frontier(&mut self, frontier: Tick) {
        let _ = frontier;
    }

    /// Whether the states may be frozen for `checkpoint` after [`Operator::before_snapshot`]. Loops answer no until
    /// the records that were on their way round at the cut have come in; meanwhile the operator goes on working.
    fn snapshot_ready(&mut self, checkpoint: CheckpointId) -> bool {
        let _ = checkpoint;
        true
    }

    /// Records held outside state and outside the runtime's queues (calls in flight); the end of input waits for
    /// them to be zero.
    fn in_flight(&self) -> usize {
        0
    }

    /// The job has come to its end in good order: what all sinks have written is visible. Called once, before
    /// [`Operator::close`].
    ///
    /// # Errors
    /// End the attempt; the next one begins at the end.
    fn finished(&mut self) -> Result<()> {
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A stateless step; steps in a row are fused into one operator.
pub trait Stage {
    /// Transforms a batch, handing every resulting batch to `emit`.
    fn apply(&mut self, batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()>;
}

/// What a source has to say after it was polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStatus {
    /// There is more right now.
    Ready,
    /// Nothing now; the waker will be called, or the time asked for by `wake_at` will come.
    Pending,
    /// There will never be anything again.
    Finished,
}

/// One instance of a source, on one worker.
pub trait Source: Stateful {
    /// Prepares the instance; called once before anything else.
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Called once after the states have been restored (also when there was nothing to restore).
    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Emits what is there, at most about one batch, through [`OperatorContext::emit`], and reports the watermark
    /// by [`OperatorContext::set_watermark`]. Must not block. While the job stops, is not called any more.
    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus>;

    /// A cut has come: everything emitted so far belongs before it. Bring the states up to date.
    fn before_snapshot(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// `checkpoint` is complete and durable: brokers may be told that what was read before it is done with.
    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut OperatorContext<'_>) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}
