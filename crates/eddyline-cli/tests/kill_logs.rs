//! `eddyline logs` is killed while it follows a log that is rotated: nothing is lost, nothing is there twice.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline_logs::store::{LineQuery, Store, StoreSettings};
use eddyline_logs::{Summary, TrafficModel, reference};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
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
        Command::new(env!("CARGO_BIN_EXE_eddyline"))
            .args(["logs", "--follow", "--json", "--no-server", "--delay", "60"])
            .args(["-D", "execution.checkpointing.interval=200ms"])
            .arg("--store")
            .arg(self.path("store"))
            .arg("--dead-letters")
            .arg(self.path("dead"))
            .arg(self.path("access.log"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
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
    // Each line says its number, so that none is like another.
    let number = |(number, line): (usize, Vec<u8>)| {
        if eddyline_logs::parse_line(&line).is_ok() {
            [line, format!(" n{number}").into_bytes()].concat()
        } else {
            line
        }
    };
    let traffic = TrafficModel::new(21, 1_779_990_000_000, 5).map(|line| line.line);
    let lines: Vec<Vec<u8>> = traffic.enumerate().map(number).take(LINES * (KILLS + 1)).collect();
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
        // on the last line is of what was read, not of what has been concluded.
        let text = String::from_utf8(output.stdout).unwrap();
        let summary: Summary = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let (wanted, _) = reference::summarise(&lines);
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
