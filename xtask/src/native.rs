//! What the one dependency needs that is not written in Rust: RocksDB and its bindings.
//!
//! To compile RocksDB takes about an hour of processor time. The project publishes each release as a shared library,
//! too, in the archive for Java, with the whole C interface in it. Where Maven is at hand, tests and benchmarks link the
//! library of the very release that the bindings belong to, checked by its sum; where it is not, or `ROCKSDB_LIB_DIR`
//! says otherwise, Cargo does what it always does and compiles. What is shipped is compiled.

use crate::{Result, cargo, process};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The release that the bindings belong to.
const ROCKSDB: &str = "11.8.1";
/// The library in the archive.
const LIBRARY: &str = "librocksdbjni-linux64.so";
/// Its SHA-256.
const SHA256: &str = "265c656af5c6502cb8d71db1a74858509f706cc47f1a5b6f603c736d11ce677d";

type Variables = Vec<(&'static str, OsString)>;

static VARIABLES: OnceLock<Variables> = OnceLock::new();

/// Environment variables for Cargo and for what it has built.
pub fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
    VARIABLES.get().into_iter().flatten().cloned()
}

/// Sees to it that RocksDB can be built or linked.
pub fn prepare() -> Result<()> {
    install_libclang()?;
    let mut variables = Variables::new();
    if std::env::var_os("BINDGEN_EXTRA_CLANG_ARGS").is_none()
        && let Some(headers) = compiler_headers()
    {
        variables.push(("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{headers}").into()));
    }
    if std::env::var_os("ROCKSDB_LIB_DIR").is_none() {
        match library() {
            Ok(folder) => variables.extend(linked(&folder)),
            Err(reason) => eprintln!("xtask: RocksDB is compiled, which takes a while: {reason}"),
        }
    }
    let _ = VARIABLES.set(variables);
    Ok(())
}

fn linked(folder: &Path) -> Variables {
    let mut paths = vec![folder.to_path_buf()];
    paths.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
    let joined = std::env::join_paths(paths).unwrap_or_else(|_| folder.into());
    vec![("ROCKSDB_LIB_DIR", folder.into()), ("LD_LIBRARY_PATH", joined)]
}

/// The folder of the published library, fetched if it is not there.
fn library() -> Result<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Err("its library is fetched for Linux on x86-64 only".to_owned());
    }
    let folder = cargo::root().join("target").join(format!("rocksdb-{ROCKSDB}"));
    let library = folder.join("librocksdb.so");
    if library.is_file() {
        return Ok(folder);
    }
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(said)?;
    let archive = format!("org.rocksdb:rocksdbjni:{ROCKSDB}");
    let mut copy = Command::new("mvn");
    copy.args(["-q", "-B", "dependency:copy", &format!("-Dartifact={archive}")]);
    copy.arg(format!("-DoutputDirectory={}", folder.display())).stdout(Stdio::null());
    process::run(copy.current_dir(&folder))?;
    let jar = format!("rocksdbjni-{ROCKSDB}.jar");
    process::run(Command::new("unzip").args(["-o", "-q", &jar, LIBRARY]).current_dir(&folder))?;
    let sum = process::output(Command::new("sha256sum").arg(LIBRARY).current_dir(&folder))?;
    if !sum.starts_with(SHA256) {
        return Err(format!("the library in {archive} is not the one that is known"));
    }
    std::fs::remove_file(folder.join(jar)).map_err(said)?;
    std::fs::rename(folder.join(LIBRARY), &library).map_err(said)?;
    Ok(folder)
}

/// Bindings are made with libclang, which is installed if it is missing and Debian's tools are at hand.
fn install_libclang() -> Result<()> {
    if std::env::var_os("LIBCLANG_PATH").is_some() || has_libclang() {
        return Ok(());
    }
    eprintln!("xtask: installing libclang");
    let install = ["install", "--yes", "--no-install-recommends", "libclang1"];
    process::run(Command::new("apt-get").arg("update").stdout(Stdio::null()))
        .and_then(|()| process::run(Command::new("apt-get").args(install).stdout(Stdio::null())))
        .map_err(|error| {
            format!("RocksDB's bindings need libclang: install it, or set LIBCLANG_PATH; {error}")
        })
}

fn has_libclang() -> bool {
    let known = process::output(Command::new("ldconfig").arg("-p").stderr(Stdio::null()));
    // `libclang-cpp` is something else.
    known.is_ok_and(|known| {
        known.lines().any(|line| {
            let name = line.trim().strip_prefix("libclang").unwrap_or_default();
            name.starts_with(".so")
                || name
                    .strip_prefix('-')
                    .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
        })
    })
}

/// Where the C compiler has headers of its own, which libclang without clang has not.
fn compiler_headers() -> Option<String> {
    let printed = process::output(Command::new("cc").arg("-print-file-name=include")).ok()?;
    let folder = printed.trim();
    Path::new(folder).is_dir().then(|| folder.to_owned())
}
