//! A sink in two phases: rows become durable under a hidden name at a cut, and visible at its commit.

use crate::world::Disk;
use eddyline_core::data::{from_bytes, to_bytes};
use eddyline_core::{Batch, Data, Error, Result};
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use eddyline_state::{FileSystem, ManagedState, OperatorListState};
use std::path::{Path, PathBuf};

/// Where the output is.
pub const OUTPUT_DIRECTORY: &str = "/output";
const HIDDEN: &str = ".pending";

/// Rows that wait for a commit.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
struct Pending {
    checkpoint: u64,
    name: String,
}

/// The sink, of rows of type `T`.
pub struct FileSink<T> {
    disk: Disk,
    rows: Vec<T>,
    /// Files that may not be durable yet, and their content.
    unwritten: Vec<(String, Vec<u8>)>,
    pending: Option<OperatorListState<Pending>>,
}

impl<T: Data> FileSink<T> {
    /// A sink on `disk`.
    pub fn new(disk: Disk) -> Self {
        FileSink { disk, rows: Vec::new(), unwritten: Vec::new(), pending: None }
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = hidden(name);
        if self.disk.exists(&path)? {
            self.disk.remove(&path)?;
        }
        let file = self.disk.create_new(&path)?;
        let mut file = file.ok_or_else(|| Error::output(format!("{name} exists already")))?;
        file.write(content)?;
        file.sync()?;
        self.disk.sync_dir(Path::new(OUTPUT_DIRECTORY))
    }
}

fn visible(name: &str) -> PathBuf {
    Path::new(OUTPUT_DIRECTORY).join(name)
}

fn hidden(name: &str) -> PathBuf {
    Path::new(OUTPUT_DIRECTORY).join(format!("{name}{HIDDEN}"))
}

impl<T: Data> Stateful for FileSink<T> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.pending {
            Some(pending) => visit(pending),
            None => Ok(()),
        }
    }
}

impl<T: Data> Operator for FileSink<T> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.disk.create_dir_all(Path::new(OUTPUT_DIRECTORY))?;
        self.pending = Some(OperatorListState::list("pending", context.info().instance));
        Ok(())
    }

    fn on_batch(
        &mut self,
        _input: usize,
        mut batch: Batch,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.rows.extend(batch.take_rows::<T>()?.into_iter().map(|record| record.value));
        Ok(())
    }

    fn before_snapshot(&mut self, checkpoint: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        if !self.rows.is_empty() {
            let info = context.info();
            let name = format!("{checkpoint}-{}-{}", info.attempt, info.instance);
            self.unwritten.push((name.clone(), to_bytes(&std::mem::take(&mut self.rows))));
            pending.add(Pending { checkpoint, name });
        }
        Ok(())
    }

    fn poll_prepared(&mut self, _checkpoint: u64) -> Result<Progress> {
        while let Some((name, content)) = self.unwritten.first() {
            self.write(name, content)?;
            self.unwritten.remove(0);
        }
        Ok(Progress::Done)
    }

    fn on_commit(&mut self, checkpoint: u64, _context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        let due = pending.items().iter().filter(|file| file.checkpoint <= checkpoint);
        let due: Vec<String> = due.map(|file| file.name.clone()).collect();
        for name in &due {
            if self.disk.exists(&hidden(name))? {
                self.disk.rename(&hidden(name), &visible(name))?;
            } else if !self.disk.exists(&visible(name))? {
                return Err(Error::output(format!("{name} is lost")));
            }
        }
        if !due.is_empty() {
            self.disk.sync_dir(Path::new(OUTPUT_DIRECTORY))?;
            pending.items_mut().retain(|file| file.checkpoint > checkpoint);
        }
        Ok(())
    }
}

/// All rows of type `T` that a reader of the output sees, file by file.
///
/// # Errors
/// If a visible file cannot be read or understood.
pub fn read_visible<T: Data>(disk: &Disk) -> Result<Vec<T>> {
    let directory = Path::new(OUTPUT_DIRECTORY);
    let mut rows = Vec::new();
    if !disk.exists(directory)? {
        return Ok(rows);
    }
    for entry in disk.list(directory)? {
        if !entry.name.ends_with(HIDDEN) {
            let content = disk.files.read(&directory.join(&entry.name))?;
            let part: Vec<T> = from_bytes(&content).map_err(|error| {
                Error::output(format!("{} is torn", entry.name)).with_detail(error.to_string())
            })?;
            rows.extend(part);
        }
    }
    Ok(rows)
}
