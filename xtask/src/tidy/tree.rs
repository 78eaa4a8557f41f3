//! Which files there are: what git tracks or would track; in a copy without git, everything but build output.

use crate::{Result, process};
use std::path::Path;
use std::process::{Command, Stdio};

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// The content, if it is UTF-8 without NUL.
    pub text: Option<String>,
}

impl File {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of the name; empty if there is none or the name starts with it.
    pub fn extension(&self) -> &str {
        self.name()
            .rsplit_once('.')
            .filter(|(stem, _)| !stem.is_empty())
            .map_or("", |(_, extension)| extension)
    }
}

/// Reads all files under `root`, in order of path.
pub fn read(root: &Path) -> Result<Vec<File>> {
    let mut paths = listed_by_git(root).or_else(|_| walked(root))?;
    paths.sort();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let full = root.join(&path);
        if !full.is_file() {
            continue; // deleted and not yet committed
        }
        let bytes = std::fs::read(&full).map_err(|error| format!("cannot read {path}: {error}"))?;
        let length = bytes.len() as u64;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        files.push(File { path, length, text });
    }
    Ok(files)
}

fn listed_by_git(root: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = process::output(command.stderr(Stdio::null()))?;
    Ok(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn walked(root: &Path) -> Result<Vec<String>> {
    let fail = |error: std::io::Error| format!("cannot list {}: {error}", root.display());
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err("a file name is not UTF-8".into());
            };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if path == "target" || path == ".git" {
                continue;
            }
            if entry.file_type().map_err(fail)?.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    #[test]
    fn both_ways_find_this_file() {
        let this = "xtask/src/tidy/tree.rs".to_owned();
        assert!(walked(cargo::root()).unwrap().contains(&this));
        let files = read(cargo::root()).unwrap();
        let file = files.iter().find(|file| file.path == this).unwrap();
        assert_eq!((file.name(), file.extension()), ("tree.rs", "rs"));
        assert!(file.text.is_some());
    }

    #[test]
    fn names_without_extension_have_none() {
        for path in ["LICENSE", ".gitignore", ".ci/run"] {
            assert_eq!(super::super::testing::file(path, "").extension(), "", "{path}");
        }
    }
}
