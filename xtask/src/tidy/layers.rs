//! The layers of crates: a crate may depend on those below it in the table and on nothing else of Eddyline, and
//! some foreign crates are known to a few of ours only.

use super::{File, Violation};

/// The crates from the bottom up: each may name only those before it.
const ORDER: &[&str] = &[
    "eddyline-derive",
    "eddyline-core",
    "eddyline-protocol",
    "eddyline-mesh",
    "eddyline-state",
    "eddyline-state-rocksdb",
    "eddyline-storage",
    "eddyline-state-tools",
    "eddyline-runtime",
    "eddyline",
    "eddyline-formats",
    "eddyline-connectors",
    "eddyline-sql",
    "eddyline-logs",
    "eddyline-logs-server",
    "eddyline-cli",
    "eddyline-catalogue",
    "eddyline-simulation",
    "eddyline-bench",
    "eddyline-examples",
    "eddyline-tests",
];

/// Foreign crates (and all whose name goes on with `-` or `_`), who may know them, and why nobody else.
const CONFINED: &[(&str, &[&str], &str)] = &[
    (
        "timely",
        &["eddyline-runtime", "eddyline-simulation", "eddyline-bench"],
        "operators are ours: Timely stays behind the runtime's traits",
    ),
    ("rustls", &["eddyline-mesh", "eddyline-runtime", "eddyline-tests"], "only the mesh talks to peers"),
    (
        "clap",
        &["eddyline-cli", "eddyline-simulation", "eddyline-bench", "xtask"],
        "only programs have a command line",
    ),
    (
        "rocksdb",
        &["eddyline-state-rocksdb", "eddyline-bench"],
        "a store is reached through the traits of eddyline-state",
    ),
    (
        "tokio",
        &["eddyline-storage", "eddyline-logs-server"],
        "the spine needs no async executor: threads behind bounded channels wake the worker",
    ),
    ("object_store", &["eddyline-storage"], "all else knows objects by the trait of eddyline-state"),
    ("hdfs-native", &["eddyline-storage"], "all else knows objects by the trait of eddyline-state"),
    ("axum", &["eddyline-logs-server"], "only servers speak HTTP"),
    (
        "parquet",
        &["eddyline-logs", "eddyline-sql", "eddyline-bench"],
        "columnar files are a matter of those who store",
    ),
];

/// Checks the `[dependencies]` of each `Cargo.toml`.
pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.name() == "Cargo.toml") {
        let Some(manifest) = file.text.as_deref().map(Manifest::read) else { continue };
        let Some(package) = &manifest.package else { continue };
        let rank = ORDER.iter().position(|name| name == package);
        if rank.is_none() && package != "xtask" {
            let message = format!("{package} has no layer: give it its place in xtask/src/tidy/layers.rs");
            violations.push(Violation::new(file, 0, message));
            continue;
        }
        for (line, dependency) in &manifest.dependencies {
            if let Some(message) = refused(package, rank, dependency) {
                violations.push(Violation::new(file, *line, message));
            }
        }
    }
    violations
}

/// Why `package` may not depend on `dependency`, if it may not. xtask has no rank and no dependency of ours.
fn refused(package: &str, rank: Option<usize>, dependency: &str) -> Option<String> {
    if dependency == "eddyline" || dependency.starts_with("eddyline-") {
        let below = ORDER.iter().position(|name| *name == dependency);
        let is_below = matches!((below, rank), (Some(below), Some(rank)) if below < rank);
        return (!is_below).then(|| format!("{package} must not know {dependency}: it is not below it"));
    }
    let continues = |name: &str| {
        dependency.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    let (name, _, reason) =
        CONFINED.iter().find(|(name, knowers, _)| continues(name) && !knowers.contains(&package))?;
    Some(format!("{package} must not know {name}: {reason}"))
}

/// What matters here of a `Cargo.toml`.
struct Manifest {
    package: Option<String>,
    /// Line and name; dependencies of tests are not among them.
    dependencies: Vec<(usize, String)>,
}

impl Manifest {
    fn read(text: &str) -> Self {
        let mut manifest = Manifest { package: None, dependencies: Vec::new() };
        let mut section = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']').to_owned();
                // `[dependencies.name]` names a dependency by itself.
                if let Some((before, name)) =
                    section.rsplit_once('.').filter(|(before, _)| is_dependencies(before))
                {
                    manifest.dependencies.push((index + 1, name.to_owned()));
                    section = format!("{before}.{name}");
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
                continue;
            };
            let key = key.trim();
            if section == "package" && key == "name" {
                manifest.package = Some(value.trim().trim_matches('"').to_owned());
            } else if is_dependencies(&section) {
                let name = key.split('.').next().unwrap_or(key).trim_matches('"');
                manifest.dependencies.push((index + 1, name.to_owned()));
            }
        }
        manifest
    }
}

fn is_dependencies(section: &str) -> bool {
    matches!(section, "dependencies" | "build-dependencies")
        || section.starts_with("target.") && section.ends_with(".dependencies")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{file, one};
    use super::*;

    fn manifest(package: &str, dependencies: &str) -> File {
        file("crates/x/Cargo.toml", &format!("[package]\nname = \"{package}\"\n\n{dependencies}\n"))
    }

    #[test]
    fn dependencies_point_downwards() {
        let good = "[dependencies]\neddyline-core.workspace = true\nserde = \"1\"\n[dev-dependencies]\neddyline-cli = {}";
        assert_eq!(check(&[manifest("eddyline-state", good)]), []);
        assert_eq!(
            check(&[file("Cargo.toml", "[workspace]\n[workspace.dependencies]\ntimely = \"1\"\n")]),
            []
        );
    }

    #[test]
    fn dependencies_upwards_or_confined_are_refused() {
        for (package, dependencies, words) in [
            (
                "eddyline-core",
                "[dependencies]\neddyline-state.workspace = true",
                "Cargo.toml:5: eddyline-core must not know",
            ),
            (
                "eddyline-state",
                "[dependencies.eddyline-runtime]\nworkspace = true",
                "must not know eddyline-runtime",
            ),
            (
                "eddyline-state",
                "[target.'cfg(unix)'.dependencies]\neddyline-cli = {}",
                "must not know eddyline-cli",
            ),
            ("eddyline-state", "[dependencies]\neddyline-state = {}", "not below"),
            (
                "eddyline-logs",
                "[dependencies]\ntimely_communication.workspace = true",
                "must not know timely",
            ),
            ("eddyline", "[dependencies]\nclap = { workspace = true }", "must not know clap"),
            ("xtask", "[dependencies]\neddyline-core = {}", "xtask must not know"),
            ("eddyline-new", "[dependencies]", "has no layer"),
        ] {
            one(&check(&[manifest(package, dependencies)]), words);
        }
    }
}
