//! The bytes that one worker contributes to one checkpoint.
//!
//! States append segments to a [`PartWriter`] one after the other; it assigns offsets and checksums and hands the
//! bytes out in chunks, in order, to whoever writes the file.

use crc32fast::Hasher;
use eddyline_core::{Error, Result};
use eddyline_protocol::{SegmentKind, SegmentRef};
use std::collections::VecDeque;

/// The most bytes in a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Blocks shorter than this are copied rather than made chunks of their own.
const BLOCK_BYTES_MIN: usize = 16 << 10;
/// The most chunks that are kept to be filled again.
const SPARE_CHUNKS_MAX: usize = 32;
/// The most of them that are kept when no part is being written.
pub const IDLE_CHUNKS_MAX: usize = 8;
/// Every so many bytes the checksum catches up: while they are still in the processor's nearest caches.
const SUMMED_BYTES: usize = 32 << 10;

/// Collects the segments of one part file.
#[derive(Debug)]
pub struct PartWriter {
    file: String,
    chunks: VecDeque<Vec<u8>>,
    current: Vec<u8>,
    sealed_bytes: u64,
    segment: Option<OpenSegment>,
    /// From which length of the current chunk on something is to be done about it.
    attention_at: usize,
    /// Chunks that were written and can be filled again.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct OpenSegment {
    offset: u64,
    checksum: Hasher,
    /// How far into the current chunk the checksum has come.
    summed: usize,
}

/// What is left when a part is complete.
#[derive(Debug)]
pub struct FinishedPart {
    /// The chunks that were not taken yet, in order.
    pub chunks: Vec<Vec<u8>>,
    /// Bytes in the whole file; 0 means that no file is needed.
    pub bytes: u64,
    /// Chunks to be filled again, by the next part.
    pub spare: Vec<Vec<u8>>,
}

impl PartWriter {
    /// An empty part that will be stored as `file`, a path relative to the job's checkpoint directory.
    pub fn new(file: impl Into<String>) -> Self {
        PartWriter {
            file: file.into(),
            chunks: VecDeque::new(),
            current: Vec::new(),
            sealed_bytes: 0,
            segment: None,
            attention_at: SUMMED_BYTES,
            spare: Vec::new(),
        }
    }

    /// The same part, with chunks of an earlier one to be filled again.
    #[must_use]
    pub fn with_spare(self, spare: Vec<Vec<u8>>) -> Self {
        PartWriter { spare, ..self }
    }

    /// Where the part will be stored.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Bytes appended so far, whether taken or not.
    pub fn bytes_written(&self) -> u64 {
        self.sealed_bytes + self.current.len() as u64
    }

    /// Bytes that wait to be taken.
    pub fn bytes_waiting(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum::<usize>() + self.current.len()
    }

    /// Starts a segment.
    ///
    /// # Errors
    /// If another one is still open: states are written one at a time.
    pub fn begin_segment(&mut self) -> Result<()> {
        if self.segment.is_some() {
            return Err(Error::internal("a segment was begun while another one was open")
                .with_detail(format!("part {}", self.file)));
        }
        let offset = self.bytes_written();
        self.segment = Some(OpenSegment { offset, checksum: Hasher::new(), summed: self.current.len() });
        Ok(())
    }

