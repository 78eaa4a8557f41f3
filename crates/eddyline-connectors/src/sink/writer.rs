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
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at a time when a file is copied.
const COPY_BYTES: u64 = 256 << 10;
/// Files open at a time, about: more come from many buckets between two cuts.
const HANDLES_MAX: usize = 256;

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
        for (name, writing) in self.open.iter_mut().filter(|(_, writing)| !writing.waiting.is_empty()) {
            let path = self.directory.join(name::pending(name));
            let before: usize = writing.waiting.iter().map(Vec::len).sum();
            let outcome =
                writing.write_waiting(self.files.as_ref(), &path, !name::bucket_of(name).is_empty());
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
            } else {
                writing.sync()?;
            }
            writing.handle = None;
        }
        let sealed = self.open.iter().filter(|(_, writing)| writing.sealed).map(|(name, _)| name.as_str());
        let names: Vec<String> = sealed.map(str::to_owned).collect();
        self.sync_names(&names)?;
        self.open.retain(|_, writing| !writing.sealed);
        Ok(())
    }

    /// Makes the names durable that are in the directories of `files`.
    fn sync_names(&self, files: &[String]) -> Result<()> {
        let mut buckets: BTreeSet<&str> = files.iter().map(|file| name::bucket_of(file)).collect();
        if files.is_empty() {
            buckets.insert("");
        }
        buckets.into_iter().try_for_each(|bucket| self.files.sync_dir(&self.directory.join(bucket)))
    }

    /// Sees to it that not too many files are open that nothing follows for: the newest sealed one is made durable
    /// at once. If that fails, it is tried again with all others.
    fn seal(&mut self, file: &str, answer: &mut dyn FnMut(Event)) {
        let Some(writing) = self.open.get_mut(file) else { return };
        writing.sealed = true;
        if self.open.values().filter(|writing| writing.handle.is_some()).count() <= HANDLES_MAX {
            return;
        }
        if let Err(error) = self.flush(answer) {
            return answer(Event::WriteFailed(error));
        }
        if let Some(writing) = self.open.get_mut(file)
            && !writing.suspect
            && writing.sync().is_ok()
        {
            writing.handle = None;
        }
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
            Command::Seal { file } => self.seal(&file, answer),
            Command::Prepare { checkpoint } => {
                let outcome = self.prepare(answer);
                answer(Event::Prepared { checkpoint, outcome });
            }
            Command::SyncNames { files } => {
                let outcome = self.sync_names(&files);
                answer(Event::NamesSynced { files, outcome });
            }
        }
    }
}

impl Writing {
    /// Makes what was written durable; a failure leaves it suspect.
    fn sync(&mut self) -> Result<()> {
        if let Some(handle) = &mut self.handle {
            self.suspect = true;
            handle.sync()?;
            self.suspect = false;
        }
        Ok(())
    }

    fn write_waiting(&mut self, files: &dyn FileSystem, path: &Path, in_bucket: bool) -> Result<()> {
        while !self.waiting.is_empty() {
            if self.torn {
                self.take_up(files, path)?;
            }
            if self.handle.is_none() {
                if let Some(bucket) = path.parent().filter(|_| in_bucket) {
                    files.create_dir_all(bucket)?;
                }
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
