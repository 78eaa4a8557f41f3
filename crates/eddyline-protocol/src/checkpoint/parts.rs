//! From the parts of the workers to COMPLETE and to commit.

use super::merge::merge_parts;
use super::{
    Attempt, CheckpointCoordinator, CheckpointDecision, Decisions, Last, Moment, Pending, Writing,
    fail_requests,
};
use crate::manifest::{AttemptId, CheckpointId, MANIFEST_FORMAT, Manifest, ManifestKind, PartManifest};
use crate::message::{CheckpointKind, FromWorker, WorkerIndex};
use eddyline_core::Tick;

impl CheckpointCoordinator {
    /// Hands a message of `attempt` to the input it is meant for; messages that are none of a coordinator's
    /// business decide nothing.
    pub fn on_message(&mut self, at: Moment, attempt: AttemptId, message: &FromWorker) -> Decisions {
        match message {
            FromWorker::CutAnnounced { checkpoint, tick } => {
                self.on_cut_announced(at, attempt, *checkpoint, *tick)
            }
            FromWorker::PartDone { checkpoint, worker, tick, part } => {
                self.on_part_done(at, attempt, *worker, *checkpoint, *tick, part.clone())
            }
            FromWorker::PartFailed { checkpoint, worker, reason } => {
                self.on_part_failed(at, attempt, *worker, *checkpoint, reason)
            }
            FromWorker::Committed { checkpoint, worker } => self.on_committed(attempt, *worker, *checkpoint),
            FromWorker::InputEnded => self.on_input_ended(at, attempt),
            FromWorker::Hello { .. }
            | FromWorker::Running { .. }
            | FromWorker::Heartbeat { .. }
            | FromWorker::Finished { .. }
            | FromWorker::Failed { .. } => Vec::new(),
        }
    }

    /// The tick leader has announced where `checkpoint` cuts.
    pub fn on_cut_announced(
        &mut self,
        at: Moment,
        attempt: AttemptId,
        checkpoint: CheckpointId,
        tick: Tick,
    ) -> Decisions {
        let mut out = Vec::new();
        if self.is_current(attempt) {
            self.agree_on_tick(at, checkpoint, tick, &mut out);
        }
        self.trigger_due(at, &mut out);
        out
    }

    /// The part of `worker` is durable. A part of a checkpoint that was given up is deleted; a repeated one is
    /// ignored.
    pub fn on_part_done(
        &mut self,
        at: Moment,
        attempt: AttemptId,
        worker: WorkerIndex,
        checkpoint: CheckpointId,
        tick: Tick,
        part: PartManifest,
    ) -> Decisions {
        let mut out = Vec::new();
        let newest = self.newest_id();
        let Some(running) = self.attempt.as_ref().filter(|running| running.id == attempt) else { return out };
        if running.aborted.contains(&checkpoint) {
            self.retention.discard(checkpoint, newest);
            self.release(&mut out);
            return out;
        }
        if !running.workers.contains(&worker) || !self.agree_on_tick(at, checkpoint, tick, &mut out) {
            self.trigger_due(at, &mut out);
            return out;
        }
        if let Some(pending) = self.pending.get_mut(&checkpoint) {
            pending.parts.entry(worker).or_insert(part);
        }
        self.write_next(at, &mut out);
        self.trigger_due(at, &mut out);
        out
    }

    /// `worker` could not write its part: that checkpoint fails, nothing else.
    pub fn on_part_failed(
        &mut self,
        at: Moment,
        attempt: AttemptId,
        worker: WorkerIndex,
        checkpoint: CheckpointId,
        reason: &str,
    ) -> Decisions {
        let mut out = Vec::new();
        if self.is_current(attempt) {
            self.fail_checkpoint(at, checkpoint, format!("worker {worker}: {reason}"), &mut out);
            self.trigger_due(at, &mut out);
        }
        out
    }

    /// COMPLETE of checkpoint `id` is durable.
    pub fn on_complete_written(&mut self, at: Moment, id: CheckpointId) -> Decisions {
        let mut out = Vec::new();
        let Some(writing) = self.writing.take_if(|writing| writing.id == id) else { return out };
        let newest = self.newest_id();
        match &mut self.attempt {
            Some(attempt) if attempt.id == writing.attempt => {
                attempt.consecutive_failures = 0;
                attempt.pause_until_ms = at.now_ms.saturating_add(self.config.min_pause_ms);
                self.complete(at, writing, &mut out);
            }
            // The next attempt already runs, from something older: this one must never be restored.
            Some(_) => {
                fail_requests(writing.requests, "the job failed while it was taken", &mut out);
                self.retention.retire(id, newest);
            }
            // Its attempt has ended; the next one starts from it and commits it.
            None => {
                self.answer_requests(writing, &mut out);
                self.retention.on_complete(id, newest);
            }
        }
        self.release(&mut out);
        self.write_next(at, &mut out);
        self.trigger_due(at, &mut out);
        out
    }

