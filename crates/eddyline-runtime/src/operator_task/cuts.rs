//! What a task does at a cut.

use super::OperatorTask;
use crate::instance::Body;
use crate::operator::Progress;
use crate::shared::Cut;
use eddyline_protocol::FailureReport;

impl OperatorTask {
    /// The reach is the next cut: freezes the states, if the operator is ready for it.
    pub(super) fn cut(&mut self) -> Result<bool, FailureReport> {
        let Some(cut) = self.next_cut() else { return Ok(false) };
        if self.preparing != Some(cut) {
            self.call_held(|body, context| match body {
                Body::Operator(operator) => {
                    operator.before_snapshot(cut.checkpoint, context).map(|()| Progress::Done)
                }
                Body::Source(_) => Ok(Progress::Done),
            })?;
            self.preparing = Some(cut);
        }
        self.try_freeze(cut)?;
        self.cut_number += 1;
        let mut stash = std::mem::take(&mut self.stash);
        stash.extend(std::mem::take(&mut self.queue));
        self.queue = stash;
        Ok(true)
    }

    /// Freezes for cuts that were passed before the operator was ready.
    pub(super) fn freeze_late(&mut self) -> Result<(), FailureReport> {
        loop {
            let mut instance = self.instance.borrow_mut();
            let Some((checkpoint, watermark)) = instance.frozen_late.front().copied() else { return Ok(()) };
            let ready = match &mut instance.body {
                Body::Operator(operator) => operator.snapshot_ready(checkpoint),
                Body::Source(_) => true,
            };
            if !ready {
                return Ok(());
            }
            instance.frozen_late.pop_front();
            instance.freeze_for(&self.shared, checkpoint, watermark)?;
            let number = instance.number;
            drop(instance);
            self.shared.frozen(checkpoint, number);
        }
    }

    fn try_freeze(&mut self, cut: Cut) -> Result<(), FailureReport> {
        let mut instance = self.instance.borrow_mut();
        let ready = instance.frozen_late.is_empty()
            && match &mut instance.body {
                Body::Operator(operator) => operator.snapshot_ready(cut.checkpoint),
                Body::Source(_) => true,
            };
        if ready {
            instance.freeze_for(&self.shared, cut.checkpoint, self.watermark)?;
            let number = instance.number;
            drop(instance);
            self.shared.frozen(cut.checkpoint, number);
        } else {
            instance.frozen_late.push_back((cut.checkpoint, self.watermark));
        }
        Ok(())
    }
}
