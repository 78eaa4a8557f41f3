//! What a text file source keeps per piece of input, and how files are cut into pieces.
//!
//! The cuts of a bounded file depend on nothing but the offset: 16 pieces of 1 MiB, then 16 of 2 MiB and so on up to
//! 256 MiB. So all instances cut alike even if they see the file at different lengths, small files are shared by
//! all, and large ones do not have too many pieces.

use super::identity::{FileIdentity, Fingerprint};
use eddyline_core::{Data, stable_hash};

/// The end of a piece that has none: the file is followed, or this is its last piece.
pub const OPEN_END: u64 = u64::MAX;

const PIECE_BYTES_FIRST: u64 = 1 << 20;
const PIECE_BYTES_MAX: u64 = 256 << 20;
const PIECES_PER_SIZE: u64 = 16;

/// A piece of a file, and how far it has been read; the state of a text file source.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub struct FileSplit {
    /// The path as it was given or found.
    pub path: String,
    /// Which file had that path.
    pub identity: FileIdentity,
    /// How that file began.
    pub fingerprint: Fingerprint,
    /// Bounded: the number of the piece in its file. Followed: how many files had the path before.
    pub number: u64,
    /// Lines that start here or later belong to the piece.
    pub start: u64,
    /// Lines that start here or later do not; [`OPEN_END`] if there is no such limit.
    pub end: u64,
    /// Where the first line starts that has not been emitted.
    pub offset: u64,
    /// Whether everything has been emitted.
    pub finished: bool,
}

impl FileSplit {
    /// A stable number that tells this split from all others.
    pub fn id(&self) -> u64 {
        (self.path.clone(), self.number, self.identity).stable_hash()
    }

    /// Whether instance `share.0` of `share.1` reads it.
    pub(crate) fn is_of(&self, share: (u32, u32)) -> bool {
        owner(&self.path, self.number, share.1) == share.0
    }
}

/// Which of `parallelism` instances reads piece `number` of the file at `path`.
pub(crate) fn owner(path: &str, number: u64, parallelism: u32) -> u32 {
    (stable_hash(path.as_bytes()).wrapping_add(number) % u64::from(parallelism.max(1))) as u32
}

/// The pieces of a file of `length` bytes, as `(start, end)`.
pub(crate) fn pieces(length: u64) -> Vec<(u64, u64)> {
    let (mut pieces, mut start, mut size) = (Vec::new(), 0u64, PIECE_BYTES_FIRST);
    loop {
        let end = start + size;
        // The last piece ends where the grid says: bytes that come later belong to nobody until they are seen.
        pieces.push((start, end));
        if end >= length {
            return pieces;
        }
        start = end;
        if size < PIECE_BYTES_MAX && (pieces.len() as u64).is_multiple_of(PIECES_PER_SIZE) {
            size *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_lie_on_a_grid_that_does_not_depend_on_the_length() {
        let all = pieces(100 << 30);
        assert!(all.len() < 600, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0));
        for length in [0, 1, PIECE_BYTES_FIRST, PIECE_BYTES_FIRST + 1, 40 << 20, 3 << 30] {
            let some = pieces(length);
            assert_eq!(some, all[..some.len()]);
            assert!(some.last().unwrap().1 >= length);
        }
    }
}
