//! The test kit: whole jobs and pieces of them in one thread, with a clock that the test moves.
//!
//! - [`TestPipeline`] runs whatever an [`Environment`](crate::Environment) describes, from sources that are fed by
//!   hand ([`TestSource`]) to sinks that are read by hand ([`TestSink`]), with checkpoints, crashes and restarts
//!   where the test wants them.
//! - [`Harness`] is a pipeline with one source and one sink around the piece that is tested: a function, an
//!   operator, a few steps.
//!
//! What runs is the product: the same graph on the same runtime, supervisor and checkpoint store. Only the network,
//! the files and the clock are simulated, and nothing happens but by the test's calls; so a test takes milliseconds,
//! never sleeps, and does the same each time. The feature `testing` of this crate brings it in: put it on the
//! dev-dependency.
//!
//! # Examples
//! ```
//! use eddyline::testing::TestPipeline;
//! use eddyline::window::{Count, SlicedWindows};
//! use std::time::Duration;
//!
//! let mut pipeline = TestPipeline::new();
//! let clicks = pipeline.source::<String>("clicks");
//! let windows = clicks.stream().key_by(|page| page.clone()).window(SlicedWindows::tumbling(60_000));
//! let counts = pipeline.sink(&windows.aggregate(Count::new()).map(|counted| (counted.key, counted.value)));
//!
//! clicks.push("home".to_string(), 1_000).push("home".to_string(), 2_000);
//! pipeline.checkpoint()?;
//! clicks.push("home".to_string(), 3_000);
//! pipeline.crash()?;
//! pipeline.restart()?;
//! clicks.watermark(60_000);
//! pipeline.settle()?;
//! assert_eq!(counts.take_values(), [("home".to_string(), 3)]);
//! # Ok::<(), eddyline::Error>(())
//! ```

/// The page about testing: its examples run.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/testing.md")]
struct Page;

use crate::spill::{SpillService, testing::MemoryStorage};
use eddyline_runtime::Services;
use std::sync::Arc;

mod attempt;
mod harness;
mod pipeline;
mod shell;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use harness::Harness;
pub use pipeline::{CrashPoint, Savepoint, TestPipeline};
pub use sink::TestSink;
pub use source::TestSource;

pub use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
pub use eddyline_runtime::inspect::StateImage;

/// Has operators on bounded data spill to memory, and sort on the worker's own thread: everything in one thread, as in
/// a simulation.
pub fn lend_spilling_in_memory(services: &mut Services) {
    let storage = Arc::new(MemoryStorage::with_room(i64::MAX));
    services.insert(Arc::new(SpillService::inline(storage)));
}
