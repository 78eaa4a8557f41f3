//! The directory of a process, which goes when the process is done with it.

use eddyline_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "eddyline-rocksdb-";

/// Tells directories of one process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed when it is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A fresh directory below `root`. Those of processes that were killed are removed.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        let process = std::process::id();
        let path = root.join(format!("{PREFIX}{process}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let failed = |error: std::io::Error| {
            Error::storage(format!("cannot make the directory `{}` for state: {error}", path.display()))
                .with_hint(
                    "set state.backend.rocksdb.localdir to a directory on a local disk that can be written",
                )
        };
        std::fs::create_dir_all(root).map_err(failed)?;
        remove_orphans(root, process);
        // A process of the same number may have been killed before.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).map_err(failed)?;
        Ok(Scratch { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes directories whose process does not exist any more.
fn remove_orphans(root: &Path, own: u32) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let owner = owner.and_then(|rest| rest.split('-').next()).and_then(|id| id.parse::<u32>().ok());
        if let Some(owner) = owner
            && owner != own
            && !Path::new(&format!("/proc/{owner}")).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
