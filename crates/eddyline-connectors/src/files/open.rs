//! Opening files, with errors that say what, where and what to do.

use eddyline_core::{Error, Result};
use eddyline_formats::Compression;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

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

/// Checks that a file can be opened; one that is followed must not be compressed.
///
/// # Errors
/// If it cannot be read, or is compressed although `follow`.
pub(crate) fn check_readable(path: &str, follow: bool) -> Result<()> {
    open_file(path)?;
    if follow && Compression::of_name(path) != Compression::None {
        return Err(Error::input("a compressed input file cannot be followed")
            .with_detail(path.to_string())
            .with_hint("read it without `follow()`, or unpack it first (gunzip -k, zstd -d)"));
    }
    Ok(())
}

/// A path as text: it is kept in state, which is the same on every system.
pub(crate) fn as_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::input("the path of an input file is not valid UTF-8")
            .with_detail(path.display().to_string())
            .with_hint("rename the file, or read it through a symbolic link with another name")
    })
}
