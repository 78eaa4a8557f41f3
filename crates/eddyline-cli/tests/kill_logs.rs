//! `eddyline logs` is killed while it follows a log that is rotated: nothing is lost, nothing is there twice.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline_logs::store::{LineQuery, Store, StoreSettings};
use eddyline_logs::{Summary, TrafficModel, reference};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KILLS: usize = 5;
const LINES: usize = 1_500;
const PATIENCE: Duration = Duration::from_secs(120);

struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> Child {
        let mut program = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        program.stderr(Stdio::null());
        self.follow(program)
    }

    /// The same, where no file may be larger than so many bytes: writing on fails as it does on a full disk.
    fn start_limited(&self, bytes: u64) -> Child {
        // Blocks of 512 bytes; without a signal, which would end the program.
        let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_eddyline")).stderr(Stdio::piped());
        self.follow(shell)
    }

    fn follow(&self, mut program: Command) -> Child {
        program
            .args(["logs", "--follow", "--json", "--no-server", "--delay", "60"])
            .args(["-D", "execution.checkpointing.interval=200ms"])
            .arg("--store")
            .arg(self.path("store"))
            .arg("--dead-letters")
            .arg(self.path("dead"))
            .arg(self.path("access.log"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The names of all lines that can be seen, in order.
    fn stored(&self) -> Vec<String> {
        let settings = StoreSettings { directory: self.path("store"), lines: true, live: false };
        let mut found = Vec::new();
        let visit = |line: eddyline_logs::store::StoredLine| {
            found.push(line.line);
            ControlFlow::Continue(())
        };
        Store::open(settings).unwrap().each_line(&LineQuery::default(), visit).unwrap();
        found.sort();
        found
    }

    fn until_stored(&self, count: usize) {
        let begun = Instant::now();
        loop {
            let found = self.stored().len();
            if found >= count {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found} of {count} lines");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn write(&self, lines: &[Vec<u8>]) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path("access.log")).unwrap();
        for line in lines {
            file.write_all(line).unwrap();
            file.write_all(b"\n").unwrap();
        }
    }

    /// As logrotate does it: every file is one older, and the log begins anew.
    fn rotate(&self) {
        for number in (1..20).rev() {
            let from = self.path(&format!("access.log.{number}"));
            if from.exists() {
                fs::rename(from, self.path(&format!("access.log.{}", number + 1))).unwrap();
            }
        }
        fs::rename(self.path("access.log"), self.path("access.log.1")).unwrap();
        File::create(self.path("access.log")).unwrap();
    }
}

fn interrupt(child: &Child) {
    let outcome = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(outcome.success());
}

fn letters(directory: &Path) -> usize {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let visible = files.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    visible.map(|entry| fs::read_to_string(entry.path()).unwrap().lines().count()).sum()
}

#[test]
#[ignore = "starts and kills processes"]
fn killed_jobs_lose_and_double_nothing() {
    let site = Site { directory: tempfile::tempdir().unwrap() };
    File::create(site.path("access.log")).unwrap();
    let (lines, _) = numbered(LINES * (KILLS + 1));
    let mut expected: Vec<String> = Vec::new();
    for (round, part) in lines.chunks(LINES).enumerate() {
        let before = expected.len();
        let readable = part.iter().filter(|line| eddyline_logs::parse_line(line).is_ok());
        expected.extend(readable.map(|line| String::from_utf8_lossy(line).into_owned()));
        let mut child = site.start();
        site.write(&part[..LINES / 2]);
        if round % 2 == 0 {
            site.until_stored(before + 1);
            site.rotate();
        }
        site.write(&part[LINES / 2..]);
        if round < KILLS {
            // Somewhere within the second half.
            site.until_stored(before + LINES / 4);
            child.kill().unwrap();
            child.wait().unwrap();
            if round % 3 == 1 {
                // Nobody is there to see it.
                site.rotate();
            }
            continue;
        }
        site.until_stored(expected.len());
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        // With checkpoints an interrupt suspends: what is open stays open, and a later start goes on. So the summary
        // on the last line is of what has been concluded, and says so.
        let text = String::from_utf8(output.stdout).unwrap();
        let summary: Summary = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let (wanted, _) = reference::summarise(&lines);
        assert!(summary.suspended);
        assert!(
            summary.lines <= wanted.lines && summary.sessions <= wanted.sessions,
            "{}",
            summary.to_json()
        );
        assert_eq!(letters(&site.path("dead")) as u64, wanted.unparsed);
    }
    expected.sort();
    assert_eq!(site.stored(), expected);
}

/// The traffic of the tests, each line with its number, so that none is like another; and what of it can be read.
fn numbered(count: usize) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut lines = Vec::new();
    let mut readable = Vec::new();
    for (number, line) in TrafficModel::new(21, 1_779_990_000_000, 5).take(count).enumerate() {
        let mut line = line.line;
        if eddyline_logs::parse_line(&line).is_ok() {
            line.extend_from_slice(format!(" n{number}").as_bytes());
            readable.push(String::from_utf8_lossy(&line).into_owned());
        }
        lines.push(line);
    }
    (lines, readable)
}

#[test]
#[ignore = "starts and kills processes"]
fn a_full_disk_is_told_and_loses_nothing() {
    let site = Site { directory: tempfile::tempdir().unwrap() };
    let (lines, mut expected) = numbered(40_000);
    site.write(&lines);
    let mut child = site.start_limited(64 << 10);
    // A line of progress comes each second: whoever has not told by then never will.
    let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).take(60);
    let mut seen = Vec::new();
    let is_told = told.into_iter().any(|line| {
        seen.push(line);
        let text = seen.join("\n");
        text.contains("File too large") && text.contains("store") && text.contains("try: ")
    });
    assert!(is_told, "{}", seen.join("\n"));
    child.kill().unwrap();
    child.wait().unwrap();
    // There is room again.
    let child = site.start();
    site.until_stored(expected.len());
    interrupt(&child);
    assert!(child.wait_with_output().unwrap().status.success());
    expected.sort();
    assert_eq!(site.stored(), expected);
}
