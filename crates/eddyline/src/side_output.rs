//! Side outputs: further outputs of an operator, found by name.
//!
//! Which of an operator's side outputs are read is known only once the whole graph has been described; until then
//! [`SidePorts`] is shared between the graph and the operator's factory. What is emitted on a side output that
//! nobody reads is dropped.

use crate::function::OutputTag;
use eddyline_core::{Batch, Data, Error, EventTime, Record, Result};
use eddyline_runtime::OperatorContext;
use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
struct SidePort {
    name: String,
    port: usize,
    value: TypeId,
    new_rows: fn() -> Box<dyn SideRows>,
}

/// The side outputs of one node that somebody reads.
#[derive(Clone, Default)]
pub(crate) struct SidePorts(Arc<Mutex<Vec<SidePort>>>);

impl SidePorts {
    /// The port of the side output `tag`; a tag that was not asked for before gets `next`. Says whether it is new.
    pub(crate) fn port<S: Data>(&self, tag: &OutputTag<S>, next: usize) -> Result<(usize, bool)> {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ports.iter().find(|known| known.name == tag.name()) {
            if known.value != TypeId::of::<S>() {
                return Err(two_types(tag.name()));
            }
            return Ok((known.port, false));
        }
        let new_rows = || Box::new(Vec::<Record<S>>::new()) as Box<dyn SideRows>;
        ports.push(SidePort { name: tag.name().to_owned(), port: next, value: TypeId::of::<S>(), new_rows });
        Ok((next, true))
    }

    /// What an instance needs to emit on these ports.
    pub(crate) fn outputs(&self) -> SideOutputs {
        let ports = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ports = ports.into_iter().map(|port| ((port.new_rows)(), port)).collect();
        SideOutputs { ports, failure: None, waiting: 0 }
    }
}

fn two_types(name: &str) -> Error {
    Error::config(format!("the side output `{name}` is used with two types"))
        .with_hint("give side outputs of different types different names")
}

/// Rows whose type is known to the tag alone.
trait SideRows {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn take_batch(&mut self, created_micros: u64) -> Batch;
}

impl<S: Data> SideRows for Vec<Record<S>> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn take_batch(&mut self, created_micros: u64) -> Batch {
        Batch::from_rows(std::mem::take(self), created_micros)
    }
}

/// Collects what an instance emits on its side outputs.
pub(crate) struct SideOutputs {
    ports: Vec<(Box<dyn SideRows>, SidePort)>,
    failure: Option<Error>,
    waiting: usize,
}

impl SideOutputs {
    /// Nothing to emit on.
    pub(crate) fn none() -> Self {
        SideOutputs { ports: Vec::new(), failure: None, waiting: 0 }
    }

    /// Emits `value` on `tag`, if anybody reads it.
    pub(crate) fn collect<S: Data>(&mut self, tag: &OutputTag<S>, value: S, timestamp: EventTime) {
        let Some((rows, _)) = self.ports.iter_mut().find(|(_, port)| port.name == tag.name()) else { return };
        match rows.as_any_mut().downcast_mut::<Vec<Record<S>>>() {
            Some(rows) => {
                rows.push(Record { value, timestamp });
                self.waiting += 1;
            }
            None => self.failure = Some(two_types(tag.name())),
        }
    }

    /// Sends on what was collected, if it is much.
    pub(crate) fn flush_full(
        &mut self,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if self.waiting >= context.batch_rows_max() || self.failure.is_some() {
            self.flush(created_micros, context)?;
        }
        Ok(())
    }

    /// Sends on what was collected.
    pub(crate) fn flush(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.waiting > 0 {
            self.waiting = 0;
            let created = if created_micros == 0 { context.clock().wall_micros() } else { created_micros };
            for (rows, port) in &mut self.ports {
                context.emit(port.port, rows.take_batch(created))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_one_port_and_one_type() {
        let ports = SidePorts::default();
        assert_eq!(ports.port(&OutputTag::<u8>::new("a"), 1).unwrap(), (1, true));
        assert_eq!(ports.port(&OutputTag::<u8>::new("b"), 2).unwrap(), (2, true));
        assert_eq!(ports.port(&OutputTag::<u8>::new("a"), 3).unwrap(), (1, false));
        assert!(ports.port(&OutputTag::<u16>::new("a"), 3).is_err());
        let mut outputs = ports.outputs();
        outputs.collect(&OutputTag::<u8>::new("b"), 7, 1);
        outputs.collect(&OutputTag::<u8>::new("unread"), 7, 1);
        assert_eq!(outputs.waiting, 1);
        outputs.collect(&OutputTag::<u16>::new("b"), 7, 1);
        assert!(outputs.failure.is_some());
    }
}
