//! Objects on remote storage, by way of `object_store`, from threads that wait.
//!
//! Requests that fail for the moment (throttling, a server that starts anew) are repeated with growing pauses, within
//! a limit. So an object may have been stored although its first request seemed to fail: what is there is compared with
//! what was to be stored before anybody is told that the name is taken.

mod blocks;
#[cfg(feature = "hdfs")]
mod hdfs;
mod problem;
#[cfg(feature = "s3")]
mod s3;
#[cfg(test)]
mod tests;
mod upload;

#[cfg(feature = "hdfs")]
pub(crate) use hdfs::open as hdfs;
#[cfg(feature = "s3")]
pub(crate) use s3::open as s3;

use blocks::Blocks;
use eddyline_core::{Error, Result};
use eddyline_state::{DirectoryEntry, ObjectStorage, ObjectWriter};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, PutMode, PutOptions, PutPayload};
use problem::Problems;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};

/// Threads that move bytes; those who wait for them are elsewhere.
const IO_THREADS: usize = 2;
/// What a call may take beyond the time in which requests are repeated.
const CALL_SLACK: Duration = Duration::from_secs(60);
/// Requests to delete that are open at the same time.
const DELETES_AT_ONCE: usize = 16;

/// Clears away a directory that is empty, where there are any.
type ClearDirectory = Arc<dyn Fn(&Handle, &str) -> Result<()> + Send + Sync>;

/// Objects on remote storage.
#[derive(Clone)]
pub(crate) struct RemoteObjects {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    io: Handle,
    limit: Duration,
    problems: Problems,
    blocks: Arc<Blocks>,
    clear: Option<ClearDirectory>,
}

/// The runtime that all remote storages of a process share.
///
/// # Errors
/// If its threads cannot be started.
fn io() -> Result<Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("eddyline:storage-io")
            .enable_all()
            .build()
            .ok()
    });
    match runtime {
        Some(runtime) => Ok(runtime.handle().clone()),
        None => Err(Error::internal("cannot start the threads that speak with storage")),
    }
}

impl RemoteObjects {
    fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        retry_timeout: Duration,
        problems: Problems,
    ) -> Result<Self> {
        Ok(RemoteObjects {
            store,
            prefix: prefix.trim_matches('/').to_owned(),
            io: io()?,
            limit: retry_timeout + CALL_SLACK,
            problems,
            blocks: Arc::default(),
            clear: None,
        })
    }

    fn path(&self, name: &str) -> Path {
        Path::from([self.prefix.as_str(), name].join("/").trim_matches('/'))
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(
        &self,
        doing: &str,
        name: &str,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        let limit = self.limit;
        match self.io.block_on(async { tokio::time::timeout(limit, answer).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.problems.explain(doing, name, &error)),
            Err(_) => Err(self.problems.too_late(doing, name, limit)),
        }
    }

    fn fetch(&self, name: &str, range: Option<GetRange>) -> Result<Vec<u8>> {
        let (store, path) = (&self.store, self.path(name));
        let answer = async {
            let options = GetOptions { range, ..GetOptions::default() };
            store.get_opts(&path, options).await?.bytes().await
        };
        self.wait("read", name, answer).map(|bytes| bytes.to_vec())
    }

    /// The bytes from `start` on, at most `length`: fewer where the object ends.
    fn fetch_block(&self, name: &str, start: u64, length: u64) -> Result<Vec<u8>> {
        self.fetch(name, Some(GetRange::Bounded(start..start + length)))
    }

    /// Stores a small object unless the name is taken.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let (store, path) = (&self.store, self.path(name));
        let answer = async { store.put_opts(&path, PutPayload::from(bytes.to_vec()), options).await };
        match self.wait("write", name, answer) {
            Ok(_) => Ok(true),
            // It may be ours: a request that was repeated may have succeeded the first time.
            Err(problem) => match self.length(name) {
                Ok(Some(_)) => Ok(!bytes.is_empty() && self.read(name)? == bytes),
                Ok(None) | Err(_) => Err(problem),
            },
        }
    }
}

impl ObjectStorage for RemoteObjects {
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(upload::Upload::new(self.clone(), name)))
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.put(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.fetch(name, None)
    }

    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let bytes =
            self.blocks.read(name, offset, length, |start, length| self.fetch_block(name, start, length))?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(self.problems.too_short(name, offset, length))
        }
    }

    fn length(&self, name: &str) -> Result<Option<u64>> {
        let (store, path) = (&self.store, self.path(name));
        let answer = async {
            let options = GetOptions { head: true, ..GetOptions::default() };
            match store.get_opts(&path, options).await {
                Ok(found) => Ok(Some(found.meta.size)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.wait("look for", name, answer)
    }

    fn list(&self, directory: &str) -> Result<Vec<DirectoryEntry>> {
        let (store, path) = (&self.store, self.path(directory));
        let listed = self.wait("list", directory, async {
            match store.list_with_delimiter(Some(&path)).await {
                Err(object_store::Error::NotFound { source, .. }) if !is_missing_bucket(source.as_ref()) => {
                    Ok(None)
                }
                other => other.map(Some),
            }
        })?;
        let Some(listed) = listed else { return Ok(Vec::new()) };
        let entry = |path: &Path, is_directory| {
            let name = path.filename()?.to_owned();
            Some(DirectoryEntry { name, is_directory })
        };
        let directories = listed.common_prefixes.iter().filter_map(|path| entry(path, true));
        let objects = listed.objects.iter().filter_map(|object| entry(&object.location, false));
        let mut entries: Vec<_> = directories.chain(objects).collect();
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, names: &[String]) -> Result<()> {
        let Some(first) = names.first() else { return Ok(()) };
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let store = self.store.clone();
        self.wait("remove", first, async move {
            let outcomes = store.delete_stream(futures_util::stream::iter(paths).boxed());
            let gone = |outcome: object_store::Result<Path>| async move {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            outcomes.map(gone).buffered(DELETES_AT_ONCE).try_collect::<()>().await
        })
    }

    fn clear_if_empty(&self, directory: &str) -> Result<()> {
        match &self.clear {
            Some(clear) if self.list(directory)?.is_empty() => {
                clear(&self.io, &format!("/{}", self.path(directory)))
            }
            _ => Ok(()),
        }
    }

    fn locate(&self, name: &str) -> String {
        self.problems.locate(name)
    }
}

/// A missing bucket is an error, a missing directory is an empty one.
fn is_missing_bucket(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    source.to_string().contains("NoSuchBucket")
}
