//! Where the statements of earlier sessions are kept: a file that nobody else can read, for statements hold secrets.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Statements that are kept.
pub(super) const STATEMENTS_MAX: usize = 1_000;

/// The file of the history, in the user's directory for data, which is made if it is missing; none if there is no such
/// directory.
pub(super) fn file() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = given("XDG_DATA_HOME").or_else(|| given("HOME").map(|home| home.join(".local/share")))?;
    let directory = data.join("eddyline");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.ok().map(|()| directory.join("sql-history"))
}
