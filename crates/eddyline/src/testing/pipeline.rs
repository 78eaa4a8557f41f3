//! A whole job in the thread of the test.

use super::attempt::{Attempt, JobToRun, Post, Round};
use super::shell::TestShell;
use super::sink::TestSink;
use super::source::{NewLog, TestSource};
use crate::async_call::AsyncExecutor;
use crate::environment::{Environment, Options};
use crate::stream::DataStream;
use crate::watermark::WatermarkStrategy;
use eddyline_core::{Clock, Data, Error, ManualClock, Result};
use eddyline_protocol::{
    AttemptConfig, CheckpointConfig, CheckpointId, DropState, FromWorker, Moment, RestartStrategy,
    RestoreRequest,
};
use eddyline_runtime::graph::NodeSpec;
use eddyline_runtime::inspect::StateImage;
use eddyline_runtime::supervisor::{JobOutcome, Supervisor, SupervisorConfig};
use eddyline_state::{CheckpointStore, FileSystem, MemoryFileSystem};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The name of every job in a test.
const JOB: &str = "test";
/// Where its checkpoints are.
const ROOT: &str = "/checkpoints";
/// Longer than any test lets time pass at once, milliseconds: nobody is late for his heartbeat.
const FOR_EVER_MS: u64 = 1 << 52;
/// Rounds after which a pipeline counts as one that never comes to rest.
const ROUNDS_MAX: usize = 1_000_000;
/// Rounds in a row in which nothing happened, after which nothing will.
const QUIET_ROUNDS: usize = 3;

/// Sinks of a pipeline whose savepoint is restored by one that has fewer, at most.
const SINKS_MAX: usize = 64;

/// Between which two steps of a checkpoint a pipeline crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The cut has been announced; records may be on their way.
    AtCut,
    /// All states are written; the checkpoint is not complete and will never be.
    BeforeComplete,
    /// The checkpoint is complete; no sink has committed it.
    BeforeCommit,
}

/// State that a pipeline has left behind, to be restored as often as is wanted.
pub struct Savepoint {
    files: MemoryFileSystem,
}

/// A job in the thread of the test; see [the module](super).
///
/// Describe the job on [`TestPipeline::environment`] between sources and sinks of the pipeline. The first call that
/// runs it builds it; from then on its description is fixed.
pub struct TestPipeline {
    environment: Environment,
    clock: ManualClock,
    files: MemoryFileSystem,
    finishers: Vec<Box<dyn Fn()>>,
    sinks: usize,
    run: Option<Running>,
    life: Life,
    /// Something was added to the description of a pipeline that runs.
    described_late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Described,
    Running,
    Crashed,
    Finished,
}

struct Running {
    supervisor: Supervisor,
    shell: TestShell,
}

impl Default for TestPipeline {
    fn default() -> Self {
        TestPipeline::new()
    }
}

impl TestPipeline {
    /// A pipeline of one worker.
    pub fn new() -> Self {
        TestPipeline::with_options(Options::default())
    }

    /// A pipeline of `parallelism` workers.
    pub fn with_parallelism(parallelism: u32) -> Self {
        let mut options = Options::default();
        options.parallelism = parallelism;
        TestPipeline::with_options(options)
    }

    /// A pipeline with options of your own: parallelism, rows in a batch, `eddyline.watermark-mode`. The clock shows
    /// the beginning of 1970. Async calls run in the thread of the test.
    pub fn with_options(options: Options) -> Self {
        let (environment, clock) = (Environment::with_options(options), ManualClock::new(0));
        environment.set_clock(Arc::new(clock.clone()));
        environment.add_service(Arc::new(AsyncExecutor::inline()));
        TestPipeline {
            environment,
            clock,
            files: MemoryFileSystem::new(),
            finishers: Vec::new(),
            sinks: 0,
            run: None,
            life: Life::Described,
            described_late: false,
        }
    }

    /// A pipeline that starts from a savepoint of another one, or of the same program: operators find their state by
    /// their uids. What was pushed into the old sources and not processed is not pushed into the new ones.
    pub fn from_savepoint(savepoint: &Savepoint, options: Options) -> Result<Self> {
        let mut pipeline = TestPipeline::with_options(options);
        pipeline.files = copy_of(&savepoint.files)?;
        Ok(pipeline)
    }

