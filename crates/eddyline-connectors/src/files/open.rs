//! Opening files, with errors that say what, where and what to do.

use eddyline_core::{Error, Result};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// How gzip files begin.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a file for reading.
pub(crate) fn open_file(path: &str) -> Result<File> {
    File::open(path).map_err(|error| failed("open input file", path, &error))
}

/// Looks at a file or directory.
pub(crate) fn look_at(path: &str) -> Result<Metadata> {
    fs::metadata(path).map_err(|error| failed("find input file", path, &error))
}

/// Tells what is wrong with input that cannot be opened or read.
pub(crate) fn failed(doing: &str, path: &str, error: &io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "check the path; with `follow()`, give the directory if the file comes later",
        ErrorKind::PermissionDenied => "give this user the right to read it (chmod, or a group)",
        _ if error.raw_os_error() == Some(24) => {
            "too many files are open: raise the limit (ulimit -n), or read fewer files at once"
        }
        _ => "check the disk or network file system it is on; the operating system's log may say more",
    };
    Error::input(format!("cannot {doing}: {error}")).with_detail(path.to_string()).with_hint(hint)
}

/// Checks that a file can be opened and holds text of a kind we can read.
///
/// # Errors
/// If it cannot be read, or is compressed.
pub(crate) fn check_readable(path: &str) -> Result<()> {
    let mut file = open_file(path)?;
    let mut magic = [0; 2];
    let is_gzip = path.ends_with(".gz") && file.read_exact(&mut magic).is_ok() && magic == GZIP_MAGIC;
    if is_gzip {
        return Err(Error::input("input file is compressed")
            .with_detail(path.to_string())
            .with_hint("unpack it first (gunzip -k), then give the unpacked file"));
    }
    Ok(())
}

/// The text files directly in a directory, by name: without hidden, compressed and special ones.
pub(crate) fn text_files_in(directory: &str) -> Result<Vec<String>> {
    let unreadable = |error: io::Error| failed("list input directory", directory, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // A file that is renamed or removed while we look is found, or missed, the next time.
        if path.metadata().is_ok_and(|metadata| metadata.is_file()) && !is_left_out(&path) {
            paths.push(as_text(&path)?);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let compressed = [".gz", ".zst", ".xz", ".bz2", ".zip"].iter().any(|ending| name.ends_with(ending));
    compressed || name.starts_with('.')
}

/// A path as text: it is kept in state, which is the same on every system.
pub(crate) fn as_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::input("the path of an input file is not valid UTF-8")
            .with_detail(path.display().to_string())
            .with_hint("rename the file, or read it through a symbolic link with another name")
    })
}
