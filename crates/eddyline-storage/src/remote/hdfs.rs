//! Hadoop's distributed file system.

use super::RemoteObjects;
use super::problem::Problems;
use crate::settings::StorageSettings;
use eddyline_core::{Error, Result};
use eddyline_state::ObjectStorage;
use hdfs_native::ClientBuilder;
use hdfs_native_object_store::HdfsObjectStore;
use std::sync::Arc;

const ACCESS_HINT: &str = "check that HADOOP_USER_NAME (or the Kerberos ticket) may write to the directory";

/// Opens `path` on the name node `authority`; nothing is asked of it yet.
///
/// # Errors
/// Of kind `Config` if the configuration of Hadoop cannot work.
pub(crate) fn open(
    location: &str,
    authority: &str,
    path: &str,
    settings: &StorageSettings,
) -> Result<Arc<dyn ObjectStorage>> {
    let problems = Problems::new(location, Vec::new(), ACCESS_HINT);
    let client = ClientBuilder::new()
        .with_url(format!("hdfs://{authority}"))
        .with_io_runtime(super::io()?)
        .build()
        .map_err(|error| {
            Error::config("the client of HDFS cannot be set up")
                .with_detail(format!("{location}: {error}"))
                .with_hint("write hdfs://host:port/path; for a name service, set HADOOP_CONF_DIR")
        })?;
    let store = Arc::new(HdfsObjectStore::new(client.clone()));
    let mut objects = RemoteObjects::new(store, path, settings.retry_timeout, problems)?;
    objects.clear = Some(Arc::new(move |io, directory| {
        io.block_on(client.delete(directory, false)).map(drop).map_err(|error| {
            Error::storage("cannot remove a directory").with_detail(format!("{directory}: {error}"))
        })
    }));
    Ok(Arc::new(objects))
}