    /// Where the job is described.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// A source that is fed by hand, watermarks included.
    pub fn source<T: Data>(&mut self, name: &str) -> TestSource<T> {
        self.note_description();
        let log = NewLog::new();
        let spec = NodeSpec::named(name).with_parallelism(1);
        let graph = self.environment.builder.clone();
        let node = graph.borrow_mut().nodes.add_source(spec, log.by_hand());
        self.finishers.push(log.finisher());
        log.source(DataStream::new(graph, node))
    }

    /// A source that is fed by hand and makes timestamps and watermarks by `strategy`.
    pub fn source_with_strategy<T: Data>(
        &mut self,
        name: &str,
        strategy: WatermarkStrategy<T>,
    ) -> TestSource<T> {
        self.note_description();
        let log = NewLog::new();
        let stream = self.environment.from_source(name, log.with_strategy(), strategy).set_parallelism(1);
        self.finishers.push(log.finisher());
        log.source(stream)
    }

    /// Ends `stream` in a sink that is read by hand.
    pub fn sink<T: Data>(&mut self, stream: &DataStream<T>) -> TestSink<T> {
        self.note_description();
        let sink = TestSink::new();
        let shared = sink.clone();
        let added = stream.global().add_sink("test sink", move || shared.function());
        self.sinks += 1;
        let _ = added.uid(&sink_uid(self.sinks)).set_parallelism(1);
        sink
    }

