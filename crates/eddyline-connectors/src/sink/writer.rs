//! The disk's half of a file sink: writes, makes durable, tries again.
//!
//! # Contract
//! - Bytes are kept until they are written: a write that failed is taken up again, behind what it did write, with
//!   the next command.
//! - After a failed sync the operating system may have dropped what it should have written, so the file is read
//!   back, compared with the checksum of what was handed over, and written anew under another name.
//! - Nothing here is visible: see the operator for commits.

use super::name;
use crate::lane::Handler;
use crc32fast::Hasher;
use eddyline_core::{Error, Result};
use eddyline_protocol::CheckpointId;
use eddyline_state::{FileSystem, WritableFile};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at a time when a file is copied.
const COPY_BYTES: u64 = 256 << 10;

/// What the operator asks for. Files go by their visible names.
pub(crate) enum Command {
    /// Append to a file, which is created with its first bytes.
    Write { file: String, bytes: Vec<u8> },
    /// Nothing follows for this file.
    Seal { file: String },
    /// Make all sealed files durable, names included.
    Prepare { checkpoint: CheckpointId },
    /// Make the names of files durable that were made visible.
    SyncNames { files: Vec<String> },
}

/// What came of it.
pub(crate) enum Event {
    /// That many bytes were written and are not held any more.
    Written { bytes: usize },
    /// Bytes could not be written; they are held and will be tried again.
    WriteFailed(Error),
    /// All files sealed before are durable, or why not.
    Prepared { checkpoint: CheckpointId, outcome: Result<()> },
    /// The visible names are durable; if they could not be made so, ask again.
    NamesSynced { files: Vec<String>, outcome: Result<()> },
}

/// A file that is not durable yet.
#[derive(Default)]
struct Writing {
    handle: Option<Box<dyn WritableFile>>,
    written: u64,
    checksum: Hasher,
    waiting: VecDeque<Vec<u8>>,
    sealed: bool,
    /// A write failed: how much of it got through is to be found out.
    torn: bool,
    /// A sync failed: what was written may be lost.
    suspect: bool,
}

/// The disk's half of a file sink.
pub(crate) struct Writer {
    files: Arc<dyn FileSystem>,
    directory: PathBuf,
    /// Files that are not durable yet, in order of name.
    open: BTreeMap<String, Writing>,
}

impl Writer {
    pub(crate) fn new(files: Arc<dyn FileSystem>, directory: PathBuf) -> Self {
        Writer { files, directory, open: BTreeMap::new() }
    }

    /// Writes what waits for all files.
    fn flush(&mut self, answer: &mut dyn FnMut(Event)) -> Result<()> {
        for (name, writing) in &mut self.open {
            let path = self.directory.join(name::pending(name));
            let before: usize = writing.waiting.iter().map(Vec::len).sum();
            let outcome = writing.write_waiting(self.files.as_ref(), &path);
            let after: usize = writing.waiting.iter().map(Vec::len).sum();
            if after < before {
                answer(Event::Written { bytes: before - after });
            }
            outcome?;
        }
        Ok(())
    }

    fn prepare(&mut self, answer: &mut dyn FnMut(Event)) -> Result<()> {
        self.flush(answer)?;
        for (name, writing) in self.open.iter_mut().filter(|(_, writing)| writing.sealed) {
            if writing.suspect {
                copy_anew(self.files.as_ref(), &self.directory, name, writing)?;
                writing.suspect = false;
            } else if let Some(handle) = &mut writing.handle {
                writing.suspect = true;
                handle.sync()?;
                writing.suspect = false;
            }
            writing.handle = None;
        }
        self.files.sync_dir(&self.directory)?;
        self.open.retain(|_, writing| !writing.sealed);
        Ok(())
    }
}

impl Handler for Writer {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, command: Command, answer: &mut dyn FnMut(Event)) {
        match command {
            Command::Write { file, bytes } => {
                self.open.entry(file).or_default().waiting.push_back(bytes);
                if let Err(error) = self.flush(answer) {
                    answer(Event::WriteFailed(error));
                }
            }
            Command::Seal { file } => {
                if let Some(writing) = self.open.get_mut(&file) {
                    writing.sealed = true;
                }
            }
            Command::Prepare { checkpoint } => {
                let outcome = self.prepare(answer);
                answer(Event::Prepared { checkpoint, outcome });
            }
            Command::SyncNames { files } => {
                let outcome = self.files.sync_dir(&self.directory);
                answer(Event::NamesSynced { files, outcome });
            }
        }
    }
}

impl Writing {
    fn write_waiting(&mut self, files: &dyn FileSystem, path: &Path) -> Result<()> {
        while !self.waiting.is_empty() {
            if self.torn {
                self.take_up(files, path)?;
            }
            if self.handle.is_none() {
                let created = files.create_new(path)?;
                self.handle = Some(created.ok_or_else(|| {
                    Error::output("a file that a sink wants to create is there already")
                        .with_detail(path.display().to_string())
                        .with_hint(
                            "another job writes to this directory under the same uid: give it another one",
                        )
                })?);
            }
            let (Some(handle), Some(bytes)) = (&mut self.handle, self.waiting.front()) else { break };
            self.torn = true;
            handle.write(bytes)?;
            self.torn = false;
            self.written += bytes.len() as u64;
            self.checksum.update(bytes);
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Finds out how much of a failed write got through, and goes on behind it.
    fn take_up(&mut self, files: &dyn FileSystem, path: &Path) -> Result<()> {
        let Some(bytes) = self.waiting.front_mut() else { return Ok(()) };
        let through =
            files.length(path)?.checked_sub(self.written).and_then(|more| usize::try_from(more).ok());
        let through = through.filter(|count| *count <= bytes.len()).ok_or_else(|| changed(path))?;
        if files.read_range(path, self.written, through as u64)? != bytes[..through] {
            return Err(changed(path));
        }
        self.written += through as u64;
        self.checksum.update(&bytes[..through]);
        bytes.drain(..through);
        self.torn = false;
        Ok(())
    }
}

/// Writes a file anew whose sync failed, from what can be read of it, if that is what was written.
fn copy_anew(files: &dyn FileSystem, directory: &Path, name: &str, writing: &Writing) -> Result<()> {
    let (from, to) = (directory.join(name::pending(name)), directory.join(name::copy(name)));
    if files.exists(&to)? {
        files.remove(&to)?;
    }
    let mut copy = files.create_new(&to)?.ok_or_else(|| changed(&to))?;
    let (mut offset, mut checksum) = (0, Hasher::new());
    while offset < writing.written {
        let bytes = files.read_range(&from, offset, COPY_BYTES.min(writing.written - offset))?;
        checksum.update(&bytes);
        copy.write(&bytes)?;
        offset += bytes.len() as u64;
    }
    if checksum.finalize() != writing.checksum.clone().finalize() {
        return Err(Error::output("a file could not be made durable, and what is left of it is damaged")
            .with_detail(from.display().to_string())
            .with_hint(
                "check the disk; the job will write it anew from its last checkpoint when it restarts",
            ));
    }
    copy.sync()?;
    files.rename(&to, &from)
}

fn changed(path: &Path) -> Error {
    Error::output("a file that a sink is writing was changed by somebody else")
        .with_detail(path.display().to_string())
        .with_hint(
            "leave hidden files of the output directory alone; restart the job from its last checkpoint",
        )
}
