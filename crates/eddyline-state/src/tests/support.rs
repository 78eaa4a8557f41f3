//! An operator with instances, states and part files, without a runtime.

use crate::managed::ManagedState;
use crate::part::PartWriter;
use crate::restore::{RestoreSource, SegmentReader};
use eddyline_core::{Error, Result};
use eddyline_protocol::{
    MANIFEST_FORMAT, Manifest, ManifestKind, OperatorManifest, SegmentRef, StateManifest,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Part files in memory.
#[derive(Clone, Default)]
pub struct Parts {
    pub files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl SegmentReader for Parts {
    fn read_segment(&self, segment: &SegmentRef) -> Result<Vec<u8>> {
        let files = self.files.lock().unwrap();
        let file =
            files.get(&segment.file).ok_or_else(|| Error::state(format!("no file {}", segment.file)))?;
        let bytes = file[segment.offset as usize..][..segment.length as usize].to_vec();
        assert_eq!(crc32fast::hash(&bytes), segment.crc32);
        Ok(bytes)
    }
}

impl Parts {
    pub fn store(&self, mut part: PartWriter) {
        let file = part.file().to_string();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.take_chunk() {
            bytes.extend(chunk);
        }
        bytes.extend(part.finish().unwrap().chunks.concat());
        self.files.lock().unwrap().insert(file, bytes);
    }

    /// Writes the oldest snapshot of `state` as `file`.
    pub fn write(&self, state: &mut dyn ManagedState, file: &str) -> StateManifest {
        let mut part = PartWriter::new(file);
        while !state.write_frozen(7, &mut part).unwrap() {}
        self.store(part);
        state.manifest_of_frozen().unwrap()
    }

    /// Freezes `state` and writes it.
    pub fn snapshot(&self, state: &mut dyn ManagedState, full: bool, file: &str) -> StateManifest {
        state.freeze(full);
        self.write(state, file)
    }

    pub fn source(
        &self,
        states: Vec<StateManifest>,
        max: u32,
        instance: u32,
        parallelism: u32,
    ) -> RestoreSource {
        RestoreSource::new(Arc::new(self.clone()), &manifest(states, max), "op", instance, parallelism)
    }
}

pub fn manifest(states: Vec<StateManifest>, max_parallelism: u32) -> Manifest {
    Manifest {
        format: MANIFEST_FORMAT,
        job: "job".into(),
        checkpoint: 1,
        attempt: 1,
        tick: 1,
        completed_at_ms: 0,
        max_parallelism,
        finished: false,
        kind: ManifestKind::Checkpoint,
        origin: None,
        operators: states
            .into_iter()
            .map(|state| OperatorManifest { uid: "op".into(), states: vec![state] })
            .collect(),
    }
}

/// Bytes written into `file`, summed over what `manifest` refers to.
pub fn bytes_in(manifest: &StateManifest, file: &str) -> u64 {
    let segments = manifest.chains.iter().flat_map(|chain| &chain.segments);
    segments.filter(|segment| segment.file == file).map(|segment| segment.length).sum()
}
