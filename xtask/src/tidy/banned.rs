//! Banned calls: each with the reason why, and with the few files that may.
//!
//! Tests may use all of them. Comments and literals do not count; a doc example may thus say `unwrap()`.

use super::{File, Violation, scan};
use std::collections::BTreeSet;

/// The comment, on the line or the one above, that lets a randomly ordered map in.
const ORDER_UNSEEN: &str = "// order never seen";

/// A call that is not to be made.
struct Ban {
    /// As it stands in the code.
    pattern: &'static str,
    /// Why not, and what instead.
    reason: &'static str,
    /// Where the ban holds: starts of paths.
    within: &'static [&'static str],
    /// Who may all the same: a start of a path, or an end of one if it starts with `/`; and why.
    allowed: &'static [(&'static str, &'static str)],
    /// A comment that allows one place.
    excuse: Option<&'static str>,
}

const EVERYWHERE: &[&str] = &["crates/"];
const MEASURING: (&str, &str) = ("crates/eddyline-bench/", "measures real time");
const SIMULATOR: (&str, &str) =
    ("crates/eddyline-simulation/", "is a program that reports what it found and how fast");
const HELP: (&str, &str) =
    ("crates/eddyline/src/environment/arguments.rs", "answers --help and ends the program");
const CLOCK: (&str, &str) = ("/clock.rs", "is the one door to the system's clock");
const COMMAND_LINE: (&str, &str) = ("crates/eddyline-cli/", "is the program that talks to the user");
const ORDERED_CRATES: &[&str] = &[
    "crates/eddyline-protocol/",
    "crates/eddyline-state/",
    "crates/eddyline-runtime/",
    "crates/eddyline-simulation/",
];
const RANDOM_ORDER: &str = "iterates in an order that differs from run to run: use BTreeMap, BTreeSet or a fixed \
                            hasher, or say `// order never seen` where that is true";

