//! The operators behind the functions of this crate.

mod broadcast;
mod core;
mod process;
mod rolling;
mod stages;
#[cfg(test)]
mod tests;

pub(crate) use broadcast::{BroadcastOperator, KeyedBroadcastOperator};
pub(crate) use core::KeyOf;
pub use core::ProcessingTimersAtEnd;
pub(crate) use process::KeyedProcessOperator;
pub(crate) use rolling::{Rolling, RollingOperator};
pub(crate) use stages::{FilterMapStage, FilterStage, MapStage, TryFilterStage, TryFlatMapStage};
