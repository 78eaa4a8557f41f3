//! Named objects, written once and never changed: what the checkpoint store needs of any storage.
//!
//! Object stores have no directories to make durable, no files to append to and nothing to rename, so nothing here
//! speaks of them. What there is instead is what a checkpoint relies on: an object is there whole and durable, or not
//! at all, and of two who put the same name only one succeeds.

use super::{DirectoryEntry, FileSystem, WritableFile};
use eddyline_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An object that is being written; dropped without [`ObjectWriter::finish`], it never appears.
pub trait ObjectWriter: Send {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// If they cannot be stored: the object is lost then.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Returns when the object is there, whole and durable.
    ///
    /// # Errors
    /// If that cannot be achieved: the object is lost then.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Objects by name. Names are relative, with `/` between their parts, of which the last names the object and the ones
/// before it a directory.
pub trait ObjectStorage: Send + Sync {
    /// Starts to write an object, which nobody else writes.
    ///
    /// # Errors
    /// If the name is taken, or nothing can be written there. Storage that cannot tell at once may say so when the
    /// object is finished.
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>>;

    /// Stores a small object, whole and durably, unless the name is taken, which is decided atomically; answers
    /// whether it was stored.
    ///
    /// # Errors
    /// If it is unknown whether it was stored, or certain that it was not.
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// The whole content of an object.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    fn read(&self, name: &str) -> Result<Vec<u8>>;

    /// `length` bytes of an object from `offset` on.
    ///
    /// # Errors
    /// If it is missing, too short or cannot be read.
    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>>;

    /// The number of bytes of an object; `None` if there is none of that name.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn length(&self, name: &str) -> Result<Option<u64>>;

    /// What is in a directory, in order; nothing if there is no such directory.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn list(&self, directory: &str) -> Result<Vec<DirectoryEntry>>;

    /// Removes objects, durably; those that are missing count as removed.
    ///
    /// # Errors
    /// If one cannot be removed.
    fn remove(&self, names: &[String]) -> Result<()>;

    /// Clears a directory away that may be empty, where there is such a thing.
    ///
    /// # Errors
    /// If it is empty and cannot be cleared away.
    fn clear_if_empty(&self, directory: &str) -> Result<()>;

    /// Where an object is, for people. Never holds a secret.
    fn locate(&self, name: &str) -> String;
}

/// Objects as files below a directory.
///
/// # Examples
/// ```
/// use eddyline_state::{FileObjects, MemoryFileSystem, ObjectStorage};
/// use std::sync::Arc;
///
/// let objects = FileObjects::new(Arc::new(MemoryFileSystem::new()), "/checkpoints");
/// assert!(objects.put_new("job/attempts/1", b"mine")?);
/// assert!(!objects.put_new("job/attempts/1", b"yours")?);
/// assert_eq!(objects.read("job/attempts/1")?, b"mine");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FileObjects {
    files: Arc<dyn FileSystem>,
    root: PathBuf,
}

struct FileWriter {
    files: Arc<dyn FileSystem>,
    file: Box<dyn WritableFile>,
    directory: PathBuf,
}

impl ObjectWriter for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.file.sync()?;
        self.files.sync_dir(&self.directory)
    }
}

