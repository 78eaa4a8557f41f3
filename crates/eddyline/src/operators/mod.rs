//! The operators behind the functions of this crate.

mod broadcast;
mod connected;
mod core;
pub(crate) mod fetching;
mod key_run;
mod process;
mod process_function;
#[cfg(test)]
mod rescale_tests;
mod rolling;
mod stages;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod ttl_tests;

pub(crate) use broadcast::{BroadcastOperator, KeyedBroadcastOperator};
pub(crate) use connected::{CoProcessOperator, KeyedCoProcessOperator};
pub(crate) use core::KeyOf;
pub use core::ProcessingTimersAtEnd;
pub(crate) use process::KeyedProcessOperator;
pub(crate) use process_function::ProcessOperator;
pub(crate) use rolling::{Rolling, RollingOperator};
pub(crate) use stages::{FilterMapStage, FilterStage, MapStage, TryFilterStage, TryFlatMapStage};
