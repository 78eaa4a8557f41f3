//! The licence check: every dependency may be used and passed on by everybody, and no heavy one is there twice.
//!
//! Licences are SPDX expressions (`MIT OR Apache-2.0`, `(A OR B) AND C`, `A WITH exception`); the old `A/B` means
//! `A OR B`. A choice passes if one of its sides does, a conjunction if all do.

use crate::{Result, cargo};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Licences that allow use in and distribution with Apache-2.0 software. MPL-2.0 binds its own files alone.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates of which a second version costs real build time or splits a type in two.
const ONE_VERSION: &[&str] = &[
    "arrow-array",
    "arrow-buffer",
    "arrow-data",
    "arrow-schema",
    "clap_builder",
    "columnar",
    "mimalloc",
    "proptest",
    "regex-automata",
    "ring",
    "rustls",
    "serde_core",
    "serde_json",
    "timely",
    "timely_bytes",
    "timely_communication",
    "timely_container",
    "tokio",
    "tracing-subscriber",
];

/// Checks all packages that `cargo metadata` knows.
pub fn run() -> Result<()> {
    let problems = problems(&cargo::metadata()?);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problems with dependencies", problems.len())) }
}

fn problems(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        versions.entry(name).or_default().insert(version);
        match package["license"].as_str() {
            None => problems.push(format!(
                "{name} {version} names no licence: find it out and use another crate if none"
            )),
            Some(expression) => {
                match is_allowed(expression) {
                    Ok(true) => {}
                    Ok(false) => problems
                        .push(format!("{name} {version} is under {expression}, which is not on the list")),
                    Err(reason) => problems
                        .push(format!("{name} {version}: cannot read licence {expression:?}: {reason}")),
                }
            }
        }
    }
    for name in ONE_VERSION {
        if let Some(found) = versions.get(name).filter(|found| found.len() > 1) {
            let list: Vec<&str> = found.iter().copied().collect();
            problems.push(format!(
                "{name} is there in {} versions ({}): agree on one",
                found.len(),
                list.join(", ")
            ));
        }
    }
    problems
}

/// Whether the expression can be satisfied by allowed licences alone.
fn is_allowed(expression: &str) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut position = 0;
    let allowed = choice(&words, &mut position)?;
    match words.get(position) {
        None => Ok(allowed),
        Some(word) => Err(format!("{word:?} is not expected")),
    }
}

fn choice(words: &[&str], position: &mut usize) -> Result<bool> {
    let mut allowed = conjunction(words, position)?;
    while take(words, position, "OR") {
        allowed |= conjunction(words, position)?;
    }
    Ok(allowed)
}

fn conjunction(words: &[&str], position: &mut usize) -> Result<bool> {
    let mut allowed = operand(words, position)?;
    while take(words, position, "AND") {
        allowed &= operand(words, position)?;
    }
    Ok(allowed)
}

fn operand(words: &[&str], position: &mut usize) -> Result<bool> {
    if take(words, position, "(") {
        let allowed = choice(words, position)?;
        return if take(words, position, ")") {
            Ok(allowed)
        } else {
            Err("a parenthesis is not closed".into())
        };
    }
    let licence = name(words, position)?;
    if take(words, position, "WITH") {
        let exception = name(words, position)?;
        return Ok(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()));
    }
    Ok(ALLOWED.contains(&licence))
}

fn name<'a>(words: &[&'a str], position: &mut usize) -> Result<&'a str> {
    let word = words.get(*position).ok_or("it ends too early")?;
    if ["AND", "OR", "WITH", "(", ")"].contains(word) {
        return Err(format!("{word:?} stands where a licence should"));
    }
    *position += 1;
    Ok(word)
}

fn take(words: &[&str], position: &mut usize, word: &str) -> bool {
    let found = words.get(*position) == Some(&word);
    *position += usize::from(found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_follow_their_operators() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/GPL-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("GPL-3.0-only OR MIT AND AGPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("MIT WITH LLVM-exception", false),
        ] {
            assert_eq!(is_allowed(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn malformed_expressions_are_errors() {
        for expression in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", "MIT)"] {
            assert!(is_allowed(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn problems_name_the_package() {
        let package = |name: &str, version: &str, license: Option<&str>| json!({"name": name, "version": version, "license": license});
        let metadata = json!({"packages": [
            package("good", "1.0.0", Some("MIT")),
            package("silent", "1.0.0", None),
            package("sticky", "1.0.0", Some("AGPL-3.0-only")),
            package("timely", "0.31.0", Some("MIT")),
            package("timely", "0.32.0", Some("MIT")),
            package("light", "1.0.0", Some("MIT")),
            package("light", "2.0.0", Some("MIT")),
        ]});
        let found = problems(&metadata);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("silent")
                && found[1].starts_with("sticky")
                && found[2].starts_with("timely")
        );
    }
}
