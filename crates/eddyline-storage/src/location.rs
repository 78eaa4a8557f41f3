//! Locations: paths and URLs of directories.

use crate::settings::StorageSettings;
use eddyline_core::{Error, Result};
use eddyline_state::{FileObjects, FileSystem, ObjectStorage};
use std::path::PathBuf;
use std::sync::Arc;

/// What a location names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Path(PathBuf),
    /// `memory://name/path`.
    Memory {
        /// Which memory.
        name: String,
        /// The directory in it.
        path: String,
    },
    /// `s3://bucket/path`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The directory in it.
        path: String,
    },
    /// `hdfs://host:port/path`.
    Hdfs {
        /// The name node, or a name service.
        authority: String,
        /// The directory.
        path: String,
    },
}

impl Location {
    /// Reads a location.
    ///
    /// # Errors
    /// Of kind `Config` for a scheme that is not known or a URL that lacks a part.
    ///
    /// # Examples
    /// ```
    /// use eddyline_storage::Location;
    ///
    /// let location = Location::parse("s3://flows/checkpoints")?;
    /// assert_eq!(location, Location::S3 { bucket: "flows".into(), path: "checkpoints".into() });
    /// assert_eq!(Location::parse("file:///var/flows")?, Location::Path("/var/flows".into()));
    /// assert!(Location::parse("s4://flows").is_err());
    /// # Ok::<(), eddyline_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Location::Path(text.into())) };
        if scheme == "file" {
            return if rest.starts_with('/') {
                Ok(Location::Path(rest.into()))
            } else {
                Err(Error::config(format!("the location `{text}` has a host"))
                    .with_hint("write file:///path, with three slashes"))
            };
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (authority, path) = (authority.to_owned(), path.trim_matches('/').to_owned());
        if authority.contains('@') {
            return Err(Error::config("a location must not hold credentials")
                .with_detail(format!("{scheme}://…"))
                .with_hint("use s3.access-key and s3.secret-key, or the environment"));
        }
        if authority.is_empty() {
            return Err(Error::config(format!("the location `{text}` is not complete")).with_hint(
                "write s3://bucket/path, hdfs://host:port/path, memory://name/path or file:///path",
            ));
        }
        match scheme {
            "memory" => Ok(Location::Memory { name: authority, path }),
            "s3" | "s3a" | "s3p" => Ok(Location::S3 { bucket: authority, path }),
            "hdfs" => Ok(Location::Hdfs { authority, path }),
            _ => Err(Error::config(format!("nothing can be kept at `{scheme}://`"))
                .with_detail(text)
                .with_hint("give a path, or a URL that begins with s3://, hdfs://, memory:// or file://")),
        }
    }

    /// Whether every process finds the same there, wherever it runs on this machine.
    pub fn is_shared(&self) -> bool {
        !matches!(self, Location::Memory { .. })
    }

    /// Whether reading from there goes over a network.
    pub fn is_remote(&self) -> bool {
        matches!(self, Location::S3 { .. } | Location::Hdfs { .. })
    }
}

/// Opens the storage at `location`; paths are those of `files`.
///
/// # Errors
/// Of kind `Config` if the location makes no sense or this program was built without what it needs.
pub fn open(
    location: &str,
    files: &Arc<dyn FileSystem>,
    settings: &StorageSettings,
) -> Result<Arc<dyn ObjectStorage>> {
    match Location::parse(location)? {
        Location::Path(path) => Ok(Arc::new(FileObjects::new(files.clone(), path))),
        Location::Memory { name, path } => {
            let files = Arc::new(crate::memory::named(&name));
            Ok(Arc::new(FileObjects::new(files, format!("/{path}"))))
        }
        Location::S3 { bucket, path } => open_s3(location, &bucket, &path, settings),
        Location::Hdfs { authority, path } => open_hdfs(location, &authority, &path, settings),
    }
}

#[cfg(feature = "s3")]
fn open_s3(
    location: &str,
    bucket: &str,
    path: &str,
    settings: &StorageSettings,
) -> Result<Arc<dyn ObjectStorage>> {
    crate::remote::s3(location, bucket, path, settings)
}

#[cfg(not(feature = "s3"))]
fn open_s3(location: &str, _: &str, _: &str, _: &StorageSettings) -> Result<Arc<dyn ObjectStorage>> {
    Err(not_built_in(location, "s3"))
}