const BANS: &[Ban] = &[
    Ban {
        pattern: "thread::sleep(",
        reason: "blocks: a worker never waits, and a wait that is not for an event is too long or too short",
        within: EVERYWHERE,
        allowed: &[
            (
                "crates/eddyline-connectors/",
                "a source's own thread may poll a file that tells nobody of its changes",
            ),
            (
                "crates/eddyline-runtime/src/supervisor/",
                "the supervisor's shell waits for processes, not for records",
            ),
            ("crates/eddyline-mesh/", "a connecting thread waits between two attempts to reach a peer"),
            ("crates/eddyline-cli/", "no worker runs in the program's own thread"),
            MEASURING,
        ],
        excuse: None,
    },
    Ban {
        pattern: "SystemTime::now(",
        reason: "asks the system for the time: take a Clock or a `now` argument, so that a simulation decides it",
        within: EVERYWHERE,
        allowed: &[CLOCK, MEASURING, COMMAND_LINE],
        excuse: None,
    },
    Ban {
        pattern: "Instant::now(",
        reason: "asks the system for the time: take a Clock or a `now` argument, so that a simulation decides it",
        within: EVERYWHERE,
        allowed: &[
            CLOCK,
            MEASURING,
            SIMULATOR,
            COMMAND_LINE,
            (
                "crates/eddyline-runtime/src/attempt/process.rs",
                "gives Timely its start, which Timely alone uses",
            ),
            (
                "crates/eddyline-runtime/src/deterministic/mod.rs",
                "gives Timely its start, which it would use for delays, and nobody asks for any",
            ),
        ],
        excuse: None,
    },
    Ban {
        pattern: ".unwrap()",
        reason: "panics without a word: use `?`, or `expect(\"invariant: …\")` with what makes it impossible",
        within: &["crates/", "examples/", "benches/", "xtask/"],
        allowed: &[],
        excuse: None,
    },
    Ban {
        pattern: "println!(",
        reason: "writes to somebody else's terminal: libraries log through `tracing` or write to what they are given",
        within: EVERYWHERE,
        allowed: &[COMMAND_LINE, MEASURING, SIMULATOR, HELP],
        excuse: None,
    },
    Ban {
        pattern: "print!(",
        reason: "writes to somebody else's terminal: libraries log through `tracing` or write to what they are given",
        within: EVERYWHERE,
        allowed: &[COMMAND_LINE, MEASURING, SIMULATOR, HELP],
        excuse: None,
    },
    Ban {
        pattern: "eprintln!(",
        reason: "writes to somebody else's terminal: libraries log through `tracing` or write to what they are given",
        within: EVERYWHERE,
        allowed: &[COMMAND_LINE, MEASURING, SIMULATOR, HELP],
        excuse: None,
    },
    Ban {
        pattern: "process::exit(",
        reason: "skips every destructor, flush and final cut: return an error to `main`",
        within: EVERYWHERE,
        allowed: &[
            COMMAND_LINE,
            HELP,
            (
                "crates/eddyline-runtime/src/attempt/children.rs",
                "is the life of a worker process, to its end",
            ),
            ("crates/eddyline-runtime/src/attempt/shell.rs", "a second signal ends the program at once"),
            ("crates/eddyline-tests/", "is a program that is killed for a living"),
            MEASURING,
        ],
        excuse: None,
    },
    Ban {
        pattern: "activate_after(",
        reason: "reads the system's clock inside Timely: use the driver's timers",
        within: EVERYWHERE,
        allowed: &[],
        excuse: None,
    },
    Ban {
        pattern: "DefaultHasher",
        reason: "may change with the next compiler: where a key lives is decided by `stable_hash`",
        within: EVERYWHERE,
        allowed: &[],
        excuse: None,
    },
    Ban {
        pattern: "HashMap::new(",
        reason: RANDOM_ORDER,
        within: ORDERED_CRATES,
        allowed: &[],
        excuse: Some(ORDER_UNSEEN),
    },
    Ban {
        pattern: "HashSet::new(",
        reason: RANDOM_ORDER,
        within: ORDERED_CRATES,
        allowed: &[],
        excuse: Some(ORDER_UNSEEN),
    },
    Ban {
        pattern: "HashMap::with_capacity(",
        reason: RANDOM_ORDER,
        within: ORDERED_CRATES,
        allowed: &[],
        excuse: Some(ORDER_UNSEEN),
    },
    Ban {
        pattern: "HashMap::default(",
        reason: RANDOM_ORDER,
        within: ORDERED_CRATES,
        allowed: &[],
        excuse: Some(ORDER_UNSEEN),
    },
];

/// Checks all Rust code that is no test.
pub fn check(files: &[File]) -> Vec<Violation> {
    let sources: Vec<(&File, &str)> = files
        .iter()
        .filter(|file| file.extension() == "rs")
        .filter_map(|file| Some((file, file.text.as_deref()?)))
        .collect();
    let declared = declared_tests(&sources);
    let mut violations = Vec::new();
    for (file, text) in sources {
        if is_test_path(&file.path) || declared.iter().any(|start| file.path.starts_with(start)) {
            continue;
        }
        let bans: Vec<&Ban> = BANS.iter().filter(|ban| ban.holds_for(&file.path)).collect();
        let code = scan::code_lines(text);
        let is_test = scan::test_lines(&code);
        let raw: Vec<&str> = text.lines().collect();
        for (index, line) in code.iter().enumerate().filter(|(index, _)| !is_test[*index]) {
            for ban in bans.iter().filter(|ban| has_call(line, ban.pattern)) {
                let nearby = [index.checked_sub(1).map_or("", |above| raw[above]), raw[index]];
                if ban.excuse.is_some_and(|excuse| nearby.iter().any(|line| line.contains(excuse))) {
                    continue;
                }
                let message = format!("`{}` {}", ban.pattern.trim_end_matches('('), ban.reason);
                violations.push(Violation::new(file, index + 1, message));
            }
        }
    }
    violations
}

