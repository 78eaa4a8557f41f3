//! The options of a job, in Flink's words where Flink has them.

use super::RuntimeMode;
use super::state_backend::StateBackendOptions;
use super::values::{boolean, bytes, closest, duration, millis, number};
use eddyline_core::{Error, Result};
use eddyline_protocol::{AttemptConfig, CheckpointConfig, RestartStrategy};
use eddyline_runtime::attempt::JobOptions;
use eddyline_runtime::supervisor::SnapshotToRestore;
use eddyline_storage::Location;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// How a job is run.
#[derive(Clone)]
pub struct Options {
    /// Workers (threads) of the job, over all processes.
    pub parallelism: u32,
    /// Key groups: the most that the job can be parallel, fixed once it has state.
    pub max_parallelism: u32,
    /// Least time between two watermarks of a source, milliseconds; 0: one per batch.
    pub watermark_interval_ms: i64,
    /// What followed `--` on the command line.
    pub arguments: Vec<String>,
    /// Everything else: processes, checkpoints, restarts, memory, ticks, clock. Its number of workers per process
    /// follows from `parallelism`. An interval of checkpoints that is not given (`None`) is 10 s for jobs that take
    /// periodic checkpoints; 0 means the final one only.
    pub runtime: JobOptions,
    /// Whether results come as they are there, or final ones at the end.
    pub runtime_mode: RuntimeMode,
    /// Where operators on bounded data keep what does not fit in memory; empty: the system's directory for temporary
    /// files.
    pub tmp_dirs: Vec<std::path::PathBuf>,
    /// Whether copies of what is written of state are kept on this machine.
    pub local_backup: bool,
    /// Where such copies are kept; none: below the first of `tmp_dirs`.
    pub local_backup_dir: Option<std::path::PathBuf>,
    claims: bool,
    /// Where state is that belongs to keys.
    pub state_backend: StateBackendOptions,
    restart_options: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        let mut runtime = JobOptions::default();
        // Whoever gives the default by name has given an interval: it must not be taken for none.
        runtime.checkpoints.interval_ms = None;
        Options {
            parallelism: 1,
            max_parallelism: 128,
            watermark_interval_ms: 0,
            arguments: Vec::new(),
            runtime,
            runtime_mode: RuntimeMode::default(),
            tmp_dirs: Vec::new(),
            local_backup: false,
            local_backup_dir: None,
            claims: false,
            state_backend: StateBackendOptions::default(),
            restart_options: BTreeMap::new(),
        }
    }
}

/// An option: its name, what it means, and how its value is taken in.
struct OptionEntry {
    key: &'static str,
    meaning: &'static str,
    set: fn(&mut Options, &str, &str) -> Result<()>,
}

macro_rules! entries {
    ($($key:literal, $meaning:literal, |$options:ident, $name:ident, $value:ident| $set:expr;)*) => {
        &[$(OptionEntry {
            key: $key,
            meaning: $meaning,
            set: |$options: &mut Options, $name: &str, $value: &str| { $set; Ok(()) },
        },)*]
    };
}

