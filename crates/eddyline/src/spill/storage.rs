//! Where spilled records are kept: files without names in directories, or memory.
//!
//! A file is removed from its directory as soon as it is open, so nothing is left behind, whatever becomes of the
//! process. Nothing in it survives a crash, and nothing has to.

use eddyline_core::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Numbers the files of this process.
static NEXT_FILE: AtomicU64 = AtomicU64::new(0);
/// Names tried before a directory counts as unusable.
const NAMES_TRIED_MAX: usize = 100;

/// A file of bytes that were spilled: written once, then read.
pub(crate) trait SpillFile: Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Fills `buffer` with the bytes from `offset` on.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()>;
}

/// Makes files for spilled records.
pub(crate) trait SpillStorage: Send + Sync {
    /// An empty file.
    fn create(&self) -> Result<Box<dyn SpillFile>>;
}

/// Files in local directories, in turn.
pub(crate) struct LocalDirectories {
    directories: Vec<PathBuf>,
    next: AtomicUsize,
}

impl LocalDirectories {
    /// Files in `directories`; without any, in the system's directory for temporary files.
    pub(crate) fn new(directories: Vec<PathBuf>) -> Self {
        let directories = if directories.is_empty() { vec![std::env::temp_dir()] } else { directories };
        LocalDirectories { directories, next: AtomicUsize::new(0) }
    }
}

impl SpillStorage for LocalDirectories {
    fn create(&self) -> Result<Box<dyn SpillFile>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.directories.len();
        let directory = &self.directories[turn];
        Ok(Box::new(LocalFile { file: open_nameless(directory)?, directory: directory.clone() }))
    }
}

/// Creates a file and takes its name away.
fn open_nameless(directory: &Path) -> Result<File> {
    for _ in 0..NAMES_TRIED_MAX {
        let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("eddyline-spill-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path).map_err(|error| failed("cannot remove", directory, &error))?;
                return Ok(file);
            }
            // Left by a process of another host or container with the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("cannot create", directory, &error)),
        }
    }
    Err(Error::storage("cannot find a free name for spilled records")
        .with_detail(directory.display().to_string())
        .with_hint("remove old eddyline-spill files there, or set io.tmp.dirs to another directory"))
}

fn failed(what: &str, directory: &Path, error: &std::io::Error) -> Error {
    let hint = if error.kind() == ErrorKind::StorageFull {
        "free space there, or set io.tmp.dirs to a directory with more room"
    } else {
        "check the directory, or set io.tmp.dirs to one that can be written"
    };
    Error::storage(format!("{what} a file of spilled records"))
        .with_detail(format!("{}: {error}", directory.display()))
        .with_hint(hint)
}

struct LocalFile {
    file: File,
    directory: PathBuf,
}

impl SpillFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed("cannot write", &self.directory, &error))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(buffer));
        read.map_err(|error| failed("cannot read", &self.directory, &error))
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing {
    //! Storage in memory, with room for so many bytes.

    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    /// Counts what lies in its files, and is full at a limit.
    pub(crate) struct MemoryStorage {
        pub(crate) room: i64,
        pub(crate) bytes: Arc<AtomicI64>,
        pub(crate) files: Arc<AtomicI64>,
        pub(crate) written: Arc<AtomicI64>,
    }

    impl MemoryStorage {
        pub(crate) fn with_room(room: i64) -> Self {
            MemoryStorage { room, bytes: Arc::default(), files: Arc::default(), written: Arc::default() }
        }
    }

    struct MemoryFile {
        content: Vec<u8>,
        room: i64,
        bytes: Arc<AtomicI64>,
        files: Arc<AtomicI64>,
        written: Arc<AtomicI64>,
    }

    impl SpillStorage for MemoryStorage {
        fn create(&self) -> Result<Box<dyn SpillFile>> {
            self.files.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(MemoryFile {
                content: Vec::new(),
                room: self.room,
                bytes: self.bytes.clone(),
                files: self.files.clone(),
                written: self.written.clone(),
            }))
        }
    }

    impl SpillFile for MemoryFile {
        fn append(&mut self, bytes: &[u8]) -> Result<()> {
            self.written.fetch_add(bytes.len() as i64, Ordering::SeqCst);
            let now = self.bytes.fetch_add(bytes.len() as i64, Ordering::SeqCst) + bytes.len() as i64;
            self.content.extend_from_slice(bytes);
            if now > self.room {
                let full = std::io::Error::from(ErrorKind::StorageFull);
                return Err(failed("cannot write", Path::new("memory"), &full));
            }
            Ok(())
        }

        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
            let start = offset as usize;
            buffer.copy_from_slice(&self.content[start..start + buffer.len()]);
            Ok(())
        }
    }

    impl Drop for MemoryFile {
        fn drop(&mut self) {
            self.bytes.fetch_sub(self.content.len() as i64, Ordering::SeqCst);
            self.files.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_no_name_and_keep_what_was_written() {
        let directory = std::env::temp_dir().join(format!("eddyline-spill-test-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let storage = LocalDirectories::new(vec![directory.clone()]);
        let mut file = storage.create().unwrap();
        file.append(b"abc").unwrap();
        file.append(b"def").unwrap();
        let mut buffer = [0; 4];
        file.read_at(1, &mut buffer).unwrap();
        assert_eq!(&buffer, b"bcde");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        std::fs::remove_dir_all(&directory).unwrap();
        let report = storage.create().err().unwrap().report();
        assert!(report.contains("cannot create a file of spilled records") && report.contains("io.tmp.dirs"));
    }

    #[test]
    fn a_full_disk_says_so() {
        let report = failed("cannot write", Path::new("spill"), &ErrorKind::StorageFull.into()).report();
        assert!(report.contains("free space there"), "{report}");
    }
}
