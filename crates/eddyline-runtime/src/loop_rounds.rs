//! Until when a loop is known to be empty, and how old its records may be.
//!
//! Records that go round change workers, so no worker alone knows what is under way. The leader therefore opens a
//! *round* at a tick `r`, one at a time. Each worker notes the least event time of what crosses `r` in its loops: what
//! waits at its head when the head passes `r`, and what comes in at its tail with a tick before `r` after that. Once
//! its tails have passed `r` it reports that *hold*. The leader announces the least of all holds with a later tick;
//! from then on the heads promise the least of it and of the input's watermark at `r`: a record that a head emits at
//! or after `r` either crossed `r` or came in after it.
//!
//! A round in which nothing moved anywhere, begun after the last source had ended, ends the loops.

use eddyline_core::{EventTime, Tick, WATERMARK_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a worker has seen of its loops in a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RoundReport {
    pub(crate) worker: u32,
    pub(crate) round: Tick,
    /// Whether anything entered or went round a loop since the report before.
    pub(crate) active: bool,
    /// Whether a head's input is ahead of what the head can promise from this round.
    pub(crate) lagging: bool,
    /// Loop and least event time.
    pub(crate) holds: Vec<(usize, EventTime)>,
}

/// What the leader announces of a round: for each loop its number and the least event time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RoundResult {
    pub(crate) holds: Vec<(usize, EventTime)>,
}

/// The leader's view of the rounds.
#[derive(Debug, Default)]
pub(crate) struct LoopRounds {
    open: Option<Tick>,
    reports: BTreeMap<u32, RoundReport>,
    announce: Option<RoundResult>,
    /// The last round that all have answered, and whether nothing moved in it.
    answered: Option<(Tick, bool)>,
}

impl LoopRounds {
    /// Takes in a report; answers of rounds that are over do not count.
    pub(crate) fn report(&mut self, report: RoundReport, peers: usize) {
        if self.open != Some(report.round) {
            return;
        }
        self.reports.insert(report.worker, report);
        if self.reports.len() < peers {
            return;
        }
        let reports = std::mem::take(&mut self.reports);
        let mut holds: BTreeMap<usize, EventTime> = BTreeMap::new();
        for (number, hold) in reports.values().flat_map(|report| &report.holds) {
            let least = holds.entry(*number).or_insert(WATERMARK_MAX);
            *least = (*least).min(*hold);
        }
        let settled = !reports.values().any(|report| report.active || report.lagging);
        self.answered = self.open.take().map(|round| (round, settled));
        self.announce = Some(RoundResult { holds: holds.into_iter().collect() });
    }

    /// Whether something waits to be announced.
    pub(crate) fn has_news(&self) -> bool {
        self.announce.is_some()
    }

    /// Whether a round begun at `since` or later was answered and nothing moved in it.
    pub(crate) fn is_settled_since(&self, since: Tick) -> bool {
        self.answered.is_some_and(|(round, settled)| settled && round >= since)
    }

    /// Whether no round is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// What the message that opens `tick` has to say: the result of the last round, and whether another begins.
    /// `begin` asks for one; one that did not settle is followed by another in any case.
    pub(crate) fn at_tick(&mut self, tick: Tick, begin: bool) -> (Option<RoundResult>, bool) {
        let unsettled = self.answered.is_some_and(|(_, settled)| !settled);
        let begins = self.open.is_none() && (begin || unsettled);
        if begins {
            self.open = Some(tick);
        }
        (self.announce.take(), begins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(worker: u32, round: Tick, active: bool, hold: EventTime) -> RoundReport {
        RoundReport { worker, round, active, lagging: false, holds: vec![(0, hold)] }
    }

    #[test]
    fn the_least_hold_of_all_workers_is_announced_once() {
        let mut rounds = LoopRounds::default();
        assert!(rounds.at_tick(5, true).1);
        rounds.report(report(0, 4, false, 1), 2);
        rounds.report(report(0, 5, true, 70), 2);
        assert!(!rounds.has_news());
        rounds.report(report(1, 5, false, 30), 2);
        assert!(rounds.has_news() && !rounds.is_settled_since(5));
        let (result, begins) = rounds.at_tick(6, false);
        assert_eq!(result.map(|result| result.holds), Some(vec![(0, 30)]));
        assert!(begins, "what did not settle is looked at again");
        assert!(!rounds.has_news());
    }

    #[test]
    fn a_quiet_round_settles_and_is_not_followed_by_another() {
        let mut rounds = LoopRounds::default();
        rounds.at_tick(5, true);
        rounds.report(report(0, 5, false, WATERMARK_MAX), 1);
        assert!(rounds.is_settled_since(5) && !rounds.is_settled_since(6));
        assert!(!rounds.at_tick(6, false).1);
        assert!(rounds.is_idle());
    }
}
