//! The other side of the door: finding running jobs and speaking with them.

use super::{LINE_BYTES_MAX, say};
use eddyline_core::{Error, Result};
use eddyline_protocol::control::{ControlAnswer, ControlRequest, JobSummary};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Speaks with one running job.
#[derive(Debug, Clone)]
pub struct ControlClient {
    socket: PathBuf,
    /// What the job said of itself when it was found.
    pub summary: JobSummary,
}

/// The running jobs that can be found in `directory`, by name and process.
///
/// # Errors
/// If the directory cannot be read; one that is not there has no jobs.
pub fn running_jobs(directory: &Path) -> Result<Vec<ControlClient>> {
    let unreadable = |error: std::io::Error| {
        Error::config(format!("cannot look for running jobs: {error}"))
            .with_detail(directory.display().to_string())
    };
    super::clear_away_dead(directory);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut jobs = Vec::new();
    for entry in entries {
        let socket = entry.map_err(unreadable)?.path();
        if socket.extension().is_none_or(|extension| extension != "sock") {
            continue;
        }
        match ask(&socket, &ControlRequest::Status) {
            Ok(ControlAnswer::Status(summary)) => jobs.push(ControlClient { socket, summary: *summary }),
            Ok(_) => {}
            // Its job is just ending, or not quite there.
            Err(_) => {}
        }
    }
    jobs.sort_by(|one, other| {
        (&one.summary.job, one.summary.pid).cmp(&(&other.summary.job, other.summary.pid))
    });
    Ok(jobs)
}

impl ControlClient {
    /// The running job of that name, or of that process.
    ///
    /// # Errors
    /// Of kind `Config` if there is none, or more than one.
    pub fn find(directory: &Path, wanted: &str) -> Result<Self> {
        let jobs = running_jobs(directory)?;
        let is_it = |job: &&ControlClient| job.summary.job == wanted || job.summary.pid.to_string() == wanted;
        let found: Vec<&ControlClient> = jobs.iter().filter(is_it).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let names: Vec<_> = jobs.iter().map(|job| job.summary.job.as_str()).collect();
                let running = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                Err(Error::config(format!("no running job is called `{wanted}`"))
                    .with_detail(format!("running: {running}; looked in {}", directory.display()))
                    .with_hint(
                        "a job has a door if it keeps checkpoints and belongs to this user on this machine",
                    ))
            }
            several => {
                let pids: Vec<_> = several.iter().map(|job| job.summary.pid.to_string()).collect();
                Err(Error::config(format!("{} running jobs are called `{wanted}`", several.len()))
                    .with_detail(format!("in processes {}", pids.join(", ")))
                    .with_hint("give the number of the process instead of the name"))
            }
        }
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// What the job says if it refuses, or that it has gone.
    pub fn ask(&self, request: &ControlRequest) -> Result<ControlAnswer> {
        match ask(&self.socket, request) {
            Ok(ControlAnswer::Refused(report)) => Err(report.to_error()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Error::network(format!("the job does not answer: {error}"))
                .with_detail(format!("job `{}`, process {}", self.summary.job, self.summary.pid))
                .with_hint("see whether it still runs")),
        }
    }

    /// Whether somebody still opens.
    pub fn is_there(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }
}

fn ask(socket: &Path, request: &ControlRequest) -> std::io::Result<ControlAnswer> {
    let stream = UnixStream::connect(socket)?;
    say(&stream, request)?;
    let mut line = String::new();
    // A savepoint takes as long as it takes: there is no limit but the job's own.
    BufReader::new((&stream).take(LINE_BYTES_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