#[cfg(feature = "hdfs")]
fn open_hdfs(
    location: &str,
    authority: &str,
    path: &str,
    settings: &StorageSettings,
) -> Result<Arc<dyn ObjectStorage>> {
    crate::remote::hdfs(location, authority, path, settings)
}

#[cfg(not(feature = "hdfs"))]
fn open_hdfs(location: &str, _: &str, _: &str, _: &StorageSettings) -> Result<Arc<dyn ObjectStorage>> {
    Err(not_built_in(location, "hdfs"))
}

#[cfg(not(all(feature = "s3", feature = "hdfs")))]
fn not_built_in(location: &str, feature: &str) -> Error {
    Error::config(format!("this program was built without the feature `{feature}`"))
        .with_detail(location)
        .with_hint(format!("build it with eddyline = {{ features = [\"{feature}\"] }}"))
}

/// Takes the last part off a location: the directory it is in, and its name there.
///
/// # Errors
/// Of kind `Config` if there is no name.
///
/// # Examples
/// ```
/// use eddyline_storage::split;
///
/// assert_eq!(split("s3://flows/kept/savepoint-1/")?, ("s3://flows/kept".into(), "savepoint-1".into()));
/// assert_eq!(split("/kept")?, ("/".into(), "kept".into()));
/// assert!(split("s3://flows").is_err());
/// # Ok::<(), eddyline_core::Error>(())
/// ```
pub fn split(location: &str) -> Result<(String, String)> {
    let trimmed = location.trim_end_matches('/');
    let path_from = trimmed.find("://").map_or(0, |at| at + 3);
    let nameless = || {
        Error::config(format!("`{location}` names no directory"))
            .with_hint("give the directory of a savepoint, which has the file COMPLETE")
    };
    let path = &trimmed[path_from..];
    let (above, name) = match path.rsplit_once('/') {
        Some((above, name)) => (above, name),
        None if path_from == 0 => (".", path),
        None => return Err(nameless()),
    };
    if name.is_empty() || name == "." || name == ".." {
        return Err(nameless());
    }
    let above = if above.is_empty() { "/" } else { above };
    Ok((format!("{}{above}", &trimmed[..path_from]), name.to_owned()))
}

/// The location of `name` in the directory `location`.
///
/// # Examples
/// ```
/// assert_eq!(eddyline_storage::join("s3://flows/kept/", "savepoint-1"), "s3://flows/kept/savepoint-1");
/// ```
pub fn join(location: &str, name: &str) -> String {
    format!("{}/{name}", location.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_state::MemoryFileSystem;

    #[test]
    fn locations_are_told_apart() {
        let parse = |text| Location::parse(text);
        assert_eq!(parse("some/where").unwrap(), Location::Path("some/where".into()));
        let hdfs = Location::Hdfs { authority: "node:9000".into(), path: "a/b".into() };
        assert_eq!(parse("hdfs://node:9000/a/b/").unwrap(), hdfs);
        assert!(hdfs.is_remote() && hdfs.is_shared());
        let memory = parse("memory://m").unwrap();
        assert!(!memory.is_shared() && !memory.is_remote());
        for (text, words) in [
            ("s3:///path", "not complete"),
            ("gopher://x", "gopher"),
            ("file://host/x", "has a host"),
            ("s3://key:secret@bucket/x", "credentials"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(words), "{}", error.report());
            assert!(!error.report().contains("secret@"), "{}", error.report());
        }
    }

    #[test]
    fn memory_is_found_again_by_its_name() {
        let files: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
        let settings = StorageSettings::default();
        let first = open("memory://found-again/a", &files, &settings).unwrap();
        first.put_new("x", b"1").unwrap();
        let second = open("memory://found-again/a", &files, &settings).unwrap();
        assert_eq!(second.read("x").unwrap(), b"1");
        assert_eq!(open("memory://other/a", &files, &settings).unwrap().length("x").unwrap(), None);
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn what_is_not_built_in_says_so() {
        let files: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
        let error = open("s3://bucket/x", &files, &StorageSettings::default()).err().unwrap();
        assert!(error.message().contains("feature `s3`"), "{}", error.report());
    }
}
