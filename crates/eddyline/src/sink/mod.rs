//! Sinks: where records go out, in two phases.
//!
//! What a sink writes belongs to the next cut. At the cut it brings what it wrote into a form that survives a crash
//! and describes it in *committables*, which become part of the checkpoint; only when that checkpoint is complete
//! and durable are they committed, that is: made visible. After a crash the commit of the restored checkpoint is
//! repeated, so committing must be idempotent, and by any instance.

mod collect;
mod operator;
mod print;

pub use collect::CollectHandle;
pub(crate) use collect::CollectSink;
pub(crate) use operator::SinkOperator;
pub(crate) use print::{DiscardSink, PrintSink};

use crate::environment::Parameters;
use eddyline_core::{Clock, Data, Record, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::accumulators::{AccumulatorHandle, JobAccumulator};
use eddyline_runtime::metrics::Metrics;
use eddyline_runtime::{InstanceInfo, OperatorContext, Progress};
use std::sync::Arc;
use std::task::Waker;

/// One instance of a sink.
///
/// Order of calls: `open`, `recover`, then any mix of `write`, `end_batch`, `pre_commit` and `commit`, at last
/// `close`.
///
/// # Examples
/// A sink that is happy with at-least-once needs `write` alone:
/// ```
/// use eddyline::sink::{SinkContext, SinkFunction};
/// use eddyline::{Record, Result};
///
/// struct Log;
///
/// impl SinkFunction<String> for Log {
///     type Committable = ();
///
///     fn write(&mut self, record: Record<String>, _context: &mut SinkContext<'_, '_>) -> Result<()> {
///         eprintln!("{}", record.value);
///         Ok(())
///     }
/// }
/// ```
pub trait SinkFunction<T: Data>: 'static {
    /// What describes output that waits to be made visible: a file to be renamed, a transaction to be committed.
    type Committable: Data;

    /// Prepares the instance.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Called once after the restore with all that was pre-committed and may not have been committed yet: what
    /// belongs to the restored checkpoint will be committed, whatever else the sink finds outside has to go.
    ///
    /// # Errors
    /// End the attempt.
    fn recover(&mut self, pending: &[Self::Committable], context: &mut SinkContext<'_, '_>) -> Result<()> {
        let _ = (pending, context);
        Ok(())
    }

    /// Writes a record.
    ///
    /// # Errors
    /// End the attempt.
    fn write(&mut self, record: Record<T>, context: &mut SinkContext<'_, '_>) -> Result<()>;

    /// All records of a batch have been written; a sink that has a buffer may empty it.
    ///
    /// # Errors
    /// End the attempt.
    fn end_batch(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// A cut has come: what was written before belongs to `checkpoint`. Makes it durable (or begins to, see
    /// [`SinkFunction::poll_durable`]) without making it visible, and describes it.
    ///
    /// # Errors
    /// End the attempt.
    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        context: &mut SinkContext<'_, '_>,
    ) -> Result<Vec<Self::Committable>> {
        let _ = (checkpoint, context);
        Ok(Vec::new())
    }

    /// Whether all of [`SinkFunction::pre_commit`] for `checkpoint` is durable by now; called until it says
    /// [`Progress::Done`].
    ///
    /// # Errors
    /// End the attempt.
    fn poll_durable(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        let _ = checkpoint;
        Ok(Progress::Done)
    }

    /// Makes visible what `committable`, pre-committed for `checkpoint`, describes. Must be idempotent: it is
    /// repeated after a restart.
    ///
    /// # Errors
    /// End the attempt; the commit is repeated by the next.
    fn commit(
        &mut self,
        checkpoint: CheckpointId,
        committable: Self::Committable,
        context: &mut SinkContext<'_, '_>,
    ) -> Result<()> {
        let _ = (checkpoint, committable, context);
        Ok(())
    }

    /// Whether all that [`SinkFunction::commit`] has begun is visible by now, for sinks that commit on another thread;
    /// called whenever the waker has been called, until it says [`Progress::Done`]. The job does not end before that.
    ///
    /// # Errors
    /// End the attempt; the commit is repeated by the next.
    fn poll_committed(&mut self) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// What a sink may ask of the runtime while it is called.
pub struct SinkContext<'a, 'b> {
    context: &'a mut OperatorContext<'b>,
}

impl<'a, 'b> SinkContext<'a, 'b> {
    pub(crate) fn new(context: &'a mut OperatorContext<'b>) -> Self {
        SinkContext { context }
    }

    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.context.info()
    }

    /// The clock of the job: injected, so that tests and simulations decide what time it is.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.context.clock()
    }

    /// Wall time, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.context.processing_time_ms()
    }

    /// A waker that has the sink's worker look at it again, from any thread.
    pub fn waker(&self) -> &Waker {
        self.context.waker()
    }

    /// Ends the input of the whole job gracefully, as if every source had finished.
    pub fn request_stop(&mut self) {
        self.context.request_stop();
    }

    /// The parameters of the program.
    pub fn parameters(&self) -> Arc<Parameters> {
        self.context.service::<Parameters>().unwrap_or_default()
    }

    /// The metrics of this instance; they are part of the job's status.
    pub fn metrics(&self) -> &Metrics {
        self.context.metrics()
    }

    /// Declares an accumulator; to be called in `open`. Instances of all operators may add to one of the same name.
    ///
    /// # Errors
    /// If this instance has declared an accumulator of that name already, or `open` is over.
    pub fn accumulator<A: JobAccumulator>(&self, name: &str) -> Result<AccumulatorHandle<A>> {
        self.context.accumulators().declare(name, self.context.info())
    }

    /// A service installed by the environment of the job: an executor, a file system.
    pub fn service<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.context.service::<S>()
    }
}
