//! The door of a running job: a Unix socket that only its owner can open, in a directory where `eddyline job` looks.
//!
//! Each request is a line of JSON, and so is each answer (see [`eddyline_protocol::control`]). A job that cannot open
//! its door runs all the same, and says so.

mod client;

pub use client::{ControlClient, running_jobs};

use super::{JobControl, JobState};
use eddyline_core::{Error, EventTime, Result};
use eddyline_protocol::control::{ControlAnswer, ControlRequest, JobSummary};
use eddyline_protocol::{FailureReport, StopMode};
use rustix::process::{Pid, test_kill_process};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Most bytes of a request, or of an answer.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// How long a request may take to come in.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Who speaks with a job at the same time; others wait.
const VISITORS_MAX: usize = 8;
/// How long the end of a job waits for its last answers to be heard.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of a job's name in the name of its socket, whose path must not be long.
const NAME_BYTES_MAX: usize = 40;

/// Where jobs of this user are found: `EDDYLINE_RUN_DIR`, else `eddyline` in the user's run-time directory, else a
/// directory of the user's own among the temporary files.
pub fn default_directory() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("EDDYLINE_RUN_DIR")
        .or_else(|| named("XDG_RUNTIME_DIR").map(|directory| directory.join("eddyline")))
        .unwrap_or_else(|| {
            std::env::temp_dir().join(format!("eddyline-{}", rustix::process::geteuid().as_raw()))
        })
}

#[derive(Default)]
struct House {
    closed: bool,
    visitors: usize,
    /// Requests that are not answered yet.
    busy: usize,
}

type Shared = Arc<(Mutex<House>, Condvar)>;

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, House> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The open door of a job.
pub(crate) struct Endpoint {
    path: PathBuf,
    shared: Shared,
}

impl Endpoint {
    /// Opens the door.
    ///
    /// # Errors
    /// If the directory cannot be made, is open to others, or the socket cannot be bound.
    pub(crate) fn open(directory: &Path, job: &str, control: JobControl) -> Result<Self> {
        let failed = |what: &str, error: &std::io::Error| {
            Error::config(format!("cannot {what}: {error}"))
                .with_detail(directory.display().to_string())
                .with_hint("set eddyline.control-dir to a short path of your own, or to nothing")
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| failed("make the directory for sockets", &error))?;
        let owner = fs::metadata(directory).map_err(|error| failed("look at the directory", &error))?;
        if owner.uid() != rustix::process::geteuid().as_raw() || owner.mode() & 0o022 != 0 {
            return Err(Error::config("others may write to the directory for sockets")
                .with_detail(directory.display().to_string())
                .with_hint("give it to this user alone (chmod 700), or set eddyline.control-dir"));
        }
        clear_away_dead(directory);
        let (listener, path) = bind(directory, job).map_err(|error| failed("open a socket", &error))?;
        let shared = Shared::default();
        let endpoint = Endpoint { path, shared: shared.clone() };
        std::thread::Builder::new()
            .name("eddyline:control".into())
            .spawn(move || serve(&listener, &control, &shared))
            .map_err(|error| failed("start a thread", &error))?;
        Ok(endpoint)
    }

