//! Eddyline's state: tables that can be frozen while they are used, and the store that keeps their snapshots.
//!
//! - [`KeyedTable`], [`NamespacedTable`], [`TimerTable`], [`OperatorListState`] and [`BroadcastState`] hold state in
//!   memory, keyed tables also in a [`StateStore`] what does not fit; all of them are a [`ManagedState`]: frozen at a cut in next to no time, written in small slices
//!   between batches, restored at any parallelism.
//! - [`ValueState`] and its siblings are what a user's function sees of a table: the part that belongs to the
//!   current key.
//! - [`PartWriter`] and [`RestoreSource`] carry encoded state out and in.
//! - [`CheckpointStore`] keeps parts and manifests on a [`FileSystem`], atomically and fenced.
//!
//! **Architecture invariant:** nothing here knows of operators, ticks or threads, reads a clock or draws a random
//! number. A state is used by one thread; only what leaves it as bytes goes to others.

pub mod checkpoint_store;
pub mod keyed_state;
pub mod managed;
pub mod operator_state;
pub mod part;
pub mod restore;
mod segment;
pub mod storage;
pub mod store;
pub mod table;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod ttl;
pub mod window_table;

pub use checkpoint_store::CheckpointStore;
pub use keyed_state::{
    Accumulator, AggregatingState, KeyContext, ListState, MapState, ReducingState, ValueBackend, ValueState,
};
pub use managed::ManagedState;
pub use operator_state::{BroadcastState, OperatorListState};
pub use part::{CHUNK_BYTES_MAX, FinishedPart, PartWriter};
pub use restore::{RestoreSource, SegmentReader};
pub use storage::{DirectoryEntry, FileSystem, LocalFileSystem, MemoryFileSystem, WritableFile};
pub use store::{StateBackend, StatePlace, StateStore};
pub use table::KeyedTable;
pub use timers::{Timer, TimerTable};
pub use ttl::{StateTtlConfig, StateVisibility, TtlTimeDomain, TtlUpdateType};
pub use window_table::{NamespacedTable, PlacedTable, StoredWindows};