const ENTRIES: &[OptionEntry] = entries! {
    "parallelism.default", "workers of the job, over all processes (1)",
        |options, key, value| options.parallelism = number(key, value)?;
    "pipeline.max-parallelism", "key groups, fixed once there is state (128)",
        |options, key, value| options.max_parallelism = number(key, value)?;
    "pipeline.auto-watermark-interval", "least time between two watermarks of a source; 0: each batch (0)",
        |options, key, value| options.watermark_interval_ms = millis(key, value)? as i64;
    "execution.runtime-mode", "`STREAMING`, `BATCH` (final results only) or `AUTOMATIC` (STREAMING)",
        |options, key, value| options.runtime_mode = RuntimeMode::parse(key, value)?;
    "execution.checkpointing.interval", "from checkpoint to checkpoint; 0: the final one only (10 s)",
        |options, key, value| options.runtime.checkpoints.interval_ms = Some(millis(key, value)?);
    "execution.checkpointing.dir", "directory of the checkpoints, a path or a URL (none kept)",
        |options, key, value| options.runtime.checkpoint_dir = Some(location(key, value)?.into());
    "state.checkpoints.dir", "the same as `execution.checkpointing.dir`",
        |options, key, value| options.runtime.checkpoint_dir = Some(location(key, value)?.into());
    "execution.checkpointing.savepoint-dir", "directory of savepoints, a path or a URL, if nobody says where (none)",
        |options, key, value| options.runtime.savepoint_dir = Some(location(key, value)?);
    "execution.checkpointing.snapshot-compression", "compress what is written of state (false)",
        |options, key, value| options.runtime.compresses_snapshots = boolean(key, value)?;
    "execution.checkpointing.local-backup.enabled", "keep a copy on this machine, for quick restarts (false)",
        |options, key, value| options.local_backup = boolean(key, value)?;
    "execution.checkpointing.local-backup.dirs", "where such copies are kept (below `io.tmp.dirs`)",
        |options, _key, value| options.local_backup_dir = list(value).first().map(|directory| path(directory));
    "execution.checkpointing.min-pause", "from the end of a checkpoint to the next (0)",
        |options, key, value| options.runtime.checkpoints.min_pause_ms = millis(key, value)?;
    "execution.checkpointing.timeout", "after which a checkpoint is given up (10 min)",
        |options, key, value| options.runtime.checkpoints.timeout_ms = millis(key, value)?;
    "execution.checkpointing.max-concurrent-checkpoints", "in flight at most (1)",
        |options, key, value| options.runtime.checkpoints.max_concurrent = number(key, value)?;
    "execution.checkpointing.tolerable-failed-checkpoints", "failures in a row that end nothing (0)",
        |options, key, value| options.runtime.checkpoints.tolerable_failed_checkpoints = number(key, value)?;
    "execution.checkpointing.num-retained", "complete checkpoints that are kept (1)",
        |options, key, value| options.runtime.checkpoints.num_retained = number(key, value)?;
    "execution.state-recovery.path", "savepoint or kept checkpoint to start from (the job's newest checkpoint)",
        |options, key, value| options.set_restore_path(location(key, value)?);
    "execution.savepoint.path", "the same as `execution.state-recovery.path`",
        |options, key, value| options.set_restore_path(location(key, value)?);
    "execution.state-recovery.claim-mode", "`NO_CLAIM`, or `CLAIM`: the job deletes it when it can (NO_CLAIM)",
        |options, key, value| options.claims = claim_mode(key, value)?;
    "execution.state-recovery.ignore-unclaimed-state", "drop state that no operator takes (false)",
        |options, key, value| options.runtime.allow_non_restored_state = boolean(key, value)?;
    "execution.state-recovery.drop-state", "uids of operators whose state is dropped at the start, separated by commas (none)",
        |options, _key, value| options.runtime.drop_state = list(value).into_iter().collect();
    "state.backend.type", "`hashmap` (in memory) or `rocksdb` (larger than memory) (hashmap)",
        |options, key, value| options.state_backend.set_type(key, value)?;
    "state.backend.rocksdb.localdir", "local directory for state beyond memory (the first of `io.tmp.dirs`)",
        |options, _key, value| options.state_backend.directory = Some(path(value));
    "state.backend.rocksdb.memory.resident", "state in memory beside RocksDB, of each worker (40 % of its memory)",
        |options, key, value| options.state_backend.resident_bytes = Some(bytes(key, value)?);
    "state.backend.rocksdb.thread.num", "threads of RocksDB that write and merge files, of each process (2)",
        |options, key, value| options.state_backend.background_threads = number(key, value)?;
    "execution.buffer-timeout", "longest time a small batch is held back (200 us)",
        |options, key, value| options.runtime.buffer_timeout = duration(key, value)?;
    "heartbeat.interval", "between two signs of life of a process (500 ms)",
        |options, key, value| options.runtime.heartbeat_interval = duration(key, value)?;
    "heartbeat.timeout", "silence after which a process counts as lost (5 s)",
        |options, key, value| options.attempts().heartbeat_timeout_ms = millis(key, value)?;
    "taskmanager.memory.process.size", "memory of one worker (1 gb)",
        |options, key, value| options.runtime.memory_bytes = bytes(key, value)?;
    "io.tmp.dirs", "where bounded data goes that does not fit in memory, separated by commas (the system's)",
        |options, _key, value| options.tmp_dirs = list(value).iter().map(|directory| path(directory)).collect();
    "s3.endpoint", "address of an S3 server that is not Amazon's (none)",
        |options, _key, value| options.runtime.storage.s3_endpoint = Some(value.trim().to_owned());
    "s3.access-key", "access key of S3 (from the environment)",
        |options, _key, value| options.runtime.storage.s3_access_key = Some(value.to_owned());
    "s3.secret-key", "secret key of S3 (from the environment)",
        |options, _key, value| options.runtime.storage.s3_secret_key = Some(value.to_owned());
    "s3.region", "region of S3 (from the environment, us-east-1)",
        |options, _key, value| options.runtime.storage.s3_region = Some(value.trim().to_owned());
    "s3.path.style.access", "the bucket is in the path, not in the host's name (true)",
        |options, key, value| options.runtime.storage.s3_path_style = Some(boolean(key, value)?);
    "eddyline.storage.retry-timeout", "how long requests to remote storage are repeated (1 min)",
        |options, key, value| options.runtime.storage.retry_timeout = duration(key, value)?;
    "eddyline.control-dir", "where `eddyline job` finds the job; empty: nowhere (the user's run-time directory)",
        |options, _key, value| options.runtime.control_dir = Some(path(value)).filter(|path| !path.as_os_str().is_empty());
    "eddyline.processes", "processes of the job (1)",
        |options, key, value| options.runtime.processes = number(key, value)?;
    "eddyline.addresses", "where the processes listen, separated by commas (loopback)",
        |options, _key, value| options.runtime.addresses = list(value);
    "eddyline.tick-length", "least time between two ticks (10 ms)",
        |options, key, value| options.runtime.tick_length = duration(key, value)?;
    "eddyline.batch-rows", "records in a batch at most (4096)",
        |options, key, value| options.runtime.batch_rows = number(key, value)?;
    "eddyline.step-timeout", "time in one operator that counts as stuck; 0: no limit (1 min)",
        |options, key, value| options.attempts().watchdog_micros =
            Some(millis(key, value)?.saturating_mul(1_000)).filter(|micros| *micros > 0);
    "eddyline.watermark-mode", "`periodic`, or `on-event`: exactly between two records (periodic)",
        |options, key, value| options.runtime.on_event = watermark_mode(key, value)?;
};

