//! Sources: where records come in, split by split.
//!
//! A *split* is a part of the input that keeps its order: a file, a partition of a topic, a share of a collection.
//! A [`SplitSource`] reads the splits of one instance and says which split each record came from; the wrapper around
//! it gives records their timestamps, runs one watermark generator per split, takes the least over the splits that
//! are not idle, and saves the watermarks as floors. What has been read (offsets) is the source's own state.

mod collection;
mod data_generator;
mod operator;
mod output;
mod splits;

pub use collection::CollectionSource;
pub use data_generator::DataGenerator;
pub use output::SplitOutput;

pub(crate) use operator::{SourceOperator, SourceSettings};

use crate::environment::Parameters;
use eddyline_core::{Clock, Data, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::accumulators::{AccumulatorHandle, JobAccumulator};
use eddyline_runtime::metrics::Metrics;
use eddyline_runtime::{InstanceInfo, OperatorContext, SourceStatus};
use eddyline_state::ManagedState;
use std::sync::Arc;
use std::task::Waker;

/// The number of a split, unique within its source and stable over restarts.
pub type SplitId = u64;

/// One instance of a source.
///
/// Order of calls: `open` (create the states), restore, `restored` (find out which splits are this instance's), then
/// `poll` again and again, with `before_snapshot` and `on_commit` between, at last `close`. No call may block.
///
/// # Examples
/// ```
/// use eddyline::source::{SourceContext, SplitOutput, SplitSource};
/// use eddyline::{ManagedState, OperatorListState, Result, SourceStatus};
///
/// /// Counts down to zero, on the first instance only.
/// struct CountDown {
///     left: Option<OperatorListState<u64>>,
/// }
///
/// impl SplitSource<u64> for CountDown {
///     fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
///         let mut left = OperatorListState::list("left", context.instance());
///         if context.instance() == 0 {
///             left.add(10);
///         }
///         self.left = Some(left);
///         Ok(())
///     }
///
///     fn poll(&mut self, out: &mut SplitOutput<'_, u64>, _: &mut SourceContext<'_, '_>) -> Result<SourceStatus> {
///         let Some(left) = self.left.as_mut().filter(|left| !left.items().is_empty()) else {
///             return Ok(SourceStatus::Finished);
///         };
///         while left.items()[0] > 0 && !out.is_full() {
///             left.items_mut()[0] -= 1;
///             out.push(0, left.items()[0]);
///         }
///         Ok(if left.items()[0] > 0 { SourceStatus::Ready } else { SourceStatus::Finished })
///     }
///
///     fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
///         self.left.as_mut().map_or(Ok(()), |left| visit(left))
///     }
/// }
/// ```
pub trait SplitSource<T: Data>: 'static {
    /// Prepares the instance and creates its states.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// The states have been restored, or there was nothing to restore.
    ///
    /// # Errors
    /// End the attempt.
    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Hands over what is there, until `out` is full at most. [`SourceStatus::Pending`] means: nothing now; the
    /// waker will be called or the time asked for by [`SourceContext::wake_at`] will come.
    ///
    /// # Errors
    /// End the attempt.
    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, T>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus>;

    /// A cut has come: everything handed over so far belongs before it. Bring the states up to date; they are
    /// frozen right after.
    ///
    /// # Errors
    /// End the attempt.
    fn before_snapshot(
        &mut self,
        checkpoint: CheckpointId,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// Calls `visit` once per state, in the same order each time. States exist from `open` on.
    ///
    /// # Errors
    /// Those of `visit`.
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        let _ = visit;
        Ok(())
    }

    /// `checkpoint` is complete and durable: brokers may be told that what was read before it is done with.
    ///
    /// # Errors
    /// End the attempt.
    fn on_commit(&mut self, checkpoint: CheckpointId, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let _ = (checkpoint, context);
        Ok(())
    }

    /// Whether the source ends by itself; asked of an instance that is not opened.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// What a source may ask of the runtime while it is called.
pub struct SourceContext<'a, 'b> {
    context: &'a mut OperatorContext<'b>,
}

impl<'a, 'b> SourceContext<'a, 'b> {
    pub(crate) fn new(context: &'a mut OperatorContext<'b>) -> Self {
        SourceContext { context }
    }

    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.context.info()
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

    /// The number of this instance, in `0..parallelism`.
    pub fn instance(&self) -> u32 {
        self.context.info().instance
    }

    /// How many instances the source has.
    pub fn parallelism(&self) -> u32 {
        self.context.info().parallelism
    }

    /// The clock of the job: injected, so that tests and simulations decide what time it is.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.context.clock()
    }

    /// Wall time, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.context.processing_time_ms()
    }

    /// Asks to be polled at wall time `at_ms` or soon after; the earliest request since the last poll counts.
    pub fn wake_at(&mut self, at_ms: i64) {
        self.context.wake_at(at_ms);
    }

    /// A waker that has the source polled, from any thread.
    pub fn waker(&self) -> &Waker {
        self.context.waker()
    }

    /// Counts bytes that the source keeps outside its states (read ahead, say) against the memory limit; negative:
    /// not any more.
    pub fn account_bytes(&self, bytes: i64) {
        self.context.account_bytes(bytes);
    }

    /// A service installed by the environment of the job: an executor, a file system.
    pub fn service<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.context.service::<S>()
    }
}
