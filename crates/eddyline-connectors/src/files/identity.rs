//! Telling files apart when their names change.
//!
//! A rotated log keeps its inode and gets another name; a name may get another file; an inode may be used again. So
//! a file is known by device and inode *and* by a hash of its first bytes, of which there may be few as yet.

use eddyline_core::{Data, stable_hash};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};

/// The most bytes that a fingerprint covers.
const FINGERPRINT_BYTES_MAX: u64 = 256;

/// What a file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct FileIdentity {
    /// The device it is on; 0 where the system has no such number.
    pub device: u64,
    /// Its number there; 0 where the system has no such number.
    pub inode: u64,
}

impl FileIdentity {
    /// The identity of the file that `metadata` describes.
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        FileIdentity { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Elsewhere than on Unix, files are known by their first bytes alone.
    #[cfg(not(unix))]
    pub(crate) fn of(_metadata: &Metadata) -> Self {
        FileIdentity { device: 0, inode: 0 }
    }
}

/// A hash of a file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Data)]
pub struct Fingerprint {
    /// How many bytes it covers; 0 fits every file.
    pub bytes: u32,
    /// XXH3-64 of them.
    pub hash: u64,
}

impl Fingerprint {
    /// The fingerprint of the file's first bytes, at most up to `length`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn of(file: &File, length: u64) -> io::Result<Self> {
        let mut first = Vec::new();
        let mut reader = file;
        reader.seek(SeekFrom::Start(0))?;
        reader.take(length.min(FINGERPRINT_BYTES_MAX)).read_to_end(&mut first)?;
        Ok(Fingerprint { bytes: first.len() as u32, hash: stable_hash(&first) })
    }

    /// Whether the file still begins as it did.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn fits(&self, file: &File) -> io::Result<bool> {
        Ok(self.bytes == 0 || *self == Fingerprint::of(file, u64::from(self.bytes))?)
    }

    /// Whether a longer file would have a fingerprint of more bytes.
    pub(crate) fn is_short(&self) -> bool {
        u64::from(self.bytes) < FINGERPRINT_BYTES_MAX
    }
}
