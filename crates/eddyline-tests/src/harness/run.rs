//! One job in its directory: its program is started once or several times, until the job is done.

use super::watch::{Deadline, processes_with, signal};
use crate::workload::gate::{Gate, MARKERS, Moment};
use crate::workload::{WorkloadArguments, expected, judge};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// How the job is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program.
    pub program: PathBuf,
    /// What the records follow from.
    pub seed: u64,
    /// Records of each split.
    pub records_per_split: u64,
    /// Records of all splits together.
    pub records_per_second: u64,
    /// Processes, of one worker each.
    pub processes: u32,
    /// Further options.
    pub options: Vec<String>,
}

impl Settings {
    /// Two processes, a checkpoint every 50 ms, restarts at once and without limit. Where RocksDB is built in, it keeps
    /// the state of every other seed, with next to nothing in memory.
    pub fn new(program: &str, seed: u64) -> Self {
        let mut options = vec![
            "execution.checkpointing.interval=50 ms",
            "execution.checkpointing.num-retained=2",
            "execution.checkpointing.tolerable-failed-checkpoints=1000",
            "restart-strategy.type=fixed-delay",
            "restart-strategy.fixed-delay.attempts=10000",
            "restart-strategy.fixed-delay.delay=0 ms",
            "heartbeat.interval=100 ms",
            "heartbeat.timeout=1 s",
        ];
        if cfg!(feature = "rocksdb") && seed % 2 == 1 {
            options.extend(["state.backend.type=rocksdb", "state.backend.rocksdb.memory.resident=2 kb"]);
        }
        Settings {
            program: program.into(),
            seed,
            records_per_split: 400,
            records_per_second: 1_600,
            processes: 2,
            options: options.iter().map(|option| format!("-D{option}")).collect(),
        }
    }
}

