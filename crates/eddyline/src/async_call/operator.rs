//! The operator that makes calls.

use super::calls::{Answer, Call, Calls, HeldRecord, Mailbox, Stage};
use super::executor::{AsyncExecutor, Attempt, AttemptEnd};
use super::options::{AsyncOptions, AsyncOrder, OnFailure};
use super::{ANSWER_OUTPUT, AsyncFailure, AsyncFunction, FAILURE_OUTPUT};
use crate::function::RuntimeContext;
use crate::state::States;
use eddyline_core::{Batch, Data, Error, EventTime, Record, Result};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful, panics};
use eddyline_state::{ManagedState, OperatorListState};
use std::future::Future;
use std::sync::Arc;

/// Asks something outside for each record.
///
/// Rows of `T` come in on the only input; what `call` answers leaves on [`ANSWER_OUTPUT`], with the timestamps of the
/// records. Wants to be told about watermarks, and generates them.
pub struct AsyncCallOperator<T, U, F> {
    function: F,
    states: States,
    options: AsyncOptions,
    calls: Calls<T, U>,
    opened: Option<Opened<U>>,
    /// One item per instance, all that it held, so that an instance gets back what was its own.
    held: Option<OperatorListState<Vec<HeldRecord<T>>>>,
}

/// The name of the state that keeps the records of calls under way.
const HELD_STATE: &str = "calls-in-flight";

struct Opened<U> {
    executor: Arc<AsyncExecutor>,
    mailbox: Arc<Mailbox<U>>,
}

/// Rows that are about to leave.
struct Leaving<T> {
    port: usize,
    rows: Vec<Record<T>>,
    created_micros: u64,
}

impl<T: Data> Leaving<T> {
    fn new(port: usize) -> Self {
        Leaving { port, rows: Vec::new(), created_micros: u64::MAX }
    }

    fn push(&mut self, value: T, timestamp: EventTime, created_micros: u64) {
        self.rows.push(Record { value, timestamp });
        self.created_micros = self.created_micros.min(created_micros);
    }

    /// Emits full batches, and the rest if `all`.
    fn emit(&mut self, all: bool, context: &mut OperatorContext<'_>) -> Result<()> {
        let rows_max = context.batch_rows_max().max(1);
        while self.rows.len() >= rows_max || (all && !self.rows.is_empty()) {
            let rest = self.rows.split_off(rows_max.min(self.rows.len()));
            let rows = std::mem::replace(&mut self.rows, rest);
            context.emit_rows(self.port, rows, self.created_micros)?;
        }
        if self.rows.is_empty() {
            self.created_micros = u64::MAX;
        }
        Ok(())
    }
}

impl<T, U, F, Answers> AsyncCallOperator<T, U, F>
where
    T: Data,
    U: Data,
    F: Fn(T) -> Answers + 'static,
    Answers: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    /// Calls `call` for each record.
    ///
    /// # Errors
    /// As [`AsyncOptions::check`].
    pub fn new(call: F, options: AsyncOptions) -> Result<Self> {
        AsyncCallOperator::with_function(call, options)
    }
}

impl<T: Data, U: Data, F: AsyncFunction<T, U>> AsyncCallOperator<T, U, F> {
    /// Calls `function` for each record.
    ///
    /// # Errors
    /// As [`AsyncOptions::check`].
    pub fn with_function(function: F, options: AsyncOptions) -> Result<Self> {
        options.check()?;
        let states = States::default();
        Ok(AsyncCallOperator { function, states, options, calls: Calls::new(), opened: None, held: None })
    }

    fn opened(&self) -> &Opened<U> {
        self.opened.as_ref().expect("invariant: open is called first")
    }

    fn hold(&mut self, record: Record<T>, created_micros: u64, context: &mut OperatorContext<'_>) {
        let bytes = self.calls.hold(record, created_micros);
        context.account_bytes(bytes);
        self.begin_queued(context);
    }

