//! How long stored rows are kept.

use super::Store;
use super::files::{partitions, visible};
use super::lines::LINES;
use super::results::{ALERTS, SESSIONS, WINDOWS};
use eddyline_core::{Error, EventTime, Result};
use serde::Deserialize;

const DAY_MS: i64 = 86_400_000;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// Partitions that ended so many days ago are removed; none: they stay.
    pub days: Option<u32>,
    /// If all files together are larger, in bytes, the oldest partitions of lines are removed, then those of other
    /// tables.
    pub bytes: Option<u64>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many partitions.
    pub partitions: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Store {
    /// Removes what `retention` does not keep, by the time of day `now_ms`. The hour of lines that is going on, and the
    /// day of other tables, are never removed for their size.
    ///
    /// # Errors
    /// If files cannot be read or removed.
    pub fn maintain(&self, retention: &Retention, now_ms: EventTime) -> Result<Removed> {
        let mut all = Vec::new();
        for (order, table) in [LINES, SESSIONS, WINDOWS, ALERTS].into_iter().enumerate() {
            let directory = self.settings().directory.join(table);
            for partition in partitions(&directory, &(EventTime::MIN..EventTime::MAX))? {
                let mut bytes = 0;
                for file in visible(&partition.directory)? {
                    bytes += std::fs::metadata(&file).map_or(0, |found| found.len());
                }
                all.push((order.min(1), partition, bytes));
            }
        }
        // Lines go before results, the oldest first.
        all.sort_by_key(|(order, partition, _)| (*order, partition.times.end));
        let mut left: u64 = all.iter().map(|(_, _, bytes)| bytes).sum();
        let oldest = retention.days.map(|days| now_ms.saturating_sub(i64::from(days) * DAY_MS));
        let mut removed = Removed::default();
        for (_, partition, bytes) in &all {
            let is_old = oldest.is_some_and(|oldest| partition.times.end <= oldest);
            let is_over = partition.times.end <= now_ms;
            let is_too_much = retention.bytes.is_some_and(|limit| left > limit);
            if is_old || (is_over && is_too_much) {
                remove(&partition.directory)?;
                left -= bytes;
                removed.partitions += 1;
                removed.bytes += bytes;
            }
        }
        Ok(removed)
    }
}

/// Removes the visible files of a partition, and its directory if nothing else is in it: hidden files are those of a
/// sink that is at work.
fn remove(directory: &std::path::Path) -> Result<()> {
    for file in visible(directory)? {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::storage(format!("cannot remove an old stored file: {error}"))
                    .with_detail(file.display().to_string())
                    .with_hint("see to it that this user may remove files of the store"));
            }
            _ => {}
        }
    }
    let mut empty = Some(directory);
    for _ in 0..2 {
        empty = empty
            .filter(|directory| std::fs::remove_dir(directory).is_ok())
            .and_then(|directory| directory.parent());
    }
    Ok(())
}
