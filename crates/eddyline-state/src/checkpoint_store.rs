//! Where checkpoints are kept.
//!
//! ```text
//! <root>/<job>/attempts/attempt-0000000007              one file per attempt ever started
//! <root>/<job>/checkpoint-0000000042/part-7-0           segments of worker 0, written by attempt 7
//! <root>/<job>/checkpoint-0000000042/part-7-1           …
//! <root>/<job>/checkpoint-0000000042/COMPLETE           the manifest: exists if and only if all of it is durable
//! ```
//!
//! `COMPLETE` is one line of JSON and one line with the CRC-32 of the first. It is written under another name, made
//! durable, and renamed. Manifests refer to part files of earlier checkpoints, so a part lives as long as a
//! manifest that is kept names it.
//!
//! **Fencing.** An attempt is claimed by creating its file exclusively: of two supervisors only one gets a number,
//! and the one with the smaller number is fenced from then on. [`CheckpointStore::write_complete`] looks for a
//! newer claim before the rename *and after it*, and fails if there is one, so that a fenced supervisor never goes
//! on to commit. A supervisor must look for complete checkpoints after its claim, not before: then it either sees
//! the `COMPLETE` of its predecessor, and commits it itself, or the predecessor sees the claim, and does not commit.

mod cleanup;
mod manifest_file;
#[cfg(test)]
mod tests;

use crate::restore::SegmentReader;
use crate::storage::{FileSystem, WritableFile};
use eddyline_core::{Error, Result};
use eddyline_protocol::{AttemptId, CheckpointId, Manifest, SegmentRef};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const ATTEMPTS: &str = "attempts";
const ATTEMPT_PREFIX: &str = "attempt-";
const CHECKPOINT_PREFIX: &str = "checkpoint-";
const PART_PREFIX: &str = "part-";
const COMPLETE: &str = "COMPLETE";
const COMPLETE_IN_WORK: &str = "COMPLETE.in-work-";

/// How often a claim is tried anew when others claim attempts at the same time.
const CLAIM_TRIES_MAX: usize = 100;

/// The checkpoints of one job.
#[derive(Clone)]
pub struct CheckpointStore {
    files: Arc<dyn FileSystem>,
    directory: PathBuf,
    job: String,
}

/// A part file that is being written.
pub struct PartFile {
    files: Arc<dyn FileSystem>,
    file: Box<dyn WritableFile>,
    directory: PathBuf,
}

impl PartFile {
    /// Appends a chunk.
    ///
    /// # Errors
    /// If it could not be written: the part is lost then.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.file.write(chunk)
    }

    /// Returns when the part is durable.
    ///
    /// # Errors
    /// If that cannot be achieved: the part is lost then.
    pub fn finish(mut self) -> Result<()> {
        self.file.sync()?;
        self.files.sync_dir(&self.directory)
    }
}

