//! `cargo xtask oracle`: scripts of SQL on both engines, this one and Flink, and their final rows compared.
//!
//! A script is a `.sql` file, or a `.test` file of the corpus in `crates/eddyline-sql/tests/flink`, whose result is then
//! left out. `${DIR}` is the script's folder, `${OUT}` an empty folder for each engine; in the corpus, `${DATA}` is its
//! data, and its tables are there. What is fetched and written is below `target/oracle`.

mod compare;
mod flink;

use crate::{Result, cargo};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a script may take on one engine, seconds.
const PATIENCE_SECONDS: u64 = 60;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Lines of differences that are shown of a script.
const SHOWN: usize = 10;

/// Which scripts, and how.
#[derive(Args)]
pub struct OracleArguments {
    /// Scripts (`.sql`, `.test`), and folders of them.
    #[arg(required = true, value_name = "SCRIPT")]
    scripts: Vec<PathBuf>,
    /// Final results only; so do scripts in a folder `batch`.
    #[arg(long)]
    batch: bool,
    /// Write what Flink gave into the corpus: a `.test` file anew, a `.sql` file under its name.
    #[arg(long)]
    record: bool,
}

/// A script and where its results are.
struct Script {
    path: PathBuf,
    /// Without a recorded result.
    text: String,
    is_batch: bool,
    /// This engine's and Flink's.
    ours: PathBuf,
    theirs: PathBuf,
}

