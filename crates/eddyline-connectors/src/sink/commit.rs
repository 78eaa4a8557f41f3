//! Making files visible, and clearing away what never will be.

use super::name::{self, NamePattern, ParsedName};
use super::operator::PendingFile;
use eddyline_core::{Error, Result};
use eddyline_state::FileSystem;
use std::collections::BTreeSet;
use std::path::Path;

/// Gives a file its visible name; a file that has it already is left alone. `repeated` says that an earlier attempt
/// may have done so.
///
/// # Errors
/// If the file is gone, has another length, or its visible name is taken.
pub(super) fn commit_file(
    files: &dyn FileSystem,
    directory: &Path,
    file: &PendingFile,
    repeated: bool,
) -> Result<()> {
    let (from, to) = (directory.join(name::pending(&file.name)), directory.join(&file.name));
    if !files.exists(&from)? {
        if files.exists(&to)? {
            return check_length(files, &to, file);
        }
        if repeated {
            // Readers may move visible files away, and the name does not say whether they did.
            tracing::warn!(
                file = %to.display(),
                "an output file of the restored checkpoint is not there: taken for read and removed by its readers"
            );
            return Ok(());
        }
        return Err(Error::output("an output file disappeared before it could be made visible")
            .with_detail(format!("{}, {} bytes", from.display(), file.bytes))
            .with_hint(
                "leave hidden files of the output directory alone; restore an older checkpoint to write it anew",
            ));
    }
    if files.exists(&to)? {
        return Err(Error::output("an output file cannot be made visible: its name is taken")
            .with_detail(to.display().to_string())
            .with_hint("move the file away that has the name; visible files are never overwritten"));
    }
    check_length(files, &from, file)?;
    files.rename(&from, &to)
}

fn check_length(files: &dyn FileSystem, path: &Path, file: &PendingFile) -> Result<()> {
    let length = files.length(path)?;
    if length == file.bytes {
        return Ok(());
    }
    Err(Error::output("an output file was changed by somebody else")
        .with_detail(format!("{}: {length} bytes instead of {}", path.display(), file.bytes))
        .with_hint("let other programs leave the output alone; restore an older checkpoint to write it anew"))
}

/// Removes hidden files of this sink that no checkpoint knows of, of the instances that instance `share.0` of
/// `share.1` stands in for, and answers the names of this sink that are left. Must be called before this attempt
/// creates files. With `has_buckets`, directories below are looked through as well.
///
/// # Errors
/// If the directory cannot be read or a file cannot be removed.
pub(super) fn remove_stale(
    files: &dyn FileSystem,
    directory: &Path,
    pattern: &NamePattern,
    known: &[PendingFile],
    share: (u32, u32),
    has_buckets: bool,
) -> Result<Vec<ParsedName>> {
    let known: BTreeSet<&str> = known.iter().map(|file| file.name.as_str()).collect();
    let (mut left, mut buckets) = (Vec::new(), vec![String::new()]);
    while let Some(bucket) = buckets.pop() {
        for entry in files.list(&directory.join(&bucket))? {
            let name = match bucket.as_str() {
                "" => entry.name.clone(),
                bucket => format!("{bucket}/{}", entry.name),
            };
            if entry.is_directory {
                if !entry.name.starts_with('.') && has_buckets {
                    buckets.push(name);
                }
                continue;
            }
            let Some(parsed) = pattern.parse(&entry.name) else { continue };
            let is_known = known.contains(name::visible_of(&name).as_str());
            let is_ours = parsed.instance % share.1 == share.0;
            if parsed.visible || is_known || !is_ours {
                left.push(parsed);
                continue;
            }
            let path = directory.join(&name);
            // An attempt that is being replaced may clear away the same files at the same time.
            if let Err(error) = files.remove(&path)
                && files.exists(&path)?
            {
                return Err(error);
            }
        }
    }
    Ok(left)
}
