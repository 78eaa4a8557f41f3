//! Reading the pieces of one bounded file, one after the other.

use super::bytes::{Bytes, is_damage};
use super::event::Event;
use super::line_reader::{Cutting, Found, LineReader};
use super::open;
use super::split::FileSplit;
use eddyline_core::Result;
use eddyline_formats::Compression;
use std::collections::VecDeque;
use std::io::ErrorKind;

/// What a turn of a file came to.
pub(crate) enum Turn {
    /// Lines were handed out: the command is answered.
    Answered,
    /// Nothing now.
    Idle(Vec<u8>),
    /// Nothing ever again.
    Finished(Vec<u8>),
}

/// The pieces of one file that one instance has to read, in order.
pub(crate) struct PiecesOfFile {
    waiting: VecDeque<(u64, FileSplit)>,
    current: Option<(u64, LineReader)>,
    path: String,
    compression: Compression,
    cutting: Cutting,
    may_vanish: bool,
    vanished: bool,
}

impl PiecesOfFile {
    /// The pieces `(slot, split)` of the file at `path`.
    pub(crate) fn new(
        path: String,
        pieces: VecDeque<(u64, FileSplit)>,
        compression: Compression,
        cutting: Cutting,
    ) -> Self {
        PiecesOfFile {
            waiting: pieces,
            current: None,
            path,
            compression,
            cutting,
            may_vanish: false,
            vanished: false,
        }
    }

    /// The same pieces; if the file is gone before they are read, that is worth a warning and no error.
    pub(crate) fn may_vanish(mut self) -> Self {
        self.may_vanish = true;
        self
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it was gone before all of it was read.
    pub(crate) fn has_vanished(&self) -> bool {
        self.vanished
    }

    /// Begins with a piece; answers `None` if the file has vanished and may.
    fn begin(&mut self, split: &FileSplit, answer: &mut dyn FnMut(Event)) -> Result<Option<LineReader>> {
        let file = match std::fs::File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.may_vanish => {
                self.vanished = true;
                let path = &self.path;
                answer(Event::Warning(format!(
                    "{path}: is gone before it was read to its end: the rest is lost"
                )));
                return Ok(None);
            }
            opened => opened.map_err(|error| open::failed("open input file", &self.path, &error))?,
        };
        let bytes = Bytes::new(file, self.compression)
            .map_err(|error| open::failed("open input file", &self.path, &error))?;
        Ok(Some(LineReader::new(bytes, split.offset, split.end, self.cutting)))
    }

    /// The piece whose lines come next.
    pub(crate) fn slot(&self) -> Option<u64> {
        self.current.as_ref().map(|(slot, _)| *slot).or_else(|| self.waiting.front().map(|(slot, _)| *slot))
    }

    /// Reads until there are lines.
    pub(crate) fn turn(&mut self, mut buffer: Vec<u8>, answer: &mut dyn FnMut(Event)) -> Result<Turn> {
        loop {
            if self.current.is_none() {
                let Some((slot, split)) = self.waiting.pop_front() else { return Ok(Turn::Finished(buffer)) };
                let Some(reader) = self.begin(&split, answer)? else {
                    answer(Event::Finished { slot, keep: false });
                    continue;
                };
                self.current = Some((slot, reader));
            }
            let Some((slot, reader)) = &mut self.current else { return Ok(Turn::Finished(buffer)) };
            let slot = *slot;
            let found = match reader.read(buffer) {
                Ok(found) => found,
                Err(error) if self.compression != Compression::None && is_damage(&error) => {
                    let reason = format!("damaged or cut off: {error}");
                    answer(Event::Damaged { slot, offset: reader.line_start(), reason });
                    answer(Event::Finished { slot, keep: true });
                    self.current = None;
                    return Ok(Turn::Answered);
                }
                Err(error) => return Err(open::failed("read input file", &self.path, &error)),
            };
            let (found, at_end) = match found {
                Found::AtEnd(empty) => match reader.take_rest() {
                    Some(rest) => (rest, true),
                    None => (Found::Done(empty), true),
                },
                other => (other, false),
            };
            if at_end {
                self.current = None;
            }
            match found {
                Found::More(empty) | Found::AtEnd(empty) => buffer = empty,
                Found::Done(empty) => {
                    self.current = None;
                    answer(Event::Finished { slot, keep: true });
                    buffer = empty;
                }
                found => {
                    answer_lines(slot, found, answer);
                    if at_end {
                        answer(Event::Finished { slot, keep: true });
                    }
                    return Ok(Turn::Answered);
                }
            }
        }
    }
}

/// Hands out what was found, if it is lines.
pub(crate) fn answer_lines(slot: u64, found: Found, answer: &mut dyn FnMut(Event)) {
    match found {
        Found::Lines { offset, bytes } => answer(Event::Lines { slot, offset, bytes }),
        Found::TooLong { offset, length, sample, next } => {
            answer(Event::TooLong { slot, offset, length, sample, next });
        }
        Found::More(_) | Found::AtEnd(_) | Found::Done(_) => {}
    }
}