fn corpus() -> PathBuf {
    cargo::root().join("crates/eddyline-sql/tests/flink")
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

/// Runs the scripts and prints in what they differ.
pub fn run(arguments: OracleArguments) -> Result<()> {
    let folder = cargo::root().join("target/oracle");
    let jars = flink::install(&folder)?;
    eprintln!("xtask: building {}", cargo::CLI_PACKAGE);
    let eddyline = cargo::build_package(cargo::PROFILE, cargo::CLI_PACKAGE, &[])?;
    let results = folder.join("results");
    if results.exists() {
        fs::remove_dir_all(&results).map_err(failed(&results))?;
    }
    let mut scripts = Vec::new();
    for path in files(&arguments.scripts)? {
        scripts.push(Script::new(path, &arguments, &results.join(scripts.len().to_string()))?);
    }
    for is_batch in [false, true] {
        let of_mode = scripts.iter().filter(|script| script.is_batch == is_batch);
        let pairs: Vec<_> =
            of_mode.map(|script| (script.theirs.join("script.sql"), script.theirs.join("rows"))).collect();
        if !pairs.is_empty() {
            flink::run(&jars, if is_batch { "batch" } else { "streaming" }, PATIENCE_SECONDS, &pairs)?;
        }
    }
    let mut different = 0;
    for script in &scripts {
        let outcome = script.compare(&eddyline, arguments.record)?;
        println!("{}: {}", script.path.display(), outcome.as_deref().unwrap_or("equal"));
        different += usize::from(outcome.is_some());
    }
    let all = scripts.len();
    eprintln!("xtask: {} of {all} scripts equal", all - different);
    if different == 0 { Ok(()) } else { Err(format!("{different} of {all} scripts differ")) }
}

/// The scripts among `paths` and in folders among them, by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(failed(path))?;
            let mut inside: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            inside.retain(|path| {
                path.is_dir() || path.extension().is_some_and(|ending| ending == "sql" || ending == "test")
            });
            inside.sort();
            found.extend(files(&inside)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

impl Script {
    fn new(path: PathBuf, arguments: &OracleArguments, results: &Path) -> Result<Script> {
        let path = path.canonicalize().map_err(failed(&path))?;
        let whole = fs::read_to_string(&path).map_err(failed(&path))?;
        let text = whole.split_once("\n----\n").map_or(&*whole, |(script, _)| script).to_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let is_batch = arguments.batch || folder.ends_with("flink/batch");
        let (ours, theirs) = (results.join("eddyline"), results.join("flink"));
        let tables = match path.extension().is_some_and(|ending| ending == "test") {
            true => corpus_tables(&text)?,
            false => String::new(),
        };
        for results in [&ours, &theirs] {
            let out = results.join("out");
            fs::create_dir_all(&out).map_err(failed(&out))?;
            let script = format!("{tables}{text}\n")
                .replace("${DIR}", &folder.display().to_string())
                .replace("${DATA}", &corpus().join("data").display().to_string())
                .replace("${OUT}", &out.display().to_string());
            fs::write(results.join("script.sql"), script).map_err(failed(results))?;
        }
        Ok(Script { path, text, is_batch, ours, theirs })
    }

    /// In what the engines differ; nothing if they agree.
    fn compare(&self, eddyline: &Path, record: bool) -> Result<Option<String>> {
        let rows = self.theirs.join("rows");
        let theirs = fs::read_to_string(&rows).map_err(failed(&rows))?;
        let ours = self.run(eddyline)?;
        let Some(theirs) = theirs.strip_prefix("ok\n") else {
            let reason = theirs.lines().nth(1).unwrap_or("without a word");
            let outcome = if ours.is_ok() { "Eddyline runs it" } else { "Eddyline refuses it, too" };
            return Ok(Some(format!("Flink refuses it: {reason}; {outcome}")));
        };
        if record {
            self.record(theirs)?;
        }
        let ours = match ours {
            Ok(ours) => ours,
            Err(reason) => return Ok(Some(format!("Eddyline refuses it: {reason}"))),
        };
        let lines = compare::differences(theirs, &ours);
        if lines.is_empty() {
            return Ok(None);
        }
        let more = lines.len().saturating_sub(SHOWN);
        let shown = lines.into_iter().take(SHOWN).collect::<Vec<_>>().join("\n");
        let rest = if more > 0 { format!("\n… and {more} more") } else { String::new() };
        Ok(Some(format!("different (- Flink, + Eddyline)\n{shown}{rest}")))
    }

    /// What this engine shows of the script, or why it does not.
    fn run(&self, eddyline: &Path) -> Result<std::result::Result<String, String>> {
        let place = |name: &str| self.ours.join(name);
        let file = |name: &str| fs::File::create(place(name)).map_err(failed(&place(name)));
        let mode = if self.is_batch { "batch" } else { "streaming" };
        let mut command = Command::new(eddyline);
        command.arg("sql").arg("-f").arg(place("script.sql")).args(["--output", "json", "--mode", mode]);
        command.env("TZ", "UTC").stdin(Stdio::null());
        command.stdout(file("rows")?).stderr(file("errors")?);
        let mut child = command.spawn().map_err(failed(eddyline))?;
        let read = |name: &str| fs::read_to_string(place(name)).map_err(failed(&place(name)));
        match ended(&mut child)? {
            Some(true) => Ok(Ok(read("rows")?)),
            Some(false) => Ok(Err(read("errors")?)),
            None => Ok(Err(format!("it did not end within {PATIENCE_SECONDS} s"))),
        }
    }

    fn record(&self, rows: &str) -> Result<()> {
        let folder = corpus().join(if self.is_batch { "batch" } else { "streaming" });
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let file = folder.join(format!("{name}.test"));
        fs::write(&file, format!("{}\n----\n{rows}", self.text.trim_end())).map_err(failed(&file))
    }
}

/// Tables that a script of the corpus finds: those that its first line names, or the usual ones.
fn corpus_tables(script: &str) -> Result<String> {
    let named = script.lines().next().and_then(|line| line.strip_prefix("-- tables: "));
    let path = corpus().join(format!("{}.sql", named.unwrap_or("tables").trim()));
    fs::read_to_string(&path).map_err(failed(&path))
}

/// Whether the child succeeded; it is ended if it takes too long.
fn ended(child: &mut Child) -> Result<Option<bool>> {
    let failed = |error: std::io::Error| format!("cannot wait for a script: {error}");
    let until = Instant::now() + Duration::from_secs(PATIENCE_SECONDS);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(Some(status.success()));
        }
        // A child's end can be waited for, or asked for; only asking leaves room for a limit.
        std::thread::sleep(LOOK_AGAIN);
    }
    child.kill().map_err(failed)?;
    child.wait().map_err(failed)?;
    Ok(None)
}
