//! Removing what no checkpoint needs any more.

use super::{ATTEMPT_PREFIX, ATTEMPTS, COMPLETE, CheckpointStore, segments};
use crate::storage::ObjectStorage;
use eddyline_core::Result;
use eddyline_protocol::{AttemptId, CheckpointId};
use std::collections::BTreeSet;

impl CheckpointStore {
    /// Removes the checkpoints older than the newest of `keep` that are not in `keep`, except for part files that a
    /// kept manifest refers to. Returns how many files were removed.
    ///
    /// A checkpoint that has not been completed when a newer one has must not be completed afterwards.
    ///
    /// # Errors
    /// If a manifest to be kept cannot be read (then nothing is removed), or a file cannot be removed.
    pub fn retire(&self, keep: &[CheckpointId]) -> Result<usize> {
        let Some(&newest) = keep.iter().max() else { return Ok(0) };
        let referenced = self.referenced_by(keep)?;
        let mut removed = 0;
        for id in self.all_checkpoints()? {
            if id < newest && !keep.contains(&id) {
                removed += self.remove_unreferenced(id, &referenced, true)?;
            }
        }
        Ok(removed)
    }

    /// Removes what unfinished checkpoints have left behind. To be called by the supervisor after it has claimed
    /// `attempt` and before it starts workers: nobody writes then but attempts that are fenced, whose files nothing
    /// will refer to. Returns how many files were removed.
    ///
    /// # Errors
    /// If the attempt is fenced, a complete manifest cannot be read (then nothing is removed, for it may refer to
    /// anything), or a file cannot be removed.
    pub fn sweep_orphans(&self, attempt: AttemptId) -> Result<usize> {
        self.check_fence(attempt)?;
        let complete = self.complete_checkpoints()?;
        let referenced = self.referenced_by(&complete)?;
        let mut removed = 0;
        for id in self.all_checkpoints()? {
            removed += self.remove_unreferenced(id, &referenced, !complete.contains(&id))?;
        }
        removed += self.sweep_claims(attempt)?;
        self.sweep_copies(&referenced);
        Ok(removed)
    }

    /// Removes what claims that were cut short have left behind. Who claims an attempt now claims a later one.
    fn sweep_claims(&self, attempt: AttemptId) -> Result<usize> {
        let directory = format!("{}/{ATTEMPTS}", self.job);
        let is_left = |name: &str| {
            let number = name
                .trim_start_matches('.')
                .strip_prefix(ATTEMPT_PREFIX)?
                .split_once('.')?
                .0
                .parse::<AttemptId>()
                .ok()?;
            (number <= attempt).then_some(())
        };
        let entries = self.storage.list(&directory)?;
        let left = entries.iter().filter(|entry| is_left(&entry.name).is_some());
        let names: Vec<String> = left.map(|entry| format!("{directory}/{}", entry.name)).collect();
        self.storage.remove(&names)?;
        Ok(names.len())
    }

    /// Removes copies on this machine that nothing refers to, also of checkpoints that are gone.
    fn sweep_copies(&self, referenced: &BTreeSet<String>) {
        let Some(nearby) = self.segments.nearby() else { return };
        for entry in nearby.list(&self.job).unwrap_or_default().iter().filter(|entry| entry.is_directory) {
            self.remove_copies(nearby.as_ref(), &format!("{}/{}", self.job, entry.name), referenced);
        }
    }

    fn remove_copies(&self, nearby: &dyn ObjectStorage, directory: &str, referenced: &BTreeSet<String>) {
        // A copy that cannot be removed costs space and nothing else.
        let copies = self.unreferenced(nearby, directory, referenced).unwrap_or_default();
        let _ = nearby.remove(&copies).and_then(|()| nearby.clear_if_empty(directory));
    }

    fn referenced_by(&self, checkpoints: &[CheckpointId]) -> Result<BTreeSet<String>> {
        let mut referenced = BTreeSet::new();
        for id in checkpoints {
            let manifest = self.read_manifest(*id)?;
            referenced.extend(segments(&manifest).map(|segment| segment.file.clone()));
        }
        Ok(referenced)
    }

    fn remove_unreferenced(
        &self,
        checkpoint: CheckpointId,
        referenced: &BTreeSet<String>,
        with_manifest: bool,
    ) -> Result<usize> {
        let directory = self.checkpoint_directory(checkpoint);
        let mut removed = 0;
        if with_manifest && self.is_complete(checkpoint)? {
            // First and durably: a checkpoint that lacks a part must not look complete after a crash.
            self.storage.remove(&[format!("{directory}/{COMPLETE}")])?;
            removed += 1;
        }
        let unreferenced = self.unreferenced(self.storage.as_ref(), &directory, referenced)?;
        self.storage.remove(&unreferenced)?;
        self.storage.clear_if_empty(&directory)?;
        if let Some(nearby) = self.segments.nearby() {
            self.remove_copies(nearby.as_ref(), &directory, referenced);
        }
        Ok(removed + unreferenced.len())
    }

    /// The objects in a checkpoint's directory that are neither its manifest nor referred to.
    fn unreferenced(
        &self,
        storage: &dyn ObjectStorage,
        directory: &str,
        referenced: &BTreeSet<String>,
    ) -> Result<Vec<String>> {
        let prefix = directory.strip_prefix(&self.job).unwrap_or(directory).trim_start_matches('/');
        let entries = storage.list(directory)?;
        let names = entries.into_iter().filter(|entry| !entry.is_directory && entry.name != COMPLETE);
        let unreferenced = names.filter(|entry| !referenced.contains(&format!("{prefix}/{}", entry.name)));
        Ok(unreferenced.map(|entry| format!("{directory}/{}", entry.name)).collect())
    }
}
