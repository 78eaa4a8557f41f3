//! Reading whole lines of one open file, from an offset on, in bounded memory.
//!
//! A line is a record of a [`Framing`]: where quotes may hold line feeds, or the file is packed, offsets are those of
//! records, and there is but one range. A record that is too long then ends at the first line feed behind the limit,
//! so that a quote that is not closed costs no more than that.
//!
//! A [`LineReader`] hands out runs of whole lines with the offset of the first. A line belongs to the range in which
//! it *starts*: a reader of `[start, end)` looks at the byte before `start`, skips to the next line unless that byte
//! ends one, and reads past `end` to the end of its last line. So ranges that lie end to end cover every line once.
//! A line longer than the limit is skipped and reported with where it starts and how long it is; no more of it than
//! a sample is kept.

use super::bytes::Bytes;
use eddyline_formats::Framing;
use std::fs::File;
use std::io;

/// The most bytes read at a time.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 << 10;
/// The bytes of a line that is too long that are kept, to show what it was.
pub(crate) const SAMPLE_BYTES_MAX: usize = 256;

/// What one call of [`LineReader::read`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Whole lines, each with its line end except perhaps the last of the file. `offset` is that of the first byte.
    Lines { offset: u64, bytes: Vec<u8> },
    /// A line longer than the limit, skipped: its offset, its length without line end, its first bytes and the
    /// offset of the next line.
    TooLong { offset: u64, length: u64, sample: Vec<u8>, next: u64 },
    /// Some bytes were read, but no line is complete yet. The buffer comes back.
    More(Vec<u8>),
    /// The file has no more bytes for now. The buffer comes back.
    AtEnd(Vec<u8>),
    /// The range is read to its end. The buffer comes back.
    Done(Vec<u8>),
}

/// What is done with the line at hand.
enum Mode {
    Reading,
    /// It belongs to the range before.
    SkippingToStart,
    /// It is too long.
    SkippingLong {
        length: u64,
        sample: Vec<u8>,
    },
}

/// How files are cut into lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutting {
    pub(crate) framing: Framing,
    /// The longest line, without its line end.
    pub(crate) line_bytes_max: usize,
}

impl Cutting {
    /// The index behind the end of the line that `bytes` starts with, if it is there. It depends on nothing but the
    /// bytes from the start of the line on, so that whoever starts at a line finds the same ones behind it.
    pub(crate) fn line_end(self, bytes: &[u8]) -> Option<usize> {
        if self.framing.is_splittable() {
            return memchr::memchr(b'\n', bytes).map(|at| at + 1);
        }
        let limit = self.line_bytes_max.saturating_add(1);
        let within = &bytes[..bytes.len().min(limit)];
        self.framing.scanner().next_end(within).or_else(|| {
            let behind = bytes.get(limit..)?;
            memchr::memchr(b'\n', behind).map(|at| limit + at + 1)
        })
    }

    /// The index behind the last whole line in `bytes`, which start with a line; its first `held` bytes end none.
    fn last_end(self, bytes: &[u8], held: usize) -> Option<usize> {
        if self.framing.is_splittable() {
            return memchr::memrchr(b'\n', &bytes[held..]).map(|at| held + at + 1);
        }
        let mut last = 0;
        while let Some(end) = self.line_end(&bytes[last..]) {
            last += end;
        }
        (last > 0).then_some(last)
    }
}

/// Reads whole lines of one open file.
pub(crate) struct LineReader {
    bytes: Bytes,
    /// The next byte to be read from the file.
    position: u64,
    /// Where the line at hand starts.
    line_start: u64,
    /// Lines that start here or later are not ours.
    end: u64,
    /// The bytes read of the line at hand.
    carry: Vec<u8>,
    mode: Mode,
    cutting: Cutting,
}

impl LineReader {
    /// A reader that starts at `offset`, which is the start of a line or the start of a range.
    pub(crate) fn new(bytes: Bytes, offset: u64, end: u64, cutting: Cutting) -> Self {
        // The byte before tells whether a line starts at the offset.
        let may_be_within = offset > 0 && bytes.is_seekable() && cutting.framing.is_splittable();
        let (position, mode) =
            if may_be_within { (offset - 1, Mode::SkippingToStart) } else { (offset, Mode::Reading) };
        LineReader { bytes, position, line_start: offset, end, carry: Vec::new(), mode, cutting }
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        self.bytes.file()
    }

    /// The next byte to be read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Where the first line starts that was not handed out.
    pub(crate) fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Whether bytes of an unfinished line are held back.
    pub(crate) fn holds_partial_line(&self) -> bool {
        !self.carry.is_empty() || matches!(self.mode, Mode::SkippingLong { .. })
    }

