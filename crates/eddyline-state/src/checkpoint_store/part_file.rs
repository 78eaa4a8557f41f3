//! A part file that is being written.

use crate::storage::ObjectWriter;
use eddyline_core::Result;

/// A part file that is being written, perhaps with a copy on a disk of this machine.
pub struct PartFile {
    writer: Box<dyn ObjectWriter>,
    /// Given up at its first failure: the copy is a help, not a duty.
    copy: Option<Box<dyn ObjectWriter>>,
}

impl PartFile {
    pub(super) fn new(writer: Box<dyn ObjectWriter>, copy: Option<Box<dyn ObjectWriter>>) -> Self {
        PartFile { writer, copy }
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// If it could not be written: the part is lost then.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        if self.copy.as_mut().is_some_and(|copy| copy.write(chunk).is_err()) {
            self.copy = None;
        }
        self.writer.write(chunk)
    }

    /// Returns when the part is durable.
    ///
    /// # Errors
    /// If that cannot be achieved: the part is lost then.
    pub fn finish(self) -> Result<()> {
        self.writer.finish()?;
        if let Some(copy) = self.copy {
            // Unfinished, it is cleared away with its checkpoint, and not read before: its checksums do not fit.
            let _ = copy.finish();
        }
        Ok(())
    }
}
