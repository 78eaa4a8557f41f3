//! `eddyline logs`: the log job with a display.

mod display;
mod traffic;

use clap::Args;
use display::Display;
use eddyline::{Environment, Options};
use eddyline_core::{Error, Result};
use eddyline_logs::job::LogJob;
use std::path::PathBuf;
use std::time::Duration;
use traffic::Traffic;

/// What `eddyline logs` is told.
#[derive(Args)]
pub struct LogsArguments {
    /// Access logs in Common or Combined Log Format, or directories of them; none: watch made-up traffic.
    files: Vec<PathBuf>,
    /// Read the files to their end, print the summary and stop (this is what happens with files anyway).
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Go on reading as the files grow and are rotated, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Print the summary as one JSON object, on the last line of standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// Worker threads.
    #[arg(short, long, default_value_t = 1)]
    parallelism: u32,
    /// How far out of order lines may be, seconds.
    #[arg(long, default_value_t = 60)]
    delay: u64,
    /// Where lines that are no accesses are kept, with file, offset and reason.
    #[arg(long, default_value = "eddyline-dead-letters")]
    dead_letters: PathBuf,
    /// Where checkpoints are kept: a job that is started again goes on where it stopped.
    #[arg(long)]
    checkpoint_dir: Option<PathBuf>,
    /// An option of the job, as KEY=VALUE, in Flink's words; may be repeated.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Stop by itself after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// The seed of the made-up traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the log job.
///
/// # Errors
/// What the user has to know: a file that cannot be read, an option that does not exist, what ended the job.
pub fn run(arguments: &LogsArguments) -> Result<()> {
    if arguments.files.is_empty() && arguments.once {
        return Err(Error::config("--once needs files to read").with_hint("eddyline logs --once access.log"));
    }
    let traffic = if arguments.files.is_empty() { Some(Traffic::start(arguments.seed)?) } else { None };
    let (inputs, follow) = match &traffic {
        Some(traffic) => (vec![traffic.path()], true),
        None => (arguments.files.clone(), arguments.follow),
    };
    let delay =
        if traffic.is_some() { Duration::from_secs(10) } else { Duration::from_secs(arguments.delay) };
    let dead_letters = match &traffic {
        Some(traffic) => traffic.directory().join("dead-letters"),
        None => arguments.dead_letters.clone(),
    };
    let job = LogJob { inputs, follow, delay, dead_letters: Some(dead_letters.clone()) };
    let environment = Environment::with_options(options(arguments)?);
    let watch = job.describe(&environment)?;
    let handle = environment.start("eddyline-logs")?;
    let mut display = Display::new(arguments.json, follow, dead_letters);
    if let Some(traffic) = &traffic {
        display.say(&format!(
            "made-up traffic, a minute a second, in {}; Ctrl-C ends it\n",
            traffic.path().display()
        ));
    }
    let limit = arguments.seconds.map(Duration::from_secs);
    let report = display.watch(&watch, handle, limit)?;
    drop(traffic);
    display.finish(&watch, &report);
    Ok(())
}

fn options(arguments: &LogsArguments) -> Result<Options> {
    let mut options = Options::default();
    options.parallelism = arguments.parallelism;
    options.runtime.checkpoint_dir.clone_from(&arguments.checkpoint_dir);
    options.runtime.handle_signals = true;
    options.runtime.control_dir = Some(eddyline_runtime::attempt::control::default_directory());
    options.runtime.checkpoints.interval_ms = Some(1_000);
    for option in &arguments.options {
        let Some((key, value)) = option.split_once('=') else {
            return Err(Error::config(format!("`-D{option}` is no option")).with_hint("write -DKEY=VALUE"));
        };
        options.set(key, value)?;
    }
    if options.runtime.processes > 1 {
        return Err(Error::config("the log job's display needs all workers in one process")
            .with_hint("use -p for more workers"));
    }
    Ok(options)
}