    /// Begins calls while there are free places.
    fn begin_queued(&mut self, context: &mut OperatorContext<'_>) {
        while self.calls.active < self.options.capacity
            && let Some(number) = self.calls.queued.pop_front()
        {
            self.calls.active += 1;
            self.begin(number, context);
        }
    }

    /// Begins an attempt.
    fn begin(&mut self, number: u64, context: &mut OperatorContext<'_>) {
        let deadline_ms = match self.options.timeout_ms {
            Some(timeout) => context.processing_time_ms().saturating_add(timeout),
            None => i64::MAX,
        };
        context.wake_at(deadline_ms);
        let mailbox = self.opened().mailbox.clone();
        let Some(call) = self.calls.get_mut(number) else { return };
        call.attempts += 1;
        let attempt = call.attempts;
        let (future, handle) = Attempt::new(self.function.call(call.record.value.clone()));
        call.stage = Stage::Running { deadline_ms, _handle: handle };
        let future = async move {
            let outcome = match future.await {
                AttemptEnd::Output(outcome) => outcome,
                AttemptEnd::Panicked(text) => Err(Error::user(format!("an async call panicked: {text}"))),
                AttemptEnd::Cancelled => return,
            };
            mailbox.put(Answer { call: number, attempt, outcome });
        };
        self.opened().executor.spawn(Box::pin(future), context.waker());
    }

    /// Takes in that an attempt has taken too long.
    fn time_out(&mut self, call: u64, attempt: u32, context: &mut OperatorContext<'_>) -> Result<()> {
        let timeout = self.options.timeout_ms.unwrap_or(i64::MAX);
        let error = Error::user(format!("no answer to an async call within {timeout} ms"));
        let mut outcome = Err(error.clone());
        if self.options.retry.delay_after(attempt, &error).is_none()
            && let Some(held) = self.calls.get_mut(call)
            && let Some(rows) = self.function.timed_out(&held.record.value)?
        {
            outcome = Ok(rows);
        }
        self.settle(Answer { call, attempt, outcome }, context);
        Ok(())
    }

    /// Takes in how an attempt ended; answers of attempts that were given up are ignored.
    fn settle(&mut self, answer: Answer<U>, context: &mut OperatorContext<'_>) {
        let in_order = self.options.order == AsyncOrder::Ordered;
        let Some(call) = self.calls.get_mut(answer.call) else { return };
        if call.attempts != answer.attempt || !matches!(call.stage, Stage::Running { .. }) {
            return;
        }
        call.stage = match answer.outcome {
            Ok(rows) => Stage::Answered(rows),
            Err(error) => match self.options.retry.delay_after(call.attempts, &error) {
                Some(delay_ms) => {
                    let until_ms = context.processing_time_ms().saturating_add(delay_ms);
                    context.wake_at(until_ms);
                    call.stage = Stage::Delayed { until_ms };
                    return;
                }
                None => Stage::Failed(error),
            },
        };
        self.calls.active -= 1;
        if !in_order {
            self.calls.finished.push_back(answer.call);
        }
    }

    /// Emits what may leave, while there is room.
    fn emit(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let in_order = self.options.order == AsyncOrder::Ordered;
        let (mut answers, mut failures) = (Leaving::new(ANSWER_OUTPUT), Leaving::new(FAILURE_OUTPUT));
        let mut progress = Progress::Done;
        while let Some(number) = self.calls.next_to_emit(in_order) {
            if !context.has_room() {
                progress = Progress::More;
                break;
            }
            let Some(Call { record, created_micros, attempts, stage, bytes }) = self.calls.release(number)
            else {
                break;
            };
            context.account_bytes(-bytes);
            match stage {
                Stage::Answered(rows) => {
                    rows.into_iter().for_each(|row| answers.push(row, record.timestamp, created_micros));
                    answers.emit(false, context)?;
                }
                Stage::Failed(error) if self.options.on_failure == OnFailure::FailJob => {
                    return Err(given_up(&error, attempts));
                }
                Stage::Failed(error) => {
                    let failure = AsyncFailure { record: record.value, error: error.to_string(), attempts };
                    failures.push(failure, record.timestamp, created_micros);
                    failures.emit(false, context)?;
                }
                Stage::Queued | Stage::Running { .. } | Stage::Delayed { .. } => {
                    return Err(Error::internal("an async call was about to leave before its end"));
                }
            }
        }
        answers.emit(true, context)?;
        failures.emit(true, context)?;
        Ok(progress)
    }
}

