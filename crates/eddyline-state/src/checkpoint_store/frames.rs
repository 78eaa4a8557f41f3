//! Compressed part files, in the seekable format of Zstandard: frames that can be decompressed alone, and behind them
//! a table that says where each one begins. `zstd -d` reads such a file as any other.
//!
//! Offsets in manifests count the bytes before compression: compressing is the business of the storage alone.

use crate::storage::{ObjectStorage, ObjectWriter};
use eddyline_core::{Error, Result};

/// What the names of compressed parts end with.
pub(super) const COMPRESSED_SUFFIX: &str = ".zst";

/// Level 1 compresses at a speed that disks and networks do not exceed.
const LEVEL: i32 = 1;
/// Most bytes in a frame before compression.
const FRAME_BYTES_MAX: usize = 1 << 20;
const TABLE_MAGIC: u32 = 0x184D_2A5E;
const FOOTER_MAGIC: u32 = 0x8F92_EAB1;
const HEADER_BYTES: usize = 8;
const ENTRY_BYTES: usize = 8;
const FOOTER_BYTES: usize = 9;

/// Where a frame lies, compressed and not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) raw_offset: u64,
    pub(super) raw_length: u32,
    offset: u64,
    length: u32,
}

/// Compresses what it is given and writes that on.
pub(super) struct FrameWriter {
    inner: Box<dyn ObjectWriter>,
    /// Compressed and raw length of each frame.
    frames: Vec<(u32, u32)>,
}

impl FrameWriter {
    pub(super) fn new(inner: Box<dyn ObjectWriter>) -> Self {
        FrameWriter { inner, frames: Vec::new() }
    }
}

impl ObjectWriter for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(FRAME_BYTES_MAX) {
            let compressed = zstd::bulk::compress(piece, LEVEL)
                .map_err(|error| Error::internal(format!("cannot compress a part: {error}")))?;
            self.frames.push((compressed.len() as u32, piece.len() as u32));
            self.inner.write(&compressed)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let table_bytes = self.frames.len() * ENTRY_BYTES + FOOTER_BYTES;
        let mut table = Vec::with_capacity(HEADER_BYTES + table_bytes);
        table.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
        table.extend_from_slice(&(table_bytes as u32).to_le_bytes());
        for (length, raw_length) in &self.frames {
            table.extend_from_slice(&length.to_le_bytes());
            table.extend_from_slice(&raw_length.to_le_bytes());
        }
        table.extend_from_slice(&(self.frames.len() as u32).to_le_bytes());
        table.push(0);
        table.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        self.inner.write(&table)?;
        self.inner.finish()
    }
}

/// Reads the table of a compressed part.
///
/// # Errors
/// If the part is missing, cut off, or no compressed part.
pub(super) fn read_table(storage: &dyn ObjectStorage, name: &str) -> Result<Vec<Frame>> {
    let damaged = || {
        Error::storage("a compressed part file is cut off or damaged")
            .with_detail(storage.locate(name))
            .with_hint("restore from an older checkpoint")
    };
    let length = storage
        .length(name)?
        .ok_or_else(|| Error::storage("no such file or directory").with_detail(storage.locate(name)))?;
    let footer_at = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
    let footer = storage.read_range(name, footer_at, FOOTER_BYTES as u64)?;
    let number = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if number(&footer, 5) != Some(FOOTER_MAGIC) {
        return Err(damaged());
    }
    let frames = u64::from(number(&footer, 0).ok_or_else(damaged)?);
    let entries_bytes = frames * ENTRY_BYTES as u64;
    let entries_at = footer_at.checked_sub(entries_bytes).ok_or_else(damaged)?;
    let entries = storage.read_range(name, entries_at, entries_bytes)?;
    let (mut offset, mut raw_offset) = (0u64, 0u64);
    let mut table = Vec::with_capacity(entries.len() / ENTRY_BYTES);
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let (length, raw_length) = number(entry, 0).zip(number(entry, 4)).ok_or_else(damaged)?;
        if raw_length as usize > FRAME_BYTES_MAX {
            return Err(damaged());
        }
        table.push(Frame { raw_offset, raw_length, offset, length });
        offset += u64::from(length);
        raw_offset += u64::from(raw_length);
    }
    if offset + HEADER_BYTES as u64 != entries_at { Err(damaged()) } else { Ok(table) }
}

/// The bytes of a frame before compression.
///
/// # Errors
/// If they cannot be read or are not what was written.
pub(super) fn read_frame(storage: &dyn ObjectStorage, name: &str, frame: Frame) -> Result<Vec<u8>> {
    let compressed = storage.read_range(name, frame.offset, u64::from(frame.length))?;
    let raw = zstd::bulk::decompress(&compressed, frame.raw_length as usize).unwrap_or_default();
    if raw.len() == frame.raw_length as usize {
        return Ok(raw);
    }
    Err(Error::storage("a compressed part file is damaged")
        .with_detail(format!("{}, frame at byte {}", storage.locate(name), frame.offset))
        .with_hint("restore from an older checkpoint, and check the disk"))
}
