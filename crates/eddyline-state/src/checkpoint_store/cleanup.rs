//! Removing what no checkpoint needs any more.

use super::{COMPLETE, CheckpointStore, segments};
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
        Ok(removed)
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
        let prefix =
            directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let complete = directory.join(COMPLETE);
        let mut removed = 0;
        if with_manifest && self.files.exists(&complete)? {
            // First and durably: a checkpoint that lacks a part must not look complete after a crash.
            self.files.remove(&complete)?;
            self.files.sync_dir(&directory)?;
            removed += 1;
        }
        let entries = self.files.list(&directory)?;
        let mut left = 0;
        for entry in &entries {
            let is_manifest = entry.name == COMPLETE;
            if entry.is_directory || is_manifest || referenced.contains(&format!("{prefix}/{}", entry.name)) {
                left += 1;
            } else {
                self.files.remove(&directory.join(&entry.name))?;
                removed += 1;
            }
        }
        if left == 0 {
            self.files.remove_dir(&directory)?;
        }
        Ok(removed)
    }
}
