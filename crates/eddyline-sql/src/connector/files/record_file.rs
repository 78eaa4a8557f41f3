//! A file of records that is being read.

use super::listing::{FoundFile, failed};
use crate::format::{RecordDecoder, RowsBuilder};
use eddyline_core::{Error, Result};
use eddyline_formats::{Compression, Framing, RawRecord, Scanner};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;
/// The longest record: 64 MiB.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// A place in a file: the offset of a record in the unpacked bytes, and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) line: u64,
}

/// What was read of a file.
pub(super) enum ReadRecord {
    /// It may go on.
    More,
    End,
}

/// A file of records.
pub(super) struct RecordFile {
    path: String,
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where in `buffer` the next record begins, up to where its end was looked for, and where the bytes end.
    start: usize,
    scanned: usize,
    filled: usize,
    at_end: bool,
    scanner: Scanner,
    counts_lines: bool,
    pub(super) place: Place,
}

impl RecordFile {
    /// Opens `file` at `place`.
    pub(super) fn open(file: &FoundFile, framing: Framing, place: Place) -> Result<Self> {
        let path = Path::new(&file.path);
        let cannot = |error: io::Error| failed("read a file of the table", path, &error);
        let mut packed =
            File::open(path).map_err(|error| failed("open a file of the table", path, &error))?;
        let compression = Compression::of_name(&file.name);
        let input: Box<dyn Read + Send> = if compression == Compression::None {
            packed.seek(SeekFrom::Start(place.offset)).map_err(cannot)?;
            Box::new(packed)
        } else {
            let mut input = compression.unpack(packed).map_err(cannot)?;
            io::copy(&mut input.by_ref().take(place.offset), &mut io::sink()).map_err(cannot)?;
            input
        };
        Ok(RecordFile {
            path: file.path.clone(),
            input,
            buffer: vec![0; READ_BYTES],
            start: 0,
            scanned: 0,
            filled: 0,
            at_end: false,
            scanner: framing.scanner(),
            counts_lines: !framing.is_splittable(),
            place,
        })
    }

    /// Decodes records until `rows` has `rows_max` rows or the file ends. Answers the reason with the place if a record
    /// cannot be read and `skipped` is none; else it is counted.
    pub(super) fn read(
        &mut self,
        decoder: &mut dyn RecordDecoder,
        rows: &mut RowsBuilder,
        rows_max: usize,
        mut skipped: Option<&mut u64>,
    ) -> Result<ReadRecord> {
        while rows.rows() < rows_max {
            let Some(end) = self.next_end()? else { return Ok(ReadRecord::End) };
            let bytes = &self.buffer[self.start..end];
            let mut record = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            record = record.strip_suffix(b"\r").unwrap_or(record);
            if self.place.offset == 0 {
                // The byte order mark that some programs put at the start of a file.
                record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
            }
            let decoded = decoder.decode(RawRecord::new(record, self.place.offset), rows);
            let lines = if self.counts_lines { memchr::memchr_iter(b'\n', bytes).count().max(1) } else { 1 };
            if let Err(reason) = decoded {
                match &mut skipped {
                    Some(skipped) => **skipped += 1,
                    None => return Err(self.bad_record(&reason)),
                }
            }
            self.place.offset += bytes.len() as u64;
            self.place.line += lines as u64;
            self.start = end;
        }
        Ok(ReadRecord::More)
    }

    fn bad_record(&self, reason: &str) -> Error {
        Error::input("a record cannot be read").with_detail(format!(
            "{}, line {}: {reason}",
            self.path,
            self.place.line + 1
        ))
    }

    /// Where in the buffer the next record ends; none at the end of the file.
    fn next_end(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(length) = self.scanner.next_end(&self.buffer[self.scanned..self.filled]) {
                self.scanned += length;
                return Ok(Some(self.scanned));
            }
            self.scanned = self.filled;
            if self.at_end {
                return Ok((self.filled > self.start).then_some(self.filled));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.scanned -= self.start;
        self.start = 0;
        if self.filled > RECORD_BYTES_MAX {
            let detail =
                format!("{}, line {}: more than {RECORD_BYTES_MAX} bytes", self.path, self.place.line + 1);
            return Err(Error::input("a record is too long").with_detail(detail).with_hint(
                "check the delimiter and the quotes: one that is not closed makes a record of the rest of the file",
            ));
        }
        if self.buffer.len() - self.filled < READ_BYTES {
            self.buffer.resize(self.filled + READ_BYTES, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = read.map_err(|error| {
            let after = format!("read a file of the table after {} bytes", self.place.offset);
            failed(&after, Path::new(&self.path), &error)
        })?;
        self.filled += read;
        self.at_end = read == 0;
        Ok(())
    }
}
