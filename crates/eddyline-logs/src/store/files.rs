//! Finding the files of a table, and what their footers say.

use eddyline_core::{Error, EventTime, Result};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Footers that are kept in memory.
const FOOTERS_MAX: usize = 4_096;
/// What names of merged files begin with.
pub(super) const MERGED: &str = "merged-";
/// Under which key a merged file says what it replaces.
pub(super) const REPLACES: &str = "eddyline.replaces";
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// A directory of files of one stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) directory: PathBuf,
    /// The times that its rows may have.
    pub(super) times: Range<EventTime>,
}

/// The partitions of `table` that may have rows of `times`, in the order of time.
pub(super) fn partitions(table: &Path, times: &Range<EventTime>) -> Result<Vec<Partition>> {
    let mut found = Vec::new();
    for (day_name, day) in directories(table)? {
        let Some(day_start) = day_name.strip_prefix("dt=").and_then(day_start) else { continue };
        let day_times = day_start..day_start.saturating_add(DAY_MS);
        if !overlap(&day_times, times) {
            continue;
        }
        let hours: Vec<(String, PathBuf)> =
            directories(&day)?.into_iter().filter(|(name, _)| name.starts_with("hour=")).collect();
        if hours.is_empty() {
            found.push(Partition { directory: day, times: day_times });
            continue;
        }
        for (name, directory) in hours {
            let Ok(hour) = name["hour=".len()..].parse::<i64>() else { continue };
            let start = day_start.saturating_add(hour * HOUR_MS);
            let times_of_hour = start..start.saturating_add(HOUR_MS);
            if overlap(&times_of_hour, times) {
                found.push(Partition { directory, times: times_of_hour });
            }
        }
    }
    found.sort_by_key(|partition| partition.times.start);
    Ok(found)
}

fn overlap(one: &Range<EventTime>, other: &Range<EventTime>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The start of a day written `2026-01-31`.
fn day_start(text: &str) -> Option<EventTime> {
    let mut parts = text.rsplitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_date = (-9_999..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| crate::parse::days_from_civil(year, month, day) * DAY_MS)
}

/// The directories in a directory, by name; none if it does not exist.
fn directories(parent: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = names(parent)?;
    found.retain(|(name, _)| name.contains('='));
    Ok(found)
}

/// The files of a partition that queries read: those that can be seen and that no merged file replaces.
pub(super) fn files(cache: &FileCache, partition: &Path) -> Result<Vec<PathBuf>> {
    let mut found = visible(partition)?;
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    for path in found.iter().filter(|path| name_of(path).starts_with(MERGED)) {
        if let Some((_, footer)) = cache.open(path)? {
            replaced.extend(replaced_by(&footer));
        }
    }
    found.retain(|path| !replaced.contains(name_of(path)));
    Ok(found)
}

/// The name of a file in its directory.
pub(super) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The names of the files that a merged file replaces.
fn replaced_by(footer: &ArrowReaderMetadata) -> Vec<String> {
    let values = footer.metadata().file_metadata().key_value_metadata();
    let found = values.and_then(|values| values.iter().find(|value| value.key == REPLACES));
    let names = found.and_then(|value| value.value.as_deref());
    names.map(|names| names.split('\n').map(str::to_owned).collect()).unwrap_or_default()
}

/// The visible files of a partition, by name. One that is gone has none.
pub(super) fn visible(partition: &Path) -> Result<Vec<PathBuf>> {
    let found = names(partition)?;
    Ok(found.into_iter().filter(|(name, _)| name.ends_with(".parquet")).map(|(_, path)| path).collect())
}

fn names(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let unreadable = |error: std::io::Error| {
        Error::storage(format!("cannot read the store: {error}"))
            .with_detail(directory.display().to_string())
            .with_hint("see to it that this user may read the directory")
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.')) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

impl FileCache {
    /// Forgets a file that is about to be removed.
    pub(super) fn forget(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// Footers of files, which never change once they can be seen.
#[derive(Default)]
pub(super) struct FileCache(Mutex<BTreeMap<PathBuf, ArrowReaderMetadata>>);

impl FileCache {
    /// A file and its footer; none if it was removed meanwhile.
    pub(super) fn open(&self, path: &Path) -> Result<Option<(File, ArrowReaderMetadata)>> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Error::storage(format!("cannot read a stored file: {error}"))
                .with_detail(path.display().to_string())
                .with_hint("if it is damaged, move it away: the other files can be read without it")
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(footer) = known {
            return Ok(Some((file, footer)));
        }
        let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| unreadable(&error))?;
        let mut footers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if footers.len() >= FOOTERS_MAX {
            // The oldest time is asked for least.
            footers.pop_first();
        }
        footers.insert(path.to_owned(), footer.clone());
        Ok(Some((file, footer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_found_by_time() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["dt=1970-01-01/hour=00", "dt=1970-01-01/hour=23", "dt=1970-01-02", "dt=nonsense", ".hidden"]
        {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let starts = |times: Range<EventTime>| -> Vec<EventTime> {
            let found = partitions(directory.path(), &times).unwrap();
            found.iter().map(|partition| partition.times.start).collect()
        };
        assert_eq!(starts(i64::MIN..i64::MAX), [0, 23 * HOUR_MS, DAY_MS]);
        assert_eq!(starts(HOUR_MS..23 * HOUR_MS), [0; 0]);
        assert_eq!(starts(HOUR_MS - 1..DAY_MS), [0, 23 * HOUR_MS]);
        assert_eq!(partitions(&directory.path().join("missing"), &(0..1)).unwrap(), []);
    }
}