impl Ban {
    fn holds_for(&self, path: &str) -> bool {
        let may = |(place, _): &(&str, &str)| {
            if place.starts_with('/') { path.ends_with(place) } else { path.starts_with(place) }
        };
        self.within.iter().any(|start| path.starts_with(start)) && !self.allowed.iter().any(may)
    }
}

/// Whether `pattern` stands in `line` as a name of its own: `print!(` is not in `eprint!(`'s middle.
fn has_call(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        pattern.starts_with('.')
            || before.is_none_or(|character| !character.is_alphanumeric() && character != '_')
    })
}

/// Whether all code under `path` is test code by its name.
fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("examples/tests/")
        || path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"))
            && path.starts_with("crates/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// Where the modules lie that are declared under `#[cfg(test)]`: starts of paths.
fn declared_tests(sources: &[(&File, &str)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, text) in sources {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        let folder = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            other => format!("{folder}/{}", other.trim_end_matches(".rs")),
        };
        for module in scan::test_modules(&scan::code_lines(text)) {
            found.insert(format!("{folder}/{module}.rs"));
            found.insert(format!("{folder}/{module}/"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{file, one};
    use super::*;

    #[test]
    fn every_ban_is_found_and_says_why() {
        for ban in BANS {
            let text = format!(
                "fn a() {{\n    b{}{});\n}}\n",
                if ban.pattern.starts_with('.') { "" } else { ";" },
                ban.pattern
            );
            let found = check(&[file("crates/eddyline-state/src/a.rs", &text)]);
            one(&found, ban.reason);
            assert_eq!(found[0].line, 2, "{}", ban.pattern);
        }
    }

    #[test]
    fn tests_comments_literals_and_allowed_files_pass() {
        let call = "fn a() { std::time::Instant::now(); }\n";
        for (path, text) in [
            ("crates/eddyline-core/src/clock.rs", call.to_owned()),
            ("crates/eddyline-core/tests/a.rs", call.to_owned()),
            ("examples/tests/a.rs", call.to_owned()),
            ("crates/eddyline-core/src/a/tests.rs", call.to_owned()),
            ("crates/eddyline-core/src/a_tests.rs", call.to_owned()),
            ("crates/eddyline-bench/src/a.rs", call.to_owned()),
            ("crates/eddyline-core/src/a.rs", format!("#[cfg(test)]\nmod tests {{\n    {call}}}\n")),
            (
                "crates/eddyline-core/src/a.rs",
                format!("// {call}/// {call}const A: &str = \"{}\";\n", call.trim()),
            ),
        ] {
            assert_eq!(check(&[file(path, &text)]), [], "{path}");
        }
        let parent = file("crates/x/src/a.rs", "#[cfg(test)]\nmod reference;\n");
        assert_eq!(check(&[parent, file("crates/x/src/a/reference.rs", call)]), []);
    }

    #[test]
    fn a_map_needs_its_excuse() {
        let path = "crates/eddyline-runtime/src/a.rs";
        assert_eq!(
            check(&[file(path, "// order never seen: looked up only\nlet a = HashMap::new();\n")]),
            []
        );
        assert_eq!(check(&[file(path, "let a = HashMap::new(); // order never seen\n")]), []);
        one(&check(&[file(path, "let a = HashMap::new();\n")]), "order that differs");
        assert_eq!(check(&[file("crates/eddyline-core/src/a.rs", "let a = HashMap::new();\n")]), []);
    }

    #[test]
    fn names_that_only_end_alike_pass() {
        assert!(has_call("a.unwrap();", ".unwrap()"));
        assert!(!has_call("a.unwrap_or(b)", ".unwrap()"));
        assert!(!has_call("my_println!(a)", "println!("));
        assert!(!has_call("eprintln!(a)", "println!("));
    }
}
