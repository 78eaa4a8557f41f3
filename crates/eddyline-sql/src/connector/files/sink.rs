//! Writing a table of files.

use super::FileTable;
use super::listing;
use super::writer::DirectoryWriter;
use crate::connector::{SinkMode, TableSink, TableWriter};
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

/// The files that an overwriting job replaces, by the directory of their partition.
pub(super) type Replaced = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Makes the writers of a table of files.
pub(super) struct DirectorySink {
    table: Arc<FileTable>,
    replaced: Replaced,
}

impl DirectorySink {
    pub(super) fn new(table: FileTable) -> Self {
        DirectorySink { table: Arc::new(table), replaced: Replaced::default() }
    }
}

impl TableSink for DirectorySink {
    fn mode(&self) -> SinkMode {
        self.table.format.sink_mode()
    }

    fn writer(&self, instance: u32, attempt: u64) -> Result<Box<dyn TableWriter>> {
        let root = &self.table.root;
        fs::create_dir_all(root).map_err(|error| {
            Error::output(format!("cannot create the directory of table `{}`: {error}", self.table.name))
                .with_detail(root.display().to_string())
                .with_hint("check the option 'path' and the rights of this user")
        })?;
        let writer = DirectoryWriter::new(self.table.clone(), self.replaced.clone(), instance, attempt)?;
        Ok(Box::new(writer))
    }

    /// Remembers what is there: it is removed when what replaces it becomes visible. Of a partitioned table, only
    /// the partitions that are written are replaced, as in Flink.
    fn overwrite(&self) -> Result<()> {
        let mut replaced = self.replaced.lock().expect("invariant: nobody panics while holding this");
        replaced.clear();
        if !self.table.root.is_dir() {
            return Ok(());
        }
        if self.table.partition_keys.is_empty() {
            // Nothing may be written at all, and then the table is empty, too.
            replaced.insert(String::new(), Vec::new());
        }
        for file in listing::files(&self.table)? {
            let directory = file.name.rsplit_once('/').map_or("", |(directory, _)| directory);
            replaced.entry(directory.to_owned()).or_default().push(file.name.clone());
        }
        Ok(())
    }
}
