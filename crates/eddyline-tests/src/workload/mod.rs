//! The job that is killed.
//!
//! Everything that comes out of it is independent of when and how often it is killed: disorder stays within the
//! watermark delay, so no record is late but those that are meant to be; and those have keys of their own, so that
//! each is either in the late output or alone in a window, and never lost.

mod catalogue;
mod delay;
mod functions;
pub mod gate;
mod job;
mod records;
mod reference;
mod source;

pub use catalogue::catalogue_input;
pub use job::{OUTPUTS, WorkloadArguments, describe};
pub use records::{DISORDER_MS, Event, IDLE_SPLIT, LATE_KEYS, SPLITS, event, loop_rounds};
pub use reference::{expected, judge};
