//! Eddyline's state: tables that can be frozen while they are used, and the store that keeps their snapshots.
//!
//! - [`KeyedTable`], [`NamespacedTable`], [`TimerTable`], [`OperatorListState`] and [`BroadcastState`] hold state in
//!   memory, keyed tables also in a [`StateStore`] what does not fit; all of them are a [`ManagedState`]: frozen at a cut in next to no time, written in small slices
//!   between batches, restored at any parallelism.
//! - [`ValueState`] and its siblings are what a user's function sees of a table: the part that belongs to the
//!   current key.
//! - [`PartWriter`] and [`RestoreSource`] carry encoded state out and in.
//! - [`SavepointReader`] and [`SavepointWriter`] treat a checkpoint as a database: read, and written by a program.
//! - [`CheckpointStore`] keeps parts and manifests on an [`ObjectStorage`], atomically and fenced; a
//!   [`FileSystem`] is one by way of [`FileObjects`].
//!
//! **Architecture invariant:** nothing here knows of operators, ticks or threads, reads a clock or draws a random
//! number. A state is used by one thread; only what leaves it as bytes goes to others.

pub mod checkpoint_store;
pub mod keyed_state;
pub mod managed;
pub mod operator_state;
pub mod part;
pub mod restore;
pub mod savepoint;
mod segment;
pub mod storage;
pub mod store;
pub mod table;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod ttl;
pub mod window_table;

pub use checkpoint_store::{
    CheckpointStore, OpenedSnapshot, SavepointSize, SegmentFiles, dispose_savepoint, open_snapshot,
};
pub use keyed_state::{
    Accumulator, AggregatingState, KeyContext, ListState, MapState, ReducingState, ValueBackend, ValueState,
};
pub use managed::ManagedState;
pub use operator_state::{BroadcastState, OperatorListState};
pub use part::{CHUNK_BYTES_MAX, FinishedPart, PartWriter};
pub use restore::{Migration, RestoreSource, SegmentReader};
pub use savepoint::{OperatorWriter, SavedEntry, SavedState, SavepointReader, SavepointWriter};
pub use storage::{
    DirectoryEntry, FileObjects, FileSystem, HeldFileSystem, LocalFileSystem, MemoryFileSystem,
    ObjectStorage, ObjectWriter, WritableFile,
};
pub use store::{StateBackend, StatePlace, StateStore};
pub use table::KeyedTable;
pub use timers::{Timer, TimerTable};
pub use ttl::{StateTtlConfig, StateVisibility, TtlTimeDomain, TtlUpdateType};
pub use window_table::{NamespacedTable, PlacedTable, StoredWindows};
