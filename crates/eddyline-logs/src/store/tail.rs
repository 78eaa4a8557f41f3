//! The lines that were read last: what queries find before their file can be seen.
//!
//! Lines come one by one and are kept in chunks that never change again. Who looks at them takes the chunks, not the
//! lock: however long a query takes, the job does not wait for it.

use crate::record::LogRecord;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of lines that are kept.
const TAIL_BYTES_MAX: usize = 32 << 20;
/// What a line takes besides its bytes, about.
const LINE_BYTES: usize = 160;
/// Lines of a chunk. The newest ones, which are not one yet, are copied for who looks at them.
const CHUNK_LINES: usize = 256;

/// The latest lines, up to a size. If more lines are read between two checkpoints, the earliest of them are found when
/// their file can be seen.
#[derive(Default)]
pub(super) struct Tail(Mutex<Lines>);

/// Lines in the order in which they came, and their bytes.
type Chunk = (Arc<Vec<LogRecord>>, usize);

#[derive(Default)]
struct Lines {
    chunks: VecDeque<Chunk>,
    chunk_bytes: usize,
    newest: Vec<LogRecord>,
    newest_bytes: usize,
}

impl Tail {
    pub(super) fn push(&self, record: LogRecord) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.newest_bytes += record.line().len() + LINE_BYTES;
        tail.newest.push(record);
        if tail.newest.len() < CHUNK_LINES {
            return;
        }
        let lines = std::mem::replace(&mut tail.newest, Vec::with_capacity(CHUNK_LINES));
        let bytes = std::mem::take(&mut tail.newest_bytes);
        tail.chunks.push_back((Arc::new(lines), bytes));
        tail.chunk_bytes += bytes;
        while tail.chunk_bytes > TAIL_BYTES_MAX {
            let Some((_, bytes)) = tail.chunks.pop_front() else { break };
            tail.chunk_bytes -= bytes;
        }
    }

    /// Has `visit` look at all lines that are there now, the latest first, until it says that it is enough.
    pub(super) fn visit(&self, mut visit: impl FnMut(&LogRecord) -> bool) {
        let (chunks, newest) = {
            let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let chunks: Vec<Arc<Vec<LogRecord>>> =
                tail.chunks.iter().map(|(lines, _)| lines.clone()).collect();
            (chunks, tail.newest.clone())
        };
        let older = chunks.iter().rev().flat_map(|lines| lines.iter().rev());
        for record in newest.iter().rev().chain(older) {
            if !visit(record) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{LineReader, ReadOptions};

    fn record(number: u64, length: usize) -> LogRecord {
        let path = "x".repeat(length);
        let line = format!("::1 - - [17/May/2015:10:05:03 +0000] \"GET /{path} HTTP/1.1\" 200 {number}");
        let fields = LineReader::new(ReadOptions::default().into())
            .read(line.as_bytes())
            .map(|fields| LogRecord::new(line.as_bytes(), "access.log", number, &fields));
        fields.expect("an access line")
    }

    fn offsets(tail: &Tail) -> Vec<u64> {
        let mut found = Vec::new();
        tail.visit(|record| {
            found.push(record.offset);
            true
        });
        found
    }

    #[test]
    fn lines_can_be_added_while_somebody_looks() {
        let tail = Tail::default();
        (0..1_000).for_each(|number| tail.push(record(number, 1)));
        let mut seen = Vec::new();
        tail.visit(|found| {
            // The lock is free: this would wait for ever otherwise.
            tail.push(record(5_000, 1));
            seen.push(found.offset);
            seen.len() < 900
        });
        assert_eq!(seen, (100..1_000).rev().collect::<Vec<_>>());
        assert_eq!(offsets(&tail).len(), 1_900);
    }

    #[test]
    fn the_earliest_go_when_there_are_too_many() {
        let tail = Tail::default();
        let length = 64 << 10;
        let count = (2 * TAIL_BYTES_MAX / length) as u64;
        (0..count).for_each(|number| tail.push(record(number, length)));
        let kept = offsets(&tail);
        assert_eq!(kept.first(), Some(&(count - 1)));
        assert!(kept.is_sorted_by(|one, next| one > next), "the latest first");
        assert!(kept.len() * length <= TAIL_BYTES_MAX + CHUNK_LINES * (length + 1_000));
    }
}
