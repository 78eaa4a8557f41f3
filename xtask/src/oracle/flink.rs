//! The other engine: Flink's published jars, and the program that runs scripts on them.
//!
//! Maven fetches them from the registry that it is set up for; each is known by its sum. A JDK of release 17 or newer
//! runs `Oracle.java` as it is.

use crate::{Result, cargo, process};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VERSION: &str = "2.3.0";
const COPY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// What a script needs; what these need comes with them.
const ARTIFACTS: [&str; 7] = [
    "flink-clients",
    "flink-table-api-java-bridge",
    "flink-table-planner-loader",
    "flink-table-runtime",
    "flink-connector-files",
    "flink-csv",
    "flink-json",
];

/// The sums of all jars, as `sha256sum` writes them.
const SUMS: &str = include_str!("flink-2.3.0.txt");

/// What Flink's serialisation looks into.
const OPENED: [&str; 12] = [
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
];

/// The folder with all jars in it.
pub fn install(folder: &Path) -> Result<PathBuf> {
    let jars = folder.join(format!("flink-{VERSION}"));
    let complete = jars.join("complete");
    if complete.is_file() {
        return Ok(jars);
    }
    let failed = |error: std::io::Error| format!("cannot install Flink in {}: {error}", jars.display());
    fs::create_dir_all(&jars).map_err(failed)?;
    let pom = jars.join("pom.xml");
    fs::write(&pom, project()).map_err(failed)?;
    eprintln!("xtask: fetching Flink {VERSION} (140 MB, once)");
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "-ntp", "-f"]).arg(&pom).arg(COPY_PLUGIN);
    maven.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", jars.display()));
    process::run(maven.stdout(Stdio::null()))
        .map_err(|reason| format!("`mvn` is needed to fetch Flink: {reason}"))?;
    let sums = jars.join("sums.txt");
    fs::write(&sums, SUMS).map_err(failed)?;
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--quiet", "--strict"]).arg(&sums).current_dir(&jars);
    process::run(&mut check)
        .map_err(|reason| format!("what was fetched is not the Flink that is known: {reason}"))?;
    fs::write(complete, "").map_err(failed)?;
    Ok(jars)
}

/// A project that needs nothing but them.
fn project() -> String {
    let dependency = |name: &&str| {
        format!(
            "<dependency><groupId>org.apache.flink</groupId><artifactId>{name}</artifactId>\
             <version>{VERSION}</version></dependency>\n"
        )
    };
    let dependencies: String = ARTIFACTS.iter().map(dependency).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>dev.eddyline</groupId><artifactId>oracle</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

/// Runs scripts in one process: pairs of a script and the file for what Flink says of it.
pub fn run(jars: &Path, mode: &str, patience_seconds: u64, pairs: &[(PathBuf, PathBuf)]) -> Result<()> {
    let mut java = Command::new("java");
    java.args(["-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"]);
    java.arg("--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED");
    for package in OPENED {
        java.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    }
    java.arg("-cp").arg(jars.join("*")).arg(cargo::root().join("xtask/src/oracle/Oracle.java"));
    java.arg(mode).arg(patience_seconds.to_string());
    for (script, result) in pairs {
        java.args::<_, OsString>([script.into(), result.into()]);
    }
    java.stdout(Stdio::null()).stderr(Stdio::null());
    process::run(&mut java).map_err(|reason| format!("a JDK is needed to run Flink: {reason}"))
}
