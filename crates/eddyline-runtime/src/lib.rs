//! Eddyline's runtime: a job graph, brought to life on Timely Dataflow.
//!
//! Read in this order: [`graph`] (what is to be computed), [`operator`] (what an operator is), `driver` (where
//! ticks come from), `operator_task` and `source_task` (how operators run), [`watermarks`](self) and `snapshots`
//! (how time and cuts get through), [`worker`] (the loop around it all), [`attempt`] (threads and processes).
//!
//! **Architecture invariant:** only this crate names Timely; it knows nothing of SQL, connectors or clusters.

/// Whether a bug is planted here; a constant in the product.
#[cfg(feature = "simulation")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::deterministic::planted::is_planted($crate::deterministic::Bug::$bug)
    };
}

/// Whether a bug is planted here: never, outside of simulations.
#[cfg(not(feature = "simulation"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

pub mod accumulators;
pub mod attempt;
#[cfg(feature = "arrow")]
pub mod columnar;
pub mod context;
#[cfg(feature = "simulation")]
pub mod deterministic;
mod driver;
mod exchange;
pub mod fetch;
pub mod graph;
pub mod harness;
pub mod inspect;
mod instance;
pub mod latency;
mod loop_rounds;
mod loops;
pub mod metrics;
pub mod migrations;
pub mod operator;
mod operator_task;
mod outputs;
mod packet;
pub mod panics;
pub mod partition;
pub mod services;
mod shared;
pub mod snapshots;
mod source_task;
mod stages;
mod state_factory;
pub mod supervisor;
pub mod watchdog;
mod watermarks;
pub mod worker;

pub use context::{InstanceInfo, OperatorContext};
pub use fetch::{Due, DueTimers, Fetch, Fetching};
pub use operator::{Operator, Progress, Source, SourceStatus, Stage, Stateful};
pub use services::{BatchMode, Services};
pub use shared::{Limits, MANAGED_MEMORY_PERCENT};
pub use state_factory::{StateBackendService, StateFactory};
