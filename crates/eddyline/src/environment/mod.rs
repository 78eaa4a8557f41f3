//! Where a job is described and started.

mod arguments;
mod bounded;
mod cached_file;
mod graph;
mod options;
mod parameters;
mod recipe;
mod runtime_mode;
mod state_backend;
mod values;

pub use cached_file::{CachedFile, DistributedCache};
pub(crate) use graph::{GraphBuilder, Route};
pub use options::Options;
pub use parameters::Parameters;
pub use runtime_mode::RuntimeMode;
pub use state_backend::{StateBackendOptions, StateBackendType};

use crate::execution;
use crate::source::{CollectionSource, DataGenerator, SourceOperator, SourceSettings, SplitSource};
use crate::stream::DataStream;
use crate::watermark::WatermarkStrategy;
use eddyline_core::{Clock, Data, EventTime, Result};
use eddyline_runtime::attempt::{JobHandle, JobOptions, JobReport, Rescaler, parallelism_of_worker_process};
use eddyline_runtime::graph::{Job, JobGraph, NodeSpec};
use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

/// Where a job is described, with the options it is run with.
///
/// # Examples
/// ```
/// use eddyline::Environment;
///
/// let environment = Environment::new();
/// let squares = environment.from_collection(vec![1u64, 2, 3]).map(|number| number * number).collect();
/// environment.execute("squares")?;
/// let mut rows = squares.rows();
/// rows.sort();
/// assert_eq!(rows, [1, 4, 9]);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Clone)]
pub struct Environment {
    pub(crate) builder: Rc<RefCell<GraphBuilder>>,
    options: Rc<RefCell<Options>>,
    sources: SourceSettings,
    cache: Rc<RefCell<DistributedCache>>,
}

impl Default for Environment {
    fn default() -> Self {
        Environment::new()
    }
}

impl Environment {
    /// An environment with the default options: one worker in this process, no checkpoints kept.
    pub fn new() -> Self {
        Environment::with_options(Options::default())
    }

    /// An environment with options of your own.
    pub fn with_options(options: Options) -> Self {
        let sources = SourceSettings {
            watermark_interval_ms: options.watermark_interval_ms,
            ..SourceSettings::default()
        };
        Environment {
            builder: Rc::new(RefCell::new(GraphBuilder::new(sources.groups.clone()))),
            options: Rc::new(RefCell::new(options)),
            sources,
            cache: Rc::default(),
        }
    }

    /// An environment with the options on the program's command line; `--help` prints them and ends the program.
    ///
    /// # Errors
    /// Of kind `Config` for an option that does not exist (with the one that was probably meant) or a value that
    /// cannot be read.
    pub fn from_args() -> Result<Self> {
        Environment::from_arguments(std::env::args().skip(1))
    }

