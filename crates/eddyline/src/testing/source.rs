//! Sources that the test feeds.

use crate::source::{SourceContext, SplitOutput, SplitSource};
use crate::stream::DataStream;
use eddyline_core::{Data, EventTime, Record, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{OperatorContext, Source, SourceStatus, Stateful};
use eddyline_state::{ManagedState, OperatorListState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What the test has told a source.
#[derive(Debug, Clone)]
enum Action<T> {
    Record(Record<T>),
    Watermark(EventTime),
    Idle(bool),
    Finish,
}

struct Log<T> {
    /// The place of the first action: those before it were told to another pipeline.
    first: u64,
    actions: Vec<Action<T>>,
    waker: Option<Waker>,
}

impl<T> Log<T> {
    /// A source that was restored goes on at `place`.
    fn begin_at(&mut self, place: u64) {
        if place > self.first + self.actions.len() as u64 {
            self.first = place;
        }
    }
}

/// A source of a [`TestPipeline`](super::TestPipeline): it emits what it is given, in that order, and remembers all
/// of it, so that a restart repeats what came after the checkpoint.
pub struct TestSource<T> {
    log: Arc<Mutex<Log<T>>>,
    stream: DataStream<T>,
}

impl<T> Clone for TestSource<T> {
    fn clone(&self) -> Self {
        TestSource { log: self.log.clone(), stream: self.stream.clone() }
    }
}

impl<T: Data> TestSource<T> {
    /// The stream of what is pushed.
    pub fn stream(&self) -> DataStream<T> {
        self.stream.clone()
    }

    /// Adds a record with a timestamp, milliseconds since the epoch.
    pub fn push(&self, value: T, timestamp: EventTime) -> &Self {
        self.tell(Action::Record(Record { value, timestamp }))
    }

    /// Adds a record without a timestamp.
    pub fn push_value(&self, value: T) -> &Self {
        self.push(value, EventTime::MIN)
    }

    /// Promises that no record at or before `watermark` will be pushed. What was pushed before is processed before
    /// the watermark, what is pushed afterwards after it. A source with a watermark strategy of its own takes no
    /// notice.
    pub fn watermark(&self, watermark: EventTime) -> &Self {
        self.tell(Action::Watermark(watermark))
    }

    /// Says that nothing is expected for now (or, with `false`, that records are to be waited for again): the source
    /// holds no watermark back.
    pub fn idle(&self, idle: bool) -> &Self {
        self.tell(Action::Idle(idle))
    }

    /// Ends the source.
    pub fn finish(&self) -> &Self {
        self.tell(Action::Finish)
    }

    fn tell(&self, action: Action<T>) -> &Self {
        let mut log = lock(&self.log);
        log.actions.push(action);
        if let Some(waker) = &log.waker {
            waker.wake_by_ref();
        }
        self
    }
}

fn lock<T>(log: &Mutex<Log<T>>) -> MutexGuard<'_, Log<T>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A log, and a way to end its source from outside.
pub(super) struct NewLog<T>(Arc<Mutex<Log<T>>>);

impl<T: Data> NewLog<T> {
    pub(super) fn new() -> Self {
        NewLog(Arc::new(Mutex::new(Log { first: 0, actions: Vec::new(), waker: None })))
    }

    /// What makes the source with watermarks by hand.
    pub(super) fn by_hand(&self) -> impl Fn() -> ByHand<T> + Send + Sync + 'static {
        let log = self.0.clone();
        move || ByHand { log: log.clone(), place: OperatorListState::union("place", 0), promised: None }
    }

    /// What makes the source whose watermarks come from a strategy.
    pub(super) fn with_strategy(&self) -> impl Fn() -> WithStrategy<T> + Send + Sync + 'static {
        let log = self.0.clone();
        move || WithStrategy { log: log.clone(), place: OperatorListState::union("place", 0), added: false }
    }

    pub(super) fn source(&self, stream: DataStream<T>) -> TestSource<T> {
        TestSource { log: self.0.clone(), stream }
    }

    /// What ends the source if it has not ended.
    pub(super) fn finisher(&self) -> Box<dyn Fn()> {
        let log = self.0.clone();
        Box::new(move || {
            let mut log = lock(&log);
            if !log.actions.iter().any(|action| matches!(action, Action::Finish)) {
                log.actions.push(Action::Finish);
            }
            if let Some(waker) = &log.waker {
                waker.wake_by_ref();
            }
        })
    }
}

