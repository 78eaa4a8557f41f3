//! A program in a directory of its own: started, told to stop, read.

use super::watch::{Deadline, signal};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// A place for programs: outputs in `out`, checkpoints in `checkpoints`.
pub struct Place {
    program: PathBuf,
    directory: TempDir,
}

/// A program that was started.
pub struct Started {
    child: Child,
    log: Log,
}

/// What a program says, while it runs and after.
#[derive(Debug, Clone)]
pub struct Log(PathBuf);

impl Log {
    /// What it has said so far, on standard error and standard output.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.0).unwrap_or_default()).into_owned()
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard error and standard output.
    pub said: String,
}

impl Place {
    /// A place for `program`.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(program: &str) -> std::io::Result<Self> {
        Ok(Place { program: program.into(), directory: TempDir::new()? })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Starts the program.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> std::io::Result<Started> {
        let path = tempfile::NamedTempFile::new_in(self.directory.path())?.into_temp_path().keep()?;
        let output = File::create(&path)?;
        let child = Command::new(&self.program)
            .args(arguments)
            // Whoever wants stack traces of panics must not get them where an error is reported.
            .env("RUST_BACKTRACE", "1")
            // A terminal sends Ctrl-C to all processes of a group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Started { child, log: Log(path) })
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// If it cannot be started or does not end.
    pub fn run(&self, arguments: &[&str]) -> Result<Ended, String> {
        self.start(arguments).map_err(|error| error.to_string())?.end()
    }

    /// The visible lines in a directory, sorted.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for path in visible_files(&self.path(name)) {
            lines.extend(std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }

    /// The directories of the complete checkpoints of a job, oldest first.
    pub fn complete_checkpoints(&self, job: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("checkpoints").join(job)).into_iter().flatten().flatten();
        let mut complete: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.join("COMPLETE").exists()).collect();
        complete.sort();
        complete
    }
}

impl Started {
    /// Its process.
    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// Sends it a signal.
    pub fn signal(&self, wanted: Signal) {
        if let Some(pid) = self.pid() {
            signal(pid, wanted);
        }
    }

    /// Presses Ctrl-C, as a terminal does: the supervisor gets it, and every process of its group.
    pub fn press_control_c(&self) {
        if let Some(pid) = self.pid() {
            // A group that has ended needs no signal.
            let _ = rustix::process::kill_process_group(pid, Signal::INT);
        }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.log.text()
    }

    /// Where it says what it says, to be read while something else is waited for.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Waits until `see` sees something, as long as the program runs.
    ///
    /// # Errors
    /// If the program ends or nothing is seen.
    pub fn wait_for(&mut self, what: &str, mut see: impl FnMut() -> bool) -> Result<(), String> {
        let seen = Deadline::minute(what).wait_for(|| match see() {
            true => Some(true),
            false => matches!(self.child.try_wait(), Ok(Some(_))).then_some(false),
        })?;
        if seen { Ok(()) } else { Err(format!("the program ended before {what}:\n{}", self.said())) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(mut self) -> Result<Ended, String> {
        let child = &mut self.child;
        let status = Deadline::minute("the end of the program").wait_for(|| child.try_wait().transpose());
        let status = status.map_err(|problem| format!("{problem}\n{}", self.said()))?;
        let status = status.map_err(|error| error.to_string())?;
        let said = self.said();
        Ok(Ended { status, said })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Worker processes notice that it is gone, and end by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files of a directory that do not begin with a dot.
pub fn visible_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    visible.map(|entry| entry.path()).collect()
}
