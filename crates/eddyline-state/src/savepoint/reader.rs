//! A checkpoint to read from.

use super::SavedState;
use crate::checkpoint_store::CheckpointStore;
use crate::restore::SegmentReader;
use eddyline_core::{Error, ErrorKind, Result};
use eddyline_protocol::{Manifest, StateManifest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often the newest checkpoint is looked for anew when a running job deletes the one that was found.
const NEWEST_TRIES_MAX: usize = 10;

/// A complete checkpoint or savepoint, to be read. Clones read the same.
///
/// # Examples
/// ```
/// use eddyline_state::{CheckpointStore, MemoryFileSystem, SavepointReader, SavepointWriter};
/// use std::sync::Arc;
///
/// let store = CheckpointStore::new(Arc::new(MemoryFileSystem::new()), "/checkpoints", "visits")?;
/// let mut writer = SavepointWriter::create(&store, 128)?;
/// let counts = [("/", 3u64), ("/about", 1)].map(|(page, count)| (page.to_string(), count));
/// writer.operator("count-visits").keyed_state("count", counts)?;
/// writer.finish(0)?;
///
/// let reader = SavepointReader::newest(&store)?;
/// assert_eq!(reader.get::<String, u64>("count-visits", "count", &"/".to_string())?, Some(3));
/// // Types may differ as far as they may at a restore.
/// let all = reader.keyed::<String, Option<u128>>("count-visits", "count")?;
/// assert_eq!(all.map(|entry| entry.map(|(_, count)| count.unwrap_or(0))).sum::<Result<u128, _>>()?, 4);
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SavepointReader {
    manifest: Arc<Manifest>,
    segments: Arc<dyn SegmentReader>,
}

impl SavepointReader {
    /// Reads what `manifest` tells of, with `segments`.
    pub fn new(manifest: Manifest, segments: Arc<dyn SegmentReader>) -> Self {
        SavepointReader { manifest: Arc::new(manifest), segments }
    }

    /// The newest complete checkpoint of a job.
    ///
    /// # Errors
    /// If there is none, or its manifest cannot be read.
    pub fn newest(store: &CheckpointStore) -> Result<Self> {
        let mut seen = 0;
        for _ in 0..NEWEST_TRIES_MAX {
            let Some(newest) = store.complete_checkpoints()?.last().copied() else {
                // Those that were listed may have been deleted before they were looked at, as newer ones had come.
                let next = store.next_checkpoint()?;
                if next > seen + 1 {
                    seen = next - 1;
                    continue;
                }
                return Err(Error::state(format!("job `{}` has no complete checkpoint", store.job()))
                    .with_hint("wait for the first checkpoint of the job, or check the directory"));
            };
            match store.read_manifest(newest) {
                Ok(manifest) => return Ok(SavepointReader::new(manifest, Arc::new(store.clone()))),
                // A job that runs may have completed a newer one meanwhile, and deleted this.
                Err(error) => {
                    if store.complete_checkpoints()?.contains(&newest) {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::state(format!(
            "the checkpoints of job `{}` are deleted as fast as they are found",
            store.job()
        ))
        .with_hint("raise execution.checkpointing.num-retained or execution.checkpointing.interval"))
    }

    /// What the checkpoint says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads its segments.
    pub fn segments(&self) -> &Arc<dyn SegmentReader> {
        &self.segments
    }

    /// The uids of the operators, in order.
    pub fn uids(&self) -> Vec<&str> {
        let uids: BTreeSet<&str> =
            self.manifest.operators.iter().map(|operator| operator.uid.as_str()).collect();
        uids.into_iter().collect()
    }

    /// The names of the states of an operator, in order.
    pub fn state_names(&self, uid: &str) -> Vec<&str> {
        let names: BTreeSet<&str> = self.states_of(uid).map(|state| state.descriptor.name.as_str()).collect();
        names.into_iter().collect()
    }

    fn states_of(&self, uid: &str) -> impl Iterator<Item = &StateManifest> {
        let operators = self.manifest.operators.iter().filter(move |operator| operator.uid == uid);
        operators.flat_map(|operator| &operator.states)
    }

    /// A state of an operator, without types.
    ///
    /// # Errors
    /// If there is none of that name; says which there are.
    pub fn state(&self, uid: &str, name: &str) -> Result<SavedState> {
        let parts: Vec<StateManifest> =
            self.states_of(uid).filter(|state| state.descriptor.name == name).cloned().collect();
        match SavedState::new(self.segments.clone(), uid, self.manifest.max_parallelism, parts) {
            Some(state) => Ok(state),
            None => Err(self.no_such_state(uid, name)),
        }
    }

    fn no_such_state(&self, uid: &str, name: &str) -> Error {
        let place = format!("job `{}`, checkpoint {}", self.manifest.job, self.manifest.checkpoint);
        let (message, what, known) = match self.state_names(uid) {
            known if known.is_empty() => {
                (format!("the checkpoint holds no operator of uid `{uid}`"), "uids", self.uids())
            }
            known => (format!("operator `{uid}` has no state `{name}` in the checkpoint"), "states", known),
        };
        let known = known.into_iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        Error::new(ErrorKind::Config, message)
            .with_detail(place)
            .with_hint(format!("{what} that it holds: {known}"))
    }

    /// All states, by uid and name.
    ///
    /// # Errors
    /// None that a manifest which was read could cause.
    pub fn states(&self) -> Result<Vec<SavedState>> {
        let mut states = Vec::new();
        for uid in self.uids() {
            for name in self.state_names(uid) {
                states.push(self.state(uid, name)?);
            }
        }
        Ok(states)
    }

    /// Checks that all segments are there, have their checksums, form chains, and can be decoded. `progress` is told
    /// the bytes of each chain that was checked.
    ///
    /// # Errors
    /// Names the first segment that is not as it should be.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<()> {
        for state in self.states()? {
            state.verify(progress)?;
        }
        Ok(())
    }
}
