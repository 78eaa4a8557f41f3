//! Runs: encoded records in a file, one after the other.
//!
//! A record is its length as a `u32` and its bytes. Runs are written once, front to back, and read front to back, a
//! block at a time.

use super::storage::{SpillFile, SpillStorage};
use eddyline_core::{Data, Error, Reader, Result};
use std::marker::PhantomData;

/// The least block that files are read and written in.
pub(super) const BLOCK_BYTES_MIN: usize = 4 << 10;
/// The greatest one.
pub(super) const BLOCK_BYTES_MAX: usize = 1 << 20;
/// The bytes of a record's length.
const LENGTH_BYTES: usize = 4;

/// Records in a file; the file is gone when this is dropped.
pub(crate) struct Run {
    file: Box<dyn SpillFile>,
    /// Its size.
    pub(super) bytes: u64,
}

/// Writes a run.
pub(super) struct RunWriter {
    file: Box<dyn SpillFile>,
    buffer: Vec<u8>,
    written: u64,
    block_bytes: usize,
}

impl RunWriter {
    pub(super) fn new(storage: &dyn SpillStorage, block_bytes: usize) -> Result<Self> {
        Ok(RunWriter { file: storage.create()?, buffer: Vec::new(), written: 0, block_bytes })
    }

    pub(super) fn push<T: Data>(&mut self, value: &T) -> Result<()> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        value.encode(&mut self.buffer);
        let length = self.buffer.len() - start - LENGTH_BYTES;
        let length = u32::try_from(length).map_err(|_| {
            Error::user(format!("a record of {length} bytes is too long to be spilled"))
                .with_hint("records have less than 4 GiB")
        })?;
        self.buffer[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        if self.buffer.len() >= self.block_bytes {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Run> {
        self.flush()?;
        Ok(Run { file: self.file, bytes: self.written })
    }
}

/// Reads a run.
pub(super) struct RunReader<T> {
    run: Run,
    block: Vec<u8>,
    position: usize,
    /// Where in the file the block ends.
    offset: u64,
    block_bytes: usize,
    _value: PhantomData<fn() -> T>,
}

impl<T: Data> RunReader<T> {
    pub(super) fn new(run: Run, block_bytes: usize) -> Self {
        RunReader { run, block: Vec::new(), position: 0, offset: 0, block_bytes, _value: PhantomData }
    }

    /// The next record, until there is none.
    pub(super) fn next(&mut self) -> Result<Option<T>> {
        if !self.fill(LENGTH_BYTES)? {
            return Ok(None);
        }
        let mut reader = Reader::new(&self.block[self.position..]);
        let length = reader.count()?;
        self.position += LENGTH_BYTES;
        if length > 0 && !self.fill(length)? {
            return Err(short());
        }
        let mut reader = Reader::new(&self.block[self.position..self.position + length]);
        let value = T::decode(&mut reader)?;
        self.position += length;
        Ok(Some(value))
    }

    /// Begins again.
    pub(super) fn rewind(&mut self) {
        self.block.clear();
        (self.position, self.offset) = (0, 0);
    }

    /// Lets go of the block that was read.
    pub(super) fn release(&mut self) {
        self.rewind();
        self.block = Vec::new();
    }

    /// Sees to it that `count` bytes can be read; says no at the end of the run.
    fn fill(&mut self, count: usize) -> Result<bool> {
        let have = self.block.len() - self.position;
        if have >= count {
            return Ok(true);
        }
        let left = self.run.bytes - self.offset;
        if have == 0 && left == 0 {
            return Ok(false);
        }
        self.block.drain(..self.position);
        self.position = 0;
        let more = (count - have).max(self.block_bytes).min(left as usize);
        if have + more < count {
            return Err(short());
        }
        self.block.resize(have + more, 0);
        self.run.file.read_at(self.offset, &mut self.block[have..])?;
        self.offset += more as u64;
        Ok(true)
    }
}

fn short() -> Error {
    Error::storage("a file of spilled records is shorter than what was written to it")
        .with_hint("check the disk behind io.tmp.dirs")
}
