//! What a checkpoint says about itself: pure data, written as JSON.

use eddyline_core::{DataType, KeyGroup, Tick};
use serde::{Deserialize, Serialize};

/// The number of a checkpoint; grows over all attempts of a job.
pub type CheckpointId = u64;

/// The number of an attempt to run a job; grows with every (re)start and fences the ones before.
pub type AttemptId = u64;

/// The format that this version of Eddyline writes.
///
/// 2 has a kind and an origin, and parts may be compressed.
pub const MANIFEST_FORMAT: u32 = 2;

/// The oldest format that this version of Eddyline reads.
pub const MANIFEST_FORMAT_OLDEST: u32 = 1;

/// What a manifest describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestKind {
    /// A checkpoint of a job: the job's own, which retires it and shares its files with others.
    #[default]
    Checkpoint,
    /// A savepoint: it needs no file outside its directory, belongs to whoever asked for it, and can be moved.
    Savepoint,
}

/// How a piece of state is split and handed out again at restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// Key → value tables, segments by key group.
    KeyedValue,
    /// Timers, segments by key group.
    Timers,
    /// Items that are dealt out over the instances at restore.
    List,
    /// Items that every instance receives all of at restore.
    Union,
    /// Entries that are equal in all instances; any one copy is restored everywhere.
    Broadcast,
}

/// The name and shape of one state of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDescriptor {
    /// Unique within the operator.
    pub name: String,
    /// How it is split.
    pub kind: StateKind,
    /// The shape of keys; `Unit` for operator state.
    pub key: DataType,
    /// The shape of values.
    pub value: DataType,
}

/// Whether a segment stands alone or changes what the segments before it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// Everything there is.
    Base,
    /// What was removed and put since the segment before.
    Delta,
}

/// Where a piece of encoded state lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Path relative to the job's checkpoint directory.
    pub file: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
    /// CRC-32 of the bytes.
    pub crc32: u32,
    /// Number of entries encoded.
    pub entries: u64,
    /// Base or delta.
    pub kind: SegmentKind,
}

/// The segments of one key group (or, for operator state, of one instance), oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentChain {
    /// The key group, or the instance that wrote it for operator state.
    pub group: KeyGroup,
    /// A base followed by deltas.
    pub segments: Vec<SegmentRef>,
}

/// One state of one operator in a checkpoint (or in one worker's part of it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateManifest {
    /// Name and shape.
    pub descriptor: StateDescriptor,
    /// Where the state lies.
    pub chains: Vec<SegmentChain>,
}

/// One operator in a checkpoint (or in one worker's part of it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorManifest {
    /// The operator's stable identity.
    pub uid: String,
    /// Its states.
    pub states: Vec<StateManifest>,
}

/// What one worker contributes to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartManifest {
    /// The operators that have an instance on that worker.
    pub operators: Vec<OperatorManifest>,
    /// Bytes newly written for this checkpoint.
    pub bytes_written: u64,
}

/// A checkpoint: everything of ticks before `tick`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`] of the writer.
    pub format: u32,
    /// The job it belongs to.
    pub job: String,
    /// Its number.
    pub checkpoint: CheckpointId,
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// The cut.
    pub tick: Tick,
    /// Wall time of completion, milliseconds since the epoch.
    pub completed_at_ms: i64,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Whether the job had reached the end of its input: nothing is left to do but to commit.
    pub finished: bool,
    /// Whether it is a checkpoint or a savepoint.
    #[serde(default)]
    pub kind: ManifestKind,
    /// Where the savepoint or checkpoint is that the job was started from, if it was told one: a job that is started
    /// again with the same words goes on from its own checkpoints.
    #[serde(default)]
    pub origin: Option<String>,
    /// All operators with their state.
    pub operators: Vec<OperatorManifest>,
}
