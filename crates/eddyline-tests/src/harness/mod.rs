//! Starts programs that run jobs, watches them, kills them.

mod contract;
mod door;
mod program;
mod run;
mod s3;
mod storm;
mod watch;

pub use contract::check_contract;
pub use door::{Door, find_job};
pub use program::{Ended, Log, Place, Started, visible_files};
pub use run::{Run, Settings, rounds, seed_offset};
pub use s3::S3Server;
pub use storm::{Kill, Phase, Tally, Victim, storm};
pub use watch::{Deadline, processes_with, signal, tell};

pub use rustix::process::Signal;