    /// As [`Environment::from_args`], with arguments given by the caller.
    ///
    /// # Errors
    /// As [`Environment::from_args`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let arguments = ["-p", "2", "-Dexecution.checkpointing.interval=1 s", "--", "access.log"];
    /// let environment = Environment::from_arguments(arguments)?;
    /// assert_eq!(environment.options().parallelism, 2);
    /// assert_eq!(environment.arguments(), ["access.log"]);
    ///
    /// let error = Environment::from_arguments(["-Dparalelism.default=2"]).err().unwrap();
    /// assert_eq!(error.hint(), Some("did you mean `parallelism.default`?"));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn from_arguments<A: Into<String>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        Ok(Environment::with_options(arguments::parse(arguments.into_iter().map(Into::into))?))
    }

    /// The options.
    pub fn options(&self) -> Ref<'_, Options> {
        self.options.borrow()
    }

    /// The options, to be changed. The watermark interval counts for sources that are added afterwards only.
    pub fn options_mut(&mut self) -> RefMut<'_, Options> {
        self.options.borrow_mut()
    }

    /// What followed `--` on the command line.
    pub fn arguments(&self) -> Vec<String> {
        self.options.borrow().arguments.clone()
    }

    /// The parameters of the program: those that were set, else what followed `--` on the command line.
    ///
    /// # Errors
    /// Of kind `Config` if the command line cannot be understood; see [`Parameters::from_args`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, Parameters};
    ///
    /// let environment = Environment::from_arguments(["-p", "2", "--", "--input", "access.log"])?;
    /// assert_eq!(environment.parameters()?.require("input")?, "access.log");
    /// let defaults = Parameters::default().with("limit", "10");
    /// environment.set_parameters(environment.parameters()?.or(defaults));
    /// assert_eq!(environment.parameters()?.parsed_or("limit", 0)?, 10);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn parameters(&self) -> Result<Parameters> {
        let options = self.options.borrow();
        match options.runtime.services.get::<Parameters>() {
            Some(set) => Ok(Parameters::clone(&set)),
            None => Parameters::from_args(options.arguments.iter().cloned()),
        }
    }

    /// Sets the parameters that functions find in their [`RuntimeContext`](crate::RuntimeContext): those of the
    /// command line together with a file, say.
    pub fn set_parameters(&self, parameters: Parameters) -> &Self {
        self.add_service(Arc::new(parameters))
    }

    /// Sets the number of workers of the job, over all processes.
    pub fn set_parallelism(&self, parallelism: u32) -> &Self {
        self.options.borrow_mut().parallelism = parallelism;
        self
    }

    /// Sets the number of key groups: the most that the job can ever be parallel. Fixed once it has state.
    pub fn set_max_parallelism(&self, max_parallelism: u32) -> &Self {
        self.options.borrow_mut().max_parallelism = max_parallelism;
        self
    }

    /// Sets the clock of the job; tests and simulations decide what time it is.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) -> &Self {
        self.options.borrow_mut().runtime.clock = clock;
        self
    }

    /// Lends `service` to the operators of the job, which find it by its type.
    pub fn add_service<S: Send + Sync + 'static>(&self, service: Arc<S>) -> &Self {
        self.options.borrow_mut().runtime.services.insert(service);
        self
    }

    /// Registers a file that functions read, by a name of its own; it is given by its path on the machines that run the
    /// job, and looked for before the job starts. Functions get the path from the handle, operators of your own from the
    /// service [`DistributedCache`].
    pub fn register_cached_file(&self, path: impl Into<std::path::PathBuf>, name: &str) -> CachedFile {
        let path = path.into();
        if let Err(problem) = self.cache.borrow_mut().register(name, path.clone()) {
            self.builder.borrow_mut().refuse(problem);
        }
        CachedFile { path }
    }

    /// A stream from a source; `make` is called once per instance.
    pub fn from_source<T: Data, S: SplitSource<T>>(
        &self,
        name: impl Into<String>,
        make: impl Fn() -> S + Send + Sync + 'static,
        strategy: WatermarkStrategy<T>,
    ) -> DataStream<T> {
        let settings = SourceSettings {
            watermark_interval_ms: self.options.borrow().watermark_interval_ms,
            ..self.sources.clone()
        };
        let make = Arc::new(make);
        let alignment = strategy.alignment.as_ref().map(|alignment| alignment.group.clone());
        let mut builder = self.builder.borrow_mut();
        let looked_at = make.clone();
        builder.note_source(move || looked_at().is_bounded());
        let node = builder.nodes.add_source(NodeSpec::named(name), move || {
            SourceOperator::new(make(), strategy.clone(), settings.clone())
        });
        if let Some(group) = alignment {
            builder.align(group, node);
        }
        drop(builder);
        DataStream::new(self.builder.clone(), node)
    }

    /// A stream of the items of a vector, dealt out over the instances. The items have no timestamps.
    pub fn from_collection<T: Data>(&self, items: Vec<T>) -> DataStream<T> {
        let items = items.into_iter().map(|item| (item, EventTime::MIN)).collect();
        self.from_collection_with(items, WatermarkStrategy::no_watermarks())
    }

    /// A stream of items with timestamps, dealt out over the instances. Each instance's share is a split and keeps
    /// its order.
    pub fn from_collection_with<T: Data>(
        &self,
        items: Vec<(T, EventTime)>,
        strategy: WatermarkStrategy<T>,
    ) -> DataStream<T> {
        let items = CollectionSource::shared(items);
        self.from_source("collection", move || CollectionSource::new(items.clone()), strategy)
    }

    /// A stream of records made by a function, perhaps at a rate.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{DataGenerator, Environment, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let readings = DataGenerator::new(|index| index * 100).with_count(1_000).with_rate_per_second(50.0);
    /// let times = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|time, _| *time as i64);
    /// let stream = environment.from_generator(readings, times);
    /// # let _ = stream;
    /// ```
    pub fn from_generator<T: Data>(
        &self,
        generator: DataGenerator<T>,
        strategy: WatermarkStrategy<T>,
    ) -> DataStream<T> {
        if let Err(error) = generator.check() {
            self.builder.borrow_mut().refuse(error);
        }
        self.from_source("generator", move || generator.instance(), strategy)
    }

    /// The graph as it would be run, with stateless steps fused; can be shown as text, JSON or DOT.
    ///
    /// # Errors
    /// As [`Environment::build`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// environment.from_collection(vec![1u64]).map(|number| number + 1).filter(|number| *number > 1).print();
    /// let graph = environment.explain()?;
    /// let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    /// assert_eq!(names, ["collection", "map → filter", "print"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn explain(&self) -> Result<JobGraph> {
        Ok(self.build("job")?.0.graph)
    }

    /// The job and the options to run it with.
    ///
    /// # Errors
    /// Of kind `Config`: for the first thing in the description that cannot work, and for options that cannot.
    pub fn build(&self, name: &str) -> Result<(Job, JobOptions)> {
        let mut options = self.options.borrow().clone();
        if let Some(parallelism) = parallelism_of_worker_process() {
            options.parallelism = parallelism;
        }
        let mut runtime = options.for_runtime()?;
        runtime.services.insert(Arc::new(self.parameters()?));
        let recipe = self.builder.borrow().recipe(name, &options)?;
        let job = recipe.build(options.parallelism)?;
        runtime.rescaler = Some(Arc::new(recipe));
        let collects = job.graph.nodes.iter().any(|node| node.holds_input);
        let is_batch = options.runtime_mode.is_batch(|| self.builder.borrow().all_bounded());
        if collects {
            bounded::lend_spilling(&options, &mut runtime);
        }
        if is_batch {
            bounded::tell_batch_mode(&mut runtime);
        }
        if collects || is_batch {
            bounded::without_checkpoints(&options, &mut runtime)?;
        }
        let cache = self.cache.borrow();
        cache.check()?;
        if !cache.is_empty() {
            runtime.services.insert(Arc::new(cache.clone()));
        }
        Ok((job, runtime))
    }

    /// Runs the job and waits for its end.
    ///
    /// # Errors
    /// As [`Environment::build`], and what ended the job if that was a failure.
    pub fn execute(&self, name: &str) -> Result<JobReport> {
        execution::run(self.build(name)?)
    }

    /// Starts the job and does not wait; the handle tells its state, stops and cancels it and waits for its end.
    ///
    /// # Errors
    /// As [`Environment::build`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::{DataGenerator, Environment, JobState, StopMode, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let numbers = DataGenerator::new(|index| index).with_rate_per_second(1_000.0);
    /// let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks()).collect_now();
    /// let handle = environment.execute_async("endless")?;
    /// numbers.wait_for(5, std::time::Duration::from_secs(10));
    /// handle.stop(StopMode::Drain);
    /// let report = handle.wait()?;
    /// assert_eq!(report.status.state, JobState::Finished);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn execute_async(&self, name: &str) -> Result<JobHandle> {
        self.start(name)
    }

    /// Starts the job and does not wait; the same as [`Environment::execute_async`].
    ///
    /// # Errors
    /// As [`Environment::build`].
    pub fn start(&self, name: &str) -> Result<JobHandle> {
        execution::start(self.build(name)?)
    }
}
