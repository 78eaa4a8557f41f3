//! The worker's half of a discovering source: emits what was read and keeps the splits.

use super::reader::{Command, Event, Splits, owner};
use super::{Options, SplitReader};
use crate::environment::{ConnectorEnvironment, Waiting};
use crate::lane::Lane;
use eddyline::source::{SourceContext, SplitOutput, SplitSource};
use eddyline_core::{Data, Record, Result, stable_hash};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::SourceStatus;
use eddyline_state::{ManagedState, OperatorListState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Waker;

/// How many runs of records are read ahead.
pub const RUNS_MAX: usize = 4;
/// How soon a source looks again whether splits that wait for other sources may go on.
const PAUSE_CHECK_MS: i64 = 20;

/// A split that was discovered; the state of a discovering source.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct KnownSplit<S: Data> {
    /// What tells it from others.
    pub key: String,
    /// The split, with the position behind the last record that was emitted.
    pub split: S,
    /// Whether all of it has been emitted.
    pub finished: bool,
}

/// Records that are read and not emitted.
struct Run<T, S> {
    key: String,
    rows: Vec<Record<T>>,
    split: S,
    finished: bool,
}

/// One instance of a [`DiscoveringSource`](super::DiscoveringSource).
pub struct DiscoveringInstance<T: Data, R: SplitReader<T>> {
    /// Until the lane is started.
    reader: Option<R>,
    options: Options,
    lane: Option<Lane<Splits<T, R>>>,
    pub(super) state: OperatorListState<KnownSplit<R::Split>>,
    splits: BTreeMap<String, KnownSplit<R::Split>>,
    /// Splits that the watermark has not been told of.
    unannounced: Vec<String>,
    runs: VecDeque<Run<T, R::Split>>,
    outstanding: usize,
    idle: bool,
    quiet_until_ms: i64,
    ended: bool,
    held_bytes: i64,
}

impl<T: Data, R: SplitReader<T>> DiscoveringInstance<T, R> {
    pub(super) fn new(reader: R, options: Options) -> Self {
        DiscoveringInstance {
            reader: Some(reader),
            options,
            lane: None,
            state: OperatorListState::union("splits", 0),
            splits: BTreeMap::new(),
            unannounced: Vec::new(),
            runs: VecDeque::new(),
            outstanding: 0,
            idle: false,
            quiet_until_ms: i64::MIN,
            ended: false,
            held_bytes: 0,
        }
    }

    /// Takes the splits of instance `instance` of `parallelism` from the restored ones and starts to read.
    pub(super) fn start(
        &mut self,
        waiting: Waiting,
        (instance, parallelism): (u32, u32),
        waker: Waker,
    ) -> Result<()> {
        let mine = self.state.items().iter().filter(|known| owner(&known.key, parallelism) == instance);
        let mine: Vec<_> = mine.cloned().collect();
        for known in &mine {
            if !known.finished {
                self.unannounced.push(known.key.clone());
            }
            self.splits.insert(known.key.clone(), known.clone());
        }
        if let Some(reader) = self.reader.take() {
            let splits = Splits::new(reader, self.options, (instance, parallelism), mine);
            self.lane = Some(Lane::start(splits, waiting, "splits", waker)?);
        }
        Ok(())
    }

    /// Writes the splits down, as they are behind what was emitted.
    pub(super) fn save(&mut self) {
        self.state.set(self.splits.values().cloned().collect());
    }