impl FileObjects {
    /// The objects below `root`.
    pub fn new(files: Arc<dyn FileSystem>, root: impl AsRef<Path>) -> Self {
        FileObjects { files, root: root.as_ref().to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    /// The path of an object and its directory, which is made if it is missing.
    fn place(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let path = self.path(name);
        let directory = path.parent().unwrap_or(&self.root).to_owned();
        self.files.create_dir_all(&directory)?;
        Ok((path, directory))
    }

    /// What `look` finds at `path`; none if nothing is there, or what was is deleted by somebody meanwhile.
    fn unless_gone<T>(&self, path: &Path, look: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if !self.files.exists(path)? {
            return Ok(None);
        }
        match look() {
            Err(_) if !self.files.exists(path)? => Ok(None),
            found => found.map(Some),
        }
    }

    /// Makes the empty file `path`; answers whether it was not there.
    fn claim(&self, path: &Path, directory: &Path) -> Result<bool> {
        let Some(mut file) = self.files.create_new(path)? else { return Ok(false) };
        let durable = file.sync().and_then(|()| self.files.sync_dir(directory));
        if durable.is_err() {
            // Else the next try would take it for somebody else's.
            let _ = self.files.remove(path);
        }
        durable.map(|()| true)
    }
}

impl ObjectStorage for FileObjects {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>> {
        let (path, directory) = self.place(name)?;
        match self.files.create_new(&path)? {
            Some(file) => Ok(Box::new(FileWriter { files: self.files.clone(), file, directory })),
            None => Err(Error::storage("a file exists already")
                .with_detail(path.display().to_string())
                .with_hint("two workers or attempts have the same number: start the job once only")),
        }
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let (path, directory) = self.place(name)?;
        if bytes.is_empty() {
            return self.claim(&path, &directory);
        }
        if self.files.exists(&path)? {
            return Ok(false);
        }
        // Named by its content: what a crash has left of the same content is in nobody's way.
        let in_work = directory.join(format!("{}.in-work-{:08x}", last_part(name), crc32fast::hash(bytes)));
        if self.files.exists(&in_work)? {
            self.files.remove(&in_work)?;
        }
        let mut file = self.files.create_new(&in_work)?.ok_or_else(|| {
            Error::storage("two writers store the same object").with_detail(in_work.display().to_string())
        })?;
        file.write(bytes)?;
        file.sync()?;
        if !self.files.publish(&in_work, &path)? {
            self.files.remove(&in_work)?;
            return Ok(false);
        }
        self.files.sync_dir(&directory)?;
        Ok(true)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.files.read(&self.path(name))
    }

    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.files.read_range(&self.path(name), offset, length)
    }

    fn length(&self, name: &str) -> Result<Option<u64>> {
        let path = self.path(name);
        self.unless_gone(&path, || self.files.length(&path))
    }

    fn list(&self, directory: &str) -> Result<Vec<DirectoryEntry>> {
        let path = self.path(directory);
        Ok(self.unless_gone(&path, || self.files.list(&path))?.unwrap_or_default())
    }

    fn remove(&self, names: &[String]) -> Result<()> {
        let mut directories = std::collections::BTreeSet::new();
        for name in names {
            let path = self.path(name);
            if self.files.exists(&path)? {
                self.files.remove(&path)?;
                directories.extend(path.parent().map(Path::to_owned));
            }
        }
        directories.iter().try_for_each(|directory| self.files.sync_dir(directory))
    }

    fn clear_if_empty(&self, directory: &str) -> Result<()> {
        let path = self.path(directory);
        if self.files.exists(&path)? && self.files.list(&path)?.is_empty() {
            self.files.remove_dir(&path)?;
        }
        Ok(())
    }

    fn locate(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// What follows the last `/` of a name.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{LocalFileSystem, MemoryFileSystem};

    #[test]
    fn objects_are_put_once_listed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let on_disk = FileObjects::new(Arc::new(LocalFileSystem), directory.path());
        let in_memory = FileObjects::new(Arc::new(MemoryFileSystem::new()), "/some/where");
        for objects in [on_disk, in_memory] {
            assert_eq!((objects.list("a").unwrap(), objects.length("a/b").unwrap()), (Vec::new(), None));
            assert!(objects.put_new("a/b", b"first").unwrap());
            assert!(!objects.put_new("a/b", b"second").unwrap());
            assert!(objects.put_new("a/empty", b"").unwrap() && !objects.put_new("a/empty", b"").unwrap());
            let mut writer = objects.create("a/long").unwrap();
            writer.write(b"some ").unwrap();
            writer.write(b"thing").unwrap();
            writer.finish().unwrap();
            assert!(objects.create("a/long").is_err());
            assert_eq!(objects.read("a/b").unwrap(), b"first");
            assert_eq!(objects.read_range("a/long", 5, 5).unwrap(), b"thing");
            let names: Vec<_> = objects.list("a").unwrap().into_iter().map(|entry| entry.name).collect();
            assert_eq!(names, ["b", "empty", "long"], "nothing in work is left");
            objects.clear_if_empty("a").unwrap();
            objects.remove(&["a/b".into(), "a/empty".into(), "a/long".into(), "a/none".into()]).unwrap();
            objects.clear_if_empty("a").unwrap();
            assert_eq!(objects.list("").unwrap(), []);
        }
    }
}
