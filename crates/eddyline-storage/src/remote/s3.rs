//! Amazon S3, and servers that speak its protocol.

use super::RemoteObjects;
use super::problem::Problems;
use crate::settings::StorageSettings;
use eddyline_core::{Error, Result};
use eddyline_state::ObjectStorage;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

const ACCESS_HINT: &str = "check s3.access-key and s3.secret-key (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), \
     s3.region, and what the key may do with the bucket";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const REGION: &str = "us-east-1";

/// Opens `path` in `bucket`; nothing is asked of the server yet.
///
/// # Errors
/// Of kind `Config` if the settings make no sense.
pub(crate) fn open(
    location: &str,
    bucket: &str,
    path: &str,
    settings: &StorageSettings,
) -> Result<Arc<dyn ObjectStorage>> {
    let backoff = BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: settings.retry_timeout };
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT.min(settings.retry_timeout));
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    let from_env = |name: &str| std::env::var(name).ok();
    let region = settings
        .s3_region
        .clone()
        .or_else(|| from_env("AWS_REGION").or_else(|| from_env("AWS_DEFAULT_REGION")));
    builder = builder.with_region(region.unwrap_or_else(|| REGION.to_owned()));
    let endpoint = settings.s3_endpoint.clone().or_else(|| {
        from_env("AWS_ENDPOINT_URL_S3")
            .or_else(|| from_env("AWS_ENDPOINT_URL"))
            .or_else(|| from_env("AWS_ENDPOINT"))
    });
    if let Some(endpoint) = endpoint {
        let endpoint = if endpoint.contains("://") { endpoint } else { format!("https://{endpoint}") };
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    if let Some(path_style) = settings.s3_path_style {
        builder = builder.with_virtual_hosted_style_request(!path_style);
    }
    if let Some(key) = &settings.s3_access_key {
        builder = builder.with_access_key_id(key);
    }
    if let Some(key) = &settings.s3_secret_key {
        builder = builder.with_secret_access_key(key);
    }
    let hidden = [settings.s3_access_key.clone(), settings.s3_secret_key.clone()]
        .into_iter()
        .chain(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(from_env));
    let problems = Problems::new(location, hidden.flatten().collect(), ACCESS_HINT);
    let store = builder.build().map_err(|error| {
        Error::config("the settings of S3 cannot work")
            .with_detail(problems.explain("open", "", &error).detail().unwrap_or_default().to_owned())
            .with_hint("see s3.endpoint, s3.region, s3.access-key and s3.secret-key")
    })?;
    Ok(Arc::new(RemoteObjects::new(Arc::new(store), path, settings.retry_timeout, problems)?))
}
