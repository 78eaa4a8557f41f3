//! An operator or source instance and what the runtime keeps beside it.

use crate::accumulators::Accumulators;
use crate::context::{Emitter, InstanceInfo, OperatorContext, OperatorMetrics};
use crate::fetch::Fetching;
use crate::graph::NodeId;
use crate::metrics::{Histogram, LATENCY, Metrics};
use crate::migrations::Migrations;
use crate::operator::{Operator, Source};
use crate::shared::WorkerShared;
use eddyline_core::{Error, EventTime, Result, Tick, WATERMARK_MIN};
use eddyline_protocol::{CheckpointId, FailureReport, StateKind};
use eddyline_state::{ManagedState, OperatorListState, RestoreSource};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Waker;

/// The user-visible half of an instance.
pub(crate) enum Body {
    Operator(Box<dyn Operator>),
    Source(Box<dyn Source>),
}

/// An instance on this worker.
pub(crate) struct Instance {
    pub(crate) number: usize,
    pub(crate) node: NodeId,
    pub(crate) info: InstanceInfo,
    pub(crate) body: Body,
    pub(crate) metrics: OperatorMetrics,
    /// The metrics that the function keeps.
    pub(crate) user_metrics: Metrics,
    /// How old batches are when the instance is done with them.
    latency: Option<Histogram>,
    /// What the function adds up, part of the instance's state.
    pub(crate) accumulators: Accumulators,
    /// How state of older types becomes that of today.
    pub(crate) migrations: Migrations,
    pub(crate) waker: Waker,
    /// Wall time at which the instance wants to be called; `i64::MAX` if it does not.
    pub(crate) wake_at_ms: Cell<i64>,
    /// What a source said of its watermark.
    pub(crate) report: Cell<Option<(EventTime, bool)>>,
    /// The watermark at the last cut: restored as a floor, else windows that fired would open again.
    pub(crate) floor: OperatorListState<EventTime>,
    /// Cuts that were passed but whose states cannot be frozen yet (loops), with the watermark at the cut.
    pub(crate) frozen_late: VecDeque<(CheckpointId, EventTime)>,
}

/// The name of the state that keeps the watermark; user states cannot have it.
const FLOOR_STATE: &str = "__watermark";

impl Fetching for Instance {
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState)) {
        let visited = self.visit_states(&mut |state| {
            visit(state);
            Ok(())
        });
        debug_assert!(visited.is_ok(), "nothing fails but what is visited");
    }
}

impl Instance {
    pub(crate) fn new(number: usize, node: NodeId, info: InstanceInfo, body: Body, waker: Waker) -> Self {
        Instance {
            number,
            node,
            floor: OperatorListState::union(FLOOR_STATE, info.instance),
            info,
            body,
            metrics: OperatorMetrics::default(),
            user_metrics: Metrics::default(),
            latency: None,
            accumulators: Accumulators::default(),
            migrations: Migrations::default(),
            waker,
            wake_at_ms: Cell::new(i64::MAX),
            report: Cell::new(None),
            frozen_late: VecDeque::new(),
        }
    }

    /// The instance is done with a batch whose oldest record was created `took_micros` ago.
    pub(crate) fn record_latency(&mut self, took_micros: u64) {
        if self.latency.is_none() {
            // Who has a metric of that name and another kind goes without.
            self.latency = self.user_metrics.histogram(LATENCY).ok();
        }
        if let Some(latency) = &self.latency {
            latency.record(took_micros);
        }
    }

    /// Calls `visit` for every state, the runtime's own first.
    pub(crate) fn visit_states(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>,
    ) -> Result<()> {
        visit(&mut self.floor)?;
        match &mut self.body {
            Body::Operator(operator) => operator.visit_states(visit),
            Body::Source(source) => source.visit_states(visit),
        }?;
        self.accumulators.visit(visit)
    }

    /// Fixes the content of all states for a checkpoint.
    pub(crate) fn freeze_for(
        &mut self,
        shared: &WorkerShared,
        checkpoint: CheckpointId,
        watermark: EventTime,
    ) -> Result<(), FailureReport> {
        let (wanted, full) = {
            let snapshots = shared.snapshots.borrow();
            (snapshots.wants_state(), snapshots.full(checkpoint))
        };
        if !wanted {
            return Ok(());
        }
        self.floor.set(vec![watermark]);
        let frozen = self.visit_states(&mut |state| {
            state.freeze(full);
            Ok(())
        });
        frozen.map_err(|error| self.blame(&error))
    }

    /// Restores all states from what a checkpoint holds for the operator; answers the watermark floor.
    pub(crate) fn restore(&mut self, source: Option<&mut RestoreSource>) -> Result<EventTime> {
        self.accumulators.seal();
        let migrations = self.migrations.take();
        if let Some(source) = source {
            source.set_migrations(migrations);
            self.visit_states(&mut |state| {
                if planted!(LostTimer) && state.descriptor().kind == StateKind::Timers {
                    return Ok(());
                }
                state.restore(source)
            })?;
            for notice in source.notices() {
                tracing::warn!("{notice}");
            }
            if let Some(lost) = source.unclaimed().first()
                && !planted!(LostTimer)
            {
                return Err(Error::state(format!(
                    "operator `{}` no longer has the state `{lost}` that the checkpoint holds",
                    self.info.name
                ))
                .with_detail(format!("uid `{}`", self.info.uid))
                .with_hint(format!(
                    "declare the state again in `open`; or drop all state of the operator \
                     (execution.state-recovery.drop-state: {}); or give it a new uid",
                    self.info.uid
                )));
            }
        }
        if planted!(WatermarkReset) {
            return Ok(WATERMARK_MIN);
        }
        Ok(self.floor.items().iter().copied().min().unwrap_or(WATERMARK_MIN))
    }

    /// Calls the operator or source with a context; errors and panics come back naming the operator.
    pub(crate) fn call<R>(
        &mut self,
        shared: &Rc<WorkerShared>,
        emitter: &mut dyn Emitter,
        (watermark, tick): (EventTime, Tick),
        call: impl FnOnce(&mut Body, &mut OperatorContext<'_>) -> Result<R>,
    ) -> Result<R, FailureReport> {
        crate::panics::reset_row();
        let Instance {
            info,
            metrics,
            user_metrics,
            accumulators,
            migrations,
            waker,
            wake_at_ms,
            report,
            body,
            ..
        } = self;
        let mut context = OperatorContext {
            info,
            shared,
            metrics,
            user_metrics,
            accumulators,
            migrations,
            waker,
            emitter,
            watermark,
            tick,
            wake_at_ms,
            report,
        };
        let outcome = crate::panics::catch(AssertUnwindSafe(|| call(body, &mut context)));
        match outcome {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(self.blame(&error)),
            Err(panic) => Err(self.blame(&panic)),
        }
    }

    pub(crate) fn blame(&self, error: &Error) -> FailureReport {
        let mut report = FailureReport::from(error)
            .with_operator(self.info.name.to_string(), Some(self.info.uid.to_string()));
        let row = crate::panics::current_row();
        let before = self.metrics.records_in.get();
        report.position = Some(match row {
            Some(row) => format!("record {} of instance {}", before + row + 1, self.info.instance),
            None => format!("instance {}, {before} records in", self.info.instance),
        });
        report
    }
}
