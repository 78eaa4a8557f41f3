//! Whole-system tests: programs that run jobs in real processes, and what is needed to kill and judge them.
//!
//! - [`workload`]: a job with everything in it that can be lost (windows, sessions, timers, a loop, async calls,
//!   idle splits, late rows, exactly-once files), the records it reads, and what it has to give.
//! - [`harness`]: starts such programs, watches for the moment at which they are to be killed, and counts.
//!
//! The jobs of `eddyline_catalogue` are killed, too, each by itself (`catalogue-workload`).
//!
//! **Architecture invariant:** moments are found by looking at files (markers of the job's own functions, the
//! checkpoint directory), never by waiting for some time and hoping.

pub mod harness;
pub mod workload;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the engine's log to standard error: from `info` on, or as `RUST_LOG` says.
pub fn log_to_stderr() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Reports an error the way a program should, and answers the exit code.
pub fn report(outcome: eddyline::Result<()>) -> std::process::ExitCode {
    use std::io::Write;
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads standard error any more, there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{}", error.report());
            std::process::ExitCode::FAILURE
        }
    }
}