    /// Reads once; `buffer` is used for the lines, its content is dropped.
    pub(crate) fn read(&mut self, mut buffer: Vec<u8>) -> io::Result<Found> {
        buffer.clear();
        if self.line_start >= self.end && matches!(self.mode, Mode::Reading) {
            return Ok(Found::Done(buffer));
        }
        buffer.append(&mut self.carry);
        let held = buffer.len();
        buffer.resize(held + CHUNK_BYTES_MAX, 0);
        let read = self.bytes.read_at(&mut buffer[held..], self.position);
        let count = *read.as_ref().unwrap_or(&0);
        buffer.truncate(held + count);
        if count == 0 {
            self.carry.extend_from_slice(&buffer);
            buffer.clear();
            return read.map(|_| Found::AtEnd(buffer));
        }
        self.position += count as u64;
        Ok(match std::mem::replace(&mut self.mode, Mode::Reading) {
            Mode::Reading => self.take_lines(buffer, held),
            Mode::SkippingToStart => self.skip_to_start(buffer),
            Mode::SkippingLong { length, sample } => self.skip_long(buffer, length, sample),
        })
    }

    /// At the end of a file that will not grow: the last line, if it has no line end.
    pub(crate) fn take_rest(&mut self) -> Option<Found> {
        let offset = self.line_start;
        match std::mem::replace(&mut self.mode, Mode::Reading) {
            Mode::SkippingLong { length, sample } => {
                self.line_start = offset + length;
                Some(Found::TooLong { offset, length, sample, next: self.line_start })
            }
            Mode::Reading if !self.carry.is_empty() && offset < self.end => {
                let bytes = std::mem::take(&mut self.carry);
                let length = bytes.len() as u64;
                self.line_start += length;
                if bytes.len() > self.cutting.line_bytes_max {
                    let sample = bytes[..bytes.len().min(SAMPLE_BYTES_MAX)].to_vec();
                    return Some(Found::TooLong { offset, length, sample, next: self.line_start });
                }
                Some(Found::Lines { offset, bytes })
            }
            _ => None,
        }
    }

    /// Hands out the lines in `buffer`, whose first `held` bytes hold no line end.
    fn take_lines(&mut self, mut buffer: Vec<u8>, held: usize) -> Found {
        let Some(last) = self.cutting.last_end(&buffer, held) else {
            if buffer.len() > self.cutting.line_bytes_max {
                let sample = buffer[..buffer.len().min(SAMPLE_BYTES_MAX)].to_vec();
                self.mode = Mode::SkippingLong { length: buffer.len() as u64, sample };
                buffer.clear();
            } else {
                self.carry.extend_from_slice(&buffer);
                buffer.clear();
            }
            return Found::More(buffer);
        };
        let offset = self.line_start;
        // The last line of ours is the one that holds the last byte before the end, or starts there.
        let ours = match usize::try_from(self.end - offset) {
            Ok(room) if room < last => {
                let from = room - 1;
                from + memchr::memchr(b'\n', &buffer[from..last]).map_or(last - from, |at| at + 1)
            }
            _ => last,
        };
        self.line_start += ours as u64;
        if self.line_start < self.end {
            self.carry.extend_from_slice(&buffer[last..]);
        }
        buffer.truncate(ours);
        Found::Lines { offset, bytes: buffer }
    }

    fn skip_to_start(&mut self, mut buffer: Vec<u8>) -> Found {
        match memchr::memchr(b'\n', &buffer) {
            Some(at) => {
                let rest = self.position - (buffer.len() - at - 1) as u64;
                self.go_on_behind(&mut buffer, rest);
            }
            None => {
                self.mode = Mode::SkippingToStart;
                buffer.clear();
                // Nothing of a line that starts before the range is ours, however long it is.
                self.line_start = self.line_start.max(self.position);
                if self.line_start >= self.end {
                    self.mode = Mode::Reading;
                }
            }
        }
        Found::More(buffer)
    }

    fn skip_long(&mut self, mut buffer: Vec<u8>, length: u64, sample: Vec<u8>) -> Found {
        let Some(at) = memchr::memchr(b'\n', &buffer) else {
            self.mode = Mode::SkippingLong { length: length + buffer.len() as u64, sample };
            buffer.clear();
            return Found::More(buffer);
        };
        let (offset, length) = (self.line_start, length + at as u64);
        let next = offset + length + 1;
        self.go_on_behind(&mut buffer, next);
        Found::TooLong { offset, length, sample, next }
    }

    /// A line was skipped: what is behind it is read anew, which is simpler than a second way to hand out lines and
    /// costs one read per skipped line.
    fn go_on_behind(&mut self, buffer: &mut Vec<u8>, next: u64) {
        self.position = next;
        self.line_start = next;
        buffer.clear();
    }
}
