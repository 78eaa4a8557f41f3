//! The checkpoint coordinator: when to cut, when a checkpoint is complete, what to commit and what to delete.
//!
//! Rules:
//! - Numbers grow over all attempts and are never used twice.
//! - COMPLETE is written only when the parts of all workers are there, one at a time, the oldest ready one first.
//! - A commit is announced only after COMPLETE is durable, in increasing order. A commit covers everything before
//!   its cut, so a savepoint that completes after a newer checkpoint needs none.
//! - A checkpoint that completes *subsumes* the older periodic ones in flight: they are aborted. Savepoints were
//!   asked for by somebody and are not subsumed, except by the final checkpoint, after which no worker is left.
//! - A savepoint is a checkpoint like any other that is copied when it is complete. Who asks while the job is ending
//!   gets the final checkpoint.
//! - A failed or late part fails its checkpoint only; more consecutive failures than tolerated fail the attempt.
//!   Failed savepoints do not count.
//! - The end of input and a stop that suspends trigger the final checkpoint, which waits for no interval or pause:
//!   it supersedes periodic ones in flight. Nothing is triggered after it; if it fails, it is tried again.
//! - What an ended attempt says is ignored, whatever it is.
//!
//! Contract of the driver: `on_attempt_started` when all workers are running; `on_attempt_ended` when all its
//! processes have ended; an open COMPLETE write ([`CheckpointCoordinator::writing`]) is answered before the next
//! restore is chosen. `on_time` is called when [`CheckpointCoordinator::next_due_ms`] has come.

mod decision;
mod merge;
#[cfg(test)]
mod model_tests;
mod parts;
mod retention;
#[cfg(test)]
mod tests;

pub use decision::{CheckpointConfig, CheckpointDecision, Moment, Restored, SavepointRequest};

use crate::manifest::{AttemptId, CheckpointId, PartManifest};
use crate::message::{CheckpointKind, StopMode, WorkerIndex};
use eddyline_core::{Error, Result, Tick};
use retention::Retention;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pause before a final checkpoint that failed is tried again, if `min_pause_ms` is shorter.
const FINAL_RETRY_PAUSE_MS: u64 = 100;

/// Aborted checkpoints of an attempt that are remembered, so that their late parts can be deleted.
const ABORTED_REMEMBERED_MAX: usize = 1_024;

/// A checkpoint whose parts are awaited.
#[derive(Debug)]
struct Pending {
    kind: CheckpointKind,
    /// Whether the input had ended when it was triggered.
    finished: bool,
    triggered_ms: u64,
    tick: Option<Tick>,
    parts: BTreeMap<WorkerIndex, PartManifest>,
    /// Who has asked for it.
    requests: Vec<SavepointRequest>,
}

/// A checkpoint whose COMPLETE is being written.
#[derive(Debug)]
struct Writing {
    id: CheckpointId,
    kind: CheckpointKind,
    attempt: AttemptId,
    requests: Vec<SavepointRequest>,
}

/// How far the last checkpoint of the job is.
#[derive(Debug)]
enum Last {
    NotYet,
    /// Triggered, not yet durable.
    Taken(CheckpointId),
    /// Durable; these workers have not committed it.
    Committing {
        id: CheckpointId,
        missing: BTreeSet<WorkerIndex>,
        deadline_ms: u64,
    },
}

/// Savepoints that may wait for room.
const SAVEPOINTS_WAITING_MAX: usize = 100;

/// What is known of the attempt that runs.
#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    workers: BTreeSet<WorkerIndex>,
    next_periodic_ms: u64,
    pause_until_ms: u64,
    final_due_ms: u64,
    consecutive_failures: u32,
    input_ended: bool,
    failing: bool,
    last: Last,
    last_commit: Option<CheckpointId>,
    aborted: BTreeSet<CheckpointId>,
}

