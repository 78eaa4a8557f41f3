//! The operating system's files.

use super::{DirectoryEntry, FileSystem, WritableFile};
use eddyline_core::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Files of this machine, or of a file system mounted there.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalFileSystem;

struct LocalFile {
    file: File,
    path: PathBuf,
    /// A failed sync may have dropped the bytes: later ones must not pretend otherwise.
    poisoned: bool,
}

/// Says what failed, on which file, and what to do.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space, or choose a directory on another disk"
        }
        ErrorKind::FileTooLarge => {
            "raise the limit on the size of files (ulimit -f), or choose a directory on another disk"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: remount it, or choose another directory"
        }
        ErrorKind::PermissionDenied => {
            "give this user the right to read and write there, or choose another directory"
        }
        ErrorKind::NotFound => "check that the path is right and that its disk is mounted",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            "a file is where a directory should be, or the reverse"
        }
        _ => "check the disk; the operating system's log may say more",
    };
    Error::storage(format!("cannot {doing}: {error}")).with_detail(path.display().to_string()).with_hint(hint)
}

impl WritableFile for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed("write to file", &self.path, &error))
    }

    fn sync(&mut self) -> Result<()> {
        if self.poisoned {
            return Err(Error::storage("cannot make file durable: an earlier attempt failed")
                .with_detail(self.path.display().to_string())
                .with_hint("the bytes may be lost: they are written anew with the next checkpoint"));
        }
        self.file.sync_all().map_err(|error| {
            self.poisoned = true;
            failed("make file durable", &self.path, &error)
        })
    }
}

impl FileSystem for LocalFileSystem {
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Some(Box::new(LocalFile { file, path: path.to_owned(), poisoned: false }))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(failed("create file", path, &error)),
        }
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>> {
        let file =
            OpenOptions::new().append(true).open(path).map_err(|error| failed("open file", path, &error))?;
        Ok(Box::new(LocalFile { file, path: path.to_owned(), poisoned: false }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|error| failed("read file", path, &error))
    }

    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut file = File::open(path).map_err(|error| failed("open file", path, &error))?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| failed("read file", path, &error))?;
        // The length comes from a file and must not make us allocate more than there is.
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|error| failed("read file", path, &error))?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(too_short(path, offset, length)) }
    }

    fn length(&self, path: &Path) -> Result<u64> {
        fs::metadata(path)
            .map(|metadata| metadata.len())
            .map_err(|error| failed("look at file", path, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|error| failed("rename file", from, &error))
    }

    fn publish(&self, from: &Path, to: &Path) -> Result<bool> {
        // A second link fails if the name is taken, which no rename of POSIX does.
        match fs::hard_link(from, to) {
            Ok(()) => self.remove(from).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("give file its name", from, &error)),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>> {
        let unreadable = |error: io::Error| failed("list directory", directory, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let is_directory = entry.file_type().map_err(unreadable)?.is_dir();
            entries.push(DirectoryEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_directory,
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|error| failed("remove file", path, &error))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        fs::remove_dir(path).map_err(|error| failed("remove directory", path, &error))
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        // Elsewhere than on Unix, directories cannot be opened; names are durable without it.
        if cfg!(unix) {
            let opened = File::open(directory).and_then(|directory| directory.sync_all());
            opened.map_err(|error| failed("make directory durable", directory, &error))?;
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|error| failed("look at file", path, &error))
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_dir_all(parent)?;
        }
        match fs::create_dir(directory) {
            Ok(()) => {}
            // Another process may have been quicker; a file in the way is an error all the same.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {}
            Err(error) => return Err(failed("make directory", directory, &error)),
        }
        match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent),
            _ => self.sync_dir(Path::new(".")),
        }
    }
}

pub(super) fn too_short(path: &Path, offset: u64, length: u64) -> Error {
    Error::storage("a file is shorter than it should be")
        .with_detail(format!("{}: {length} bytes wanted at byte {offset}", path.display()))
        .with_hint("the file was cut off or replaced: restore from an older checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let (files, below) = (LocalFileSystem, directory.path().join("a/b"));
        files.create_dir_all(&below).unwrap();
        files.create_dir_all(&below).unwrap();
        let path = below.join("f");
        let mut file = files.create_new(&path).unwrap().unwrap();
        assert!(files.create_new(&path).unwrap().is_none());
        file.write(b"hello ").unwrap();
        file.sync().unwrap();
        files.open_append(&path).unwrap().write(b"world").unwrap();
        assert_eq!(files.read(&path).unwrap(), b"hello world");
        assert_eq!(files.read_range(&path, 4, 4).unwrap(), b"o wo");
        assert!(files.read_range(&path, 4, u64::MAX).is_err());
        assert_eq!(files.length(&path).unwrap(), 11);
        files.rename(&path, &below.join("g")).unwrap();
        files.sync_dir(&below).unwrap();
        assert!(!files.exists(&path).unwrap());
        let name = |name: &str, is_directory| DirectoryEntry { name: name.into(), is_directory };
        assert_eq!(files.list(&below).unwrap(), [name("g", false)]);
        assert_eq!(files.list(directory.path()).unwrap(), [name("a", true)]);
        files.remove(&below.join("g")).unwrap();
        files.remove_dir(&below).unwrap();
    }

    #[test]
    fn errors_say_what_where_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = LocalFileSystem.read(&directory.path().join("missing")).unwrap_err();
        assert!(error.report().contains("missing") && error.hint().unwrap().contains("check that the path"));
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let error = LocalFileSystem.create_dir_all(&directory.path().join("file/below")).unwrap_err();
        assert!(error.message().contains("make directory"), "{error}");
        if Path::new("/dev/full").exists() {
            let mut full = LocalFileSystem.open_append(Path::new("/dev/full")).unwrap();
            let error = full.write(b"x").unwrap_err();
            assert!(error.hint().unwrap().contains("free some space"), "{}", error.report());
        }
    }
}
