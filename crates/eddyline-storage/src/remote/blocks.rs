//! Reading ahead: segments lie behind one another, and a request costs more than the bytes it brings.

use eddyline_core::Result;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are fetched at once.
const BLOCK_BYTES: u64 = 4 << 20;
/// Blocks that are kept: for some workers that read at the same time.
const BLOCKS_MAX: usize = 8;

type Block = ((String, u64), Arc<Vec<u8>>);

/// The blocks that were read last. Objects never change, so neither do blocks.
#[derive(Default)]
pub(super) struct Blocks(Mutex<VecDeque<Block>>);

impl Blocks {
    /// `length` bytes from `offset` on, fewer if the object ends; `fetch` gets a range of the object.
    pub(super) fn read(
        &self,
        name: &str,
        offset: u64,
        length: u64,
        fetch: impl Fn(u64, u64) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        if length == 0 {
            return Ok(Vec::new());
        }
        if length >= BLOCK_BYTES {
            return fetch(offset, length);
        }
        let mut bytes = Vec::with_capacity(length as usize);
        let end = offset.saturating_add(length);
        let mut at = offset;
        while at < end {
            let start = at / BLOCK_BYTES * BLOCK_BYTES;
            let block = self.block(name, start, &fetch)?;
            let from = (at - start) as usize;
            let to = ((end - start).min(block.len() as u64)) as usize;
            let Some(piece) = block.get(from..to).filter(|piece| !piece.is_empty()) else { break };
            bytes.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        Ok(bytes)
    }

    fn block(
        &self,
        name: &str,
        start: u64,
        fetch: &impl Fn(u64, u64) -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        let is_it = |(known, _): &&Block| known.1 == start && known.0 == name;
        if let Some((_, block)) = self.lock().iter().find(is_it) {
            return Ok(block.clone());
        }
        let block = Arc::new(fetch(start, BLOCK_BYTES)?);
        let mut blocks = self.lock();
        if blocks.len() == BLOCKS_MAX {
            blocks.pop_front();
        }
        blocks.push_back(((name.to_owned(), start), block.clone()));
        Ok(block)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn small_reads_share_requests_and_see_the_same_bytes() {
        let object: Vec<u8> = (0..BLOCK_BYTES * 2 + 1_000).map(|index| (index % 251) as u8).collect();
        let requests = Cell::new(0);
        let fetch = |start: u64, length: u64| {
            requests.set(requests.get() + 1);
            let end = (start + length).min(object.len() as u64) as usize;
            Ok(object[start as usize..end].to_vec())
        };
        let blocks = Blocks::default();
        let mut at = 0;
        while at < object.len() as u64 {
            let length = (at % 70_000 + 1).min(object.len() as u64 - at);
            let read = blocks.read("o", at, length, fetch).unwrap();
            assert!(read == object[at as usize..(at + length) as usize], "{length} bytes at {at}");
            at += length;
        }
        assert_eq!(requests.get(), 3);
        assert_eq!(blocks.read("o", BLOCK_BYTES * 2 + 990, 100, fetch).unwrap().len(), 10, "it ends there");
        assert_eq!(blocks.read("o", 5, BLOCK_BYTES + 1, fetch).unwrap()[..3], object[5..8]);
        assert_eq!(requests.get(), 4);
    }
}