impl CheckpointStore {
    /// The checkpoints that `job` has, or will have, below `root`.
    ///
    /// # Errors
    /// If the job's name cannot be a directory's.
    pub fn new(files: Arc<dyn FileSystem>, root: impl AsRef<Path>, job: &str) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if job.is_empty() || job.len() > 200 || job.starts_with('.') || !job.chars().all(is_plain) {
            return Err(Error::config(format!("a job cannot be called `{job}`"))
                .with_hint("use letters, digits, `.`, `_` and `-`, at most 200, and no `.` in front"));
        }
        Ok(CheckpointStore { files, directory: root.as_ref().join(job), job: job.to_string() })
    }

    /// The job.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Where the job's checkpoints are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Claims the next attempt of the job; attempts claimed before are fenced from now on.
    ///
    /// # Errors
    /// If the claim cannot be stored durably.
    pub fn claim_attempt(&self) -> Result<AttemptId> {
        let attempts = self.directory.join(ATTEMPTS);
        self.files.create_dir_all(&attempts)?;
        for _ in 0..CLAIM_TRIES_MAX {
            let attempt = self.newest_attempt()? + 1;
            if self.claim(attempt)? {
                return Ok(attempt);
            }
        }
        Err(Error::storage("cannot claim an attempt: others claim them all the time")
            .with_detail(attempts.display().to_string())
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
        .with_detail(self.directory.display().to_string()))
    }

    /// Creates the file that claims `attempt`; answers whether it was not there.
    fn claim(&self, attempt: AttemptId) -> Result<bool> {
        let attempts = self.directory.join(ATTEMPTS);
        let path = attempts.join(format!("{ATTEMPT_PREFIX}{attempt:010}"));
        let Some(mut file) = self.files.create_new(&path)? else { return Ok(false) };
        let durable = file.sync().and_then(|()| self.files.sync_dir(&attempts));
        if durable.is_err() {
            // Else the next try would take it for somebody else's.
            let _ = self.files.remove(&path);
        }
        durable.map(|()| true)
    }

    /// The newest attempt that was claimed; 0 if there is none.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn newest_attempt(&self) -> Result<AttemptId> {
        let attempts = self.directory.join(ATTEMPTS);
        if !self.files.exists(&attempts)? {
            return Ok(0);
        }
        let entries = self.files.list(&attempts)?;
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
        .with_detail(self.directory.display().to_string())
        .with_hint("another supervisor runs the job now; stop it first if that was not intended"))
    }

    /// Where `worker` stores its part, relative to the job's checkpoint directory.
    pub fn part_path(&self, checkpoint: CheckpointId, attempt: AttemptId, worker: usize) -> String {
        format!("{CHECKPOINT_PREFIX}{checkpoint:010}/{PART_PREFIX}{attempt}-{worker}")
    }

    /// Creates the part file at `path`, which [`CheckpointStore::part_path`] gave.
    ///
    /// # Errors
    /// If it exists or cannot be created.
    pub fn create_part(&self, path: &str) -> Result<PartFile> {
        let path = self.resolve(path)?;
        let directory = path.parent().unwrap_or(&self.directory).to_owned();
        self.files.create_dir_all(&directory)?;
        match self.files.create_new(&path)? {
            Some(file) => Ok(PartFile { files: self.files.clone(), file, directory }),
            None => Err(Error::storage("a part file exists already")
                .with_detail(path.display().to_string())
                .with_hint("two workers or attempts have the same number: start the job once only")),
        }
    }

    fn checkpoint_directory(&self, checkpoint: CheckpointId) -> PathBuf {
        self.directory.join(format!("{CHECKPOINT_PREFIX}{checkpoint:010}"))
    }

    /// Numbers of checkpoints of which there is a directory, complete or not, in order.
    fn all_checkpoints(&self) -> Result<Vec<CheckpointId>> {
        if !self.files.exists(&self.directory)? {
            return Ok(Vec::new());
        }
        let entries = self.files.list(&self.directory)?;
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
            if self.files.exists(&self.checkpoint_directory(id).join(COMPLETE))? {
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
        let directory = self.checkpoint_directory(manifest.checkpoint);
        let complete = directory.join(COMPLETE);
        // A checkpoint of a job without state has no part that would have made the directory.
        self.files.create_dir_all(&directory)?;
        if self.files.exists(&complete)? {
            return Err(Error::state(format!("checkpoint {} is complete already", manifest.checkpoint))
                .with_detail(complete.display().to_string())
                .with_hint("start the job once only"));
        }
        let in_work = directory.join(format!("{COMPLETE_IN_WORK}{}", manifest.attempt));
        if self.files.exists(&in_work)? {
            self.files.remove(&in_work)?;
        }
        let mut file = self.files.create_new(&in_work)?.ok_or_else(|| {
            Error::storage("two supervisors of one attempt complete a checkpoint")
                .with_detail(in_work.display().to_string())
        })?;
        file.write(&manifest_file::encode(manifest)?)?;
        file.sync()?;
        self.check_fence(manifest.attempt)?;
        self.files.rename(&in_work, &complete)?;
        self.files.sync_dir(&directory)?;
        self.check_fence(manifest.attempt)
    }

    /// The manifest of a complete checkpoint.
    ///
    /// # Errors
    /// If it is missing, damaged, of an unknown format or of another job.
    pub fn read_manifest(&self, checkpoint: CheckpointId) -> Result<Manifest> {
        let path = self.checkpoint_directory(checkpoint).join(COMPLETE);
        if !self.files.exists(&path)? {
            return Err(Error::state(format!("job `{}` has no complete checkpoint {checkpoint}", self.job))
                .with_detail(path.display().to_string())
                .with_hint(format!("complete are: {:?}", self.complete_checkpoints()?)));
        }
        manifest_file::decode(&self.files.read(&path)?, &path, &self.job, checkpoint)
    }

    /// Checks that all segments a manifest names are there and undamaged, by reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn verify(&self, manifest: &Manifest) -> Result<()> {
        segments(manifest).try_for_each(|segment| self.read_segment(segment).map(drop))
    }

    /// Checks that all files a manifest names are there and long enough, without reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn check_files(&self, manifest: &Manifest) -> Result<()> {
        for segment in segments(manifest) {
            let path = self.resolve(&segment.file)?;
            if self.files.length(&path).map_err(|error| damaged(&error))? < segment.offset + segment.length {
                return Err(Error::state("the checkpoint is damaged: a part file is too short")
                    .with_detail(path.display().to_string())
                    .with_hint("restore from an older checkpoint"));
            }
        }
        Ok(())
    }

    /// The path of a file that a manifest names; manifests come from outside and must not lead out of the store.
    fn resolve(&self, file: &str) -> Result<PathBuf> {
        let relative = Path::new(file);
        if file.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::state(
                "the checkpoint is damaged: it names a file outside the checkpoint directory",
            )
            .with_detail(file)
            .with_hint("restore from an older checkpoint"));
        }
        Ok(self.directory.join(relative))
    }
}

impl SegmentReader for CheckpointStore {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let path = self.resolve(&segment.file)?;
        let bytes =
            self.files.read_range(&path, segment.offset, segment.length).map_err(|error| damaged(&error))?;
        if crc32fast::hash(&bytes) == segment.crc32 {
            return Ok(bytes);
        }
        Err(Error::state("the checkpoint is damaged: a segment does not have its checksum")
            .with_detail(format!("{}, {} bytes at byte {}", path.display(), segment.length, segment.offset))
            .with_hint("restore from an older checkpoint, and check the disk"))
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
