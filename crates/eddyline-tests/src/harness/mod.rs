//! Starts programs that run jobs, watches them, kills them.

mod program;
mod run;
mod storm;
mod watch;

pub use program::{Ended, Log, Place, Started, visible_files};
pub use run::{Run, Settings, seed_offset};
pub use storm::{Kill, Phase, Tally, Victim, storm};
pub use watch::{Deadline, processes_with, signal, tell};

pub use rustix::process::Signal;