    /// The time of the job's clock, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.clock.wall_millis()
    }

    /// Lets the job do all that there is to do now.
    ///
    /// # Errors
    /// What is wrong with the description, or what ended the job: it counts as crashed then. If the pipeline has
    /// crashed and was not restarted.
    pub fn settle(&mut self) -> Result<()> {
        self.rest().map(drop)
    }

    /// Lets time pass: whatever is due on the way (timers, processing-time windows) happens at its time.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`].
    pub fn advance(&mut self, time: Duration) -> Result<()> {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let target = self.clock.monotonic_micros().saturating_add(micros);
        let mut due = self.rest()?;
        while let Some(at) = due.filter(|at| *at <= target) {
            self.clock.advance(at.saturating_sub(self.clock.monotonic_micros()).max(1));
            due = self.rest()?;
        }
        self.clock.advance(target.saturating_sub(self.clock.monotonic_micros()));
        self.settle()
    }

    /// Settles, takes a checkpoint, and has it committed; answers its number.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`], and if the job has finished.
    pub fn checkpoint(&mut self) -> Result<CheckpointId> {
        self.settle()?;
        self.request_checkpoint(None)?;
        for _ in 0..ROUNDS_MAX {
            self.round()?;
            if let Some(checkpoint) = self.running()?.shell.complete.take() {
                self.settle()?;
                return Ok(checkpoint);
            }
        }
        let run = self.running()?;
        Err(Error::internal("a checkpoint does not become complete")
            .with_detail(run.shell.warnings.join("; ")))
    }

    /// Begins a checkpoint, without settling, and crashes at `point`.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`], and if the job has finished.
    pub fn crash_during_checkpoint(&mut self, point: CrashPoint) -> Result<()> {
        self.start_if_described()?;
        for _ in 0..ROUNDS_MAX {
            if self.is_up()? {
                break;
            }
            self.round()?;
        }
        self.request_checkpoint(Some(point))?;
        for _ in 0..ROUNDS_MAX {
            self.round()?;
            if self.running()?.shell.crashed {
                return self.crash();
            }
        }
        Err(Error::internal(format!("a checkpoint does not come to {point:?}")))
    }

    /// Ends everything at once, as if the machine had stopped: what no complete checkpoint holds is lost. What was
    /// pushed and not settled was never seen.
    ///
    /// # Errors
    /// If nothing runs.
    pub fn crash(&mut self) -> Result<()> {
        self.start_if_described()?;
        self.running()?;
        self.run = None;
        self.life = Life::Crashed;
        Ok(())
    }

    /// Starts again from the last complete checkpoint, or from the beginning if there is none; sources repeat what
    /// was pushed since.
    ///
    /// # Errors
    /// If the pipeline has not crashed, or its state cannot be restored.
    pub fn restart(&mut self) -> Result<()> {
        if self.life != Life::Crashed {
            return Err(Error::config("only a pipeline that has crashed can be restarted")
                .with_hint("call crash, or crash_during_checkpoint, before"));
        }
        self.start()?;
        self.settle()
    }

    /// As [`TestPipeline::restart`], with another number of workers.
    ///
    /// # Errors
    /// As [`TestPipeline::restart`].
    pub fn restart_with_parallelism(&mut self, parallelism: u32) -> Result<()> {
        self.environment.set_parallelism(parallelism);
        self.restart()
    }

    /// Ends all sources and runs the job to its end; all output is committed then.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`], and if the job does not end because something is waited for.
    pub fn finish(&mut self) -> Result<()> {
        self.start_if_described()?;
        self.finishers.iter().for_each(|finish| finish());
        loop {
            let due = self.rest()?;
            if self.life == Life::Finished {
                return Ok(());
            }
            let now = self.clock.monotonic_micros();
            let Some(due) = due else {
                let waits = self.running()?.shell.attempt.as_mut().map_or(String::new(), Attempt::describe);
                return Err(Error::internal("the job does not end").with_detail(waits));
            };
            self.clock.advance(due.saturating_sub(now).max(1));
        }
    }

    /// Settles, takes a checkpoint, and copies it.
    ///
    /// # Errors
    /// As [`TestPipeline::checkpoint`].
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.checkpoint()?;
        Ok(Savepoint { files: copy_of(&self.files)? })
    }

    /// Settles and shows a state of the operator with that uid or name, from all its instances.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`], and if there is no such state.
    pub fn state(&mut self, operator: &str, name: &str) -> Result<StateImage> {
        self.image(Some(operator), name)
    }

    /// As [`TestPipeline::state`], from all operators that have a state of that name.
    pub(super) fn image(&mut self, operator: Option<&str>, name: &str) -> Result<StateImage> {
        self.settle()?;
        let mut image = StateImage::new(name);
        if let Some(attempt) = &mut self.running()?.shell.attempt {
            attempt.state(operator, &mut image)?;
        }
        if image.is_empty() {
            return Err(Error::config(format!(
                "operator `{}` has no state `{name}`",
                operator.unwrap_or("any")
            ))
            .with_hint("give the operator's uid or name and the state's name as they are in the program"));
        }
        Ok(image)
    }

    /// Records that the operators of that name have counted as late since the last start.
    ///
    /// # Errors
    /// As [`TestPipeline::settle`].
    pub fn late(&mut self, operator: &str) -> Result<u64> {
        self.settle()?;
        Ok(self.running()?.shell.attempt.as_mut().map_or(0, |attempt| attempt.late(operator)))
    }

    fn note_description(&mut self) {
        self.described_late |= self.life != Life::Described;
    }

    fn moment(&self) -> Moment {
        Moment { now_ms: self.clock.monotonic_micros() / 1_000, wall_ms: self.clock.wall_millis() }
    }

    fn start_if_described(&mut self) -> Result<()> {
        if self.life == Life::Described { self.start() } else { Ok(()) }
    }

    fn start(&mut self) -> Result<()> {
        let (job, mut options) = self.environment.build(JOB)?;
        super::lend_spilling_in_memory(&mut options.services);
        let attempts = AttemptConfig {
            processes: options.workers,
            start_timeout_ms: FOR_EVER_MS,
            heartbeat_timeout_ms: FOR_EVER_MS,
            watchdog_micros: None,
            end_timeout_ms: FOR_EVER_MS,
        };
        let uids = job.graph.nodes.iter().map(|node| node.uid.clone());
        let restore = RestoreRequest {
            job: JOB.into(),
            max_parallelism: job.graph.max_parallelism,
            // Sinks that only the pipeline of a savepoint had have nothing left to commit.
            uids: uids.chain((1..=SINKS_MAX).map(sink_uid)).collect(),
            allow_non_restored_state: options.allow_non_restored_state,
            allow_fresh_start: false,
            drop_state: DropState::default(),
        };
        let checkpoints =
            CheckpointConfig { interval_ms: None, timeout_ms: FOR_EVER_MS, ..CheckpointConfig::default() };
        let config = SupervisorConfig {
            snapshot: None,
            checkpoints,
            attempts,
            restart: RestartStrategy::None,
            restore,
            workers_per_process: 1,
        };
        let mut supervisor = Supervisor::new(config)?;
        let mut shell = TestShell::new(Rc::new(JobToRun {
            job: Arc::new(job),
            options,
            clock: self.clock.clone(),
            store: CheckpointStore::new(Arc::new(self.files.clone()), ROOT, JOB)?,
            post: Rc::new(RefCell::new(Post::default())),
        }));
        supervisor.start(self.moment(), &mut shell);
        self.run = Some(Running { supervisor, shell });
        self.life = Life::Running;
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Running> {
        let problem = match self.life {
            Life::Finished => "the job has finished",
            _ => "the pipeline has crashed and was not restarted",
        };
        self.run.as_mut().ok_or_else(|| Error::config(problem))
    }

    /// Whether all workers run.
    fn is_up(&mut self) -> Result<bool> {
        Ok(self.running()?.supervisor.attempt_is_running())
    }

    fn request_checkpoint(&mut self, crash_at: Option<CrashPoint>) -> Result<()> {
        let at = self.moment();
        let run = self.running()?;
        (run.shell.complete, run.shell.crash_at) = (None, crash_at);
        run.supervisor.request_savepoint(at, 0, &mut run.shell);
        Ok(())
    }

    /// Rounds until nothing happens any more; answers when something will.
    fn rest(&mut self) -> Result<Option<u64>> {
        if self.described_late {
            return Err(Error::config("a source or sink was added to a pipeline that runs")
                .with_hint("describe the whole job before the first call that runs it"));
        }
        self.start_if_described()?;
        if self.life == Life::Finished {
            return Ok(None);
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            let round = self.round()?;
            if self.life == Life::Finished {
                return Ok(None);
            }
            quiet = if round.is_busy { 0 } else { quiet + 1 };
            if quiet == QUIET_ROUNDS {
                return Ok(round.due_micros);
            }
        }
        let waits = self.running()?.shell.attempt.as_mut().map_or(String::new(), Attempt::describe);
        Err(Error::internal("the pipeline does not come to rest").with_detail(waits))
    }

    /// A turn of everybody.
    fn round(&mut self) -> Result<Round> {
        let at = self.moment();
        let run = self.running()?;
        let heard = run.listen(at);
        if let Some(outcome) = run.supervisor.outcome() {
            let outcome = outcome.clone();
            self.run = None;
            return match outcome {
                JobOutcome::Finished => {
                    self.life = Life::Finished;
                    Ok(Round { is_busy: false, due_micros: None })
                }
                JobOutcome::Failed(report) => {
                    self.life = Life::Crashed;
                    Err(report.to_error())
                }
            };
        }
        let mut round = Round { is_busy: false, due_micros: None };
        if let Some(attempt) = &mut run.shell.attempt {
            round = attempt.round();
        }
        round.is_busy |= heard;
        Ok(round)
    }
}

