//! Reading the pieces of one bounded file, one after the other.

use super::event::Event;
use super::line_reader::{Found, LineReader};
use super::open;
use super::split::FileSplit;
use eddyline_core::Result;
use std::collections::VecDeque;

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
    line_bytes_max: usize,
}

impl PiecesOfFile {
    /// The pieces `(slot, split)` of the file at `path`.
    pub(crate) fn new(path: String, pieces: VecDeque<(u64, FileSplit)>, line_bytes_max: usize) -> Self {
        PiecesOfFile { waiting: pieces, current: None, path, line_bytes_max }
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
                let file = open::open_file(&self.path)?;
                self.current =
                    Some((slot, LineReader::new(file, split.offset, split.end, self.line_bytes_max)));
            }
            let Some((slot, reader)) = &mut self.current else { return Ok(Turn::Finished(buffer)) };
            let slot = *slot;
            let found =
                reader.read(buffer).map_err(|error| open::failed("read input file", &self.path, &error))?;
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