    fn collect(&mut self, now_ms: i64) -> Result<()> {
        while let Some(event) = self.lane.as_mut().map_or(Ok(None), Lane::poll)? {
            match event {
                Event::Added { key, split } => {
                    self.unannounced.push(key.clone());
                    self.splits.insert(key.clone(), KnownSplit { key, split, finished: false });
                }
                Event::Rows { key, rows, split, finished } => {
                    self.outstanding -= 1;
                    self.idle = false;
                    self.held_bytes += bytes_of(&rows);
                    self.runs.push_back(Run { key, rows, split, finished });
                }
                Event::Forgotten { key } => _ = self.splits.remove(&key),
                Event::Warning(warning) => tracing::warn!("{warning}"),
                Event::Idle => {
                    self.outstanding -= 1;
                    self.idle = true;
                    self.quiet_until_ms = now_ms.saturating_add(self.options.poll_interval_ms);
                }
                Event::End => {
                    self.outstanding -= 1;
                    self.ended = true;
                }
                Event::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ask(&mut self, now_ms: i64, paused: &BTreeSet<String>) {
        let wanted = if self.idle { 1 } else { RUNS_MAX };
        if self.ended || now_ms < self.quiet_until_ms {
            return;
        }
        // What is held for paused splits does not count: others may have to be read for them to go on.
        let held = self.runs.iter().filter(|run| !paused.contains(&run.key)).count();
        while self.outstanding + held < wanted {
            let Some(lane) = &mut self.lane else { return };
            self.outstanding += 1;
            lane.send(Command { now_ms, paused: paused.clone() });
        }
    }

    /// Emits what may be emitted; answers whether the output is full.
    fn emit(&mut self, paused: &BTreeSet<String>, out: &mut SplitOutput<'_, T>) -> bool {
        for key in self.unannounced.drain(..) {
            out.split_added(id(&key));
        }
        while let Some(index) = self.runs.iter().position(|run| !paused.contains(&run.key)) {
            if out.is_full() {
                return true;
            }
            let Some(Run { key, rows, split, finished }) = self.runs.remove(index) else { return false };
            self.held_bytes -= bytes_of(&rows);
            let id = id(&key);
            for Record { value, timestamp } in rows {
                out.push_with_time(id, value, timestamp);
            }
            if finished {
                out.split_finished(id);
            }
            self.splits.insert(key.clone(), KnownSplit { key, split, finished });
        }
        false
    }
}

fn id(key: &str) -> u64 {
    stable_hash(key.as_bytes())
}

fn bytes_of<T: Data>(rows: &[Record<T>]) -> i64 {
    let heap: usize = rows.iter().map(|row| row.value.heap_bytes()).sum();
    (std::mem::size_of_val(rows) + heap) as i64
}

impl<T: Data, R: SplitReader<T>> SplitSource<T> for DiscoveringInstance<T, R> {
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.state = OperatorListState::union("splits", context.instance());
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let environment = context.service::<ConnectorEnvironment>();
        let waiting =
            environment.map_or_else(ConnectorEnvironment::default, |found| (*found).clone()).waiting;
        self.start(waiting, (context.instance(), context.parallelism()), context.waker().clone())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, T>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        let (now_ms, held_bytes) = (context.processing_time_ms(), self.held_bytes);
        let paused = self.splits.keys().filter(|key| out.is_paused(id(key))).cloned().collect();
        self.collect(now_ms)?;
        self.ask(now_ms, &paused);
        self.collect(now_ms)?;
        let is_full = self.emit(&paused, out);
        context.account_bytes(self.held_bytes - held_bytes);
        if is_full {
            return Ok(SourceStatus::Ready);
        }
        if !self.runs.is_empty() {
            context.wake_at(now_ms.saturating_add(PAUSE_CHECK_MS));
        } else if self.ended {
            return Ok(SourceStatus::Finished);
        } else if self.outstanding == 0 && self.quiet_until_ms > now_ms {
            context.wake_at(self.quiet_until_ms);
        } else if self.outstanding == 0 {
            return Ok(SourceStatus::Ready);
        }
        Ok(SourceStatus::Pending)
    }

    fn before_snapshot(&mut self, _: CheckpointId, _: &mut SourceContext<'_, '_>) -> Result<()> {
        self.save();
        Ok(())
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.state)
    }

    fn close(&mut self) {
        if let Some(mut lane) = self.lane.take() {
            lane.abandon();
        }
    }
}
