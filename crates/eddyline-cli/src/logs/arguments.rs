//! What `eddyline logs` is told, and what follows from it and the configuration file.

use super::query::QueryArguments;
use clap::{Args, Subcommand};
use eddyline::Options;
use eddyline_core::{Clock, Error, Result, SystemClock};
use eddyline_logs::config::{Config, ServerConfig, StoreConfig};
use eddyline_logs::store::Retention;
use std::path::PathBuf;

/// What `eddyline logs` is told.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LogsArguments {
    /// What else than processing logs.
    #[command(subcommand)]
    pub command: Option<LogsCommand>,
    /// What to process, and how.
    #[command(flatten)]
    pub run: RunArguments,
}

/// What else than processing logs.
#[derive(Subcommand)]
pub enum LogsCommand {
    /// Ask a running job, or its store, for lines, alerts, windows, sessions and top values.
    Query(QueryArguments),
}

/// What to process, and how.
#[derive(Args)]
pub struct RunArguments {
    /// Logs, directories of them, or patterns; none: a made-up site is served, visited and watched.
    pub files: Vec<PathBuf>,
    /// A configuration file; what else is given here goes before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the files to their end, print the summary and stop (this is what happens with files anyway).
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// Go on reading as the files grow and are rotated, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Print the summary as one JSON object, on the last line of standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
    /// Show the job in the whole terminal; q ends it.
    #[arg(long, conflicts_with = "json")]
    pub tui: bool,
    /// Worker threads.
    #[arg(short, long)]
    parallelism: Option<u32>,
    /// How far out of order lines may be, seconds (default: 60, or 10 with --follow).
    #[arg(long)]
    delay: Option<u64>,
    /// The format of all files: access, json, nginx-error, apache-error, syslog3164, syslog5424 (default: found).
    #[arg(long)]
    format: Option<String>,
    /// The zone of times that say none: UTC, +02:00, Europe/Berlin (default UTC).
    #[arg(long)]
    time_zone: Option<String>,
    /// Where lines that cannot be read are kept, with file, offset and reason (default: eddyline-dead-letters).
    #[arg(long)]
    dead_letters: Option<PathBuf>,
    /// Where lines, windows, sessions and alerts are stored (default: they are not).
    #[arg(long, value_name = "DIRECTORY")]
    store: Option<PathBuf>,
    /// Serve REST, metrics and a page here (default with --follow and without FILE: 127.0.0.1:8080).
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Serve nothing.
    #[arg(long, conflicts_with = "listen")]
    pub no_server: bool,
    /// Where checkpoints are kept: a job that is started again goes on where it stopped.
    #[arg(long)]
    checkpoint_dir: Option<PathBuf>,
    /// An option of the job, as KEY=VALUE, in Flink's words; may be repeated.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Stop by itself after so many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// The seed of the made-up traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Checkpoints are this far apart without a store; with one, where each of them ends files, further.
const CHECKPOINT_MS: (u64, u64) = (1_000, 10_000);

impl RunArguments {
    /// The configuration file, with what was given on the command line.
    ///
    /// # Errors
    /// If the file cannot be read, or there is nothing to read once.
    pub fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => read_config(path)?,
            None => Config::default(),
        };
        if !self.files.is_empty() {
            config.inputs.clone_from(&self.files);
        }
        config.follow = !self.once && (self.follow || config.follow);
        config.delay_seconds = self.delay.or(config.delay_seconds);
        config.time_zone = self.time_zone.clone().or(config.time_zone);
        config.workers = self.parallelism.or(config.workers);
        config.dead_letters = self.dead_letters.clone().or(config.dead_letters);
        if let Some(directory) = &self.store {
            let keep = config.store.take().map_or_else(Retention::default, |store| store.keep);
            config.store = Some(StoreConfig { directory: directory.clone(), lines: true, keep });
        }
        if let Some(listen) = &self.listen {
            let token = config.server.take().and_then(|server| server.token);
            config.server = Some(ServerConfig { listen: listen.clone(), token });
        }
        if self.no_server || (self.once && self.listen.is_none()) {
            config.server = None;
        }
        if config.inputs.is_empty() && self.once {
            return Err(
                Error::config("--once needs files to read").with_hint("eddyline logs --once access.log")
            );
        }
        let in_store =
            config.store.as_ref().filter(|_| config.follow).map(|store| store.directory.join("checkpoints"));
        config.checkpoint_dir = self.checkpoint_dir.clone().or(config.checkpoint_dir).or(in_store);
        if config.follow && config.server.is_none() && !self.no_server {
            config.server = Some(ServerConfig { listen: "127.0.0.1:8080".to_owned(), token: None });
        }
        Ok(config)
    }

    /// The format of all files, if it was given.
    ///
    /// # Errors
    /// If there is no such format.
    pub fn format(&self) -> Result<Option<eddyline_logs::format::Format>> {
        self.format.as_deref().map(eddyline_logs::format::Format::named).transpose()
    }

    /// The options of the job.
    ///
    /// # Errors
    /// If there is no such option.
    pub fn options(&self, config: &Config) -> Result<Options> {
        let mut options = Options::default();
        options.parallelism = config.workers.unwrap_or(1);
        options.runtime.checkpoint_dir.clone_from(&config.checkpoint_dir);
        options.runtime.handle_signals = true;
        options.runtime.control_dir = Some(eddyline_runtime::attempt::control::default_directory());
        let interval_ms = if config.store.is_some() { CHECKPOINT_MS.1 } else { CHECKPOINT_MS.0 };
        options.runtime.checkpoints.interval_ms = Some(interval_ms);
        for option in &self.options {
            let Some((key, value)) = option.split_once('=') else {
                return Err(
                    Error::config(format!("`-D{option}` is no option")).with_hint("write -DKEY=VALUE")
                );
            };
            options.set(key, value)?;
        }
        if options.runtime.processes > 1 {
            return Err(Error::config("the log job's display needs all workers in one process")
                .with_hint("use -p for more workers"));
        }
        Ok(options)
    }
}

fn read_config(path: &PathBuf) -> Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("the configuration file cannot be read: {error}"))
            .with_detail(path.display().to_string())
            .with_hint("give a readable file, or leave --config out")
    })?;
    Config::parse(&text).map_err(|error| {
        let place = match error.detail() {
            Some(detail) => format!("{}, {detail}", path.display()),
            None => path.display().to_string(),
        };
        error.with_detail(place)
    })
}

/// The time of day, milliseconds since the epoch.
pub fn now_ms() -> i64 {
    SystemClock::new().wall_millis()
}