/// The machine; see the module for its rules.
#[derive(Debug)]
pub struct CheckpointCoordinator {
    config: CheckpointConfig,
    job: String,
    max_parallelism: u32,
    next_id: CheckpointId,
    newest_attempt: Option<AttemptId>,
    attempt: Option<Attempt>,
    pending: BTreeMap<CheckpointId, Pending>,
    writing: Option<Writing>,
    retention: Retention,
    savepoints_requested: VecDeque<SavepointRequest>,
    /// Who wants the final checkpoint as a savepoint.
    final_requests: Vec<SavepointRequest>,
    /// [`Manifest::origin`](crate::Manifest::origin) of this attempt's checkpoints.
    origin: Option<String>,
    stop: Option<StopMode>,
    finished: bool,
}

type Decisions = Vec<CheckpointDecision>;

impl CheckpointCoordinator {
    /// A coordinator for `job`, whose storage holds the complete checkpoints `on_storage` and
    /// no file of a checkpoint numbered `first_id` or higher.
    ///
    /// # Errors
    /// Of kind `Config` if `config` cannot work.
    pub fn new(
        config: CheckpointConfig,
        job: impl Into<String>,
        max_parallelism: u32,
        on_storage: BTreeSet<CheckpointId>,
        first_id: CheckpointId,
    ) -> Result<Self> {
        config.validate()?;
        let after_storage = on_storage.last().map_or(1, |newest| newest + 1);
        Ok(CheckpointCoordinator {
            retention: Retention::new(config.num_retained as usize, on_storage),
            config,
            job: job.into(),
            max_parallelism,
            next_id: first_id.max(after_storage),
            newest_attempt: None,
            attempt: None,
            pending: BTreeMap::new(),
            writing: None,
            savepoints_requested: VecDeque::new(),
            final_requests: Vec::new(),
            origin: None,
            stop: None,
            finished: false,
        })
    }

    /// All workers of `attempt` run, having restored `restored`. The commit of what was restored is repeated: the
    /// attempt before may have died between COMPLETE and commit.
    ///
    /// # Errors
    /// Of kind `Internal` if `attempt` is not newer than all before it, has no workers, or comes after
    /// the end of the job.
    pub fn on_attempt_started(
        &mut self,
        at: Moment,
        attempt: AttemptId,
        workers: BTreeSet<WorkerIndex>,
        restored: Option<Restored>,
    ) -> Result<Decisions> {
        if let Some(newest) = self.newest_attempt.filter(|&newest| attempt <= newest) {
            return Err(Error::internal("attempt numbers must grow")
                .with_detail(format!("attempt {attempt} was started after attempt {newest}")));
        }
        if self.finished {
            return Err(Error::internal("an attempt was started after the job was done"));
        }
        if workers.is_empty() {
            return Err(Error::internal("an attempt needs workers").with_detail(format!("attempt {attempt}")));
        }
        let mut out = self.end_attempt();
        self.newest_attempt = Some(attempt);
        let checkpoint = restored.as_ref().map(|restored| restored.checkpoint);
        self.origin = restored.as_ref().and_then(|restored| restored.origin.clone());
        self.retention.on_restored(checkpoint);
        self.next_id = self.next_id.max(checkpoint.map_or(1, |id| id + 1));
        let last = match restored {
            Some(Restored { checkpoint, finished: true, .. }) => Last::Committing {
                id: checkpoint,
                missing: workers.clone(),
                deadline_ms: at.now_ms.saturating_add(self.config.timeout_ms),
            },
            _ => Last::NotYet,
        };
        self.attempt = Some(Attempt {
            id: attempt,
            workers,
            next_periodic_ms: at.now_ms.saturating_add(self.base_interval_ms().unwrap_or(0)),
            pause_until_ms: at.now_ms,
            final_due_ms: at.now_ms,
            consecutive_failures: 0,
            input_ended: false,
            failing: false,
            last,
            last_commit: checkpoint,
            aborted: BTreeSet::new(),
        });
        out.extend(checkpoint.map(|id| CheckpointDecision::NotifyCommit { id }));
        self.trigger_due(at, &mut out);
        Ok(out)
    }

