//! `eddyline job`: running jobs of this user on this machine, and savepoints.

mod dispose;
mod show;

use clap::{Args, Subcommand};
use eddyline_core::{Error, Result};
use eddyline_protocol::control::{ControlAnswer, ControlRequest};
use eddyline_runtime::attempt::control::{ControlClient, default_directory, running_jobs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What `eddyline job` is told.
#[derive(Args)]
pub struct JobArguments {
    /// Where jobs are looked for: what they were started with as eddyline.control-dir.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    control_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: JobCommand,
}

#[derive(Subcommand)]
enum JobCommand {
    /// List the running jobs.
    Ls {
        /// As JSON, a job a line.
        #[arg(long)]
        json: bool,
    },
    /// Show how a job is.
    Status {
        /// Its name, or the number of its process.
        job: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a savepoint and print where it is. The job goes on.
    Savepoint {
        /// The name of the job, or the number of its process.
        job: String,
        /// A directory or URL; without, the job's execution.checkpointing.savepoint-dir.
        directory: Option<String>,
    },
    /// Stop a job cleanly: with a last checkpoint, or with a savepoint.
    Stop {
        /// The name of the job, or the number of its process.
        job: String,
        /// Keep a savepoint in this directory (or URL); without a value, in execution.checkpointing.savepoint-dir.
        #[arg(long, value_name = "DIRECTORY", num_args = 0..=1)]
        savepoint: Option<Option<String>>,
        /// As if the input had ended: windows and timers fire, and the job cannot be gone on with.
        #[arg(long)]
        drain: bool,
        /// Do not wait for the end of the job.
        #[arg(long)]
        no_wait: bool,
    },
    /// Go on with another number of workers.
    Rescale {
        /// The name of the job, or the number of its process.
        job: String,
        /// Workers, over all processes of the job.
        parallelism: u32,
    },
    /// End a job at once, without a last checkpoint.
    Cancel {
        /// The name of the job, or the number of its process.
        job: String,
    },
    /// Delete a savepoint.
    Dispose {
        /// Its directory, or URL.
        savepoint: String,
        /// An option of the storage, as KEY=VALUE (s3.endpoint and the like); may be repeated.
        #[arg(short = 'D', value_name = "KEY=VALUE")]
        options: Vec<String>,
    },
}

/// How long the end of a job that was told to stop is waited for.
const STOP_PATIENCE: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs a command on jobs.
///
/// # Errors
/// What the user has to know: there is no such job, or what it says about why it does not do it.
pub fn run(arguments: JobArguments) -> Result<()> {
    let directory = arguments.control_dir.unwrap_or_else(default_directory);
    let find = |job: &str| ControlClient::find(&directory, job);
    match arguments.command {
        JobCommand::Ls { json } => show::list(&running_jobs(&directory)?, json),
        JobCommand::Status { job, json } => show::status(&find(&job)?.summary, json),
        JobCommand::Savepoint { job, directory } => {
            say_savepoint(find(&job)?.ask(&ControlRequest::Savepoint { directory })?)
        }
        JobCommand::Stop { job, savepoint, drain, no_wait } => {
            let job = find(&job)?;
            let request = match savepoint {
                Some(directory) => ControlRequest::StopWithSavepoint { directory, drain },
                None => ControlRequest::Stop { drain },
            };
            say_savepoint(job.ask(&request)?)?;
            if no_wait { Ok(()) } else { wait_for_end(&job) }
        }
        JobCommand::Rescale { job, parallelism } => {
            let job = find(&job)?;
            job.ask(&ControlRequest::Rescale { parallelism })?;
            println!("{} runs with {parallelism} workers", job.summary.job);
            Ok(())
        }
        JobCommand::Cancel { job } => {
            let job = find(&job)?;
            job.ask(&ControlRequest::Cancel)?;
            wait_for_end(&job)
        }
        JobCommand::Dispose { savepoint, options } => dispose::run(&savepoint, &options),
    }
}

fn say_savepoint(answer: ControlAnswer) -> Result<()> {
    if let ControlAnswer::Savepoint { path } = answer {
        println!("{path}");
    }
    Ok(())
}

fn wait_for_end(job: &ControlClient) -> Result<()> {
    let until = Instant::now() + STOP_PATIENCE;
    while job.is_there() {
        if Instant::now() >= until {
            return Err(Error::cancelled(format!("job `{}` has not ended yet", job.summary.job))
                .with_hint("it was told to: see its log for what it waits for"));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
