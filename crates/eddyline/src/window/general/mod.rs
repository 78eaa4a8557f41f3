//! Windows of all kinds, with all triggers, evictors and functions.
//!
//! Record by record: the assigner names the record's windows; a window whose life is over is skipped; the record is
//! added to each other one, its trigger is asked, and the window fires or is emptied as the trigger says. A record
//! all of whose windows were skipped is late. A window's life is over when the watermark has passed its greatest
//! timestamp and the allowed lateness (in processing time: when the clock has passed its greatest timestamp):
//! everything about it is dropped then. Results have the window's greatest timestamp.
//!
//! Kept per key and window is a *pane*: the contents and the trigger's state. A pane that is empty is not kept; that
//! it is missing means no more than that it is empty. Windows that merge have a list per key of those that are open.
//! The timers of triggers and of lives' ends are one set: where they coincide there is one timer.
//!
//! Firing at a watermark stops when the outputs have no room and goes on where it stopped; no input is taken
//! meanwhile.

mod contents;
mod firing;
mod merging;
mod operator;
mod pane;
mod pane_states;
mod tables;
mod timers;

pub(crate) use contents::{AsRow, Finish, Given, Incremental, SomeEvictor, Whole, WindowContents};
pub(crate) use operator::{Settings, WindowOperator};
pub use pane::TimestampedValue;
pub(crate) use pane_states::PaneStates;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_support;
#[cfg(test)]
mod model_tests;
