//! The operators behind the functions of this crate.

mod broadcast;
mod core;
mod process;
mod stages;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod ttl_tests;

pub(crate) use broadcast::{BroadcastOperator, KeyedBroadcastOperator};
pub(crate) use core::KeyOf;
pub use core::ProcessingTimersAtEnd;
pub(crate) use process::KeyedProcessOperator;
pub(crate) use stages::{FilterStage, FlatMapStage, MapStage};
