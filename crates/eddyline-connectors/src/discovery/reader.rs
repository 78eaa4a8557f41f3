//! The half of a discovering source that may block: discovers splits and reads them in turn.

use super::source::KnownSplit;
use super::{Options, SplitReader, SplitStatus};
use crate::lane::Handler;
use eddyline_core::{Data, Error, Record, Result, stable_hash};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

/// Records read at a time.
const RUN_ROWS_MAX: usize = 1_000;

/// A credit for one run of records. Splits in `paused` are not read.
pub(super) struct Command {
    pub(super) now_ms: i64,
    pub(super) paused: BTreeSet<String>,
}

/// What was found.
pub(super) enum Event<T, S> {
    /// A split is this instance's.
    Added {
        key: String,
        split: S,
    },
    /// Records of a split, and the split behind them.
    Rows {
        key: String,
        rows: Vec<Record<T>>,
        split: S,
        finished: bool,
    },
    /// A finished split does not exist any more.
    Forgotten {
        key: String,
    },
    /// Something that people should know of.
    Warning(String),
    /// The command is answered; there is nothing for now.
    Idle,
    /// The command is answered; there will never be anything again.
    End,
    Failed(Error),
}

struct Reading<S> {
    split: S,
    finished: bool,
    /// Wall time before which there is no use in looking at it again.
    quiet_until_ms: i64,
}

/// The splits of one instance and their reader.
pub(super) struct Splits<T, R: SplitReader<T>>
where
    T: Data,
{
    reader: R,
    options: Options,
    share: (u32, u32),
    splits: BTreeMap<String, Reading<R::Split>>,
    /// The split that was read last: the next one in order has its turn.
    last: String,
    opened: bool,
    discovered: bool,
    next_discovery_ms: i64,
    ended: bool,
    row: PhantomData<fn() -> T>,
}

impl<T: Data, R: SplitReader<T>> Splits<T, R> {
    pub(super) fn new(
        reader: R,
        options: Options,
        share: (u32, u32),
        known: Vec<KnownSplit<R::Split>>,
    ) -> Self {
        let reading = |known: KnownSplit<R::Split>| {
            let split = Reading { split: known.split, finished: known.finished, quiet_until_ms: i64::MIN };
            (known.key, split)
        };
        Splits {
            reader,
            options,
            share,
            splits: known.into_iter().map(reading).collect(),
            last: String::new(),
            opened: false,
            discovered: false,
            next_discovery_ms: i64::MIN,
            ended: false,
            row: PhantomData,
        }
    }

    fn discover(&mut self, now_ms: i64, answer: &mut dyn FnMut(Event<T, R::Split>)) -> Result<()> {
        if self.discovered && (self.options.discover_every_ms.is_none() || now_ms < self.next_discovery_ms) {
            return Ok(());
        }
        self.next_discovery_ms = now_ms.saturating_add(self.options.discover_every_ms.unwrap_or(0));
        let there = match self.reader.discover() {
            Err(error) if self.discovered => {
                answer(Event::Warning(format!("new splits cannot be looked for: {error}; trying again")));
                return Ok(());
            }
            there => there?,
        };
        self.discovered = true;
        let mut keys = BTreeSet::new();
        for split in there {
            let key = self.reader.key(&split);
            let is_mine = owner(&key, self.share.1) == self.share.0;
            if is_mine && !self.splits.contains_key(&key) {
                answer(Event::Added { key: key.clone(), split: split.clone() });
                let reading = Reading { split, finished: false, quiet_until_ms: i64::MIN };
                self.splits.insert(key.clone(), reading);
            }
            keys.insert(key);
        }
        if self.options.discover_every_ms.is_some() {
            self.splits.retain(|key, reading| {
                let stays = !reading.finished || keys.contains(key);
                if !stays {
                    answer(Event::Forgotten { key: key.clone() });
                }
                stays
            });
        }
        Ok(())
    }

    fn next_key(&self, now_ms: i64, paused: &BTreeSet<String>) -> Option<String> {
        let may = |(key, reading): &(&String, &Reading<R::Split>)| {
            !reading.finished && reading.quiet_until_ms <= now_ms && !paused.contains(*key)
        };
        let behind = (std::ops::Bound::Excluded(self.last.clone()), std::ops::Bound::Unbounded);
        let next = self.splits.range(behind).find(may).or_else(|| self.splits.iter().find(may));
        next.map(|(key, _)| key.clone())
    }

    fn read(&mut self, command: &Command, answer: &mut dyn FnMut(Event<T, R::Split>)) -> Result<()> {
        if !std::mem::replace(&mut self.opened, true) {
            self.reader.open()?;
        }
        self.discover(command.now_ms, answer)?;
        while let Some(key) = self.next_key(command.now_ms, &command.paused) {
            self.last.clone_from(&key);
            let Some(reading) = self.splits.get_mut(&key) else { break };
            let mut rows = Vec::new();
            let status = self.reader.read(&mut reading.split, &mut rows, RUN_ROWS_MAX)?;
            reading.finished = status == SplitStatus::Finished;
            if status == SplitStatus::Idle {
                reading.quiet_until_ms = command.now_ms.saturating_add(self.options.poll_interval_ms);
            }
            if !rows.is_empty() || reading.finished {
                let (split, finished) = (reading.split.clone(), reading.finished);
                answer(Event::Rows { key, rows, split, finished });
                return Ok(());
            }
            // A reader that says there is more and gives nothing must not keep the others from their turn for ever.
            reading.quiet_until_ms = reading.quiet_until_ms.max(command.now_ms.saturating_add(1));
        }
        let is_over =
            self.options.discover_every_ms.is_none() && self.splits.values().all(|split| split.finished);
        self.ended = is_over;
        answer(if is_over { Event::End } else { Event::Idle });
        Ok(())
    }
}

/// Which of `parallelism` instances reads the split of that key.
pub(super) fn owner(key: &str, parallelism: u32) -> u32 {
    (stable_hash(key.as_bytes()) % u64::from(parallelism.max(1))) as u32
}

impl<T: Data, R: SplitReader<T>> Handler for Splits<T, R> {
    type Command = Command;
    type Event = Event<T, R::Split>;

    fn handle(&mut self, command: Command, answer: &mut dyn FnMut(Self::Event)) {
        if self.ended {
            return answer(Event::End);
        }
        if let Err(error) = self.read(&command, answer) {
            self.ended = true;
            answer(Event::Failed(error));
        }
    }
}
