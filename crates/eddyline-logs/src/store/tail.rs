//! The lines that were read last: what queries find before their file can be seen.

use crate::record::LogRecord;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Bytes of lines that are kept.
const TAIL_BYTES_MAX: usize = 32 << 20;
/// What a line takes besides its bytes, about.
const LINE_BYTES: usize = 160;

/// The latest lines, up to a size. If more lines are read between two checkpoints, the earliest of them are found when
/// their file can be seen.
#[derive(Default)]
pub(super) struct Tail(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    lines: VecDeque<LogRecord>,
    bytes: usize,
}

impl Tail {
    pub(super) fn push(&self, record: LogRecord) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes += record.line().len() + LINE_BYTES;
        tail.lines.push_back(record);
        while tail.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = tail.lines.pop_front() else { break };
            tail.bytes -= oldest.line().len() + LINE_BYTES;
        }
    }

    /// Has `visit` look at all lines, the latest first, until it says that it is enough.
    pub(super) fn visit(&self, mut visit: impl FnMut(&LogRecord) -> bool) {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in tail.lines.iter().rev() {
            if !visit(record) {
                return;
            }
        }
    }
}