/// What the environment variable `EDDYLINE_TESTS_SEED` says: it is added to all seeds, to try others than the usual.
pub fn seed_offset() -> u64 {
    std::env::var("EDDYLINE_TESTS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What the environment variable `EDDYLINE_TESTS_ROUNDS` says: how often kill tests with rounds go through all their
/// jobs, each time with other seeds (1).
pub fn rounds() -> usize {
    std::env::var("EDDYLINE_TESTS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A job in its directory.
pub struct Run {
    settings: Settings,
    directory: TempDir,
    gate: Gate,
    supervisors: Vec<Child>,
    started: usize,
}

impl Run {
    /// Prepares the directory; nothing is started yet.
    ///
    /// # Errors
    /// If there is no place for it.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let directory = TempDir::new()?;
        std::fs::create_dir(directory.path().join("markers"))?;
        let gate = Gate::at(&directory.path().join("markers"));
        Ok(Run { settings, directory, gate, supervisors: Vec::new(), started: 0 })
    }

    /// Where the outputs are; no other process has this path on its command line.
    pub fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Where the checkpoints of the job are.
    pub fn checkpoints(&self) -> PathBuf {
        self.directory.path().join("checkpoints").join("kill-workload")
    }

    /// Markers and holds.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Processes of the job.
    pub fn processes(&self) -> u32 {
        self.settings.processes
    }

    /// Starts the program.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&mut self) -> std::io::Result<()> {
        let arguments = WorkloadArguments {
            out: self.out(),
            seed: self.settings.seed,
            records_per_split: self.settings.records_per_split,
            records_per_second: self.settings.records_per_second,
        };
        self.started += 1;
        let log = File::create(self.log_path(self.started))?;
        let processes = self.settings.processes.to_string();
        let child = Command::new(&self.settings.program)
            .args(["--processes", &processes, "-p", &processes, "--checkpoint-dir"])
            .arg(self.directory.path().join("checkpoints"))
            .args(&self.settings.options)
            .arg("--")
            .args(arguments.to_strings())
            .env(MARKERS, self.directory.path().join("markers"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.supervisors.push(child);
        Ok(())
    }

    fn log_path(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("stderr-{number}"))
    }

    /// What the programs said on standard error, the newest last.
    pub fn log(&self) -> String {
        let logs = (1..=self.started).map(|number| {
            let text = std::fs::read_to_string(self.log_path(number)).unwrap_or_default();
            format!("--- start {number}\n{text}")
        });
        logs.collect()
    }

    /// The supervisor that was started last.
    pub fn supervisor(&self) -> Option<Pid> {
        self.supervisors.last().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?))
    }

    /// Lets the supervisor that was started `number`-th, counted from 0, go on.
    pub fn continue_supervisor(&self, number: usize) {
        let child = self.supervisors.get(number);
        if let Some(pid) = child.and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?)) {
            signal(pid, Signal::CONT);
        }
    }

    /// The process of a worker.
    pub fn worker(&self, number: u32) -> Option<Pid> {
        let argument = self.out().display().to_string();
        processes_with(&argument).into_iter().find(|(_, worker)| *worker == Some(number)).map(|(pid, _)| pid)
    }

    /// The number of the newest attempt; 0 if there was none.
    pub fn newest_attempt(&self) -> u64 {
        let names = std::fs::read_dir(self.checkpoints().join("attempts")).into_iter().flatten().flatten();
        let number = |name: &str| name.strip_prefix("attempt-")?.parse().ok();
        names.filter_map(|entry| number(entry.file_name().to_str()?)).max().unwrap_or(0)
    }

    /// The newest complete checkpoint; 0 if there is none.
    pub fn newest_complete(&self) -> u64 {
        let entries = std::fs::read_dir(self.checkpoints()).into_iter().flatten().flatten();
        let complete = entries.filter(|entry| entry.path().join("COMPLETE").exists());
        let number = |name: &str| name.strip_prefix("checkpoint-")?.parse().ok();
        complete.filter_map(|entry| number(entry.file_name().to_str()?)).max().unwrap_or(0)
    }

    /// Waits until an instance of an attempt after `attempt` is held at `moment`: which attempt it is, and what the
    /// instance said. None if the job ends instead.
    ///
    /// # Errors
    /// If neither happens.
    pub fn wait_held(&mut self, moment: Moment, attempt: u64) -> Result<Option<(u64, String)>, String> {
        let deadline = Deadline::minute(format!("attempt after {attempt} held at {}", moment.name()));
        deadline.wait_for(|| {
            let newest = self.gate.held(moment).into_iter().filter(|(held, _)| *held > attempt).max();
            match newest {
                Some(held) => Some(Some(held)),
                None if self.newest_has_ended() => Some(None),
                None => None,
            }
        })
    }

    /// Waits until all instances of the source of an attempt after `attempt` have been read to their ends.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn wait_finished(&mut self, attempt: u64) -> Result<Option<u64>, String> {
        let deadline = Deadline::minute(format!("attempt after {attempt} at the end of its input"));
        deadline.wait_for(|| {
            let newest = self.newest_attempt();
            if newest > attempt && self.gate.is_finished(newest, self.settings.processes) {
                return Some(Some(newest));
            }
            self.newest_has_ended().then_some(None)
        })
    }

    /// Waits until there is an attempt after `attempt`.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn wait_attempt(&mut self, attempt: u64) -> Result<u64, String> {
        Deadline::minute(format!("an attempt after {attempt}")).wait_for(|| {
            let newest = self.newest_attempt();
            (newest > attempt).then_some(newest)
        })
    }

    /// Whether the supervisor that was started last has ended.
    pub fn newest_has_ended(&mut self) -> bool {
        self.supervisors.last_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Waits until the supervisor that was started `number`-th, counted from 0, has ended.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_supervisor(&mut self, number: usize) -> Result<ExitStatus, String> {
        let child = self.supervisors.get_mut(number).ok_or("there is no such supervisor")?;
        Deadline::minute(format!("the end of supervisor {number}"))
            .wait_for(|| child.try_wait().transpose())?
            .map_err(|error| error.to_string())
    }

    /// Waits for the end of the job and judges it: the program that was started last ends well, all output is
    /// there once, no process is left.
    ///
    /// # Errors
    /// What is wrong, with all that was said on standard error.
    pub fn finish(&mut self, may_leave_hidden_files: bool) -> Result<(), String> {
        self.judge_end(may_leave_hidden_files).map_err(|problem| {
            let seed = self.settings.seed;
            format!("seed {seed}: {problem}\n{}", self.log())
        })
    }

    fn judge_end(&mut self, may_leave_hidden_files: bool) -> Result<(), String> {
        let status = self.wait_supervisor(self.supervisors.len() - 1)?;
        if !status.success() {
            return Err(format!("the program ended with {status}"));
        }
        self.wait_all_gone()?;
        judge(&self.out(), &expected(self.settings.seed, self.settings.records_per_split))?;
        let hidden = hidden_files(&self.out());
        if !may_leave_hidden_files && !hidden.is_empty() {
            return Err(format!("files that nobody will ever see are left: {hidden:?}"));
        }
        Ok(())
    }

    /// Waits until no process of the job is left.
    ///
    /// # Errors
    /// Which ones are.
    pub fn wait_all_gone(&mut self) -> Result<(), String> {
        let argument = self.out().display().to_string();
        let supervisors = &mut self.supervisors;
        Deadline::minute("the end of all processes").wait_for(|| {
            supervisors.iter_mut().for_each(|child| drop(child.try_wait()));
            processes_with(&argument).is_empty().then_some(())
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        for (pid, _) in processes_with(&self.out().display().to_string()) {
            signal(pid, Signal::KILL);
        }
        self.supervisors.iter_mut().for_each(|child| drop(child.wait()));
    }
}

fn hidden_files(directory: &Path) -> Vec<PathBuf> {
    let outputs = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = outputs.flat_map(|output| std::fs::read_dir(output.path()).into_iter().flatten().flatten());
    let hidden = files.filter(|file| file.file_name().to_string_lossy().starts_with('.'));
    hidden.map(|file| file.path()).collect()
}