fn given_up(error: &Error, attempts: u32) -> Error {
    let error = Error::new(error.kind(), format!("an async call failed after {attempts} attempts: {error}"));
    error.with_hint("allow more attempts or more time, or let failed calls leave on the side output")
}

impl<T: Data, U: Data, F: AsyncFunction<T, U>> Stateful for AsyncCallOperator<T, U, F> {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.held.as_mut().map_or(Ok(()), |held| visit(held))?;
        self.states.visit(visit)
    }
}

impl<T: Data, U: Data, F: AsyncFunction<T, U>> Operator for AsyncCallOperator<T, U, F> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let executor = context.service::<AsyncExecutor>().unwrap_or_else(AsyncExecutor::shared);
        self.opened = Some(Opened { executor, mailbox: Mailbox::new(context.waker().clone()) });
        self.held = Some(OperatorListState::list(HELD_STATE, context.info().instance));
        self.states.reserve(HELD_STATE);
        self.function.open(&mut RuntimeContext::new(context, self.states.clone()))?;
        self.states.seal();
        Ok(())
    }

    fn restored(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let Some(held) = self.held.as_mut() else { return Ok(()) };
        for HeldRecord { timestamp, created_micros, value } in
            std::mem::take(held.items_mut()).into_iter().flatten()
        {
            self.hold(Record { value, timestamp }, created_micros, context);
        }
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let created_micros = batch.created_micros;
        for (row, record) in batch.take_rows::<T>()?.into_iter().enumerate() {
            panics::at_row(row as u64);
            self.hold(record, created_micros, context);
        }
        Ok(())
    }

    fn on_wake(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        self.opened().executor.poll_inline();
        for answer in self.opened().mailbox.take_all() {
            self.settle(answer, context);
        }
        self.begin_queued(context);
        self.emit(context)
    }

    fn on_processing_time(&mut self, now_ms: i64, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let (due, next) = self.calls.due(now_ms);
        for number in due {
            match self.calls.get_mut(number).map(|call| (&call.stage, call.attempts)) {
                Some((Stage::Delayed { .. }, _)) => self.begin(number, context),
                Some((Stage::Running { .. }, attempt)) => {
                    self.time_out(number, attempt, context)?;
                }
                _ => {}
            }
        }
        if let Some(next) = next {
            context.wake_at(next);
        }
        self.begin_queued(context);
        self.emit(context)
    }

    fn on_end(&mut self, context: &mut OperatorContext<'_>) -> Result<Progress> {
        match self.emit(context)? {
            Progress::Done if self.calls.len() > 0 => Ok(Progress::Waiting),
            progress => Ok(progress),
        }
    }

    fn before_snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        let held = self.calls.held();
        if let Some(state) = self.held.as_mut() {
            state.set(vec![held]);
        }
        Ok(())
    }

    fn output_watermark(&self, input: EventTime) -> EventTime {
        self.calls.oldest().map_or(input, |oldest| input.min(oldest.saturating_sub(1)))
    }

    fn is_idle(&self, inputs_idle: bool) -> bool {
        inputs_idle && self.calls.len() == 0
    }

    fn accepts_input(&self) -> bool {
        self.calls.len() < self.options.capacity
    }

    fn in_flight(&self) -> usize {
        self.calls.len()
    }

    fn close(&mut self) {
        self.calls = Calls::new();
        self.function.close();
    }
}
