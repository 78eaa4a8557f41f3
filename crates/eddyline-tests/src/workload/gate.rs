//! Markers that say how far a job is, and holds that keep it there until it has been killed.
//!
//! A test that wants a job to be killed at a certain moment creates a *hold* in the marker directory; the job's
//! functions stop at that moment, say so by a *marker*, and go on when the hold is gone. Without a marker directory
//! nothing of this happens.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable that names the marker directory.
pub const MARKERS: &str = "EDDYLINE_TESTS_MARKERS";

/// A moment at which a job can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The sinks have been told of a cut; their part of the checkpoint is kept open.
    PreCommit,
    /// The checkpoint is complete and the first sink of an instance is told to commit.
    Commit,
    /// States have been restored, sinks recover.
    Restore,
    /// As `PreCommit`, once all sources have been read to their ends.
    FinalPreCommit,
    /// As `Commit`, once all sources have been read to their ends.
    FinalCommit,
}

impl Moment {
    /// Its name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Moment::PreCommit => "pre-commit",
            Moment::Commit => "commit",
            Moment::Restore => "restore",
            Moment::FinalPreCommit => "final-pre-commit",
            Moment::FinalCommit => "final-commit",
        }
    }
}

/// The marker directory, seen from the job or from the test.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    directory: Option<PathBuf>,
}

impl Gate {
    /// The one that the environment names.
    pub fn from_environment() -> Self {
        Gate { directory: std::env::var_os(MARKERS).map(PathBuf::from) }
    }

    /// The one in `directory`.
    pub fn at(directory: &Path) -> Self {
        Gate { directory: Some(directory.to_owned()) }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(name))
    }

    /// Says something; to say it again does nothing. A directory that is gone belongs to a test that is over.
    pub fn mark(&self, name: &str) {
        if let Some(path) = self.path(name) {
            let _ = std::fs::write(path, b"");
        }
    }

    /// Whether it was said.
    pub fn is_marked(&self, name: &str) -> bool {
        self.path(name).is_some_and(|path| path.exists())
    }

    /// Asks that jobs be held at `moment`.
    pub fn hold(&self, moment: Moment) {
        self.mark(&format!("hold-{}", moment.name()));
    }

    /// Lets jobs pass `moment` again.
    pub fn release(&self, moment: Moment) {
        if let Some(path) = self.path(&format!("hold-{}", moment.name())) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Whether jobs are held at `moment`; if so, `attempt` and `detail` are marked.
    pub fn holds(&self, moment: Moment, attempt: u64, detail: &str) -> bool {
        let held = self.is_marked(&format!("hold-{}", moment.name()));
        if held {
            self.mark(&format!("held-{}-{attempt}-{detail}", moment.name()));
        }
        held
    }

    /// Waits here as long as jobs are held at `moment`.
    pub fn wait(&self, moment: Moment, attempt: u64, detail: &str) {
        while self.holds(moment, attempt, detail) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// What was marked as held at `moment`: attempts and details.
    pub fn held(&self, moment: Moment) -> Vec<(u64, String)> {
        let Some(directory) = &self.directory else { return Vec::new() };
        let start = format!("held-{}-", moment.name());
        let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
        names
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (attempt, detail) = name.strip_prefix(&start)?.split_once('-')?;
                Some((attempt.parse().ok()?, detail.to_owned()))
            })
            .collect()
    }

    /// Says that an instance of the source of an attempt has been read to its end.
    pub fn mark_finished(&self, attempt: u64, instance: u32) {
        self.mark(&format!("finished-{attempt}-{instance}"));
    }

    /// Whether all `instances` of the source have been read to their ends in `attempt`.
    pub fn is_finished(&self, attempt: u64, instances: u32) -> bool {
        (0..instances).all(|instance| self.is_marked(&format!("finished-{attempt}-{instance}")))
    }
}
