//! Calls to something outside, one per record.

use super::DataStream;
use crate::async_call::{
    AsyncCallOperator, AsyncFailure, AsyncFunction, AsyncOptions, FAILURE_OUTPUT, OnFailure,
};
use crate::function::OutputTag;
use crate::side_output::SidePorts;
use eddyline_core::{Data, Result};
use eddyline_runtime::graph::NodeSpec;
use std::future::Future;

impl<T: Data> DataStream<T> {
    /// Calls `call` for each record without waiting: many calls are under way at once, and their answers leave in
    /// order or as they come.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::async_call::{AsyncOptions, AsyncOrder};
    ///
    /// let environment = Environment::new();
    /// let names = environment.from_collection(vec![1u64, 2]);
    /// let looked_up = names.async_call(AsyncOptions::new(AsyncOrder::Ordered), |id| async move {
    ///     // Ask a service here.
    ///     Ok(vec![format!("customer {id}")])
    /// });
    /// looked_up.print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn async_call<U: Data, Answers>(
        &self,
        options: AsyncOptions,
        call: impl Fn(T) -> Answers + Clone + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        Answers: Future<Output = Result<Vec<U>>> + Send + 'static,
    {
        self.async_function(options, move || call.clone())
    }

    /// As [`DataStream::async_call`]; what fails for good is emitted on a side output instead of ending the job.
    pub fn async_call_with_failures<U: Data, Answers>(
        &self,
        options: AsyncOptions,
        failures: &OutputTag<AsyncFailure<T>>,
        call: impl Fn(T) -> Answers + Clone + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        Answers: Future<Output = Result<Vec<U>>> + Send + 'static,
    {
        self.async_function_with_failures(options, failures, move || call.clone())
    }

    /// As [`DataStream::async_call`] with a function that is opened and closed, and may have a stand-in for calls that
    /// take too long; `make` is called once per instance. See [`AsyncFunction`].
    pub fn async_function<U: Data, F: AsyncFunction<T, U>>(
        &self,
        options: AsyncOptions,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        let outputs = if options.on_failure == OnFailure::SideOutput { FAILURE_OUTPUT + 1 } else { 1 };
        self.call(options, outputs, SidePorts::default(), make)
    }

    /// As [`DataStream::async_function`]; what fails for good is emitted on a side output instead of ending the job.
    pub fn async_function_with_failures<U: Data, F: AsyncFunction<T, U>>(
        &self,
        mut options: AsyncOptions,
        failures: &OutputTag<AsyncFailure<T>>,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        options.on_failure = OnFailure::SideOutput;
        let sides = SidePorts::default();
        if let Err(problem) = sides.port(failures, FAILURE_OUTPUT) {
            self.graph.borrow_mut().refuse(problem);
        }
        self.call(options, FAILURE_OUTPUT + 1, sides, make)
    }

    fn call<U: Data, F: AsyncFunction<T, U>>(
        &self,
        options: AsyncOptions,
        outputs: usize,
        sides: SidePorts,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U> {
        if let Err(problem) = options.check() {
            self.graph.borrow_mut().refuse(problem);
        }
        let spec =
            NodeSpec::named("async call").with_watermarks().generating_watermarks().with_outputs(outputs);
        let stream = self.transform(spec, move || {
            AsyncCallOperator::<T, U, F>::with_function(make(), options.clone())
                .expect("invariant: a job with impossible calls is not built")
        });
        stream.with_sides(sides)
    }
}