    /// Lets nobody else in, and waits until the last answers are out.
    pub(crate) fn close(self) {
        let (house, changed) = &*self.shared;
        let mut house = house.lock().unwrap_or_else(PoisonError::into_inner);
        house.closed = true;
        let over = changed.wait_timeout_while(house, LAST_WORDS, |house| house.busy > 0);
        drop(over);
        // The thread waits for a visitor: this is the last one.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

/// The process whose socket has that name.
fn process_of(socket: &Path) -> Option<Pid> {
    let name = socket.file_name()?.to_str()?.strip_suffix(".sock")?;
    Pid::from_raw(name.rsplit('-').nth(1)?.parse().ok()?)
}

/// Removes the sockets of processes that are gone: whoever was killed could not.
fn clear_away_dead(directory: &Path) {
    let is_dead = |socket: &PathBuf| {
        process_of(socket).is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
    };
    let sockets = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for socket in sockets.filter(is_dead) {
        // Somebody else may have been quicker.
        let _ = fs::remove_file(socket);
    }
}

/// Binds a socket that has a name of its own.
fn bind(directory: &Path, job: &str) -> std::io::Result<(UnixListener, PathBuf)> {
    let name: String = job.chars().take(NAME_BYTES_MAX).collect();
    let mut number = 0;
    loop {
        let path = directory.join(format!("{name}-{}-{number}.sock", std::process::id()));
        match UnixListener::bind(&path) {
            Ok(listener) => {
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
                return Ok((listener, path));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && number < 1_000 => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn serve(listener: &UnixListener, control: &JobControl, shared: &Shared) {
    for visitor in listener.incoming() {
        let mut house = locked(shared);
        while house.visitors >= VISITORS_MAX && !house.closed {
            house = shared.1.wait(house).unwrap_or_else(PoisonError::into_inner);
        }
        if house.closed {
            return;
        }
        let Ok(visitor) = visitor else { continue };
        house.visitors += 1;
        drop(house);
        let (control, of_visitor) = (control.clone(), shared.clone());
        let talking = std::thread::Builder::new().name("eddyline:visitor".into()).spawn(move || {
            // Whoever leaves early hears nothing; what was asked for is done all the same.
            let _ = talk(&visitor, &control, &of_visitor);
            locked(&of_visitor).visitors -= 1;
            of_visitor.1.notify_all();
        });
        if talking.is_err() {
            locked(shared).visitors -= 1;
        }
    }
}

fn talk(visitor: &UnixStream, control: &JobControl, shared: &Shared) -> std::io::Result<()> {
    visitor.set_read_timeout(Some(READ_TIMEOUT))?;
    visitor.set_write_timeout(Some(READ_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(visitor.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    locked(shared).busy += 1;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => obey(request, control),
        Err(error) => Err(Error::config(format!("this is no request: {error}"))
            .with_hint("say one line of JSON, for example \"status\"")),
    };
    let answer = answer.unwrap_or_else(|error| ControlAnswer::Refused(Box::new(FailureReport::from(&error))));
    let outcome = say(visitor, &answer);
    locked(shared).busy -= 1;
    shared.1.notify_all();
    outcome
}

fn say(mut to: &UnixStream, what: &impl serde::Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

fn obey(request: ControlRequest, control: &JobControl) -> Result<ControlAnswer> {
    let directory = |given: Option<String>| {
        let configured = || control.savepoint_directory().map(str::to_owned);
        given.or_else(configured).ok_or_else(|| {
            Error::config("nobody has said where the savepoint is to be written")
                .with_hint("give a directory, or start the job with execution.checkpointing.savepoint-dir")
        })
    };
    match request {
        ControlRequest::Status => Ok(ControlAnswer::Status(Box::new(summary(control)))),
        ControlRequest::Savepoint { directory: given } => {
            let path = control.trigger_savepoint(&directory(given)?)?;
            Ok(ControlAnswer::Savepoint { path })
        }
        ControlRequest::Stop { drain } => {
            control.stop(if drain { StopMode::Drain } else { StopMode::Suspend });
            Ok(ControlAnswer::Done)
        }
        ControlRequest::StopWithSavepoint { directory: given, drain } => {
            let path = control.stop_with_savepoint(&directory(given)?, drain)?;
            Ok(ControlAnswer::Savepoint { path })
        }
        ControlRequest::Rescale { parallelism } => control.rescale(parallelism).map(|()| ControlAnswer::Done),
        ControlRequest::Cancel => {
            control.cancel();
            Ok(ControlAnswer::Done)
        }
    }
}

fn summary(control: &JobControl) -> JobSummary {
    let status = control.status();
    let state = match status.state {
        JobState::Created => "created",
        JobState::Running => "running",
        JobState::Restarting => "restarting",
        JobState::Finished => "finished",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    };
    JobSummary {
        job: control.place.job.clone(),
        pid: std::process::id(),
        state: state.to_owned(),
        attempt: status.attempt,
        restarts: status.restarts,
        parallelism: status.parallelism,
        checkpoints: status.checkpoints,
        last_checkpoint: status.last_checkpoint,
        records_in: status.records_in,
        records_out: status.records_out,
        watermark_ms: (status.watermark != EventTime::MIN).then_some(status.watermark),
        held_by: status.held_by,
        checkpoint_dir: control.place.checkpoint_dir.clone(),
        savepoint_dir: control.place.savepoint_dir.clone(),
    }
}