    /// All processes of `attempt` have ended: its checkpoints in flight are given up, except one whose COMPLETE is
    /// being written, which may yet turn out to be durable.
    pub fn on_attempt_ended(&mut self, attempt: AttemptId) -> Decisions {
        match &self.attempt {
            Some(running) if running.id == attempt => self.end_attempt(),
            _ => Vec::new(),
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, at: Moment) -> Decisions {
        let mut out = Vec::new();
        let timeout_ms = self.config.timeout_ms;
        let late = |pending: &Pending| at.now_ms >= pending.triggered_ms.saturating_add(timeout_ms);
        let expired: Vec<_> =
            self.pending.iter().filter(|(_, pending)| late(pending)).map(|(id, _)| *id).collect();
        for id in expired {
            let reason = format!("not complete after {timeout_ms} ms{}", self.describe_missing(id));
            self.fail_checkpoint(at, id, reason, &mut out);
        }
        self.check_final_commit(at, &mut out);
        self.trigger_due(at, &mut out);
        out
    }

    /// Somebody asks for a savepoint; it is taken as soon as there is room for it.
    pub fn request_savepoint(&mut self, at: Moment, request: SavepointRequest) -> Decisions {
        let mut out = Vec::new();
        if self.savepoints_requested.len() >= SAVEPOINTS_WAITING_MAX {
            let reason = format!("{SAVEPOINTS_WAITING_MAX} savepoints are waited for already");
            return vec![CheckpointDecision::SavepointFailed { request, reason }];
        }
        self.savepoints_requested.push_back(request);
        self.trigger_due(at, &mut out);
        out
    }

    /// Somebody wants the final checkpoint of the job as a savepoint.
    pub fn request_final_savepoint(&mut self, request: SavepointRequest) -> Decisions {
        let is_past = self.finished
            || self.attempt.as_ref().is_some_and(|attempt| matches!(attempt.last, Last::Committing { .. }));
        if is_past {
            return vec![job_is_over(request)];
        }
        self.final_requests.push(request);
        Vec::new()
    }

    /// All input of `attempt` has ended: the final checkpoint is due, at once.
    pub fn on_input_ended(&mut self, at: Moment, attempt: AttemptId) -> Decisions {
        let mut out = Vec::new();
        if let Some(running) = self.attempt.as_mut().filter(|running| running.id == attempt) {
            running.input_ended = true;
            self.trigger_due(at, &mut out);
        }
        out
    }

    /// The job is to stop, in this attempt or a later one. [`StopMode::Suspend`] takes the final checkpoint now;
    /// with [`StopMode::Drain`] the end of input will. Workers must have been told before.
    pub fn request_stop(&mut self, at: Moment, mode: StopMode) -> Decisions {
        self.stop = self.stop.or(Some(mode));
        let mut out = Vec::new();
        self.trigger_due(at, &mut out);
        out
    }

    /// The monotonic time at which `on_time` has something to do; `None`: not before something else happens.
    pub fn next_due_ms(&self) -> Option<u64> {
        let attempt = self.attempt.as_ref().filter(|_| !self.finished)?;
        let timeouts =
            self.pending.values().map(|pending| pending.triggered_ms.saturating_add(self.config.timeout_ms));
        let mut due = timeouts.min();
        let mut consider = |candidate: u64| due = Some(due.map_or(candidate, |due| due.min(candidate)));
        let may_trigger = !attempt.failing && self.has_room();
        match &attempt.last {
            Last::Committing { deadline_ms, .. } if !attempt.failing => consider(*deadline_ms),
            Last::NotYet if may_trigger && self.final_is_wanted(attempt) => consider(attempt.final_due_ms),
            Last::NotYet if may_trigger && self.config.interval_ms.is_some() => {
                consider(attempt.next_periodic_ms.max(attempt.pause_until_ms));
            }
            _ => {}
        }
        due
    }

    /// The checkpoint whose COMPLETE is being written. While there is one, its outcome is unknown, and nobody may
    /// choose what to restore.
    pub fn writing(&self) -> Option<CheckpointId> {
        self.writing.as_ref().map(|writing| writing.id)
    }

    /// Checkpoints in flight, oldest first, including the one that is being written.
    pub fn in_flight(&self) -> Vec<CheckpointId> {
        let mut ids: BTreeSet<_> = self.pending.keys().copied().collect();
        ids.extend(self.writing());
        ids.into_iter().collect()
    }

    /// Complete checkpoints that are kept, oldest first.
    pub fn retained(&self) -> &BTreeSet<CheckpointId> {
        self.retention.retained()
    }

    /// Whether the job is done.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn end_attempt(&mut self) -> Decisions {
        let mut out = Vec::new();
        self.attempt = None;
        for (id, pending) in std::mem::take(&mut self.pending) {
            self.retention.discard(id, self.newest_id());
            fail_requests(pending.requests, "the job failed while it was taken", &mut out);
        }
        self.release(&mut out);
        out
    }

