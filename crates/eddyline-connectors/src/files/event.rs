//! What passes between a source and its reader.

use super::split::FileSplit;
use eddyline_core::Error;

/// What the source asks for. Every command is a credit for at most one run of lines, so that what is read and not
/// yet taken is bounded.
pub(crate) enum Command {
    /// Read on, into `buffer`. `now_ms` is the time, by which rotation and discovery are paced;
    /// splits in `paused` are not read on.
    Read { buffer: Vec<u8>, now_ms: i64, paused: Vec<u64> },
}

/// What the reader has found. `slot` numbers the splits of one reader in the order in which they were opened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A split was taken up.
    Opened { slot: u64, split: FileSplit },
    /// More is known of what the file of a split is: to be kept in its state.
    Identified { slot: u64, split: FileSplit },
    /// Whole lines.
    Lines { slot: u64, offset: u64, bytes: Vec<u8> },
    /// A line longer than the limit was skipped; `next` is where the line after it starts.
    TooLong { slot: u64, offset: u64, length: u64, sample: Vec<u8>, next: u64 },
    /// The rest of a packed file cannot be unpacked from `offset` on.
    Damaged { slot: u64, offset: u64, reason: String },
    /// A split is read to its end. `keep`: its file must be known later, not to be read again under another name.
    Finished { slot: u64, keep: bool },
    /// The file of a finished split is gone: nothing need be known of it any more.
    Forgotten { slot: u64 },
    /// Something that people should know of.
    Warning(String),
    /// The command is answered and there is nothing for now.
    Idle(Vec<u8>),
    /// The command is answered and there will never be anything again.
    End,
    /// Reading failed; nothing follows.
    Failed(Error),
}