    /// COMPLETE of checkpoint `id` could not be written and is certainly not there.
    pub fn on_complete_failed(&mut self, at: Moment, id: CheckpointId, reason: &str) -> Decisions {
        let mut out = Vec::new();
        let Some(writing) = self.writing.take_if(|writing| writing.id == id) else { return out };
        fail_requests(writing.requests, reason, &mut out);
        if self.is_current(writing.attempt) {
            self.abort(id, reason.to_owned(), &mut out);
            self.count_failure(at, id, writing.kind, reason, &mut out);
        } else {
            self.retention.discard(id, self.newest_id());
        }
        self.release(&mut out);
        self.write_next(at, &mut out);
        self.trigger_due(at, &mut out);
        out
    }

    /// The sinks of `worker` have made everything up to `checkpoint` visible.
    pub fn on_committed(
        &mut self,
        attempt: AttemptId,
        worker: WorkerIndex,
        checkpoint: CheckpointId,
    ) -> Decisions {
        let Some(running) = self.attempt.as_mut().filter(|running| running.id == attempt) else {
            return Vec::new();
        };
        match &mut running.last {
            Last::Committing { id, missing, .. } if *id == checkpoint && !self.finished => {
                missing.remove(&worker);
                self.finished = missing.is_empty();
                if self.finished { vec![CheckpointDecision::Finished] } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    fn is_current(&self, attempt: AttemptId) -> bool {
        self.attempt.as_ref().is_some_and(|running| running.id == attempt)
    }

    /// The workers a checkpoint still waits for, in words.
    pub(super) fn describe_missing(&self, id: CheckpointId) -> String {
        match (&self.attempt, self.pending.get(&id)) {
            (Some(attempt), Some(pending)) => {
                let has_part = |worker: &&WorkerIndex| !pending.parts.contains_key(*worker);
                let missing: Vec<_> = attempt.workers.iter().filter(has_part).collect();
                format!(": no part from workers {missing:?}")
            }
            _ => String::new(),
        }
    }

    /// Whether `tick` is the cut of the pending `checkpoint`; two different cuts of one checkpoint fail it.
    fn agree_on_tick(
        &mut self,
        at: Moment,
        checkpoint: CheckpointId,
        tick: Tick,
        out: &mut Decisions,
    ) -> bool {
        let Some(pending) = self.pending.get_mut(&checkpoint) else { return false };
        let cut = *pending.tick.get_or_insert(tick);
        if cut != tick {
            let reason = format!("cut at tick {cut} by one worker and at tick {tick} by another");
            self.fail_checkpoint(at, checkpoint, reason, out);
        }
        cut == tick
    }

    /// Starts to write the oldest checkpoint whose parts are all there, unless a write is open.
    fn write_next(&mut self, at: Moment, out: &mut Decisions) {
        while self.writing.is_none() {
            let Some(attempt) = &self.attempt else { return };
            let workers = attempt.workers.len();
            let is_ready = |(_, pending): &(&CheckpointId, &Pending)| pending.parts.len() == workers;
            let Some((&id, pending)) = self.pending.iter().find(is_ready) else { return };
            let operators = match merge_parts(&pending.parts) {
                Ok(operators) => operators,
                Err(reason) => {
                    self.fail_checkpoint(at, id, reason, out);
                    continue;
                }
            };
            let manifest = Manifest {
                format: MANIFEST_FORMAT,
                job: self.job.clone(),
                checkpoint: id,
                attempt: attempt.id,
                tick: pending.tick.expect("invariant: a part brings the tick"),
                completed_at_ms: at.wall_ms,
                max_parallelism: self.max_parallelism,
                finished: pending.finished,
                kind: ManifestKind::Checkpoint,
                origin: self.origin.clone(),
                operators,
            };
            let (kind, attempt) = (pending.kind, attempt.id);
            let requests = self.pending.remove(&id).map_or_else(Vec::new, |pending| pending.requests);
            self.writing = Some(Writing { id, kind, attempt, requests });
            out.push(CheckpointDecision::WriteComplete(Box::new(manifest)));
        }
    }

    /// What follows from a durable checkpoint of the attempt that runs.
    fn complete(&mut self, at: Moment, writing: Writing, out: &mut Decisions) {
        let id = writing.id;
        if let Some(attempt) = &mut self.attempt {
            if attempt.last_commit.is_none_or(|last| last < id) {
                attempt.last_commit = Some(id);
                out.push(CheckpointDecision::NotifyCommit { id });
            }
            let deadline_ms = at.now_ms.saturating_add(self.config.timeout_ms);
            await_final_commit(attempt, id, deadline_ms);
        }
        let is_last = writing.kind == CheckpointKind::Final;
        self.abort_before(id, is_last, &format!("subsumed by checkpoint {id}"), out);
        self.answer_requests(writing, out);
        self.retention.on_complete(id, self.newest_id());
    }

    /// Tells those who asked for a checkpoint that it is there.
    fn answer_requests(&mut self, writing: Writing, out: &mut Decisions) {
        let Writing { id, kind, mut requests, .. } = writing;
        if kind == CheckpointKind::Final {
            requests.append(&mut self.final_requests);
        }
        let complete = |request| CheckpointDecision::SavepointComplete { request, id };
        out.extend(requests.into_iter().map(complete));
    }
}

fn await_final_commit(attempt: &mut Attempt, id: CheckpointId, deadline_ms: u64) {
    if matches!(attempt.last, Last::Taken(last) if last == id) {
        attempt.last = Last::Committing { id, missing: attempt.workers.clone(), deadline_ms };
    }
}
