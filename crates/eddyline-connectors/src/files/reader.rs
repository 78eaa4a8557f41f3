//! The reader of one source instance: all its files in turn, a run of lines per command.
//!
//! It has no clock and no thread of its own: a command brings the time, and answers bring lines, news of splits and
//! warnings. Files take turns, so that none holds the others' watermark back for longer than a run of lines.

use super::directory::Directory;
use super::event::{Command, Event};
use super::followed::Followed;
use super::line_reader::Cutting;
use super::monitor::Monitor;
use super::pieces::{PiecesOfFile, Turn};
use crate::lane::Handler;
use eddyline_core::Result;

/// What a reader reads.
pub(crate) enum Input {
    /// The pieces of a bounded file.
    Pieces(PiecesOfFile),
    /// A path that is followed, and the time before which there is no use in looking at it again.
    Followed(Followed, i64),
}

/// The reader of one source instance.
pub(crate) struct Reader {
    pub(crate) inputs: Vec<Input>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) monitor: Option<Monitor>,
    pub(crate) next_slot: u64,
    pub(crate) cutting: Cutting,
    pub(crate) poll_interval_ms: i64,
    pub(crate) next_discovery_ms: i64,
    /// The input whose turn it is.
    pub(crate) turn: usize,
    pub(crate) ended: bool,
}

impl Input {
    /// The split whose lines come next.
    fn slot(&self) -> Option<u64> {
        match self {
            Input::Pieces(pieces) => pieces.slot(),
            Input::Followed(followed, _) => followed.slot(),
        }
    }
}

impl Handler for Reader {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, Command::Read { buffer, now_ms, paused }: Command, answer: &mut dyn FnMut(Event)) {
        if self.ended {
            return answer(Event::End);
        }
        if let Err(error) = self.read(buffer, now_ms, &paused, answer) {
            self.ended = true;
            answer(Event::Failed(error));
        }
    }
}

impl Reader {
    fn read(
        &mut self,
        mut buffer: Vec<u8>,
        now_ms: i64,
        paused: &[u64],
        answer: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if now_ms >= self.next_discovery_ms && self.discovers() {
            self.next_discovery_ms = now_ms.saturating_add(self.poll_interval_ms);
            self.discover(answer);
        }
        let mut left = self.inputs.len();
        while left > 0 {
            left -= 1;
            if self.turn >= self.inputs.len() {
                self.turn = 0;
            }
            let input = &mut self.inputs[self.turn];
            let waits = input.slot().is_some_and(|slot| paused.contains(&slot));
            let outcome = match input {
                _ if waits => Turn::Idle(buffer),
                Input::Pieces(pieces) => pieces.turn(buffer, answer)?,
                Input::Followed(_, look_at_ms) if now_ms < *look_at_ms => Turn::Idle(buffer),
                Input::Followed(followed, look_at_ms) => {
                    let outcome = followed.turn(buffer, now_ms, &mut self.next_slot, answer)?;
                    let idle = matches!(outcome, Turn::Idle(_));
                    *look_at_ms = if idle { now_ms.saturating_add(self.poll_interval_ms) } else { i64::MIN };
                    let finished = followed.take_finished();
                    if let Some(home) = self.directories.iter_mut().find(|home| home.holds(followed.path())) {
                        home.remember(finished);
                    }
                    outcome
                }
            };
            match outcome {
                Turn::Answered => {
                    self.turn += 1;
                    return Ok(());
                }
                Turn::Idle(empty) => {
                    self.turn += 1;
                    buffer = empty;
                }
                Turn::Finished(empty) => {
                    if let (Input::Pieces(pieces), Some(monitor)) =
                        (self.inputs.remove(self.turn), &mut self.monitor)
                    {
                        monitor.finish(pieces.path(), pieces.has_vanished());
                    }
                    buffer = empty;
                }
            }
        }
        let over = self.inputs.is_empty() && !self.discovers();
        self.ended = over;
        answer(if over { Event::End } else { Event::Idle(buffer) });
        Ok(())
    }

    /// Whether new files may be found.
    fn discovers(&self) -> bool {
        !self.directories.is_empty() || self.monitor.is_some()
    }

    fn discover(&mut self, answer: &mut dyn FnMut(Event)) {
        if let Some(monitor) = &mut self.monitor {
            let found = monitor.discover(&mut self.next_slot, answer);
            self.inputs.extend(found.into_iter().map(Input::Pieces));
        }
        let mut found = Vec::new();
        for directory in &mut self.directories {
            let open: Vec<&Followed> = self
                .inputs
                .iter()
                .filter_map(
                    |input| if let Input::Followed(followed, _) = input { Some(followed) } else { None },
                )
                .collect();
            found.extend(directory.discover(&open, self.cutting, &mut self.next_slot, answer));
        }
        self.inputs.extend(found.into_iter().map(|followed| Input::Followed(followed, i64::MIN)));
    }
}
