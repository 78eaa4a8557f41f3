//! More records than fit in memory: collected, sorted and merged with the help of files.
//!
//! A [`Spool`] takes records on the worker's thread and keeps them in memory up to its share. What is more is handed
//! to the [`SpillService`], whose threads sort it and write it to a file as a *run*; meanwhile the spool takes more, and
//! says so when it cannot. At the end of the input a spool becomes a [`Spooled`], which is no longer bound to the
//! worker: read as a [`Merge`] of its runs (sorted) or as a [`Sequence`] or [`Repeatable`] (in the order of arrival, once or again and again), on
//! the service's threads, where waiting for a disk holds nobody up.
//!
//! What is promised: memory stays near the budget, whatever the amount of records; equal records keep the order of
//! their arrival; files are gone when their runs are, also after errors and crashes. What is in a file does not outlive
//! the process: a job that fails starts from its last checkpoint.

mod merge;
mod overflow;
mod pool;
mod run;
mod spool;
mod storage;
#[cfg(test)]
mod tests;

pub(crate) use merge::{Merge, Order, Repeatable, Sequence};
pub(crate) use overflow::Overflow;
pub(crate) use pool::{SpillService, Task, lost_work};
pub(crate) use spool::{SpillSetup, Spool, Spooled};
pub(crate) use storage::SpillStorage;
#[cfg(any(test, feature = "testing"))]
pub(crate) use storage::testing;
