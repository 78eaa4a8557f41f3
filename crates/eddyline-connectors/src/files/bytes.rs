//! The bytes of a file by offset, packed or not.
//!
//! Of a packed file, offsets are those of the unpacked bytes. They can be read onwards only: an offset is found by
//! unpacking up to it, and what was read last can be read again.

use eddyline_formats::Compression;
use std::fs::File;
use std::io::{self, ErrorKind, Read};

/// Packed bytes read at a time, and unpacked ones kept to be read again.
const CHUNK_BYTES: usize = 256 << 10;

/// The bytes of an open file.
pub(crate) enum Bytes {
    Plain(File),
    Packed(Unpacking),
}

/// A packed file while it is unpacked.
pub(crate) struct Unpacking {
    file: File,
    unpacked: Box<dyn Read + Send>,
    /// What was unpacked last.
    recent: Vec<u8>,
    recent_start: u64,
}

impl Bytes {
    /// The bytes of `file`, packed by `compression`.
    ///
    /// # Errors
    /// If the file handle cannot be doubled or there is no memory.
    pub(crate) fn new(file: File, compression: Compression) -> io::Result<Self> {
        if compression == Compression::None {
            return Ok(Bytes::Plain(file));
        }
        let packed = io::BufReader::with_capacity(CHUNK_BYTES, file.try_clone()?);
        let unpacked = compression.unpack(packed)?;
        Ok(Bytes::Packed(Unpacking { file, unpacked, recent: Vec::new(), recent_start: 0 }))
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        match self {
            Bytes::Plain(file) => file,
            Bytes::Packed(unpacking) => &unpacking.file,
        }
    }

    /// Whether the bytes can be read from any offset at no cost.
    pub(crate) fn is_seekable(&self) -> bool {
        matches!(self, Bytes::Plain(_))
    }

    /// Reads bytes from `offset` on, as many as are there at once; none at the end.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            let read = match self {
                Bytes::Plain(file) => read_file_at(file, buffer, offset),
                Bytes::Packed(unpacking) => unpacking.read_at(buffer, offset),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

/// Whether `error`, met in reading packed bytes, says that they are damaged, not that they cannot be read.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

impl Unpacking {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(offset >= self.recent_start, "invariant: packed files are read onwards");
        loop {
            let skipped = usize::try_from(offset - self.recent_start).unwrap_or(usize::MAX);
            if let Some(there) = self.recent.get(skipped..).filter(|there| !there.is_empty()) {
                let count = there.len().min(buffer.len());
                buffer[..count].copy_from_slice(&there[..count]);
                return Ok(count);
            }
            if !self.unpack_more()? {
                return Ok(0);
            }
        }
    }

    /// Unpacks the next bytes; answers whether there were any.
    fn unpack_more(&mut self) -> io::Result<bool> {
        let start = self.recent_start + self.recent.len() as u64;
        let mut next = std::mem::take(&mut self.recent);
        next.resize(CHUNK_BYTES, 0);
        let read = self.unpacked.read(&mut next);
        next.truncate(*read.as_ref().unwrap_or(&0));
        (self.recent, self.recent_start) = (next, start);
        read.map(|count| count > 0)
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_file_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read(buffer)
}
