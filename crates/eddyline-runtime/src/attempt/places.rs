//! Opening what is kept somewhere: checkpoints, savepoints.

use crate::supervisor::RestoreFrom;
use crate::worker::Restored;
use eddyline_core::Result;
use eddyline_protocol::Manifest;
use eddyline_state::{
    CheckpointStore, FileSystem, ObjectStorage, OpenedSnapshot, SegmentFiles, SegmentReader, open_snapshot,
};
use eddyline_storage::{StorageSettings, join, open, split};
use std::sync::Arc;

/// Opens storage by its location.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) settings: StorageSettings,
}

/// Where a savepoint is to be written.
#[derive(Clone)]
pub(crate) struct SavepointTarget {
    pub(crate) storage: Arc<dyn ObjectStorage>,
    location: String,
}

impl SavepointTarget {
    /// The location of the savepoint `directory` there.
    pub(crate) fn path_of(&self, directory: &str) -> String {
        join(&self.location, directory)
    }
}

impl Places {
    /// The storage at `location`.
    ///
    /// # Errors
    /// If the location makes no sense, or this program was built without what it needs.
    pub(crate) fn open(&self, location: &str) -> Result<Arc<dyn ObjectStorage>> {
        open(location, &self.files, &self.settings)
    }

    /// A directory for savepoints, found to be one that can be written to.
    ///
    /// # Errors
    /// If it cannot.
    pub(crate) fn target(&self, location: &str) -> Result<SavepointTarget> {
        let storage = self.open(location)?;
        // What cannot be written to must be known before a job is stopped for it.
        let probe = format!("probe-{}", std::process::id());
        storage.put_new(&probe, b"")?;
        storage.remove(&[probe])?;
        Ok(SavepointTarget { storage, location: location.to_owned() })
    }

    /// The savepoint or kept checkpoint at `path`.
    ///
    /// # Errors
    /// If there is none, or its manifest cannot be read.
    pub(crate) fn snapshot(&self, path: &str) -> Result<OpenedSnapshot> {
        let (above, name) = split(path)?;
        open_snapshot(self.open(&above)?, &name)
    }

    /// Reads the segments that `manifest`, found at `path`, names.
    ///
    /// # Errors
    /// If the location makes no sense.
    pub(crate) fn segments(&self, path: &str, manifest: &Manifest) -> Result<SegmentFiles> {
        let (above, name) = split(path)?;
        Ok(OpenedSnapshot::segments_of(self.open(&above)?, &name, manifest))
    }
}

impl RestoreFrom<'_> {
    /// What a worker is told of it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(&self, store: &Arc<CheckpointStore>, places: &Places) -> Result<Restored> {
        let reader: Arc<dyn SegmentReader> = match self.path {
            Some(path) => Arc::new(places.segments(path, self.manifest)?),
            None => store.clone(),
        };
        let manifest = Arc::new(self.manifest.clone());
        Ok(Restored { manifest, reader, foreign: self.path.is_some() })
    }
}
