//! Which files there are: in a directory, in the tree below it, or by a pattern.
//!
//! Left out are hidden files and directories (`.x`, `_x`), files that are being written (`.inprogress`, `.tmp`),
//! files of kinds that cannot be read, and directories that are symbolic links, so that no walk goes round.

use super::open::{as_text, failed};
use eddyline_core::{Error, Result};
use eddyline_formats::Compression;
use glob::{MatchOptions, Pattern};
use std::fs;
use std::time::SystemTime;

const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) path: String,
    pub(crate) modified: SystemTime,
    pub(crate) length: u64,
}

/// A set of files that may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    root: String,
    pattern: Option<Pattern>,
    /// How many levels of directories below the root are looked into.
    levels: usize,
    /// Sets whose files are not counted among those of this one.
    others: Vec<Listing>,
}

impl Listing {
    /// The files directly in the directory `root`, or in the whole tree below it.
    pub(crate) fn of_directory(root: &str, recursive: bool) -> Self {
        let levels = if recursive { usize::MAX } else { 0 };
        Listing { root: root.to_owned(), pattern: None, levels, others: Vec::new() }
    }

    /// The files whose paths match `pattern`: `*`, `?`, `[ab]` within a name, `**` for any directories.
    ///
    /// # Errors
    /// If it is no pattern.
    pub(crate) fn of_pattern(text: &str) -> Result<Self> {
        let pattern = Pattern::new(text).map_err(|error| {
            Error::config("a pattern of input files is not valid")
                .with_detail(format!("{text}: {error}"))
                .with_hint("use * ? [ab] within a name, and ** as a whole name for any directories")
        })?;
        let names: Vec<&str> = text.split('/').collect();
        let literal = names.iter().take_while(|name| !is_pattern(name)).count().min(names.len() - 1);
        let root = match names[..literal].join("/") {
            root if root.is_empty() && text.starts_with('/') => "/".to_owned(),
            root => root,
        };
        let levels = if text.contains("**") { usize::MAX } else { names.len() - literal - 1 };
        Ok(Listing { root, pattern: Some(pattern), levels, others: Vec::new() })
    }

    /// The same set without the files of `others`.
    pub(crate) fn without(mut self, others: &[Listing]) -> Self {
        self.others = others.to_vec();
        self
    }

    /// Whether the set is that of a pattern, with no file of it in another set.
    pub(crate) fn is_pattern_alone(&self) -> bool {
        self.pattern.is_some() && self.others.is_empty()
    }

    /// What tells the set from others.
    pub(crate) fn name(&self) -> &str {
        self.pattern.as_ref().map_or(&self.root, Pattern::as_str)
    }

    /// Whether the file at `path` would be in the set.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let Some(below) = path.strip_prefix(join(&self.root, "").as_str()) else { return false };
        let fits = match &self.pattern {
            Some(pattern) => pattern.matches_with(path, MATCHING),
            None => self.levels > 0 || !below.contains('/'),
        };
        fits && !self.others.iter().any(|other| other.holds(path))
    }

    /// The files that are there now, by path; packed ones only if `with_packed`.
    ///
    /// # Errors
    /// If the root cannot be listed; what vanishes or is forbidden below it is left out.
    pub(crate) fn files(&self, with_packed: bool) -> Result<Vec<FoundFile>> {
        let mut files = Vec::new();
        let mut directories = vec![(self.root.clone(), 0)];
        while let Some((directory, level)) = directories.pop() {
            let there = if directory.is_empty() { "." } else { &directory };
            let entries = match fs::read_dir(there) {
                Ok(entries) => entries,
                Err(error) if level == 0 => return Err(failed("list input directory", there, &error)),
                Err(_) => continue,
            };
            for entry in entries {
                let entry = entry.map_err(|error| failed("list input directory", there, &error))?;
                let name = entry.file_name();
                if name.to_string_lossy().starts_with(['.', '_']) {
                    continue;
                }
                // A file that is renamed or removed while we look is found, or missed, the next time.
                let Ok(metadata) = fs::metadata(entry.path()) else { continue };
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if metadata.is_dir() {
                    if level < self.levels && !is_link {
                        directories.push((join(&directory, &as_text(name.as_ref())?), level + 1));
                    }
                } else if metadata.is_file() && !is_left_out(&name.to_string_lossy(), with_packed) {
                    let path = join(&directory, &as_text(name.as_ref())?);
                    if self.holds(&path) {
                        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                        files.push(FoundFile { path, modified, length: metadata.len() });
                    }
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }
}

/// Whether `text` means files by a pattern.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() || directory.ends_with('/') {
        format!("{directory}{name}")
    } else {
        format!("{directory}/{name}")
    }
}

fn is_left_out(name: &str, with_packed: bool) -> bool {
    let unreadable =
        [".inprogress", ".tmp", ".xz", ".bz2", ".zip"].iter().any(|ending| name.ends_with(ending));
    unreadable || (!with_packed && Compression::of_name(name) != Compression::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &Listing, base: &str) -> Vec<String> {
        let files = listing.files(true).unwrap();
        assert!(files.iter().all(|file| listing.holds(&file.path)));
        files.iter().map(|file| file.path[base.len() + 1..].to_owned()).collect()
    }

    #[test]
    fn directories_trees_and_patterns_find_what_they_say() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().to_str().unwrap().to_owned();
        for path in ["a.log", "b.log.gz", "x/c.log", "x/y/d.log", ".h/e.log", "_t", "f.tmp", ".g", "z/a.csv"]
        {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x\n").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path(), place.path().join("x/round")).unwrap();
        let of = |pattern: &str| names(&Listing::of_pattern(&format!("{base}/{pattern}")).unwrap(), &base);
        let directory = Listing::of_directory(&base, false);
        let tree = Listing::of_directory(&base, true);
        assert_eq!(names(&directory, &base), ["a.log", "b.log.gz"]);
        assert_eq!(names(&tree, &base), ["a.log", "b.log.gz", "x/c.log", "x/y/d.log", "z/a.csv"]);
        assert_eq!(names(&tree.clone().without(&[directory]), &base), ["x/c.log", "x/y/d.log", "z/a.csv"]);
        assert_eq!(tree.files(false).unwrap().len(), 4);
        assert_eq!(of("*.log"), ["a.log"]);
        assert_eq!(of("[xz]/*"), ["x/c.log", "z/a.csv"]);
        assert_eq!(of("**/*.log"), ["a.log", "x/c.log", "x/y/d.log"]);
        assert_eq!(of("x/?/d.log"), ["x/y/d.log"]);
        assert_eq!(of("none*"), [""; 0]);
        assert!(Listing::of_pattern("/a/***").is_err());
        assert!(Listing::of_pattern("/no/such/*").unwrap().files(true).is_err());
        assert!(
            Listing::of_pattern("*.toml")
                .unwrap()
                .files(true)
                .unwrap()
                .iter()
                .any(|file| file.path == "Cargo.toml")
        );
    }
}