impl Running {
    /// Tells the supervisor what has happened; answers whether anything has.
    fn listen(&mut self, at: Moment) -> bool {
        let post = self.shell.job.post.clone();
        let mut heard = false;
        loop {
            let message = post.borrow_mut().messages.pop_front();
            if let Some(envelope) = message {
                if matches!(envelope.message, FromWorker::CutAnnounced { .. }) {
                    self.shell.reach(CrashPoint::AtCut);
                }
                self.supervisor.on_message(at, &envelope, &mut self.shell);
            } else if let Some((checkpoint, outcome)) = self.shell.written.pop_front() {
                self.supervisor.on_complete_outcome(at, checkpoint, outcome, &mut self.shell);
            } else {
                let exit = post.borrow_mut().exits.pop_front();
                let Some((attempt, process, exit)) = exit else { return heard };
                self.supervisor.on_exit(at, (attempt, process), &exit, &mut self.shell);
            }
            heard = true;
        }
    }
}

fn sink_uid(number: usize) -> String {
    format!("test-sink-{number}")
}

/// Files that are the same and nobody else's.
fn copy_of(files: &MemoryFileSystem) -> Result<MemoryFileSystem> {
    let copy = MemoryFileSystem::new();
    if files.exists(Path::new(ROOT))? {
        copy_directory(files, &copy, Path::new(ROOT))?;
    }
    Ok(copy)
}

fn copy_directory(from: &MemoryFileSystem, to: &MemoryFileSystem, directory: &Path) -> Result<()> {
    to.create_dir_all(directory)?;
    for entry in from.list(directory)? {
        let path = directory.join(&entry.name);
        if entry.is_directory {
            copy_directory(from, to, &path)?;
        } else if let Some(mut file) = to.create_new(&path)? {
            file.write(&from.read(&path)?)?;
            file.sync()?;
        }
    }
    to.sync_dir(directory)
}
