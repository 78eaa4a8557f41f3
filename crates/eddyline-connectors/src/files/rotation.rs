//! Files that had a path for a while and lost it again before anybody looked.
//!
//! Rotation leaves them beside the path under its name with a number or a date appended: `a.log.1`,
//! `a.log-20260131`. Those that were written to after the file that was read last are the ones that had the path
//! since. Which of them came first is told by when they were last written to, for the numbers go up and the dates
//! are of many shapes.

use super::identity::FileIdentity;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The file that had `path` next after the one that `before` describes (what it was, and when it was last written
/// to), if that is not the file that has it now.
pub(crate) fn next_after(path: &str, before: (FileIdentity, SystemTime)) -> Option<String> {
    let (directory, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => (".", path),
    };
    let current = fs::metadata(path).ok().map(|metadata| FileIdentity::of(&metadata));
    let mut next: Option<(SystemTime, String)> = None;
    for entry in fs::read_dir(Path::new(directory)).ok()?.flatten() {
        let entry_name = entry.file_name();
        let Some(appended) = entry_name.to_str().and_then(|other| other.strip_prefix(name)) else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        let Ok(written) = metadata.modified() else { continue };
        let identity = FileIdentity::of(&metadata);
        let is_other = identity != before.0 && Some(identity) != current;
        if !is_rotated(appended) || !metadata.is_file() || !is_other || written <= before.1 {
            continue;
        }
        let found = (written, format!("{path}{appended}"));
        if next.as_ref().is_none_or(|known| found < *known) {
            next = Some(found);
        }
    }
    next.map(|(_, path)| path)
}

/// Whether a name with `appended` is that of a rotated file: a separator, then a number or a date.
fn is_rotated(appended: &str) -> bool {
    let mut characters = appended.chars();
    characters.next().is_some_and(|first| matches!(first, '.' | '-' | '_'))
        && appended.contains(|character: char| character.is_ascii_digit())
        && characters
            .all(|character| character.is_ascii_digit() || matches!(character, '.' | '-' | '_' | ':' | 'T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_told_from_other_names() {
        for rotated in [".1", ".12", "-20260131", ".2026-01-31T10:00", "_3"] {
            assert!(is_rotated(rotated), "{rotated}");
        }
        for other in ["", "1", ".", ".gz", ".1.gz", "-errors", ".bak", ".json.1"] {
            assert!(!is_rotated(other), "{other}");
        }
    }
}
