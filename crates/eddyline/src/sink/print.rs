//! Records on standard output.

use super::{SinkContext, SinkFunction};
use eddyline_core::{Data, Error, Record, Result};
use std::any::Any;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;

/// Prints records as they come, one a line, a batch at a time; with several instances each line begins with the
/// number of its instance (from 1), as in `2> …`. What is printed is seen at once: after a restart some of it may be
/// printed again.
pub(crate) struct PrintSink {
    prefix: String,
    text: String,
}

impl PrintSink {
    pub(crate) fn new() -> Self {
        PrintSink { prefix: String::new(), text: String::new() }
    }
}

impl<T: Data + Debug> SinkFunction<T> for PrintSink {
    type Committable = ();

    fn open(&mut self, context: &mut SinkContext<'_, '_>) -> Result<()> {
        let info = context.info();
        self.prefix = if info.parallelism > 1 { format!("{}> ", info.instance + 1) } else { String::new() };
        Ok(())
    }

    fn write(&mut self, record: Record<T>, _context: &mut SinkContext<'_, '_>) -> Result<()> {
        let value: &dyn Any = &record.value;
        let written = match value.downcast_ref::<String>() {
            // A text is printed as it is, not as a literal of a program.
            Some(text) => writeln!(self.text, "{}{text}", self.prefix),
            None => writeln!(self.text, "{}{:?}", self.prefix, record.value),
        };
        // Formatting into a string does not fail, unless the value's own `Debug` does.
        written.map_err(|_| Error::user("a record cannot be shown: its `Debug` failed"))
    }

    fn end_batch(&mut self, _context: &mut SinkContext<'_, '_>) -> Result<()> {
        let written = std::io::stdout().lock().write_all(self.text.as_bytes());
        self.text.clear();
        written.map_err(|error| {
            Error::output("cannot print to standard output")
                .with_detail(error.to_string())
                .with_hint("keep the reader of a pipe open, or write to a file")
        })
    }
}
