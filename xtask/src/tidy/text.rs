//! How text is written: length, headers, white space, unfinished marks, places that only one machine has.

use super::stray::is_written_by_a_program;
use super::{File, Violation};

const RUST_LINES_MAX: usize = 600;

/// Extensions that are input or output of programs: their bytes are as they have to be.
const DATA: &[&str] = &["log", "txt", "jsonl", "csv", "svg", "snapshot", "bin", "pem", "png"];

/// Checks all text that people write.
pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_data = |file: &File| DATA.contains(&file.extension()) || is_written_by_a_program(&file.path);
    for file in files.iter().filter(|file| !is_data(file)) {
        let Some(text) = &file.text else {
            violations.push(Violation::new(file, 0, "is not UTF-8 text"));
            continue;
        };
        if file.name() == "Cargo.lock" {
            lock_file(file, text, &mut violations);
            continue;
        }
        whole(file, text, &mut violations);
        for (index, line) in text.lines().enumerate() {
            for message in of_line(file, line) {
                violations.push(Violation::new(file, index + 1, message));
            }
        }
    }
    violations
}

fn whole(file: &File, text: &str, violations: &mut Vec<Violation>) {
    if !text.is_empty() && !text.ends_with('\n') {
        violations.push(Violation::new(file, 0, "does not end with a newline"));
    }
    if text.ends_with("\n\n") {
        violations.push(Violation::new(file, 0, "ends with empty lines"));
    }
    if file.extension() != "rs" {
        return;
    }
    let lines = text.lines().count();
    if lines > RUST_LINES_MAX {
        let message = format!("has {lines} lines, the limit is {RUST_LINES_MAX}: split it by subject");
        violations.push(Violation::new(file, 0, message));
    }
    let is_source = file.path.starts_with("crates/") && file.path.contains("/src/");
    if is_source && !text.trim_start().starts_with("//!") {
        let message = "starts without a module header: say in `//!` lines what the module promises";
        violations.push(Violation::new(file, 1, message));
    }
}

fn of_line(file: &File, line: &str) -> Vec<String> {
    let mut messages = Vec::new();
    if line.ends_with([' ', '\t']) || line.ends_with('\r') {
        messages.push("ends with white space".to_owned());
    }
    if file.extension() == "rs" && line.contains('\t') {
        messages.push("has a tab: rustfmt indents with spaces, and strings say \\t".to_owned());
    }
    for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
        if words(line).any(|word| word == mark) {
            messages.push(format!("has a {mark}: do it now or write an issue"));
        }
    }
    for folder in [
        concat!("/wo", "rk"),
        concat!("/ro", "ot"),
        concat!("/ho", "me"),
        concat!("/Us", "ers"),
        concat!("/t", "mp"),
    ] {
        if names_folder(line, folder) {
            messages
                .push(format!("names {folder}, which is another place on another machine: make it relative"));
        }
    }
    for host in [
        concat!("artifact", "ory"),
        concat!("jf", "rog"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
    ] {
        if line.contains(host) {
            messages.push(format!(
                "names the registry host {host}: builds use whatever registry the user has set up"
            ));
        }
    }
    if file.extension() == "toml" && (line.starts_with("[source.") || line.starts_with("replace-with")) {
        messages.push("replaces the registry: that belongs to the user's own Cargo configuration".to_owned());
    }
    messages
}

fn lock_file(file: &File, text: &str, violations: &mut Vec<Violation>) {
    let public = concat!("source = \"registry+https://github.com/rust-lang/", "crates.io-index\"");
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("source = ") && line != public {
            let message = "is not from the public registry: a clone on another machine could not build it";
            violations.push(Violation::new(file, index + 1, message));
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_alphanumeric() && character != '_')
}

/// Whether an absolute path in `line` starts with `folder`; `a/work` and `/workers` do not.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + folder.len()..].chars().next();
        let continues = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
        let starts_here =
            before.is_none_or(|character| !continues(character) && !matches!(character, '}' | ')' | '>'));
        starts_here
            && after.is_none_or(|character| !character.is_alphanumeric() && !matches!(character, '_' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{file, one};
    use super::*;

    #[test]
    fn clean_text_passes() {
        let text =
            "//! A header.\n\n// to do, in other words; src/work/x, workers, and/root_cause\nfn main() {}\n";
        assert_eq!(check(&[file("crates/x/src/lib.rs", text)]), []);
        assert_eq!(check(&[file("crates/x/tests/data.log", "a \t\r\n\n\n")]), []);
    }

    #[test]
    fn each_rule_finds_its_line() {
        for (path, text, words) in [
            ("crates/x/src/a.rs", "fn main() {}\n", "a.rs:1: starts without a module header"),
            ("docs/a.md", "text", "newline"),
            ("docs/a.md", "text\n\n", "empty lines"),
            ("docs/a.md", "a\nb \n", "a.md:2: ends with white space"),
            ("xtask/src/a.rs", "a\tb\n", "tab"),
            ("docs/a.md", concat!("a TO", "DO: b\n"), "do it now"),
            ("docs/a.md", concat!("see /t", "mp/x\n"), "make it relative"),
            ("docs/a.md", concat!("`/wo", "rk`\n"), "make it relative"),
            (".cargo/config.toml", "[source.mirror]\n", "replaces the registry"),
            ("Cargo.lock", "source = \"registry+https://example.org/index\"\n", "public registry"),
        ] {
            one(&check(&[file(path, text)]), words);
        }
    }

    #[test]
    fn long_files_are_to_be_split() {
        let text = "//! Long.\n".repeat(RUST_LINES_MAX);
        assert_eq!(check(&[file("crates/x/src/a.rs", &text)]), []);
        one(&check(&[file("crates/x/src/a.rs", &format!("{text}//\n"))]), "split it");
    }
}