    /// Lets `encode` append to the open segment.
    #[inline]
    pub fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.current);
        if self.current.len() >= self.attention_at {
            self.attend();
        }
    }

    /// Appends bytes that were encoded before, without copying them if they are many.
    pub fn append_block(&mut self, block: Vec<u8>) {
        if block.len() < BLOCK_BYTES_MIN || block.len() > CHUNK_BYTES_MAX {
            self.append(|out| out.extend_from_slice(&block));
            return;
        }
        let next = self.spare.pop().unwrap_or_default();
        self.seal_current(next);
        if let Some(segment) = &mut self.segment {
            segment.checksum.update(&block);
        }
        self.sealed_bytes += block.len() as u64;
        self.chunks.push_back(block);
    }

    /// Ends the open segment, which has `entries` entries.
    ///
    /// # Errors
    /// If none is open.
    pub fn end_segment(&mut self, kind: SegmentKind, entries: u64) -> Result<SegmentRef> {
        let mut segment =
            self.segment.take().ok_or_else(|| Error::internal("no segment was open to be ended"))?;
        segment.checksum.update(&self.current[segment.summed..]);
        Ok(SegmentRef {
            file: self.file.clone(),
            offset: segment.offset,
            length: self.bytes_written() - segment.offset,
            crc32: segment.checksum.finalize(),
            entries,
            kind,
        })
    }

    /// The next full chunk, if there is one, to be written behind the ones before.
    pub fn take_chunk(&mut self) -> Option<Vec<u8>> {
        self.chunks.pop_front()
    }

    /// Ends the part.
    ///
    /// # Errors
    /// If a segment is still open.
    pub fn finish(mut self) -> Result<FinishedPart> {
        if self.segment.is_some() {
            return Err(Error::internal("a part was finished inside a segment")
                .with_detail(format!("part {}", self.file)));
        }
        let bytes = self.bytes_written();
        if !self.current.is_empty() {
            self.chunks.push_back(std::mem::take(&mut self.current));
        }
        Ok(FinishedPart { chunks: self.chunks.into(), bytes, spare: self.spare })
    }

    #[cold]
    fn attend(&mut self) {
        self.seal();
        if let Some(segment) = &mut self.segment {
            segment.checksum.update(&self.current[segment.summed..]);
            segment.summed = self.current.len();
        }
        self.attention_at = (self.current.len() + SUMMED_BYTES).min(CHUNK_BYTES_MAX);
    }

    fn seal(&mut self) {
        while self.current.len() >= CHUNK_BYTES_MAX {
            let mut rest = self.spare.pop().unwrap_or_default();
            rest.reserve(CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 16);
            rest.extend_from_slice(&self.current[CHUNK_BYTES_MAX..]);
            self.current.truncate(CHUNK_BYTES_MAX);
            self.seal_current(rest);
        }
    }

    /// Makes what was appended so far a chunk, and goes on with `next`.
    fn seal_current(&mut self, next: Vec<u8>) {
        if let Some(segment) = &mut self.segment {
            segment.checksum.update(&self.current[segment.summed..]);
            segment.summed = 0;
        }
        let chunk = std::mem::replace(&mut self.current, next);
        self.attention_at = (self.current.len() + SUMMED_BYTES).min(CHUNK_BYTES_MAX);
        if chunk.is_empty() {
            self.recycle(chunk);
        } else {
            self.sealed_bytes += chunk.len() as u64;
            self.chunks.push_back(chunk);
        }
    }

    /// Takes a chunk back whose bytes have been written, to be filled again: fresh memory costs more to get than to
    /// fill.
    pub fn recycle(&mut self, mut chunk: Vec<u8>) {
        if chunk.capacity() >= CHUNK_BYTES_MAX && self.spare.len() < SPARE_CHUNKS_MAX {
            chunk.clear();
            self.spare.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_checksums_agree_with_the_whole() {
        let mut part = PartWriter::new("p");
        let mut segments = Vec::new();
        let mut whole = Vec::new();
        for (number, length) in [10usize, 3 << 20, 0, (1 << 20) - 10, 5].into_iter().enumerate() {
            part.begin_segment().unwrap();
            assert!(part.begin_segment().is_err());
            for piece in (0..length).collect::<Vec<_>>().chunks(700_001) {
                let bytes: Vec<u8> = piece.iter().map(|i| (i * 7 + number) as u8).collect();
                whole.extend_from_slice(&bytes);
                if number % 2 == 0 {
                    part.append_block(bytes);
                } else {
                    part.append(|out| out.extend_from_slice(&bytes));
                }
            }
            segments.push(part.end_segment(SegmentKind::Base, 1).unwrap());
        }
        assert!(part.end_segment(SegmentKind::Base, 0).is_err());
        let mut file = Vec::new();
        while let Some(chunk) = part.take_chunk() {
            assert!(chunk.len() <= CHUNK_BYTES_MAX);
            file.extend(chunk);
        }
        let finished = part.finish().unwrap();
        assert!(finished.chunks.iter().all(|chunk| chunk.len() <= CHUNK_BYTES_MAX));
        file.extend(finished.chunks.concat());
        assert_eq!(finished.bytes, whole.len() as u64);
        assert!(file == whole);
        for segment in segments {
            let bytes = &file[segment.offset as usize..][..segment.length as usize];
            assert_eq!(crc32fast::hash(bytes), segment.crc32);
        }
    }
}
