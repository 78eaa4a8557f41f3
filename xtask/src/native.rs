//! What the one dependency needs that is not written in Rust: RocksDB and the bindings to it.
//!
//! To compile RocksDB takes about an hour of processor time, more than all checks together. Its project publishes each
//! release as a shared library, too, in an archive for Java, with the whole C interface in it: checks and benchmarks
//! link the library of the very release that the bindings belong to. The bindings are made with libclang, which comes
//! from an archive for Python. Both are fetched once, into `target`, and are known by their sums.
//!
//! `ROCKSDB_LIB_DIR` (a folder with a library of that release), `ROCKSDB_COMPILE=1` (Cargo compiles RocksDB) and
//! `LIBCLANG_PATH` take precedence. What is built without this step has no RocksDB in it: the feature is off by default.

use crate::{Result, cargo, process};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A file in an archive of a registry.
struct Published {
    /// The folder in `target` that it is kept in.
    folder: &'static str,
    archive: &'static str,
    member: &'static str,
    /// What it is called here.
    name: &'static str,
    sha256: &'static str,
}

/// The release that the bindings belong to.
const ROCKSDB: Published = Published {
    folder: "rocksdb-11.8.1",
    archive: "rocksdbjni-11.8.1.jar",
    member: "librocksdbjni-linux64.so",
    name: "librocksdb.so",
    sha256: "265c656af5c6502cb8d71db1a74858509f706cc47f1a5b6f603c736d11ce677d",
};
const ROCKSDB_ARTIFACT: &str = "org.rocksdb:rocksdbjni:11.8.1";
const COPY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

const LIBCLANG: Published = Published {
    folder: "libclang-18.1.1",
    archive: "libclang-18.1.1-py2.py3-none-manylinux2010_x86_64.whl",
    member: "libclang-18.1.1.data/platlib/clang/native/libclang.so",
    name: "libclang.so",
    sha256: "a8612b1c9a7125701277f63e5616f1d1eb9c91410c4bf195878067868c927f94",
};
const LIBCLANG_REQUIREMENT: &str = "libclang==18.1.1";

/// A registry that does not answer is asked again, so many times in all.
const FETCH_TRIES: u32 = 3;

/// What everything that checks and is checked is built with.
const FEATURES: [&str; 2] = [
    "--features",
    "eddyline-state-rocksdb/rocksdb,eddyline-cli/rocksdb,eddyline-bench/rocksdb,eddyline-tests/rocksdb",
];

type Variables = Vec<(&'static str, OsString)>;

/// Set once RocksDB can be built or linked.
static VARIABLES: OnceLock<Variables> = OnceLock::new();

/// Environment variables for Cargo and for what it has built.
pub fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
    VARIABLES.get().into_iter().flatten().cloned()
}

/// What selects RocksDB of the whole workspace: nothing before it is prepared. One selection for all steps, so that
/// nothing is built twice.
pub fn features() -> &'static [&'static str] {
    if VARIABLES.get().is_some() { &FEATURES } else { &[] }
}

/// Sees to it that RocksDB can be built or linked.
pub fn prepare() -> Result<()> {
    let wanted = |name: &str| std::env::var_os(name).is_none();
    let mut variables = Variables::new();
    if wanted("LIBCLANG_PATH") && is_known_platform() {
        variables.push(("LIBCLANG_PATH", LIBCLANG.place(fetch_libclang)?.into()));
    }
    if wanted("BINDGEN_EXTRA_CLANG_ARGS")
        && let Some(headers) = compiler_headers()
    {
        variables.push(("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{headers}").into()));
    }
    if wanted("ROCKSDB_LIB_DIR") && wanted("ROCKSDB_COMPILE") {
        if !is_known_platform() {
            return Err(advice("its library is published for Linux on x86-64 only"));
        }
        variables.extend(linked(&ROCKSDB.place(fetch_rocksdb).map_err(|reason| advice(&reason))?));
    }
    let _ = VARIABLES.set(variables);
    Ok(())
}

fn is_known_platform() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))
}

fn advice(reason: &str) -> String {
    format!(
        "there is no RocksDB to link ({reason}): set ROCKSDB_LIB_DIR to a folder with the shared library of release \
         11.8.1, or ROCKSDB_COMPILE=1, which takes about an hour of processor time"
    )
}

fn linked(folder: &Path) -> Variables {
    let mut paths = vec![folder.to_path_buf()];
    paths.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
    let joined = std::env::join_paths(paths).unwrap_or_else(|_| folder.into());
    vec![("ROCKSDB_LIB_DIR", folder.into()), ("LD_LIBRARY_PATH", joined)]
}

impl Published {
    /// The folder with the file in it; `fetch` puts the archive into a folder if need be.
    fn place(&self, fetch: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = cargo::root().join("target").join(self.folder);
        if folder.join(self.name).is_file() {
            return Ok(folder);
        }
        let said = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(said)?;
        let mut tries = 1;
        loop {
            eprintln!("xtask: fetching {}", self.archive);
            match fetch(&folder) {
                Err(reason) if tries < FETCH_TRIES => eprintln!("xtask: once more: {reason}"),
                outcome => break outcome?,
            }
            tries += 1;
        }
        let unpacked = folder.join("unpacked");
        let mut unzip = Command::new("unzip");
        unzip.args(["-o", "-q", "-j", self.archive, self.member, "-d"]).arg(&unpacked);
        process::run(unzip.current_dir(&folder))?;
        let file = unpacked.join(Path::new(self.member).file_name().unwrap_or_default());
        let sum = process::output(Command::new("sha256sum").arg(&file))?;
        if !sum.starts_with(self.sha256) {
            return Err(format!("{} in {} is not the file that is known", self.member, self.archive));
        }
        std::fs::rename(&file, folder.join(self.name)).map_err(said)?;
        std::fs::remove_dir_all(unpacked).map_err(said)?;
        std::fs::remove_file(folder.join(self.archive)).map_err(said)?;
        Ok(folder)
    }
}

fn fetch_rocksdb(folder: &Path) -> Result<()> {
    let mut copy = Command::new("mvn");
    copy.args(["-B", "-q", "-ntp", COPY_PLUGIN]).arg(format!("-Dartifact={ROCKSDB_ARTIFACT}"));
    copy.arg(format!("-DoutputDirectory={}", folder.display())).stdout(Stdio::null());
    process::run(copy.current_dir(folder))
}

fn fetch_libclang(folder: &Path) -> Result<()> {
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]);
    download.arg(folder).args(["--only-binary=:all:", LIBCLANG_REQUIREMENT]).stdout(Stdio::null());
    process::run(&mut download).map_err(|reason| {
        format!(
            "the bindings to RocksDB need libclang: install it and set LIBCLANG_PATH to its folder ({reason})"
        )
    })
}

/// Where the C compiler has headers of its own, which libclang without clang has not.
fn compiler_headers() -> Option<String> {
    let printed = process::output(Command::new("cc").arg("-print-file-name=include")).ok()?;
    let folder = printed.trim();
    Path::new(folder).is_dir().then(|| folder.to_owned())
}
