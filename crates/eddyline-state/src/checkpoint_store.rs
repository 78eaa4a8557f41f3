//! Where checkpoints are kept.
//!
//! ```text
//! <root>/<job>/attempts/attempt-0000000007              one file per attempt ever started
//! <root>/<job>/checkpoint-0000000042/part-7-0           segments of worker 0, written by attempt 7
//! <root>/<job>/checkpoint-0000000042/part-7-1           …
//! <root>/<job>/checkpoint-0000000042/COMPLETE           the manifest: exists if and only if all of it is durable
//! ```
//!
//! `COMPLETE` is one line of JSON and one line with the CRC-32 of the first. It is put there whole and durable, and
//! only if it is not there. Manifests refer to part files of earlier checkpoints, so a part lives as long as a
//! manifest that is kept names it.
//!
//! **Fencing.** An attempt is claimed by storing its file exclusively: of two supervisors only one gets a number,
//! and the one with the smaller number is fenced from then on. [`CheckpointStore::write_complete`] looks for a
//! newer claim before it stores the manifest *and after it*, and fails if there is one, so that a fenced supervisor never goes
//! on to commit. A supervisor must look for complete checkpoints after its claim, not before: then it either sees
//! the `COMPLETE` of its predecessor, and commits it itself, or the predecessor sees the claim, and does not commit.

mod cleanup;
mod frames;
mod manifest_file;
mod part_file;
mod savepoint;
#[cfg(test)]
mod savepoint_tests;
mod segments;
#[cfg(test)]
mod tests;

pub use part_file::PartFile;
pub use savepoint::{OpenedSnapshot, SavepointSize, dispose_savepoint, open_snapshot};
pub use segments::SegmentFiles;

use crate::restore::SegmentReader;
use crate::storage::{FileObjects, FileSystem, ObjectStorage, ObjectWriter};
use eddyline_core::{Error, Result};
use eddyline_protocol::{AttemptId, CheckpointId, Manifest, SegmentRef};
use frames::{COMPRESSED_SUFFIX, FrameWriter};
use std::path::Path;
use std::sync::Arc;

const ATTEMPTS: &str = "attempts";
const ATTEMPT_PREFIX: &str = "attempt-";
const CHECKPOINT_PREFIX: &str = "checkpoint-";
const PART_PREFIX: &str = "part-";
const COMPLETE: &str = "COMPLETE";

/// How often a claim is tried anew when others claim attempts at the same time.
const CLAIM_TRIES_MAX: usize = 100;

/// The checkpoints of one job.
#[derive(Clone)]
pub struct CheckpointStore {
    storage: Arc<dyn ObjectStorage>,
    segments: SegmentFiles,
    job: String,
    owner: String,
    compresses: bool,
}

impl CheckpointStore {
    /// The checkpoints that `job` has, or will have, as files below `root`.
    ///
    /// # Errors
    /// If the job's name cannot be a directory's.
    pub fn new(files: Arc<dyn FileSystem>, root: impl AsRef<Path>, job: &str) -> Result<Self> {
        CheckpointStore::on(Arc::new(FileObjects::new(files, root)), job)
    }

