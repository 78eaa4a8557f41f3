//! The records that an async operator holds, and how far each of them is.

use super::executor::AttemptHandle;
use eddyline_core::{Data, Error, EventTime, Record};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// A record that is held at a cut.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct HeldRecord<T> {
    /// The record's event time.
    pub timestamp: EventTime,
    /// When it was created, wall time in microseconds since the epoch.
    pub created_micros: u64,
    /// The record.
    pub value: T,
}

/// How far a call is.
pub(super) enum Stage<U> {
    /// Waits for a free place.
    Queued,
    /// An attempt is under way, until `deadline_ms` at most; it ends with its handle.
    Running { deadline_ms: i64, _handle: AttemptHandle },
    /// The next attempt is made at that time.
    Delayed { until_ms: i64 },
    /// Answered.
    Answered(Vec<U>),
    /// Failed for good.
    Failed(Error),
}

/// A record that is held.
pub(super) struct Call<T, U> {
    pub(super) record: Record<T>,
    pub(super) created_micros: u64,
    /// Attempts begun.
    pub(super) attempts: u32,
    pub(super) stage: Stage<U>,
    /// What the record counts on the memory account.
    pub(super) bytes: i64,
}

/// The answer to one attempt.
pub(super) struct Answer<U> {
    pub(super) call: u64,
    pub(super) attempt: u32,
    pub(super) outcome: Result<Vec<U>, Error>,
}

/// Where answers arrive, from any thread.
pub(super) struct Mailbox<U> {
    answers: Mutex<VecDeque<Answer<U>>>,
    operator: Waker,
}

impl<U> Mailbox<U> {
    pub(super) fn new(operator: Waker) -> Arc<Self> {
        Arc::new(Mailbox { answers: Mutex::new(VecDeque::new()), operator })
    }

    pub(super) fn put(&self, answer: Answer<U>) {
        let is_first = {
            let mut answers =
                self.answers.lock().expect("invariant: no code panics while it holds the mailbox");
            answers.push_back(answer);
            answers.len() == 1
        };
        // The operator takes all answers there are: it has been woken for the first of them.
        if is_first {
            self.operator.wake_by_ref();
        }
    }

    pub(super) fn take_all(&self) -> VecDeque<Answer<U>> {
        std::mem::take(
            &mut *self.answers.lock().expect("invariant: no code panics while it holds the mailbox"),
        )
    }
}

/// All calls of an instance, by number: the order of the records.
pub(super) struct Calls<T, U> {
    calls: BTreeMap<u64, Call<T, U>>,
    next: u64,
    /// Calls that wait for a free place.
    pub(super) queued: VecDeque<u64>,
    /// Calls that have an end and are not emitted, in the order of their ends.
    pub(super) finished: VecDeque<u64>,
    /// Places taken: calls under way or to be repeated.
    pub(super) active: usize,
    /// How many records are held of each event time.
    times: BTreeMap<EventTime, usize>,
}

impl<T: Data, U> Calls<T, U> {
    pub(super) fn new() -> Self {
        Calls {
            calls: BTreeMap::new(),
            next: 0,
            queued: VecDeque::new(),
            finished: VecDeque::new(),
            active: 0,
            times: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Holds a record; answers the bytes that it counts.
    pub(super) fn hold(&mut self, record: Record<T>, created_micros: u64) -> i64 {
        let bytes = (size_of::<Call<T, U>>() + record.value.heap_bytes()) as i64;
        *self.times.entry(record.timestamp).or_default() += 1;
        self.queued.push_back(self.next);
        self.calls
            .insert(self.next, Call { record, created_micros, attempts: 0, stage: Stage::Queued, bytes });
        self.next += 1;
        bytes
    }

    pub(super) fn get_mut(&mut self, call: u64) -> Option<&mut Call<T, U>> {
        self.calls.get_mut(&call)
    }

    /// The event time of the oldest record held.
    pub(super) fn oldest(&self) -> Option<EventTime> {
        self.times.first_key_value().map(|(time, _)| *time)
    }

    /// The next call whose result may leave.
    pub(super) fn next_to_emit(&mut self, in_order: bool) -> Option<u64> {
        if !in_order {
            return self.finished.front().copied();
        }
        let (number, first) = self.calls.first_key_value()?;
        matches!(first.stage, Stage::Answered(_) | Stage::Failed(_)).then_some(*number)
    }

    /// Lets go of a call.
    pub(super) fn release(&mut self, call: u64) -> Option<Call<T, U>> {
        let released = self.calls.remove(&call)?;
        if let Some(count) = self.times.get_mut(&released.record.timestamp) {
            *count -= 1;
            if *count == 0 {
                self.times.remove(&released.record.timestamp);
            }
        }
        if self.finished.front() == Some(&call) {
            self.finished.pop_front();
        }
        Some(released)
    }

    /// Everything held, in the order of the records.
    pub(super) fn held(&self) -> Vec<HeldRecord<T>> {
        let held = self.calls.values().map(|call| HeldRecord {
            timestamp: call.record.timestamp,
            created_micros: call.created_micros,
            value: call.record.value.clone(),
        });
        held.collect()
    }

    /// The calls whose time has come, and when the next one is due.
    pub(super) fn due(&self, now_ms: i64) -> (Vec<u64>, Option<i64>) {
        let (mut due, mut next) = (Vec::new(), None);
        for (number, call) in &self.calls {
            let (Stage::Running { deadline_ms: at, .. } | Stage::Delayed { until_ms: at }) = call.stage
            else {
                continue;
            };
            if at == i64::MAX {
                continue;
            }
            if at <= now_ms {
                due.push(*number);
            } else {
                next = Some(next.map_or(at, |next: i64| next.min(at)));
            }
        }
        (due, next)
    }
}
