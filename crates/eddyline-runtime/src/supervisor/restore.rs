//! What an attempt starts from: the job's own checkpoints, or what somebody has pointed to.

use super::{Notice, RestoreFrom, Shell, Supervisor};
use eddyline_core::Result;
use eddyline_protocol::{
    AttemptId, Candidate, CheckpointCoordinator, CheckpointId, DropState, Finding, Manifest, Moment,
    Restored, check_snapshot, choose_restore, drop_state,
};
use std::collections::BTreeSet;

/// A savepoint, or a kept checkpoint, that a job is to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotToRestore {
    /// Its directory.
    pub path: String,
    /// Whether it belongs to the job from then on, which deletes it once it has a checkpoint of its own.
    pub claim: bool,
}

/// What was chosen.
struct Chosen {
    manifest: Option<Box<Manifest>>,
    path: Option<String>,
}

impl Supervisor {
    /// Chooses what to restore and starts the processes.
    pub(super) fn spawn(&mut self, at: Moment, attempt: AttemptId, shell: &mut dyn Shell) -> Result<()> {
        self.input_ended_early = false;
        self.settle_open_write(at, shell);
        let candidates = shell.candidates()?;
        let dropped = &self.config.restore.drop_state;
        if dropped.before.is_none() && !dropped.uids.is_empty() {
            // What this job keeps from now on is not what somebody wanted to be rid of.
            self.config.restore.drop_state.before = Some(shell.first_free_checkpoint()?);
        }
        let chosen = self.choose(&candidates, shell)?;
        if self.coordinator.is_none() {
            let on_storage: BTreeSet<CheckpointId> =
                candidates.iter().map(|found| found.checkpoint).collect();
            self.coordinator = Some(CheckpointCoordinator::new(
                self.config.checkpoints.clone(),
                self.config.restore.job.clone(),
                self.config.restore.max_parallelism,
                on_storage,
                shell.first_free_checkpoint()?,
            )?);
        }
        self.restored = chosen.manifest.as_ref().map(|manifest| Restored {
            checkpoint: manifest.checkpoint,
            finished: manifest.finished,
            origin: chosen.path.clone().or_else(|| manifest.origin.clone()),
        });
        if let Some(restored) = &self.restored {
            let id = restored.checkpoint;
            let from = match &chosen.path {
                Some(path) => format!("{path}, which is of checkpoint {id}"),
                None => format!("checkpoint {id}"),
            };
            shell.notice(Notice::Info(format!("attempt {attempt} starts from {from}")));
        }
        let from =
            chosen.manifest.as_deref().map(|manifest| RestoreFrom { manifest, path: chosen.path.as_deref() });
        shell.spawn_attempt(attempt, from)
    }

    fn choose(&mut self, candidates: &[Candidate], shell: &mut dyn Shell) -> Result<Chosen> {
        let Some(snapshot) = self.config.snapshot.clone() else {
            return self.choose_own(candidates, shell);
        };
        let own = descendants(candidates, &snapshot.path);
        if own.is_empty() {
            let mut manifest = shell.open_snapshot(&snapshot.path)?;
            // Its number is another job's, or an older one's: it says nothing about what this one keeps.
            let wanted = DropState { before: None, ..self.config.restore.drop_state.clone() };
            let mut notices = drop_state(&wanted, &mut manifest);
            notices.extend(check_snapshot(&self.config.restore, &manifest)?);
            for notice in notices {
                shell.notice(Notice::Warning(notice.to_string()));
            }
            self.claimed = snapshot.claim.then(|| snapshot.path.clone());
            return Ok(Chosen { manifest: Some(Box::new(manifest)), path: Some(snapshot.path) });
        }
        let path = &snapshot.path;
        let text = format!("the job was started from {path} before and goes on from its own checkpoints");
        shell.notice(Notice::Info(text));
        if snapshot.claim {
            shell.delete_claimed(&snapshot.path);
        }
        self.choose_own(&own, shell)
    }

    fn choose_own(&mut self, candidates: &[Candidate], shell: &mut dyn Shell) -> Result<Chosen> {
        let choice = choose_restore(&self.config.restore, candidates)?;
        for notice in &choice.notices {
            shell.notice(Notice::Warning(notice.to_string()));
        }
        Ok(Chosen { manifest: choice.restore, path: None })
    }

    /// The job has a checkpoint of its own: what it has claimed is of no use to it any more.
    pub(super) fn let_go_of_claimed(&mut self, complete: CheckpointId, shell: &mut dyn Shell) {
        if self.restored.as_ref().is_some_and(|restored| restored.checkpoint < complete)
            && let Some(path) = self.claimed.take()
        {
            shell.delete_claimed(&path);
        }
    }

    /// A write of COMPLETE that was open when its attempt ended has to be known before anything is restored.
    fn settle_open_write(&mut self, at: Moment, shell: &mut dyn Shell) {
        let Some(coordinator) = &mut self.coordinator else { return };
        let Some(writing) = coordinator.writing() else { return };
        let decisions = if shell.is_complete(writing) {
            coordinator.on_complete_written(at, writing)
        } else {
            coordinator.on_complete_failed(at, writing, "its attempt ended before it was written")
        };
        self.add_checkpoint(decisions);
    }
}

/// The checkpoints that a job has taken since it was started from `path`. One that is damaged does not tell, but what
/// is newer than one that does cannot be anything else.
fn descendants(candidates: &[Candidate], path: &str) -> Vec<Candidate> {
    let descends = |candidate: &&Candidate| match &candidate.finding {
        Finding::Good(manifest) => manifest.origin.as_deref() == Some(path),
        Finding::Damaged { .. } => false,
    };
    let Some(first) = candidates.iter().filter(descends).map(|candidate| candidate.checkpoint).min() else {
        return Vec::new();
    };
    candidates.iter().filter(|candidate| candidate.checkpoint >= first).cloned().collect()
}
