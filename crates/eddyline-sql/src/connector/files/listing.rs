//! Which files a table has.

use super::FileTable;
use eddyline_core::{Error, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundFile {
    /// Its path below the table's, or its name if the table is one file.
    pub(super) name: String,
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Milliseconds since the epoch.
    pub(super) modified_ms: i64,
}

/// The files of `table`, by name. A file that vanishes meanwhile is left out.
pub(super) fn files(table: &FileTable) -> Result<Vec<FoundFile>> {
    let root = &table.root;
    let metadata = fs::metadata(root).map_err(|error| failed("find the path of the table", root, &error))?;
    if metadata.is_file() {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![found(name, root, &metadata)?]);
    }
    let mut files = Vec::new();
    let mut directories = vec![(root.clone(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound && !prefix.is_empty() => continue,
            Err(error) => return Err(failed("list a directory of the table", &directory, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed("list a directory of the table", &directory, &error))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Error::input("the name of an input file is no UTF-8")
                    .with_detail(entry.path().display().to_string())
                    .with_hint("rename the file"));
            };
            if name.starts_with(['_', '.']) {
                continue;
            }
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            let below = format!("{prefix}{name}");
            // Directories that are links are left out, so that no walk goes round.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if metadata.is_dir() && !is_link {
                directories.push((entry.path(), format!("{below}/")));
            } else if metadata.is_file() {
                files.push(found(below, &entry.path(), &metadata)?);
            }
        }
    }
    if let Some(pattern) = &table.pattern {
        files.retain(|file| pattern.is_match(&file.path));
    }
    files.sort();
    Ok(files)
}

fn found(name: String, path: &Path, metadata: &fs::Metadata) -> Result<FoundFile> {
    let text = path.to_str().ok_or_else(|| {
        Error::input("the path of an input file is no UTF-8").with_detail(path.display().to_string())
    })?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(FoundFile {
        name,
        path: text.to_owned(),
        bytes: metadata.len(),
        modified_ms: modified.map_or(0, |elapsed| elapsed.as_millis() as i64),
    })
}

/// Tells what is wrong with input that cannot be found, opened or read.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "check the option 'path' of the table",
        ErrorKind::PermissionDenied => "give this user the right to read it (chmod, or a group)",
        _ => "check the disk or network file system it is on; the operating system's log may say more",
    };
    Error::input(format!("cannot {doing}: {error}")).with_detail(path.display().to_string()).with_hint(hint)
}
