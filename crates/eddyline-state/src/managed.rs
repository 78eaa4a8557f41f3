//! What the runtime sees of a state: something to freeze, to write in slices, and to restore.

use crate::part::PartWriter;
use crate::restore::RestoreSource;
use eddyline_core::Result;
use eddyline_protocol::{StateDescriptor, StateManifest};

/// A state that takes part in checkpoints.
///
/// The order of calls for a checkpoint is `freeze`, then `write_frozen` until it returns `true`, then
/// `manifest_of_frozen`; between any two of them the state may be used and changed. A second `freeze` may come
/// before the first snapshot has been written: what is left of the first is then encoded into memory at once, and
/// `write_frozen` and `manifest_of_frozen` serve the older snapshot first.
pub trait ManagedState {
    /// The state's name and shape.
    fn descriptor(&self) -> StateDescriptor;

    /// Fixes the state as it is now as the content of a snapshot, which costs next to nothing. `full` asks for a
    /// snapshot that refers to no earlier one.
    fn freeze(&mut self, full: bool);

    /// Writes about `budget_entries` entries of the oldest snapshot to `part`, and says whether that was the rest.
    ///
    /// # Errors
    /// If nothing is frozen, or if `part` is inside another state's segment.
    fn write_frozen(&mut self, budget_entries: usize, part: &mut PartWriter) -> Result<bool>;

    /// What the manifest has to say about the oldest snapshot, which is done with then.
    ///
    /// # Errors
    /// If it is not written yet.
    fn manifest_of_frozen(&mut self) -> Result<StateManifest>;

    /// Gives up all snapshots in flight, for example because their bytes could not be stored. The next one refers
    /// to no earlier one. To be called whenever a part of this worker was lost after `freeze`; not when a
    /// checkpoint failed elsewhere while this worker's part is safe.
    fn abandon(&mut self);

    /// Replaces the content by what a checkpoint says.
    ///
    /// # Errors
    /// Names the operator, the state and the way out if the checkpoint is damaged or has another shape.
    fn restore(&mut self, source: &mut RestoreSource) -> Result<()>;

    /// Keys of these stable hashes are about to be used one after the other: a state that is too large for the
    /// processor's cache asks memory for all of them now. Some dozens at a time are worth it.
    fn warm(&self, hashes: &[u64]) {
        let _ = hashes;
    }

    /// Of how many keys to fetch state at a time; none if all of it is in memory. Otherwise keys have to be fetched before
    /// they are used.
    fn keys_per_fetch(&self) -> Option<usize> {
        None
    }

    /// Keys of these hashes are going to be used: see [`KeyedTable::fetch`](crate::KeyedTable::fetch).
    fn fetch(&mut self, hashes: &[u64]) -> u64 {
        let _ = hashes;
        0
    }

    /// Whether everything is in memory that was fetched up to `ticket`.
    ///
    /// # Errors
    /// If the store failed.
    fn is_fetched(&mut self, ticket: u64) -> Result<bool> {
        let _ = ticket;
        Ok(true)
    }

    /// Keys of these hashes, which were fetched, are not used any more.
    fn release(&mut self, hashes: &[u64]) {
        let _ = hashes;
    }

    /// Whether [`ManagedState::write_frozen`] can do nothing before the store has answered, which wakes the operator.
    fn waits_for_store(&self) -> bool {
        false
    }

    /// About how many bytes of memory the state occupies.
    fn memory_bytes(&self) -> usize;
}
