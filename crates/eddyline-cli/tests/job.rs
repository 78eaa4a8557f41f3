//! `eddyline job` on a running `eddyline logs`.

#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_eddyline");
const PATIENCE: Duration = Duration::from_secs(60);

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(TempDir::new().unwrap());
        let line = "10.0.0.1 - - [05/Jan/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
        std::fs::write(place.path("access.log"), line.repeat(50)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn start_logs(&self, options: &[&str]) -> Child {
        let control = format!("eddyline.control-dir={}", self.path("run").display());
        Command::new(PROGRAM)
            .args(["logs", "--follow", "--json", "-D", &control, "--checkpoint-dir"])
            .arg(self.path("checkpoints"))
            .arg("--dead-letters")
            .arg(self.path("dead-letters"))
            .args(options)
            .arg(self.path("access.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn job(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["job", "--control-dir"]).arg(self.path("run")).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.job(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.job(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn wait_for_checkpoint(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.job(&["status", "eddyline-logs", "--json"]);
            let said = String::from_utf8_lossy(&status.stdout).into_owned();
            if said.contains("\"state\":\"running\"")
                && !said.contains("\"last_checkpoint\":null")
                && !said.is_empty()
            {
                return;
            }
            assert!(
                Instant::now() < until,
                "no checkpoint: {said}{}",
                String::from_utf8_lossy(&status.stderr)
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_running_job_is_listed_copied_rescaled_and_stopped() {
    let place = Place::new();
    assert_eq!(place.answer(&["ls"]), "no job is running");
    let said = place.refusal(&["status", "eddyline-logs"]);
    assert!(
        said.contains("no running job is called `eddyline-logs`") && said.contains("running: none"),
        "{said}"
    );
    let mut logs = place.start_logs(&[]);
    place.wait_for_checkpoint();
    let listed = place.answer(&["ls"]);
    assert!(listed.contains("eddyline-logs") && listed.contains("running"), "{listed}");
    assert!(place.answer(&["status", "eddyline-logs"]).contains("workers        1"));
    assert!(
        place.answer(&["status", &logs.id().to_string(), "--json"]).contains("\"job\":\"eddyline-logs\"")
    );
    let said = place.refusal(&["savepoint", "eddyline-logs"]);
    assert!(said.contains("nobody has said where") && said.contains("savepoint-dir"), "{said}");
    let kept = place.path("kept").display().to_string();
    let savepoint = place.answer(&["savepoint", "eddyline-logs", &kept]);
    assert!(Path::new(&savepoint).join("COMPLETE").exists(), "{savepoint}");
    let said = place.refusal(&["rescale", "eddyline-logs", "1000"]);
    assert!(said.contains("key groups"), "{said}");
    assert!(place.answer(&["rescale", "eddyline-logs", "3"]).contains("3 workers"));
    assert!(place.answer(&["status", "eddyline-logs"]).contains("workers        3"));
    let last = place.answer(&["stop", "eddyline-logs", "--savepoint", &kept]);
    assert_ne!(last, savepoint);
    assert!(logs.wait().unwrap().success());
    assert_eq!(place.answer(&["ls"]), "no job is running");

    let restore = format!("execution.state-recovery.path={savepoint}");
    let mut again = place.start_logs(&["-D", &restore]);
    place.wait_for_checkpoint();
    place.answer(&["cancel", "eddyline-logs"]);
    assert!(!again.wait().unwrap().success());

    assert!(place.answer(&["dispose", &savepoint]).contains("is deleted"));
    assert!(!Path::new(&savepoint).exists() && Path::new(&last).exists());
    assert!(place.refusal(&["dispose", &savepoint]).contains("there is no savepoint"));
}
