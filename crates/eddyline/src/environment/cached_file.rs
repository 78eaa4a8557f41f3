//! Files that functions read, known by name.

use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The files that were registered with an environment; operators find it as a service.
#[derive(Debug, Clone, Default)]
pub struct DistributedCache {
    files: BTreeMap<String, PathBuf>,
}

impl DistributedCache {
    pub(super) fn register(&mut self, name: &str, path: PathBuf) -> Result<()> {
        match self.files.insert(name.to_owned(), path) {
            None => Ok(()),
            Some(_) => Err(Error::config(format!("the cached file `{name}` is registered twice"))
                .with_hint("give each file a name of its own")),
        }
    }

    /// The local path of the file that was registered as `name`.
    ///
    /// # Errors
    /// If there is no file of that name.
    pub fn file(&self, name: &str) -> Result<&std::path::Path> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| {
            Error::config(format!("no cached file is registered as `{name}`"))
                .with_hint("register it with Environment::register_cached_file")
        })
    }

    /// Checks that all files can be read here.
    pub(super) fn check(&self) -> Result<()> {
        for (name, path) in &self.files {
            std::fs::File::open(path).map_err(|error| {
                Error::config(format!("the cached file `{name}` cannot be read"))
                    .with_detail(format!("{}: {error}", path.display()))
                    .with_hint("check the path that was given to register_cached_file")
            })?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A registered file, to be moved into a function.
///
/// # Examples
/// ```no_run
/// use eddyline::Environment;
///
/// let environment = Environment::new();
/// let stop_words = environment.register_cached_file("stop-words.txt", "stop words");
/// let words = environment.from_collection(vec!["the".to_string(), "river".to_string()]).bounded();
/// let left = words.map_partition(move |rows| {
///     let stop_words = std::fs::read_to_string(stop_words.path()).unwrap_or_default();
///     rows.filter(move |word| !stop_words.lines().any(|stop_word| stop_word == word))
/// });
/// left.print();
/// environment.execute("words")?;
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CachedFile {
    pub(super) path: PathBuf,
}

impl CachedFile {
    /// Where the file is, on the machine that asks.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}
