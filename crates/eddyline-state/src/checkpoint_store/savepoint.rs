//! Savepoints: all that a checkpoint refers to, copied into one directory that needs nothing else and can be moved.
//!
//! ```text
//! <where it was asked for>/savepoint-<job>-0000000042/WRITING      until it is whole
//! <where it was asked for>/savepoint-<job>-0000000042/part-0       segments
//! <where it was asked for>/savepoint-<job>-0000000042/COMPLETE     the manifest, as of a checkpoint
//! ```
//!
//! A savepoint is copied from a complete checkpoint, away from the workers: they notice a checkpoint like any other.

use super::{COMPLETE, CheckpointStore, PART_PREFIX, SegmentFiles, manifest_file, segments};
use crate::restore::SegmentReader;
use crate::storage::ObjectStorage;
use eddyline_core::{Error, Result};
use eddyline_protocol::{CheckpointId, MANIFEST_FORMAT, Manifest, ManifestKind, SegmentRef};
use std::sync::Arc;

/// What marks a savepoint that is not whole yet.
const WRITING: &str = "WRITING";
/// From so many bytes on a part of a savepoint is ended and another one begun.
const PART_BYTES: u64 = 1 << 30;
/// How many names are tried for a savepoint.
const NAME_TRIES_MAX: u32 = 1_000;

/// A savepoint that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointSize {
    /// The name of its directory.
    pub directory: String,
    /// Bytes of state in it.
    pub bytes: u64,
}

/// A savepoint, or a checkpoint that was kept, found by its path.
pub struct OpenedSnapshot {
    /// What it says.
    pub manifest: Manifest,
    /// Reads its segments.
    pub segments: SegmentFiles,
}

/// Segments on their way into the parts of a savepoint.
struct Copier<'a> {
    from: &'a SegmentFiles,
    to: &'a dyn ObjectStorage,
    directory: &'a str,
    part: u32,
    writer: Option<Box<dyn crate::storage::ObjectWriter>>,
    part_bytes: u64,
    bytes: u64,
}

impl Copier<'_> {
    /// Copies a segment and says where it is now.
    fn copy(&mut self, segment: &mut SegmentRef) -> Result<()> {
        let bytes = self.from.read_segment(segment)?;
        let name = format!("{PART_PREFIX}{}", self.part);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(self.to.create(&format!("{}/{name}", self.directory))?),
        };
        writer.write(&bytes)?;
        (segment.file, segment.offset) = (name, self.part_bytes);
        self.part_bytes += segment.length;
        self.bytes += segment.length;
        if self.part_bytes >= PART_BYTES { self.end_part() } else { Ok(()) }
    }

    fn end_part(&mut self) -> Result<()> {
        (self.part, self.part_bytes) = (self.part + 1, 0);
        self.writer.take().map_or(Ok(()), crate::storage::ObjectWriter::finish)
    }
}

impl CheckpointStore {
    /// Writes a savepoint of a complete checkpoint into a new directory on `target`. While this works, the checkpoint
    /// must not be retired.
    ///
    /// # Errors
    /// If the checkpoint cannot be read or the savepoint not be written; what was written of it is removed then as far
    /// as the storage lets us.
    pub fn write_savepoint(
        &self,
        checkpoint: CheckpointId,
        target: &dyn ObjectStorage,
    ) -> Result<SavepointSize> {
        let mut manifest = self.read_manifest(checkpoint)?;
        let directory = self.new_savepoint_directory(checkpoint, target)?;
        manifest.format = MANIFEST_FORMAT;
        manifest.kind = ManifestKind::Savepoint;
        let written = self.fill_savepoint(manifest, target, &directory);
        if written.is_err() {
            let _ = remove_directory(target, &directory);
        }
        written.map(|bytes| SavepointSize { directory, bytes })
    }

    /// Chooses a name that nobody else has and marks it as ours.
    fn new_savepoint_directory(
        &self,
        checkpoint: CheckpointId,
        target: &dyn ObjectStorage,
    ) -> Result<String> {
        for number in 1..=NAME_TRIES_MAX {
            let again = if number == 1 { String::new() } else { format!("-{number}") };
            let directory = format!("savepoint-{}-{checkpoint:010}{again}", self.job);
            if target.length(&format!("{directory}/{COMPLETE}"))?.is_none()
                && target.put_new(&format!("{directory}/{WRITING}"), self.owner.as_bytes())?
            {
                return Ok(directory);
            }
        }
        Err(Error::storage("no name is free for the savepoint")
            .with_detail(target.locate(""))
            .with_hint("choose another directory, or dispose of savepoints there"))
    }

