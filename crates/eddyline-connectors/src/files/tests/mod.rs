//! Readers against real files, written by a script; time is handed in, nothing sleeps.

mod bounded;
mod following;
mod packed;

use super::event::{Command, Event};
use super::plan::{Plan, plan};
use super::split::FileSplit;
use super::{TextFiles, line_reader::CHUNK_BYTES_MAX};
use crate::lane::Handler;
use eddyline_formats::Framing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line that was read: where it stands and what it is; too long ones as their length in brackets.
pub(super) type Seen = (String, u64, String);

/// What a source does, without a job around it.
pub(super) struct Driver {
    plan: Plan,
    pub(super) now_ms: i64,
    pub(super) lines: Vec<Seen>,
    pub(super) warnings: Vec<String>,
    pub(super) failure: Option<String>,
    pub(super) ended: bool,
}

impl Driver {
    pub(super) fn new(files: &TextFiles, restored: &[FileSplit], instance: u32, parallelism: u32) -> Self {
        let mut plan = plan(files, Framing::Lines, restored, instance, parallelism).unwrap();
        let news = std::mem::take(&mut plan.news);
        let (lines, warnings) = (Vec::new(), Vec::new());
        let mut driver = Driver { plan, now_ms: 0, lines, warnings, failure: None, ended: false };
        news.into_iter().for_each(|event| _ = driver.take(event));
        driver
    }

    /// Reads once; answers whether there may be more now.
    pub(super) fn step(&mut self) -> bool {
        let mut events = Vec::new();
        let command = Command::Read { buffer: Vec::new(), now_ms: self.now_ms, paused: Vec::new() };
        self.plan.reader.handle(command, &mut |event| events.push(event));
        let answers: Vec<bool> = events.into_iter().map(|event| self.take(event)).collect();
        !answers.contains(&false)
    }

    /// Reads all there is, at a time at which everything is looked at again.
    pub(super) fn poll(&mut self) -> Vec<String> {
        self.now_ms += 10_000;
        let before = self.lines.len();
        let mut turns = 0;
        while self.step() {
            turns += 1;
            assert!(turns < 100_000, "reading does not come to an end");
        }
        self.lines[before..].iter().map(|(_, _, line)| line.clone()).collect()
    }

    pub(super) fn state(&self) -> Vec<FileSplit> {
        self.plan.splits.values().cloned().collect()
    }

    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Opened { slot, split } => _ = self.plan.splits.insert(slot, split),
            Event::Identified { slot, split } => {
                self.plan.splits.get_mut(&slot).unwrap().fingerprint = split.fingerprint;
            }
            Event::Lines { slot, offset, bytes } => {
                assert!(bytes.len() <= CHUNK_BYTES_MAX + self.plan.reader.cutting.line_bytes_max);
                let split = self.plan.splits.get_mut(&slot).unwrap();
                let mut at = offset;
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    let text = String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_string();
                    self.lines.push((split.path.clone(), at, text));
                    at += line.len() as u64;
                }
                split.offset = at;
            }
            Event::TooLong { slot, offset, length, next, .. } => {
                let split = self.plan.splits.get_mut(&slot).unwrap();
                self.lines.push((split.path.clone(), offset, format!("[{length}]")));
                split.offset = next;
            }
            Event::Damaged { reason, .. } => self.failure = Some(reason),
            Event::Finished { slot, keep: true } => self.plan.splits.get_mut(&slot).unwrap().finished = true,
            Event::Finished { slot, keep: false } | Event::Forgotten { slot } => {
                self.plan.splits.remove(&slot).unwrap();
            }
            Event::Warning(warning) => self.warnings.push(warning),
            Event::Idle(_) => return false,
            Event::End => {
                self.ended = true;
                return false;
            }
            Event::Failed(error) => {
                self.failure = Some(error.report());
                return false;
            }
        }
        true
    }
}

/// A directory for a test.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(super) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub(super) fn append(&self, name: &str, content: &str) {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        options
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

/// The lines of `content` as a reader should see them.
pub(super) fn expected(
    path: &Path,
    content: &[u8],
    line_bytes_max: usize,
) -> BTreeMap<(String, u64), String> {
    let mut lines = BTreeMap::new();
    let mut at = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let text = if bare.len() > line_bytes_max {
            format!("[{}]", bare.len())
        } else {
            String::from_utf8_lossy(bare).trim_end_matches('\r').to_string()
        };
        lines.insert((path.to_str().unwrap().to_string(), at), text);
        at += line.len() as u64;
    }
    lines
}