    fn base_interval_ms(&self) -> Option<u64> {
        self.config.interval_ms.map(|interval_ms| interval_ms.max(self.config.min_pause_ms))
    }

    fn newest_id(&self) -> CheckpointId {
        self.next_id - 1
    }

    fn has_room(&self) -> bool {
        self.pending.len() + usize::from(self.writing.is_some()) < self.config.max_concurrent as usize
    }

    fn final_is_wanted(&self, attempt: &Attempt) -> bool {
        attempt.input_ended || self.stop == Some(StopMode::Suspend)
    }

    fn release(&mut self, out: &mut Decisions) {
        let oldest_pending = self.pending.keys().next().copied();
        let oldest = oldest_pending.into_iter().chain(self.writing()).min();
        self.retention.release(oldest, out);
    }

    /// Takes whatever checkpoint is due; a final one shuts out all others.
    fn trigger_due(&mut self, at: Moment, out: &mut Decisions) {
        let Some(attempt) = self.attempt.as_ref().filter(|attempt| !attempt.failing && !self.finished) else {
            return;
        };
        let wanted = self.final_is_wanted(attempt);
        if wanted || !matches!(attempt.last, Last::NotYet) {
            let due = matches!(attempt.last, Last::NotYet) && at.now_ms >= attempt.final_due_ms;
            if matches!(attempt.last, Last::Committing { .. }) {
                out.extend(self.savepoints_requested.drain(..).map(job_is_over));
            } else {
                self.final_requests.extend(self.savepoints_requested.drain(..));
            }
            if due {
                self.trigger_final(at, out);
            }
            return;
        }
        while self.has_room()
            && let Some(request) = self.savepoints_requested.pop_front()
        {
            self.trigger(at, CheckpointKind::Savepoint, vec![request], out);
        }
        self.trigger_periodic(at, out);
    }

    fn trigger_periodic(&mut self, at: Moment, out: &mut Decisions) {
        let Some(interval_ms) = self.base_interval_ms().filter(|_| self.has_room()) else { return };
        let Some(attempt) = &mut self.attempt else { return };
        if at.now_ms >= attempt.next_periodic_ms.max(attempt.pause_until_ms) {
            // Counted from now, not from when it was due: what was missed is not made up for in a burst.
            attempt.next_periodic_ms = at.now_ms.saturating_add(interval_ms);
            self.trigger(at, CheckpointKind::Checkpoint, Vec::new(), out);
        }
    }

    fn trigger_final(&mut self, at: Moment, out: &mut Decisions) {
        self.abort_before(CheckpointId::MAX, false, "superseded by the final checkpoint", out);
        // What may still be in flight are savepoints, or a COMPLETE being written: their end calls here again.
        if self.has_room() {
            self.trigger(at, CheckpointKind::Final, Vec::new(), out);
        }
    }

