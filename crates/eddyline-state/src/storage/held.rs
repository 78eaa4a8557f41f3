//! Files that were opened beforehand and stay readable when their names are gone.
//!
//! A job deletes checkpoints that it needs no more. Who reads one from another process opens all its files first and
//! reads through this: what was open then can be read to its end, whatever happens to the names.

use super::local::{failed, too_short};
use super::{DirectoryEntry, FileSystem, LocalFileSystem, WritableFile};
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Local files, some of them held open; for reading only.
#[derive(Debug, Default)]
pub struct HeldFileSystem {
    held: BTreeMap<PathBuf, File>,
}

impl HeldFileSystem {
    /// Opens a file, which stays readable from now on.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn hold(&mut self, path: &Path) -> Result<()> {
        if !self.held.contains_key(path) {
            let file = File::open(path).map_err(|error| failed("open file", path, &error))?;
            self.held.insert(path.to_owned(), file);
        }
        Ok(())
    }

    /// The number of files that are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no file is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

fn refused<T>(path: &Path) -> Result<T> {
    Err(Error::internal("a file was to be changed through a view that only reads")
        .with_detail(path.display().to_string()))
}

impl FileSystem for HeldFileSystem {
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>> {
        refused(path)
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>> {
        refused(path)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        match self.held.contains_key(path) {
            true => self.read_range(path, 0, self.length(path)?),
            false => LocalFileSystem.read(path),
        }
    }

    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
        let Some(file) = self.held.get(path) else {
            return LocalFileSystem.read_range(path, offset, length);
        };
        // The length comes from a file and must not make us allocate more than there is.
        if self.length(path)?.checked_sub(offset).is_none_or(|left| left < length) {
            return Err(too_short(path, offset, length));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset).map_err(|error| failed("read file", path, &error))?;
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> Result<u64> {
        let Some(file) = self.held.get(path) else { return LocalFileSystem.length(path) };
        file.metadata().map(|metadata| metadata.len()).map_err(|error| failed("look at file", path, &error))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<()> {
        refused(from)
    }

    fn publish(&self, from: &Path, _to: &Path) -> Result<bool> {
        refused(from)
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>> {
        LocalFileSystem.list(directory)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        refused(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        refused(path)
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        refused(directory)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        if self.held.contains_key(path) { Ok(true) } else { LocalFileSystem.exists(path) }
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        refused(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_can_be_read_when_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        std::fs::write(&path, b"hello world").unwrap();
        let mut files = HeldFileSystem::default();
        files.hold(&path).unwrap();
        files.hold(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files.read(&path).unwrap(), b"hello world");
        assert_eq!(files.read_range(&path, 6, 5).unwrap(), b"world");
        assert!(files.read_range(&path, 6, 6).is_err() && files.read_range(&path, 60, 1).is_err());
        assert!(files.exists(&path).unwrap() && files.remove(&path).is_err());
        assert!(files.hold(&directory.path().join("other")).is_err());
    }
}
