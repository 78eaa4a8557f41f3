//! The few file operations that checkpoints need, so that they can be faked, delayed and broken.
//!
//! Durability is what POSIX promises and no more: bytes are safe after [`WritableFile::sync`], names after
//! [`FileSystem::sync_dir`] of the directory they are in.

mod held;
mod local;
mod memory;
mod objects;

pub use held::HeldFileSystem;
pub use local::LocalFileSystem;
pub use memory::{CrashOutcome, FaultPlan, MemoryFileSystem};
pub use objects::{FileObjects, ObjectStorage, ObjectWriter};

use eddyline_core::Result;
use std::path::Path;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// The name, without the directory.
    pub name: String,
    /// Whether it names a directory.
    pub is_directory: bool,
}

/// A file that can be appended to.
pub trait WritableFile: Send {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// If not all could be written; how many were is unknown then.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Returns when all that was written is durable.
    ///
    /// # Errors
    /// After an error, what was written must be considered lost: it must be written anew, to another file.
    fn sync(&mut self) -> Result<()>;
}

/// Files by path.
pub trait FileSystem: Send + Sync {
    /// Creates a file for writing; `None` if the name is taken, which is decided atomically.
    ///
    /// # Errors
    /// If the directory is missing or cannot be written to.
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>>;

    /// Opens an existing file for appending.
    ///
    /// # Errors
    /// If the file is missing or cannot be written to.
    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// If the file is missing or cannot be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;

    /// `length` bytes of a file from `offset` on.
    ///
    /// # Errors
    /// If the file is missing, too short or cannot be read.
    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>>;

    /// The number of bytes in a file.
    ///
    /// # Errors
    /// If the file is missing.
    fn length(&self, path: &Path) -> Result<u64>;

    /// Gives a file another name, atomically, replacing a file that has it.
    ///
    /// # Errors
    /// If the file is missing or a directory cannot be written to.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file another name, atomically, unless that name is taken; answers whether it was not. If it was, the
    /// file keeps its old name.
    ///
    /// # Errors
    /// If the file is missing or a directory cannot be written to.
    fn publish(&self, from: &Path, to: &Path) -> Result<bool>;

    /// What is in a directory, by name.
    ///
    /// # Errors
    /// If the directory is missing or cannot be read.
    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>>;

    /// Removes a file.
    ///
    /// # Errors
    /// If the file is missing or cannot be removed.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// If the directory is missing, not empty or cannot be removed.
    fn remove_dir(&self, path: &Path) -> Result<()>;

    /// Returns when the names in a directory are durable.
    ///
    /// # Errors
    /// If that cannot be achieved.
    fn sync_dir(&self, directory: &Path) -> Result<()>;

    /// Whether there is a file or directory of that name.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// Makes a directory and those it is in, durably; fine if it exists.
    ///
    /// # Errors
    /// If a directory cannot be made.
    fn create_dir_all(&self, directory: &Path) -> Result<()>;
}