    /// The checkpoints that `job` has, or will have, on `storage`.
    ///
    /// # Errors
    /// If the job's name cannot be a directory's.
    pub fn on(storage: Arc<dyn ObjectStorage>, job: &str) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if job.is_empty() || job.len() > 200 || job.starts_with('.') || !job.chars().all(is_plain) {
            return Err(Error::config(format!("a job cannot be called `{job}`"))
                .with_hint("use letters, digits, `.`, `_` and `-`, at most 200, and no `.` in front"));
        }
        let segments = SegmentFiles::new(storage.clone(), job);
        Ok(CheckpointStore {
            storage,
            segments,
            job: job.to_owned(),
            owner: String::new(),
            compresses: false,
        })
    }

    /// The same store, whose claims say that they are `owner`'s. An owner that no other supervisor can be lets a claim
    /// be recognised that was stored although the storage said nothing.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// The same store, which compresses the parts it writes.
    #[must_use]
    pub fn compressing(mut self, compresses: bool) -> Self {
        self.compresses = compresses;
        self
    }

    /// The same store, which keeps copies of the parts written here in `nearby`, and reads from them what is there.
    #[must_use]
    pub fn with_copies(mut self, nearby: Arc<dyn ObjectStorage>) -> Self {
        self.segments = self.segments.with_nearby(nearby);
        self
    }

    /// The job.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Where the job's checkpoints are, for people.
    pub fn location(&self) -> String {
        self.storage.locate(&self.job)
    }

    /// Reads the segments that the job's manifests name.
    pub fn segments(&self) -> &SegmentFiles {
        &self.segments
    }

    /// Claims the next attempt of the job; attempts claimed before are fenced from now on.
    ///
    /// # Errors
    /// If the claim cannot be stored durably.
    pub fn claim_attempt(&self) -> Result<AttemptId> {
        for _ in 0..CLAIM_TRIES_MAX {
            let attempt = self.newest_attempt()? + 1;
            if self.claim(attempt)? {
                return Ok(attempt);
            }
        }
        Err(Error::storage("cannot claim an attempt: others claim them all the time")
            .with_detail(self.location())
            .with_hint("make sure that the job is started once only"))
    }

    /// Claims the attempt that follows `own`, for a supervisor that has claimed `own` before: one that was replaced
    /// must not take the job back from the one that replaced it.
    ///
    /// # Errors
    /// Of kind `Cancelled` if somebody else has claimed an attempt since; else as for
    /// [`CheckpointStore::claim_attempt`].
    pub fn claim_attempt_after(&self, own: AttemptId) -> Result<AttemptId> {
        self.check_fence(own)?;
        if self.claim(own + 1)? {
            return Ok(own + 1);
        }
        Err(Error::cancelled(format!(
            "attempt {own} of job `{}` was replaced by attempt {}",
            self.job,
            own + 1
        ))
        .with_detail(self.location()))
    }

    /// Stores the claim of `attempt`; answers whether it was not there.
    fn claim(&self, attempt: AttemptId) -> Result<bool> {
        self.storage.put_new(&self.attempt_name(attempt), self.owner.as_bytes())
    }

    fn attempt_name(&self, attempt: AttemptId) -> String {
        format!("{}/{ATTEMPTS}/{ATTEMPT_PREFIX}{attempt:010}", self.job)
    }

    /// The newest attempt that was claimed; 0 if there is none.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn newest_attempt(&self) -> Result<AttemptId> {
        let entries = self.storage.list(&format!("{}/{ATTEMPTS}", self.job))?;
        Ok(entries.iter().filter_map(|entry| numbered(&entry.name, ATTEMPT_PREFIX)).max().unwrap_or(0))
    }

    /// Checks that `attempt` is still the newest.
    ///
    /// # Errors
    /// Of kind `Cancelled` if it is not.
    pub fn check_fence(&self, attempt: AttemptId) -> Result<()> {
        let newest = self.newest_attempt()?;
        if newest <= attempt {
            return Ok(());
        }
        Err(Error::cancelled(format!(
            "attempt {attempt} of job `{}` was replaced by attempt {newest}",
            self.job
        ))
        .with_detail(self.location())
        .with_hint("another supervisor runs the job now; stop it first if that was not intended"))
    }

    /// Where `worker` stores its part, relative to the job's checkpoint directory.
    pub fn part_path(&self, checkpoint: CheckpointId, attempt: AttemptId, worker: usize) -> String {
        let suffix = if self.compresses { COMPRESSED_SUFFIX } else { "" };
        format!("{CHECKPOINT_PREFIX}{checkpoint:010}/{PART_PREFIX}{attempt}-{worker}{suffix}")
    }

    /// Creates the part file at `path`, which [`CheckpointStore::part_path`] gave.
    ///
    /// # Errors
    /// If it exists or cannot be created.
    pub fn create_part(&self, path: &str) -> Result<PartFile> {
        let name = self.segments.resolve(path)?;
        let open = |storage: &Arc<dyn ObjectStorage>| -> Result<Box<dyn ObjectWriter>> {
            let writer = storage.create(&name)?;
            Ok(if path.ends_with(COMPRESSED_SUFFIX) { Box::new(FrameWriter::new(writer)) } else { writer })
        };
        let copy = self.segments.nearby().map(open).and_then(Result::ok);
        Ok(PartFile::new(open(&self.storage)?, copy))
    }

    fn checkpoint_directory(&self, checkpoint: CheckpointId) -> String {
        format!("{}/{CHECKPOINT_PREFIX}{checkpoint:010}", self.job)
    }

    fn complete_name(&self, checkpoint: CheckpointId) -> String {
        format!("{}/{COMPLETE}", self.checkpoint_directory(checkpoint))
    }

    fn is_complete(&self, checkpoint: CheckpointId) -> Result<bool> {
        Ok(self.storage.length(&self.complete_name(checkpoint))?.is_some())
    }

    /// Numbers of checkpoints of which there is a directory, complete or not, in order.
    fn all_checkpoints(&self) -> Result<Vec<CheckpointId>> {
        let entries = self.storage.list(&self.job)?;
        let directories = entries.iter().filter(|entry| entry.is_directory);
        let mut ids: Vec<_> =
            directories.filter_map(|entry| numbered(&entry.name, CHECKPOINT_PREFIX)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// A number that no checkpoint, complete or not, has had so far and that is greater than all of theirs.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn next_checkpoint(&self) -> Result<CheckpointId> {
        Ok(self.all_checkpoints()?.last().map_or(1, |last| last + 1))
    }

    /// The checkpoints that are complete, oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn complete_checkpoints(&self) -> Result<Vec<CheckpointId>> {
        let mut complete = Vec::new();
        for id in self.all_checkpoints()? {
            if self.is_complete(id)? {
                complete.push(id);
            }
        }
        Ok(complete)
    }

    /// Makes a checkpoint complete. When this returns, it is durable.
    ///
    /// # Errors
    /// If the attempt is fenced, the checkpoint is complete already, or it cannot be stored. Unless the error says
    /// that the checkpoint was complete before, whether it is now is unknown: nothing may be committed.
    pub fn write_complete(&self, manifest: &Manifest) -> Result<()> {
        self.check_fence(manifest.attempt)?;
        let name = self.complete_name(manifest.checkpoint);
        if !self.storage.put_new(&name, &manifest_file::encode(manifest)?)? {
            return Err(Error::state(format!("checkpoint {} is complete already", manifest.checkpoint))
                .with_detail(self.storage.locate(&name))
                .with_hint("start the job once only"));
        }
        self.check_fence(manifest.attempt)
    }

    /// The manifest of a complete checkpoint.
    ///
    /// # Errors
    /// If it is missing, damaged, of an unknown format or of another job.
    pub fn read_manifest(&self, checkpoint: CheckpointId) -> Result<Manifest> {
        let name = self.complete_name(checkpoint);
        if self.storage.length(&name)?.is_none() {
            return Err(Error::state(format!("job `{}` has no complete checkpoint {checkpoint}", self.job))
                .with_detail(self.storage.locate(&name))
                .with_hint(format!("complete are: {:?}", self.complete_checkpoints()?)));
        }
        let place = self.storage.locate(&name);
        let manifest = manifest_file::decode(&self.storage.read(&name)?, &place)?;
        manifest_file::check(manifest, &place, &self.job, checkpoint)
    }

    /// Checks that all segments a manifest names are there and undamaged, by reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn verify(&self, manifest: &Manifest) -> Result<()> {
        segments(manifest).try_for_each(|segment| self.segments.read_segment(segment).map(drop))
    }

    /// Checks that all files a manifest names are there and long enough, without reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn check_files(&self, manifest: &Manifest) -> Result<()> {
        self.segments.check(manifest)
    }
}

impl SegmentReader for CheckpointStore {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        self.segments.read_segment(segment)
    }
}

fn damaged(error: &Error) -> Error {
    Error::state(format!("the checkpoint cannot be read: {}", error.message()))
        .with_detail(error.detail().unwrap_or("unknown file").to_string())
        .with_hint(
            "restore from an older checkpoint; part files of retired checkpoints may be needed by later ones",
        )
}

/// All segments of a manifest.
fn segments(manifest: &Manifest) -> impl Iterator<Item = &SegmentRef> {
    let states = manifest.operators.iter().flat_map(|operator| &operator.states);
    states.flat_map(|state| &state.chains).flat_map(|chain| &chain.segments)
}

/// The number after `prefix`.
fn numbered(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}
