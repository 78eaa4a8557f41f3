//! What remote storage has to be told.

use std::fmt;
use std::time::Duration;

/// What remote storage has to be told, in Flink's words. What is left out is taken from the environment
/// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`; for HDFS
/// `HADOOP_CONF_DIR` and `HADOOP_USER_NAME`).
///
/// # Examples
/// ```
/// use eddyline_storage::StorageSettings;
///
/// let settings = StorageSettings { s3_secret_key: Some("hush".into()), ..StorageSettings::default() };
/// assert!(!format!("{settings:?}").contains("hush"));
/// ```
#[derive(Clone)]
pub struct StorageSettings {
    /// `s3.endpoint`: the address of a server that is not Amazon's.
    pub s3_endpoint: Option<String>,
    /// `s3.access-key`.
    pub s3_access_key: Option<String>,
    /// `s3.secret-key`.
    pub s3_secret_key: Option<String>,
    /// `s3.region`.
    pub s3_region: Option<String>,
    /// `s3.path.style.access`: whether the bucket is in the path, or else in the name of the host.
    pub s3_path_style: Option<bool>,
    /// How long a request that fails for the moment is repeated, with growing pauses.
    pub retry_timeout: Duration,
}

impl Default for StorageSettings {
    fn default() -> Self {
        StorageSettings {
            s3_endpoint: None,
            s3_access_key: None,
            s3_secret_key: None,
            s3_region: None,
            s3_path_style: None,
            retry_timeout: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for StorageSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "…");
        formatter
            .debug_struct("StorageSettings")
            .field("s3_endpoint", &self.s3_endpoint)
            .field("s3_access_key", &hidden(&self.s3_access_key))
            .field("s3_secret_key", &hidden(&self.s3_secret_key))
            .field("s3_region", &self.s3_region)
            .field("s3_path_style", &self.s3_path_style)
            .field("retry_timeout", &self.retry_timeout)
            .finish()
    }
}