fn place_of(places: &OperatorListState<u64>) -> u64 {
    places.items().first().copied().unwrap_or(0)
}

/// The source whose watermarks are given by hand.
pub(super) struct ByHand<T> {
    log: Arc<Mutex<Log<T>>>,
    place: OperatorListState<u64>,
    /// The newest promise, and the tick it was made in: what follows it must come in a later one.
    promised: Option<(EventTime, bool, u64)>,
}

impl<T: Data> Stateful for ByHand<T> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.place)
    }
}

impl<T: Data> Source for ByHand<T> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.place = OperatorListState::union("place", context.info().instance);
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        lock(&self.log).begin_at(place_of(&self.place));
        // The promise at the cut was saved by the runtime.
        self.promised = Some((context.watermark(), false, 0));
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let log = self.log.clone();
        let mut log = lock(&log);
        log.waker = Some(context.waker().clone());
        let (mut place, mut rows) = (place_of(&self.place), Vec::new());
        let mut status = SourceStatus::Pending;
        if self.promised.is_some_and(|(_, _, tick)| tick == context.tick()) {
            context.request_tick();
            return Ok(status);
        }
        while let Some(action) = log.actions.get((place - log.first) as usize) {
            if rows.len() >= context.batch_rows_max() {
                status = SourceStatus::Ready;
                break;
            }
            let (watermark, idle, _) = self.promised.unwrap_or((EventTime::MIN, false, 0));
            let promise = match action {
                Action::Record(record) => {
                    rows.push(record.clone());
                    None
                }
                Action::Watermark(next) => Some((watermark.max(*next), false)),
                Action::Idle(idle) => Some((watermark, *idle)),
                Action::Finish => {
                    status = SourceStatus::Finished;
                    break;
                }
            };
            place += 1;
            if let Some(promise) = promise.filter(|promise| *promise != (watermark, idle)) {
                self.promised = Some((promise.0, promise.1, context.tick()));
                context.set_watermark(promise.0, promise.1);
                context.request_tick();
                break;
            }
        }
        drop(log);
        self.place.set(vec![place]);
        context.emit_rows(0, rows, 0)?;
        Ok(status)
    }

    fn on_commit(&mut self, _: CheckpointId, _: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }
}

/// The source whose timestamps and watermarks come from a strategy.
pub(super) struct WithStrategy<T> {
    log: Arc<Mutex<Log<T>>>,
    place: OperatorListState<u64>,
    added: bool,
}

/// The one split of a test source.
const SPLIT: u64 = 0;

impl<T: Data> SplitSource<T> for WithStrategy<T> {
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.place = OperatorListState::union("place", context.instance());
        Ok(())
    }

    fn restored(&mut self, _: &mut SourceContext<'_, '_>) -> Result<()> {
        lock(&self.log).begin_at(place_of(&self.place));
        Ok(())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, T>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        if !std::mem::replace(&mut self.added, true) {
            out.split_added(SPLIT);
        }
        let log = self.log.clone();
        let mut log = lock(&log);
        log.waker = Some(context.waker().clone());
        let mut place = place_of(&self.place);
        let mut status = SourceStatus::Pending;
        while let Some(action) = log.actions.get((place - log.first) as usize) {
            if out.is_full() {
                status = SourceStatus::Ready;
                break;
            }
            match action {
                Action::Record(record) => out.push_with_time(SPLIT, record.value.clone(), record.timestamp),
                Action::Watermark(_) => {}
                Action::Idle(idle) => out.split_idle(SPLIT, *idle),
                Action::Finish => {
                    out.split_finished(SPLIT);
                    status = SourceStatus::Finished;
                    break;
                }
            }
            place += 1;
        }
        self.place.set(vec![place]);
        Ok(status)
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.place)
    }
}
