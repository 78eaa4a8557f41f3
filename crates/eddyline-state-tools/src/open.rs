//! Finding a checkpoint by its path.

use eddyline_core::{Error, Result};
use eddyline_protocol::{CheckpointId, Manifest, ManifestKind};
use eddyline_state::{
    CheckpointStore, FileObjects, FileSystem, HeldFileSystem, LocalFileSystem, SavepointReader, open_snapshot,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COMPLETE: &str = "COMPLETE";
const CHECKPOINT_PREFIX: &str = "checkpoint-";
/// How often the newest checkpoint is looked for anew when a running job deletes the one that was found.
const TRIES_MAX: usize = 20;

/// A checkpoint that was found by its path. All its files are open: it can be read to its end even if the job that it
/// belongs to deletes it meanwhile.
pub struct Opened {
    /// Reads it.
    pub reader: SavepointReader,
    /// Its directory.
    pub directory: PathBuf,
}

/// Opens what `path` names: the directory of a checkpoint or a savepoint or its file `COMPLETE`, the directory of a job, or one that has a
/// single job in it; of a job the newest complete checkpoint.
///
/// # Errors
/// If there is none, or its manifest cannot be read; says what was looked for where.
pub fn open(path: &str) -> Result<Opened> {
    if path.contains("://") && !path.starts_with("file://") {
        return Err(Error::config("only checkpoints and savepoints on a local disk can be looked into")
            .with_detail(path.to_owned())
            .with_hint(
                "copy its directory here first; a checkpoint needs all the files its manifest names",
            ));
    }
    let given = Path::new(path.strip_prefix("file://").unwrap_or(path));
    let path =
        std::path::absolute(given).map_err(|error| Error::config(format!("`{path}` is no path: {error}")))?;
    if !LocalFileSystem.exists(&path)? {
        return Err(Error::config("there is no such checkpoint").with_detail(path.display().to_string()).with_hint(
            "give the directory of a checkpoint (with a file COMPLETE), of a job, or execution.checkpointing.dir",
        ));
    }
    let directory = if path.file_name().is_some_and(|name| name == COMPLETE) {
        path.parent().unwrap_or(&path).to_owned()
    } else {
        path
    };
    if LocalFileSystem.exists(&directory.join(COMPLETE))? {
        return open_checkpoint(&directory);
    }
    if is_job(&directory)? {
        return open_newest(&directory);
    }
    let jobs = jobs_in(&directory)?;
    match jobs.as_slice() {
        [job] => open_newest(&directory.join(job)),
        [] => Err(Error::config("no checkpoint is there").with_detail(directory.display().to_string()).with_hint(
            "give the directory of a checkpoint (with a file COMPLETE), of a job, or execution.checkpointing.dir",
        )),
        several => Err(Error::config("several jobs keep checkpoints there")
            .with_detail(directory.display().to_string())
            .with_hint(format!("give the directory of one of them: {}", several.join(", ")))),
    }
}

/// Where a checkpoint of job `job` can be written below `root`.
///
/// # Errors
/// If the job's name cannot be a directory's.
pub fn writable_store(root: &str, job: &str) -> Result<CheckpointStore> {
    CheckpointStore::new(Arc::new(LocalFileSystem), root.strip_prefix("file://").unwrap_or(root), job)
}

fn is_job(directory: &Path) -> Result<bool> {
    let entries =
        if LocalFileSystem.exists(directory)? { LocalFileSystem.list(directory)? } else { Vec::new() };
    Ok(entries.iter().any(|entry| entry.is_directory && entry.name.starts_with(CHECKPOINT_PREFIX)))
}

fn jobs_in(directory: &Path) -> Result<Vec<String>> {
    let mut jobs = Vec::new();
    for entry in LocalFileSystem.list(directory)?.into_iter().filter(|entry| entry.is_directory) {
        if is_job(&directory.join(&entry.name))? {
            jobs.push(entry.name);
        }
    }
    Ok(jobs)
}

/// The root and the name of the job in `directory`.
fn root_and_job(directory: &Path) -> Result<(PathBuf, String)> {
    match (directory.parent(), directory.file_name()) {
        (Some(root), Some(job)) => Ok((root.to_owned(), job.to_string_lossy().into_owned())),
        _ => Err(Error::config("the root of the file system keeps no checkpoint")
            .with_detail(directory.display().to_string())),
    }
}

fn open_checkpoint(directory: &Path) -> Result<Opened> {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let number = name.strip_prefix(CHECKPOINT_PREFIX).and_then(|number| number.parse::<CheckpointId>().ok());
    let Some(number) = number else {
        return open_savepoint(directory, &name);
    };
    let (root, job) = root_and_job(directory.parent().unwrap_or(directory))?;
    match held(&root, &job, number)? {
        Some(reader) => Ok(Opened { reader, directory: directory.to_owned() }),
        None => Err(Error::state("the checkpoint was deleted while it was being opened")
            .with_detail(directory.display().to_string())
            .with_hint(
                "a job keeps its newest checkpoints only: give the directory of the job to read the newest",
            )),
    }
}

/// Nobody deletes a savepoint unasked, so its files need not be held.
fn open_savepoint(directory: &Path, name: &str) -> Result<Opened> {
    let root = directory.parent().unwrap_or(directory);
    let found = open_snapshot(Arc::new(FileObjects::new(Arc::new(LocalFileSystem), root)), name)?;
    if found.manifest.kind != ManifestKind::Savepoint {
        return Err(Error::config(format!("a checkpoint's directory is not called `{name}`"))
            .with_detail(directory.display().to_string())
            .with_hint(
                "keep the names of the directories when a checkpoint is moved: <job>/checkpoint-<number>",
            ));
    }
    let reader = SavepointReader::new(found.manifest, Arc::new(found.segments));
    Ok(Opened { reader, directory: directory.to_owned() })
}

fn open_newest(directory: &Path) -> Result<Opened> {
    let (root, job) = root_and_job(directory)?;
    let store = CheckpointStore::new(Arc::new(LocalFileSystem), &root, &job)?;
    for _ in 0..TRIES_MAX {
        let newest = SavepointReader::newest(&store)?.manifest().checkpoint;
        if let Some(reader) = held(&root, &job, newest)? {
            let name = format!("{CHECKPOINT_PREFIX}{newest:010}");
            return Ok(Opened { reader, directory: directory.join(name) });
        }
    }
    Err(Error::state(format!("the checkpoints of job `{job}` are deleted faster than they can be opened"))
        .with_detail(directory.display().to_string())
        .with_hint("raise execution.checkpointing.num-retained"))
}

/// A reader of a checkpoint whose files are all open; none if it is deleted meanwhile. Its manifest goes first when a
/// checkpoint is deleted: while it is there, everything is.
fn held(root: &Path, job: &str, number: CheckpointId) -> Result<Option<SavepointReader>> {
    let store = CheckpointStore::new(Arc::new(LocalFileSystem), root, job)?;
    let manifest = match store.read_manifest(number) {
        Ok(manifest) => manifest,
        Err(error) if store.complete_checkpoints()?.contains(&number) => return Err(error),
        Err(_) => return Ok(None),
    };
    let mut files = HeldFileSystem::default();
    for file in files_of(&manifest) {
        // What cannot be opened is missed when it is read, with an error that says whose it was.
        let _ = files.hold(&root.join(job).join(file));
    }
    if !store.complete_checkpoints()?.contains(&number) {
        return Ok(None);
    }
    let store = CheckpointStore::new(Arc::new(files), root, job)?;
    Ok(Some(SavepointReader::new(manifest, Arc::new(store))))
}

fn files_of(manifest: &Manifest) -> BTreeSet<&str> {
    let states = manifest.operators.iter().flat_map(|operator| &operator.states);
    let segments = states.flat_map(|state| &state.chains).flat_map(|chain| &chain.segments);
    segments.map(|segment| segment.file.as_str()).collect()
}