const RESTART_PREFIX: &str = "restart-strategy.";

/// A path or URL, looked at before anything starts.
fn location(key: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let text = text.strip_prefix("file://").filter(|path| path.starts_with('/')).unwrap_or(text);
    Location::parse(text).map_err(|error| error.with_detail(format!("option `{key}`")))?;
    Ok(text.to_owned())
}

fn claim_mode(key: &str, text: &str) -> Result<bool> {
    match text.trim() {
        "NO_CLAIM" => Ok(false),
        "CLAIM" => Ok(true),
        other => Err(Error::config(format!("option `{key}` cannot be `{other}`"))
            .with_hint("give `NO_CLAIM` (the savepoint stays yours) or `CLAIM` (the job owns it)")),
    }
}

fn path(text: &str) -> std::path::PathBuf {
    text.strip_prefix("file://").unwrap_or(text).into()
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn watermark_mode(key: &str, text: &str) -> Result<bool> {
    match text.trim() {
        "periodic" => Ok(false),
        "on-event" => Ok(true),
        other => Err(Error::config(format!("option `{key}` cannot be `{other}`"))
            .with_hint("give `periodic` or `on-event`")),
    }
}

impl Options {
    /// Sets the option `key` to `value`, both as on the command line.
    ///
    /// # Errors
    /// Of kind `Config` for an option that does not exist and for a value that cannot be read.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Options;
    ///
    /// let mut options = Options::default();
    /// options.set("taskmanager.memory.process.size", "256m")?;
    /// assert_eq!(options.runtime.memory_bytes, 256 << 20);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key.starts_with(RESTART_PREFIX) {
            let mut all = self.restart_options.clone();
            all.insert(key.to_owned(), value.to_owned());
            // Parts of a strategy may be given before its type: what cannot be read is seen at once all the same.
            self.runtime.restart = Some(RestartStrategy::from_options(&all)?);
            self.restart_options = all;
            return Ok(());
        }
        match ENTRIES.iter().find(|entry| entry.key == key) {
            Some(entry) => (entry.set)(self, key, value),
            None => {
                let known = ENTRIES.iter().map(|entry| entry.key).chain(["restart-strategy.type"]);
                let hint = match closest(key, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "`--help` lists all options".to_owned(),
                };
                Err(Error::config(format!("there is no option `{key}`")).with_hint(hint))
            }
        }
    }

    /// All options with their meanings and defaults, a line each.
    pub fn help() -> String {
        let mut text = String::new();
        for entry in ENTRIES {
            let _ = writeln!(text, "  -D{}=…\n        {}", entry.key, entry.meaning);
        }
        let _ = writeln!(
            text,
            "  -D{RESTART_PREFIX}type=…\n        none, fixed-delay, failure-rate or exponential-delay, with the options \
             that each has in Flink"
        );
        text
    }

    fn attempts(&mut self) -> &mut AttemptConfig {
        let processes = self.runtime.processes;
        self.runtime.attempts.get_or_insert_with(|| AttemptConfig::for_processes(processes))
    }

    fn set_restore_path(&mut self, path: String) {
        self.runtime.restore_from = Some(SnapshotToRestore { path, claim: false });
    }

    /// Where copies of what is written of state are kept on this machine.
    fn local_backup_dir(&self) -> std::path::PathBuf {
        let below = || {
            let base = self.tmp_dirs.first().cloned().unwrap_or_else(std::env::temp_dir);
            base.join("eddyline-local-backup")
        };
        self.local_backup_dir.clone().unwrap_or_else(below)
    }

    /// What the runtime is told, for front ends that make their jobs without an
    /// [`Environment`](crate::Environment).
    ///
    /// # Errors
    /// Of kind `Config` for options that cannot work together.
    pub fn job_options(&self) -> Result<JobOptions> {
        self.for_runtime()
    }

    /// What the runtime is told.
    pub(crate) fn for_runtime(&self) -> Result<JobOptions> {
        let mut runtime = self.runtime.clone();
        if self.local_backup {
            runtime.local_backup = Some(self.local_backup_dir());
        }
        if let Some(snapshot) = &mut runtime.restore_from {
            snapshot.claim |= self.claims;
            if runtime.checkpoint_dir.is_none() {
                return Err(Error::config("a job that keeps no checkpoints cannot start from one")
                    .with_detail(snapshot.path.clone())
                    .with_hint("set execution.checkpointing.dir, too"));
            }
        }
        let processes = runtime.processes.max(1);
        if self.parallelism == 0 || !self.parallelism.is_multiple_of(processes) {
            return Err(Error::config(format!(
                "{} workers cannot be divided over {processes} processes",
                self.parallelism
            ))
            .with_hint("give a parallelism that is a positive multiple of the number of processes"));
        }
        runtime.workers = self.parallelism / processes;
        if let Some(attempts) = &mut runtime.attempts {
            attempts.processes = processes;
        }
        if runtime.on_event || runtime.tick_per_batch {
            runtime.tick_length = Duration::ZERO;
        }
        let interval = runtime.checkpoints.interval_ms.or(CheckpointConfig::default().interval_ms);
        runtime.checkpoints.interval_ms = interval.filter(|interval_ms| *interval_ms > 0);
        runtime.validate()?;
        self.state_backend.install(&self.tmp_dirs, &mut runtime.services)?;
        Ok(runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_flinks_names() {
        let mut options = Options::default();
        for (key, value) in [
            ("parallelism.default", "4"),
            ("eddyline.processes", "2"),
            ("execution.checkpointing.interval", "200 ms"),
            ("restart-strategy.type", "fixed-delay"),
            ("restart-strategy.fixed-delay.attempts", "7"),
            ("heartbeat.timeout", "2 s"),
            ("eddyline.watermark-mode", "on-event"),
        ] {
            options.set(key, value).unwrap();
        }
        let runtime = options.for_runtime().unwrap();
        assert_eq!((runtime.workers, runtime.processes), (2, 2));
        assert_eq!(runtime.checkpoints.interval_ms, Some(200));
        assert_eq!(runtime.restart, Some(RestartStrategy::FixedDelay { attempts: 7, delay_ms: 1_000 }));
        let attempts = runtime.attempts.unwrap();
        assert_eq!((attempts.processes, attempts.heartbeat_timeout_ms), (2, 2_000));
        assert!(runtime.on_event);
    }

    #[test]
    fn the_interval_of_checkpoints_is_ten_seconds_unless_it_is_given() {
        for (given, expected) in [(None, Some(10_000)), (Some("20 s"), Some(20_000)), (Some("0"), None)] {
            let mut options = Options::default();
            if let Some(given) = given {
                options.set("execution.checkpointing.interval", given).unwrap();
            }
            assert_eq!(options.for_runtime().unwrap().checkpoints.interval_ms, expected, "{given:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let mut options = Options::default();
        assert!(options.set("parallelism.default", "many").is_err());
        assert!(options.set("restart-strategy.typ", "none").is_err());
        let error = options.set("eddyline.ticklength", "1 ms").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `eddyline.tick-length`?"));
        options.parallelism = 3;
        options.runtime.processes = 2;
        assert!(options.for_runtime().is_err());
        assert!(ENTRIES.iter().all(|entry| Options::help().contains(entry.key)));
    }
}

#[cfg(test)]
mod documentation {
    use super::ENTRIES;

    #[test]
    fn the_documentation_names_every_option() {
        let page = include_str!("../../../../docs/configuration.md");
        for entry in ENTRIES {
            let row = format!("| `{}` | {} |", entry.key, entry.meaning.replace('|', "or"));
            assert!(page.contains(&row), "docs/configuration.md lacks the row\n{row}");
        }
    }
}