    fn trigger(
        &mut self,
        at: Moment,
        kind: CheckpointKind,
        requests: Vec<SavepointRequest>,
        out: &mut Decisions,
    ) {
        let Some(attempt) = &mut self.attempt else { return };
        let id = self.next_id;
        self.next_id += 1;
        if kind == CheckpointKind::Final {
            attempt.last = Last::Taken(id);
        }
        let finished = kind == CheckpointKind::Final && attempt.input_ended;
        let triggered_ms = at.now_ms;
        let parts = BTreeMap::new();
        self.pending.insert(id, Pending { kind, finished, triggered_ms, tick: None, parts, requests });
        out.push(CheckpointDecision::Trigger { id, kind });
    }

    fn abort_before(&mut self, limit: CheckpointId, savepoints_too: bool, reason: &str, out: &mut Decisions) {
        let goes = |pending: &Pending| savepoints_too || pending.kind == CheckpointKind::Checkpoint;
        let older = self.pending.range(..limit).filter(|(_, pending)| goes(pending));
        let ids: Vec<_> = older.map(|(id, _)| *id).collect();
        for id in ids {
            self.abort(id, reason.to_owned(), out);
        }
        self.release(out);
    }

    fn abort(&mut self, id: CheckpointId, reason: String, out: &mut Decisions) {
        if let Some(pending) = self.pending.remove(&id) {
            fail_requests(pending.requests, &reason, out);
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.aborted.insert(id);
            if attempt.aborted.len() > ABORTED_REMEMBERED_MAX {
                attempt.aborted.pop_first();
            }
        }
        self.retention.discard(id, self.newest_id());
        out.push(CheckpointDecision::Abort { id, reason });
    }

    /// Gives up one checkpoint because something went wrong, and counts that.
    fn fail_checkpoint(&mut self, at: Moment, id: CheckpointId, reason: String, out: &mut Decisions) {
        let Some(kind) = self.pending.get(&id).map(|pending| pending.kind) else { return };
        self.abort(id, reason.clone(), out);
        self.count_failure(at, id, kind, &reason, out);
        self.release(out);
    }

    fn count_failure(
        &mut self,
        at: Moment,
        id: CheckpointId,
        kind: CheckpointKind,
        reason: &str,
        out: &mut Decisions,
    ) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.pause_until_ms = at.now_ms.saturating_add(self.config.min_pause_ms);
        match kind {
            CheckpointKind::Savepoint => return,
            CheckpointKind::Checkpoint => {}
            CheckpointKind::Final => {
                attempt.last = Last::NotYet;
                attempt.final_due_ms =
                    at.now_ms.saturating_add(self.config.min_pause_ms.max(FINAL_RETRY_PAUSE_MS));
            }
        }
        attempt.consecutive_failures += 1;
        let tolerable = self.config.tolerable_failed_checkpoints;
        if attempt.consecutive_failures > tolerable && !attempt.failing {
            attempt.failing = true;
            out.push(CheckpointDecision::FailAttempt {
                reason: format!(
                    "{} checkpoints failed in a row, {tolerable} tolerated; the last, {id}: {reason}",
                    attempt.consecutive_failures
                ),
            });
        }
    }

    /// Without a limit, a sink that never answers would let a job that is done hang for ever.
    fn check_final_commit(&mut self, at: Moment, out: &mut Decisions) {
        let Some(attempt) = &mut self.attempt else { return };
        let Last::Committing { id, missing, deadline_ms } = &attempt.last else { return };
        if at.now_ms >= *deadline_ms && !attempt.failing && !self.finished {
            attempt.failing = true;
            let reason = format!("workers {missing:?} did not commit the final checkpoint {id} in time");
            out.push(CheckpointDecision::FailAttempt { reason });
        }
    }
}

fn fail_requests(requests: Vec<SavepointRequest>, reason: &str, out: &mut Decisions) {
    let failed = |request| CheckpointDecision::SavepointFailed { request, reason: reason.to_owned() };
    out.extend(requests.into_iter().map(failed));
}

fn job_is_over(request: SavepointRequest) -> CheckpointDecision {
    let reason = "the job has ended: its final checkpoint is complete".to_owned();
    CheckpointDecision::SavepointFailed { request, reason }
}
