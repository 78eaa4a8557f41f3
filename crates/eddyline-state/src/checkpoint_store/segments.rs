//! Reading segments: from the store or from a copy nearby, compressed or not, and never without their checksum.

use super::frames::{self, COMPRESSED_SUFFIX, Frame};
use super::{damaged, segments};
use crate::restore::SegmentReader;
use crate::storage::ObjectStorage;
use eddyline_core::{Error, Result};
use eddyline_protocol::{Manifest, SegmentRef};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, PoisonError};

/// Frames that are kept decompressed: as many as workers may read at the same time.
const FRAMES_KEPT: usize = 8;

/// Reads the segments that the manifests of one directory name.
#[derive(Clone)]
pub struct SegmentFiles {
    storage: Arc<dyn ObjectStorage>,
    directory: String,
    /// Copies of parts on a disk of this machine.
    nearby: Option<Arc<dyn ObjectStorage>>,
    known: Arc<Mutex<Known>>,
}

/// A frame of a compressed part: its file, and its place there.
type FrameName = (String, u64);

/// What is known of compressed parts.
#[derive(Default)]
struct Known {
    tables: BTreeMap<String, Arc<Vec<Frame>>>,
    frames: VecDeque<(FrameName, Arc<Vec<u8>>)>,
}

impl SegmentFiles {
    /// The segments in `directory`.
    pub(super) fn new(storage: Arc<dyn ObjectStorage>, directory: impl Into<String>) -> Self {
        SegmentFiles { storage, directory: directory.into(), nearby: None, known: Arc::default() }
    }

    pub(super) fn with_nearby(mut self, nearby: Arc<dyn ObjectStorage>) -> Self {
        self.nearby = Some(nearby);
        self
    }

    pub(super) fn nearby(&self) -> Option<&Arc<dyn ObjectStorage>> {
        self.nearby.as_ref()
    }

    /// The name of a file that a manifest names; manifests come from outside and must not lead out of the store.
    pub(super) fn resolve(&self, file: &str) -> Result<String> {
        let is_inside = |part| matches!(part, Component::Normal(_));
        if file.is_empty() || !Path::new(file).components().all(is_inside) {
            return Err(Error::state(
                "the checkpoint is damaged: it names a file outside the checkpoint directory",
            )
            .with_detail(file)
            .with_hint("restore from an older checkpoint"));
        }
        Ok(match self.directory.as_str() {
            "" => file.to_owned(),
            directory => format!("{directory}/{file}"),
        })
    }

    /// Checks that all files a manifest names are there and long enough, without reading them.
    ///
    /// # Errors
    /// Names the first file that is not as it should be.
    pub fn check(&self, manifest: &Manifest) -> Result<()> {
        let mut lengths = BTreeMap::new();
        for segment in segments(manifest) {
            let length = match lengths.get(&segment.file) {
                Some(length) => *length,
                None => self.raw_length(&segment.file).map_err(|error| damaged(&error))?,
            };
            lengths.insert(&segment.file, length);
            if length < segment.offset + segment.length {
                return Err(Error::state("the checkpoint is damaged: a part file is too short")
                    .with_detail(self.storage.locate(&self.resolve(&segment.file)?))
                    .with_hint("restore from an older checkpoint"));
            }
        }
        Ok(())
    }

    /// Bytes in a part before compression.
    pub(super) fn raw_length(&self, file: &str) -> Result<u64> {
        let name = self.resolve(file)?;
        if file.ends_with(COMPRESSED_SUFFIX) {
            let table = self.table(self.storage.as_ref(), &name)?;
            return Ok(table.last().map_or(0, |last| last.raw_offset + u64::from(last.raw_length)));
        }
        self.storage.length(&name)?.ok_or_else(|| {
            Error::storage("no such file or directory").with_detail(self.storage.locate(&name))
        })
    }

    fn read_from(&self, storage: &dyn ObjectStorage, name: &str, segment: &SegmentRef) -> Result<Vec<u8>> {
        let bytes = if name.ends_with(COMPRESSED_SUFFIX) {
            self.read_frames(storage, name, segment)?
        } else {
            storage.read_range(name, segment.offset, segment.length)?
        };
        if crc32fast::hash(&bytes) == segment.crc32 {
            return Ok(bytes);
        }
        let detail = format!("{}, {} bytes at byte {}", storage.locate(name), segment.length, segment.offset);
        Err(Error::state("the checkpoint is damaged: a segment does not have its checksum")
            .with_detail(detail)
            .with_hint("restore from an older checkpoint, and check the disk"))
    }

    fn table(&self, storage: &dyn ObjectStorage, name: &str) -> Result<Arc<Vec<Frame>>> {
        let key = storage.locate(name);
        if let Some(table) = self.lock().tables.get(&key) {
            return Ok(table.clone());
        }
        let table = Arc::new(frames::read_table(storage, name)?);
        self.lock().tables.insert(key, table.clone());
        Ok(table)
    }

    fn read_frames(&self, storage: &dyn ObjectStorage, name: &str, segment: &SegmentRef) -> Result<Vec<u8>> {
        let table = self.table(storage, name)?;
        let end = segment.offset.saturating_add(segment.length);
        let first =
            table.partition_point(|frame| frame.raw_offset + u64::from(frame.raw_length) <= segment.offset);
        let mut bytes = Vec::new();
        for frame in table.iter().skip(first).take_while(|frame| frame.raw_offset < end) {
            let raw = self.frame(storage, name, *frame)?;
            let from = segment.offset.saturating_sub(frame.raw_offset) as usize;
            let to = (end - frame.raw_offset).min(raw.len() as u64) as usize;
            bytes.extend_from_slice(raw.get(from..to).unwrap_or_default());
        }
        if bytes.len() as u64 == segment.length {
            return Ok(bytes);
        }
        Err(Error::storage("a file is shorter than it should be")
            .with_detail(format!(
                "{}: {} bytes wanted at byte {}",
                storage.locate(name),
                segment.length,
                segment.offset
            ))
            .with_hint("the file was cut off or replaced: restore from an older checkpoint"))
    }

    fn frame(&self, storage: &dyn ObjectStorage, name: &str, frame: Frame) -> Result<Arc<Vec<u8>>> {
        let key = (storage.locate(name), frame.raw_offset);
        if let Some((_, raw)) = self.lock().frames.iter().find(|(known, _)| *known == key) {
            return Ok(raw.clone());
        }
        let raw = Arc::new(frames::read_frame(storage, name, frame)?);
        let mut known = self.lock();
        if known.frames.len() == FRAMES_KEPT {
            known.frames.pop_front();
        }
        known.frames.push_back((key, raw.clone()));
        Ok(raw)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentReader for SegmentFiles {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let name = self.resolve(&segment.file)?;
        // A copy nearby is only ever a help: whatever is wrong with it, the store has the original.
        let nearby = self.nearby.as_ref().and_then(|nearby| {
            let is_there = matches!(nearby.length(&name), Ok(Some(_)));
            if is_there { self.read_from(nearby.as_ref(), &name, segment).ok() } else { None }
        });
        match nearby {
            Some(bytes) => Ok(bytes),
            None => self.read_from(self.storage.as_ref(), &name, segment).map_err(|error| {
                if error.kind() == eddyline_core::ErrorKind::State { error } else { damaged(&error) }
            }),
        }
    }
}
