//! The simulated disk: files in memory, every operation traced.

use crate::trace::Trace;
use eddyline_core::Result;
use eddyline_state::{DirectoryEntry, FileSystem, MemoryFileSystem, WritableFile};
use std::path::Path;

/// Files in memory, every change of which is traced.
#[derive(Clone)]
pub struct Disk {
    /// The files themselves, to break.
    pub files: MemoryFileSystem,
    trace: Trace,
}

impl Disk {
    /// An empty disk.
    pub fn new(trace: Trace) -> Self {
        Disk { files: MemoryFileSystem::new(), trace }
    }

    fn note<T>(&self, verb: &str, path: &Path, outcome: Result<T>) -> Result<T> {
        let end = if outcome.is_ok() { "" } else { " FAILED" };
        self.trace.note(&format!("disk {verb} {}{end}", path.display()));
        outcome
    }
}

struct TracedFile {
    file: Box<dyn WritableFile>,
    trace: Trace,
    name: String,
}

impl WritableFile for TracedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let outcome = self.file.write(bytes);
        self.trace.add(eddyline_core::stable_hash(bytes));
        let end = if outcome.is_ok() { "" } else { " FAILED" };
        self.trace.note(&format!("disk write {} bytes to {}{end}", bytes.len(), self.name));
        outcome
    }

    fn sync(&mut self) -> Result<()> {
        let outcome = self.file.sync();
        let end = if outcome.is_ok() { "" } else { " FAILED" };
        self.trace.note(&format!("disk sync {}{end}", self.name));
        outcome
    }
}

impl FileSystem for Disk {
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>> {
        let file = self.note("create", path, self.files.create_new(path))?;
        let name = path.display().to_string();
        Ok(file.map(|file| {
            Box::new(TracedFile { file, trace: self.trace.clone(), name }) as Box<dyn WritableFile>
        }))
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>> {
        let file = self.note("open", path, self.files.open_append(path))?;
        Ok(Box::new(TracedFile { file, trace: self.trace.clone(), name: path.display().to_string() }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.note("read", path, self.files.read(path))
    }

    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.files.read_range(path, offset, length)
    }

    fn length(&self, path: &Path) -> Result<u64> {
        self.files.length(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.note("rename to", to, self.files.rename(from, to))
    }

    fn publish(&self, from: &Path, to: &Path) -> Result<bool> {
        self.note("publish", to, self.files.publish(from, to))
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>> {
        self.files.list(directory)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.note("remove", path, self.files.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.note("remove", path, self.files.remove_dir(path))
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        self.note("sync", directory, self.files.sync_dir(directory))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.files.exists(path)
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.files.create_dir_all(directory)
    }
}
