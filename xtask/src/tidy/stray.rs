//! Stray files: what lies where nothing of its kind belongs, and what is too large for a repository.

use super::{File, Violation};

const LENGTH_MAX_BYTES: u64 = 1024 * 1024;

/// Files of the root folder; everything else there is stray.
const ROOT_FILES: &[&str] = &[
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "NOTICE",
    "README.md",
    "clippy.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// Folders of the root and the extensions of the files in them; `""` is a file without extension.
const FOLDERS: &[(&str, &[&str])] = &[
    (".cargo", &["toml"]),
    (".ci", &["", "sh"]),
    ("benches", &["rs", "toml", "md", "svg", "json", "csv", "py"]),
    (
        "crates",
        &[
            "rs", "toml", "md", "txt", "log", "json", "jsonl", "snapshot", "bin", "pem", "py", "html", "sql",
            "csv", "test",
        ],
    ),
    ("docs", &["md", "svg", "png", "toml"]),
    ("examples", &["rs", "toml", "md", "txt", "log", "sql"]),
    ("tests", &["rs", "toml", "md", "txt", "log", "json", "jsonl", "snapshot", "bin", "pem"]),
    ("xtask", &["java", "rs", "toml", "txt"]),
];

/// Folders whose files are what programs wrote, under the names that they gave them.
const WRITTEN_BY_PROGRAMS: &[&str] = &["crates/eddyline-state/tests/formats/"];

/// Whether a file is as a program wrote it, whatever its name.
pub fn is_written_by_a_program(path: &str) -> bool {
    WRITTEN_BY_PROGRAMS.iter().any(|folder| path.starts_with(folder))
}

/// Checks place, kind and size of each file.
pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        if file.length > LENGTH_MAX_BYTES {
            let message =
                format!("has {} bytes, the limit is {LENGTH_MAX_BYTES}: generate it or cut it", file.length);
            violations.push(Violation::new(file, 0, message));
        }
        let misplaced = match file.path.split_once('/') {
            None => !ROOT_FILES.contains(&file.path.as_str()),
            Some((folder, _)) => !FOLDERS
                .iter()
                .any(|(known, extensions)| *known == folder && extensions.contains(&file.extension())),
        };
        if misplaced && !is_written_by_a_program(&file.path) {
            let message =
                "is stray: move or remove it, or add its kind to the table in xtask/src/tidy/stray.rs";
            violations.push(Violation::new(file, 0, message));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::testing::{file, one};
    use super::*;

    #[test]
    fn known_files_pass() {
        for path in [
            "README.md",
            ".ci/run",
            "crates/x/src/lib.rs",
            "benches/plot.svg",
            "crates/eddyline-state/tests/formats/1/part-1",
        ] {
            assert_eq!(check(&[file(path, "")]), [], "{path}");
        }
    }

    #[test]
    fn stray_and_large_files_do_not() {
        for path in ["notes.md", "scratch/a.rs", "crates/x/a.orig", "docs/run"] {
            one(&check(&[file(path, "")]), "stray");
        }
        let mut large = file("docs/a.png", "");
        large.length = LENGTH_MAX_BYTES + 1;
        one(&check(&[large]), "the limit is");
    }
}
