//! Whole jobs under a seed: workers, supervisor, storage, network and clock in one thread, with faults.
//!
//! Everything that decides is the product's own: the dataflow on Timely's real TCP allocator, the supervisor with its
//! decision machines, the checkpoint store. Simulated are only the things that surround them: files, time, lines,
//! and the shell that starts and kills. What a run produces is compared with a reference model.
//!
//! - [`scenario`] and [`faults`]: what a seed stands for.
//! - [`jobs`] and [`model`]: what is computed, and what has to come out: jobs of many shapes on the runtime's own
//!   interface, and those of `eddyline_catalogue` on the DataStream API.
//! - [`world`]: disk, lines, uploads, processes, shell.
//! - [`run`]: from the first attempt to the last row. [`command`]: many of them.
//!
//! **Architecture invariant:** a run reads no clock of the machine and no chance but its seed's.

pub mod command;
pub mod faults;
pub mod jobs;
pub mod model;
pub mod random;
pub mod run;
pub mod scenario;
pub mod trace;
pub mod world;

pub use run::{RunReport, run_scenario, run_seed};