    fn fill_savepoint(
        &self,
        mut manifest: Manifest,
        target: &dyn ObjectStorage,
        directory: &str,
    ) -> Result<u64> {
        let mut copier = Copier {
            from: &self.segments,
            to: target,
            directory,
            part: 0,
            writer: None,
            part_bytes: 0,
            bytes: 0,
        };
        let states = manifest.operators.iter_mut().flat_map(|operator| &mut operator.states);
        for segment in states.flat_map(|state| &mut state.chains).flat_map(|chain| &mut chain.segments) {
            copier.copy(segment)?;
        }
        copier.end_part()?;
        let bytes = copier.bytes;
        if !target.put_new(&format!("{directory}/{COMPLETE}"), &manifest_file::encode(&manifest)?)? {
            return Err(Error::storage("somebody else has written the same savepoint")
                .with_detail(target.locate(directory)));
        }
        target.remove(&[format!("{directory}/{WRITING}")])?;
        Ok(bytes)
    }
}

/// Opens the savepoint or the kept checkpoint in `directory` of `storage`.
///
/// # Errors
/// If there is none, or its manifest is damaged or of an unknown format.
pub fn open_snapshot(storage: Arc<dyn ObjectStorage>, directory: &str) -> Result<OpenedSnapshot> {
    let name = format!("{directory}/{COMPLETE}");
    if storage.length(&name)?.is_none() {
        let unfinished = storage.length(&format!("{directory}/{WRITING}"))?.is_some();
        let what =
            if unfinished { "the savepoint there was never finished" } else { "nothing is kept there" };
        return Err(Error::state(format!("cannot restore: {what}"))
            .with_detail(storage.locate(&name))
            .with_hint(
                "give the directory of a savepoint, or of a checkpoint: the one that has the file COMPLETE",
            ));
    }
    let manifest = manifest_file::decode(&storage.read(&name)?, &storage.locate(&name))?;
    let segments = OpenedSnapshot::segments_of(storage, directory, &manifest);
    Ok(OpenedSnapshot { manifest, segments })
}

impl OpenedSnapshot {
    /// Reads the segments that `manifest`, found in `directory` of `storage`, names.
    pub fn segments_of(
        storage: Arc<dyn ObjectStorage>,
        directory: &str,
        manifest: &Manifest,
    ) -> SegmentFiles {
        // A savepoint names its files from its own directory, a checkpoint from that of its job.
        let files = match manifest.kind {
            ManifestKind::Savepoint => directory,
            ManifestKind::Checkpoint => directory.rsplit_once('/').map_or("", |(above, _)| above),
        };
        SegmentFiles::new(storage, files)
    }

    /// Checks that all segments are there and undamaged, by reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn verify(&self) -> Result<()> {
        segments(&self.manifest).try_for_each(|segment| self.segments.read_segment(segment).map(drop))
    }
}

/// Deletes the savepoint in `directory` of `storage`, whole or unfinished; answers how many files that were.
///
/// # Errors
/// If there is no savepoint (a checkpoint belongs to its job, and is refused), or it cannot be deleted.
pub fn dispose_savepoint(storage: &dyn ObjectStorage, directory: &str) -> Result<usize> {
    let name = format!("{directory}/{COMPLETE}");
    if storage.length(&name)?.is_some() {
        // A damaged manifest does not say whose it is: nothing is deleted then.
        let manifest = manifest_file::decode(&storage.read(&name)?, &storage.locate(&name))?;
        if manifest.kind != ManifestKind::Savepoint {
            return Err(Error::config("this is a checkpoint of a job, not a savepoint")
                .with_detail(storage.locate(directory))
                .with_hint("a job deletes its checkpoints itself, and shares their files between them"));
        }
    } else if !storage.list(directory)?.iter().any(|entry| is_mark(&entry.name)) {
        return Err(Error::config("there is no savepoint")
            .with_detail(storage.locate(directory))
            .with_hint("give the directory that has the savepoint's file COMPLETE"));
    }
    remove_directory(storage, directory)
}

/// Whether a name is that of the mark, or of one that was cut short while it was stored.
fn is_mark(name: &str) -> bool {
    name.trim_start_matches('.').starts_with(WRITING)
}

/// Removes the objects of a savepoint, its manifest first: what is left after a crash is no savepoint any more.
fn remove_directory(storage: &dyn ObjectStorage, directory: &str) -> Result<usize> {
    // What was cut short while it was stored has a name that begins like the one it was to get.
    let is_ours = |name: &str| {
        let name = name.trim_start_matches('.');
        [COMPLETE, WRITING, PART_PREFIX].iter().any(|own| name.starts_with(own))
    };
    let entries = storage.list(directory)?;
    let ours = entries.iter().filter(|entry| !entry.is_directory && is_ours(&entry.name));
    let names: Vec<String> = ours.map(|entry| format!("{directory}/{}", entry.name)).collect();
    // The mark goes last, so that a savepoint that was deleted half way can still be disposed of.
    let (complete, mark) = (format!("{directory}/{COMPLETE}"), format!("{directory}/{WRITING}"));
    if names.contains(&complete) {
        storage.put_new(&mark, b"")?;
        storage.remove(std::slice::from_ref(&complete))?;
    }
    let rest: Vec<String> = names.iter().filter(|name| ![&mark, &complete].contains(name)).cloned().collect();
    storage.remove(&rest)?;
    storage.remove(&[mark])?;
    storage.clear_if_empty(directory)?;
    Ok(names.len())
}
