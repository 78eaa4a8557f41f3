//! Deleting savepoints.

use eddyline::Options;
use eddyline_core::{Error, Result};
use eddyline_state::{FileSystem, LocalFileSystem, dispose_savepoint};
use std::sync::Arc;

/// Deletes the savepoint at `path`.
///
/// # Errors
/// If there is none, or it cannot be deleted.
pub(super) fn run(path: &str, given: &[String]) -> Result<()> {
    let mut options = Options::default();
    for option in given {
        let Some((key, value)) = option.split_once('=') else {
            return Err(Error::config(format!("`-D{option}` is no option")).with_hint("write -DKEY=VALUE"));
        };
        options.set(key, value)?;
    }
    let files: Arc<dyn FileSystem> = Arc::new(LocalFileSystem);
    let (above, name) = eddyline_storage::split(path)?;
    let storage = eddyline_storage::open(&above, &files, &options.runtime.storage)?;
    let deleted = dispose_savepoint(storage.as_ref(), &name)?;
    println!("{path} is deleted ({deleted} files)");
    Ok(())
}
