//! A chain of fused stateless steps as one operator.

use crate::context::OperatorContext;
use crate::operator::{Operator, Stage, Stateful};
use eddyline_core::{Batch, Result};

/// Runs stages one after the other, a batch at a time, without anything between them.
pub(crate) struct Chain {
    stages: Vec<Box<dyn Stage>>,
}

impl Chain {
    pub(crate) fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Chain { stages }
    }
}

fn run(stages: &mut [Box<dyn Stage>], batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
    match stages.split_first_mut() {
        None => emit(batch),
        Some((first, rest)) => first.apply(batch, &mut |out| run(rest, out, emit)),
    }
}

impl Stateful for Chain {}

impl Operator for Chain {
    fn on_batch(&mut self, _input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        run(&mut self.stages, batch, &mut |out| context.emit(0, out))
    }
}
