//! The worker's half of a text file source: takes runs of lines from the reader, parses them and keeps the offsets.

use super::event::{Command, Event};
use super::line_reader::Cutting;
use super::parse::{Damage, Line, LineContent, LineOutput, LineParser};
use super::plan::{Plan, plan};
use super::progress::InstanceProgress;
use super::reader::Reader;
use super::split::FileSplit;
use super::{Mode, TextFiles};
use crate::environment::ConnectorEnvironment;
use crate::lane::Lane;
use eddyline::source::{SourceContext, SplitOutput, SplitSource};
use eddyline_core::{Data, Error, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{SourceStatus, panics};
use eddyline_state::{ManagedState, OperatorListState};
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many runs of lines are read ahead.
pub const RUNS_MAX: usize = 4;
/// Bytes of lines that are handed out before those who take them get their turn: they are still in the processor's cache
/// then.
const POLL_BYTES_MAX: u64 = 128 << 10;
/// How soon a source looks again whether splits that wait for other sources may go on.
const PAUSE_CHECK_MS: i64 = 20;

/// A split and what goes with it.
struct Slot {
    split: FileSplit,
    id: u64,
    file: Arc<str>,
    /// Whether the watermark knows of it.
    announced: bool,
}

/// What the reader found and is not taken yet.
enum News {
    Lines { slot: u64, offset: u64, bytes: Vec<u8>, taken: usize },
    TooLong { slot: u64, offset: u64, length: u64, sample: Vec<u8>, next: u64 },
    Damaged { slot: u64, offset: u64, reason: String },
    Finished { slot: u64, keep: bool },
}

/// One instance of a text file source; made by [`TextFiles`].
pub struct FileSource<T, P> {
    files: TextFiles,
    parser: P,
    state: OperatorListState<FileSplit>,
    slots: BTreeMap<u64, Slot>,
    lane: Option<Lane<Reader>>,
    news: VecDeque<News>,
    spare: Vec<Vec<u8>>,
    /// Commands without an answer.
    outstanding: usize,
    /// Whether the last answer was that there is nothing: then one command at a time is enough.
    idle: bool,
    /// Wall time before which there is no use in asking for more.
    quiet_until_ms: i64,
    /// Whether there are splits that the watermark may have to know of.
    announce_due: bool,
    ended: bool,
    accounted: i64,
    failure: Option<Error>,
    cutting: Cutting,
    progress: Arc<InstanceProgress>,
    row: PhantomData<fn() -> T>,
}

impl<T: Data, P: LineParser<T>> FileSource<T, P> {
    pub(super) fn new(files: TextFiles, parser: P) -> Self {
        FileSource {
            cutting: Cutting { framing: parser.framing(), line_bytes_max: files.line_bytes_max },
            files,
            failure: None,
            parser,
            state: OperatorListState::union("files", 0),
            slots: BTreeMap::new(),
            lane: None,
            news: VecDeque::new(),
            spare: Vec::new(),
            outstanding: 0,
            idle: false,
            quiet_until_ms: i64::MIN,
            announce_due: true,
            ended: false,
            accounted: 0,
            progress: Arc::default(),
            row: PhantomData,
        }
    }

    fn add_slot(&mut self, slot: u64, split: FileSplit) {
        let (id, file) = (split.id(), Arc::from(split.path.as_str()));
        self.slots.insert(slot, Slot { split, id, file, announced: false });
        self.announce_due = true;
    }

    /// Tells the watermark of the first unfinished piece of each file: it holds back what comes after it.
    fn announce(&mut self, out: &mut SplitOutput<'_, T>) {
        if !std::mem::take(&mut self.announce_due) {
            return;
        }
        let mut last: Option<Arc<str>> = None;
        let mut slots: Vec<&mut Slot> = self.slots.values_mut().filter(|slot| !slot.split.finished).collect();
        slots.sort_by(|one, other| (&one.file, one.split.number).cmp(&(&other.file, other.split.number)));
        for slot in slots {
            if self.files.mode != Mode::Followed && last.as_ref() == Some(&slot.file) {
                continue;
            }
            last = Some(slot.file.clone());
            if !slot.announced {
                slot.announced = true;
                out.split_added(slot.id);
            }
        }
    }

    /// Asks the reader for as much as may be read ahead.
    fn ask(&mut self, now_ms: i64, out: &SplitOutput<'_, T>) {
        let Some(lane) = &mut self.lane else { return };
        let wanted = if self.idle { 1 } else { RUNS_MAX };
        if self.ended || now_ms < self.quiet_until_ms || self.outstanding >= wanted {
            return;
        }
        let paused: Vec<u64> =
            self.slots.iter().filter(|(_, slot)| out.is_paused(slot.id)).map(|(number, _)| *number).collect();
        // What is held for paused splits does not count: others may have to be read for them to go on.
        let held = self.news.iter().filter(|news| !paused.contains(&news.slot())).count();
        while self.outstanding + held < wanted {
            self.outstanding += 1;
            let buffer = self.spare.pop().unwrap_or_default();
            lane.send(Command::Read { buffer, now_ms, paused: paused.clone() });
        }
    }

    /// Takes what the reader has answered.
    fn collect(&mut self, now_ms: i64, out: &mut SplitOutput<'_, T>) -> Result<()> {
        let Some(lane) = &mut self.lane else { return Ok(()) };
        let mut events = Vec::new();
        while let Some(event) = lane.poll()? {
            events.push(event);
        }
        for event in events {
            self.take(event, now_ms)?;
        }
        self.announce(out);
        Ok(())
    }

    fn take(&mut self, event: Event, now_ms: i64) -> Result<()> {
        match event {
            Event::Opened { slot, split } => self.add_slot(slot, split),
            Event::Identified { slot, split } => {
                if let Some(known) = self.slots.get_mut(&slot) {
                    known.split.fingerprint = split.fingerprint;
                    known.split.identity = split.identity;
                }
            }
            Event::Lines { slot, offset, bytes } => {
                self.outstanding -= 1;
                self.idle = false;
                self.accounted += bytes.len() as i64;
                self.news.push_back(News::Lines { slot, offset, bytes, taken: 0 });
            }
            Event::TooLong { slot, offset, length, sample, next } => {
                self.outstanding -= 1;
                self.news.push_back(News::TooLong { slot, offset, length, sample, next });
            }
            Event::Damaged { slot, offset, reason } => {
                self.outstanding -= 1;
                self.idle = false;
                self.news.push_back(News::Damaged { slot, offset, reason });
            }
            Event::Finished { slot, keep } => self.news.push_back(News::Finished { slot, keep }),
            Event::Forgotten { slot } => {
                self.slots.remove(&slot);
            }
            Event::Warning(warning) => self.files.progress.warn(warning),
            Event::Idle(buffer) => {
                self.outstanding -= 1;
                self.spare.push(buffer);
                self.idle = true;
                self.quiet_until_ms = now_ms.saturating_add(self.files.poll_interval_ms);
            }
            Event::End => {
                self.outstanding -= 1;
                self.ended = true;
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Parses what is there, until the output is full. Answers whether anything is left that may be taken.
    fn hand_out(&mut self, out: &mut SplitOutput<'_, T>) -> Result<bool> {
        let mut row = 0u64;
        let before = self.progress.bytes_read.load(Ordering::Relaxed);
        loop {
            let slots = &self.slots;
            let paused = |news: &News| slots.get(&news.slot()).is_some_and(|slot| out.is_paused(slot.id));
            let Some(index) = self.news.iter().position(|news| !paused(news)) else {
                return Ok(false);
            };
            let taken = self.progress.bytes_read.load(Ordering::Relaxed) - before;
            if out.is_full() || taken >= POLL_BYTES_MAX {
                return Ok(true);
            }
            let Some(news) = self.news.remove(index) else { return Ok(false) };
            if let Some(rest) = self.hand_out_one(news, &mut row, out) {
                self.news.insert(index, rest);
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
        }
    }

    /// Parses one piece of news; answers what is left of it.
    fn hand_out_one(&mut self, news: News, row: &mut u64, out: &mut SplitOutput<'_, T>) -> Option<News> {
        let slot = self.slots.get_mut(&news.slot())?;
        let split = slot.id;
        let (failure, counters, progress) = (&mut self.failure, &*self.progress, &*self.files.progress);
        let mut output = LineOutput { out: &mut *out, split, failure, counters, progress };
        match news {
            News::Lines { slot: number, offset, bytes, mut taken } => {
                let before = taken;
                let mut lines = 0;
                while taken < bytes.len()
                    && self.parser.held() < output.out.remaining()
                    && output.failure.is_none()
                {
                    panics::at_row(*row);
                    *row += 1;
                    lines += 1;
                    let rest = &bytes[taken..];
                    let end = self.cutting.line_end(rest).unwrap_or(rest.len());
                    let bare = rest[..end].strip_suffix(b"\n").unwrap_or(&rest[..end]);
                    let content = content_of(bare, self.files.line_bytes_max);
                    if matches!(content, LineContent::TooLong { .. }) {
                        self.progress.lines_too_long.fetch_add(1, Ordering::Relaxed);
                    }
                    let line = Line { file: &slot.file, offset: offset + taken as u64, content };
                    self.parser.parse(line, &mut output);
                    taken += end;
                }
                self.parser.flush(&mut output);
                slot.split.offset = offset + taken as u64;
                self.progress.lines.fetch_add(lines, Ordering::Relaxed);
                self.progress.bytes_read.fetch_add((taken - before) as u64, Ordering::Relaxed);
                if taken < bytes.len() {
                    return Some(News::Lines { slot: number, offset, bytes, taken });
                }
                self.accounted -= bytes.len() as i64;
                self.spare.push(bytes);
            }
            News::TooLong { offset, length, sample, next, .. } => {
                panics::at_row(*row);
                *row += 1;
                let content = LineContent::TooLong { length, start: &sample };
                self.parser.parse(Line { file: &slot.file, offset, content }, &mut output);
                self.parser.flush(&mut output);
                slot.split.offset = next;
                self.progress.lines_too_long.fetch_add(1, Ordering::Relaxed);
                self.progress.lines.fetch_add(1, Ordering::Relaxed);
                self.progress.bytes_read.fetch_add(next - offset, Ordering::Relaxed);
            }
            News::Damaged { offset, reason, .. } => {
                self.parser.damaged(Damage { file: &slot.file, offset, reason: &reason }, &mut output);
            }
            News::Finished { slot: number, keep } => {
                slot.split.finished = true;
                self.announce_due = true;
                // The next piece of the file takes over the watermark before this one lets it go.
                self.announce(out);
                out.split_finished(split);
                if !keep {
                    self.slots.remove(&number);
                }
            }
        }
        None
    }

    fn status(&mut self, left: bool, now_ms: i64, context: &mut SourceContext<'_, '_>) -> SourceStatus {
        if left {
            return SourceStatus::Ready;
        }
        if !self.news.is_empty() {
            context.wake_at(now_ms.saturating_add(PAUSE_CHECK_MS));
            return SourceStatus::Pending;
        }
        if self.ended {
            return SourceStatus::Finished;
        }
        if self.quiet_until_ms > now_ms && self.outstanding == 0 {
            context.wake_at(self.quiet_until_ms);
        }
        SourceStatus::Pending
    }
}

impl News {
    fn slot(&self) -> u64 {
        match self {
            News::Lines { slot, .. }
            | News::TooLong { slot, .. }
            | News::Damaged { slot, .. }
            | News::Finished { slot, .. } => *slot,
        }
    }
}

/// A line of a run: without `\r`, and told from those that are too long.
fn content_of(line: &[u8], line_bytes_max: usize) -> LineContent<'_> {
    if line.len() > line_bytes_max {
        let start = &line[..line.len().min(super::line_reader::SAMPLE_BYTES_MAX)];
        return LineContent::TooLong { length: line.len() as u64, start };
    }
    LineContent::Whole(line.strip_suffix(b"\r").unwrap_or(line))
}

impl<T: Data, P: LineParser<T>> SplitSource<T> for FileSource<T, P> {
    fn is_bounded(&self) -> bool {
        matches!(self.files.mode, Mode::Bounded)
    }

    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.state = OperatorListState::union("files", context.instance());
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let Plan { reader, splits, news, bytes_total } = plan(
            &self.files,
            self.cutting.framing,
            self.state.items(),
            context.instance(),
            context.parallelism(),
        )?;
        self.progress = self.files.progress.begin(context.instance());
        self.progress.bytes_total.store(bytes_total, Ordering::Relaxed);
        for (slot, split) in splits {
            self.add_slot(slot, split);
        }
        let now_ms = context.processing_time_ms();
        for event in news {
            self.take(event, now_ms)?;
        }
        let environment = context.service::<ConnectorEnvironment>();
        let waiting =
            environment.map_or_else(ConnectorEnvironment::default, |found| (*found).clone()).waiting;
        self.lane = Some(Lane::start(reader, waiting, "files", context.waker().clone())?);
        Ok(())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, T>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        let (now_ms, accounted) = (context.processing_time_ms(), self.accounted);
        self.announce(out);
        self.collect(now_ms, out)?;
        self.ask(now_ms, out);
        self.collect(now_ms, out)?;
        let left = self.hand_out(out)?;
        context.account_bytes(self.accounted - accounted);
        Ok(self.status(left, now_ms, context))
    }

    fn before_snapshot(&mut self, _: CheckpointId, _: &mut SourceContext<'_, '_>) -> Result<()> {
        self.state.set(self.slots.values().map(|slot| slot.split.clone()).collect());
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
