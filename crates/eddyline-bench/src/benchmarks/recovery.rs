//! From the kill of a worker process to the first output that is committed after it.

use super::Effort;
use crate::figures::Running;
use crate::report::{Line, Report};
use eddyline_core::{Clock, Error, Result, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

/// Commits to be seen before the next kill: the job is well under way.
const COMMITS_BEFORE_KILL: u32 = 6;

pub fn run(effort: Effort) -> Result<Report> {
    let kills = effort.of(5, 1);
    let folder = tempfile::tempdir()
        .map_err(|error| Error::storage(format!("there is no place for checkpoints: {error}")))?;
    let settings = [format!("dir={}", folder.path().display()), "interval_ms=200".to_owned()];
    let mut running = Running::start("recovery", &settings)?;
    let clock = SystemClock::new();
    let (mut attempt, mut pid, mut commits) = (0, 0, 0);
    let mut killed_at: Option<f64> = None;
    let mut millis = Vec::new();
    while millis.len() < kills as usize {
        let Some((name, value)) = running.next_figure()? else {
            return Err(Error::internal("the job that was to be killed ended by itself"));
        };
        let Some((what, number)) =
            name.split_once('.').and_then(|(what, number)| Some((what, number.parse().ok()?)))
        else {
            continue;
        };
        let number: u64 = number;
        match what {
            "pid" => {
                if number > attempt {
                    (attempt, commits) = (number, 0);
                }
                pid = value as i32;
            }
            "commit" if number == attempt => {
                commits += 1;
                if let Some(killed) = killed_at.take() {
                    millis.push((value - killed) / 1e3);
                }
                if commits >= COMMITS_BEFORE_KILL && millis.len() < kills as usize {
                    killed_at = Some(clock.wall_micros() as f64);
                    kill(pid)?;
                    // What the dying attempt still says does not count.
                    attempt += 1;
                    commits = 0;
                }
            }
            _ => {}
        }
    }
    running.stop();
    running.finish()?;
    let lines = vec![
        Line::new("kill -9 of a worker to new committed output", "ms", &millis)
            .at_most(1_000.0)
            .note(format!("{kills} kills")),
    ];
    let settings = "two processes, a checkpoint every 200 ms, restart at once, 1,000 keys, files made visible by commits";
    let all = Effort { repeats: kills as usize, ..effort };
    Ok(Report { name: "recovery", settings: all.settings(settings), lines })
}

fn kill(pid: i32) -> Result<()> {
    Pid::from_raw(pid)
        .and_then(|pid| kill_process(pid, Signal::KILL).ok())
        .ok_or_else(|| Error::internal(format!("process {pid} cannot be killed")))
}
