//! `cargo xtask tidy`: rules that the compiler does not know, checked over all files of the repository.
//!
//! A check is a function from files to violations, without I/O of its own. Each violation says where it is and
//! what to do; a rule that cannot say why it is there does not belong here.

mod banned;
mod layers;
mod links;
mod scan;
mod stray;
mod text;
mod tree;

use crate::{Result, cargo};
use std::fmt;

pub use tree::File;

/// Something that has to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    /// A violation in `line` (counted from 1) of `file`; 0 means the file as a whole.
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Violation { path: file.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.message),
            line => write!(formatter, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Checks the repository and prints what has to change.
pub fn run() -> Result<()> {
    let files = tree::read(cargo::root())?;
    let violations = check(&files);
    for violation in &violations {
        eprintln!("{violation}");
    }
    if violations.is_empty() {
        eprintln!("{} files are tidy", files.len());
        return Ok(());
    }
    Err(format!("{} violations in {} files", violations.len(), files.len()))
}

/// All violations in `files`, in order of path and line.
fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(stray::check(files));
    violations.extend(text::check(files));
    violations.extend(banned::check(files));
    violations.extend(layers::check(files));
    violations.extend(links::check(files));
    violations.sort();
    violations
}

#[cfg(test)]
pub(crate) mod testing {
    //! Helpers for the checks' tests.

    use super::{File, Violation};

    /// A file as if it were in the repository.
    pub fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), length: text.len() as u64, text: Some(text.to_owned()) }
    }

    /// Asserts that there is exactly one violation and that it says `words`.
    #[track_caller]
    pub fn one(violations: &[Violation], words: &str) {
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].to_string().contains(words), "{}", violations[0]);
    }
}
