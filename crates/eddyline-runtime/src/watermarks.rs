//! The watermark table: watermarks are data indexed by tick.
//!
//! Every generator instance reports `(tick, watermark, idle)` when something changes; reports reach all workers on
//! a side stream of the dataflow. A report of tick `t` holds for everything of ticks up to `t`. An operator whose
//! input frontier is `f` applies the minimum over the generators before it of their newest reports of ticks `< f`,
//! once the side streams of those generators have passed `f` too.

use crate::graph::NodeId;
use eddyline_core::{EventTime, Tick, WATERMARK_MIN};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What a generator instance says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) node: u32,
    pub(crate) instance: u32,
    pub(crate) tick: Tick,
    pub(crate) watermark: EventTime,
    pub(crate) idle: bool,
}

/// What is known of all generators on one worker.
#[derive(Debug, Default)]
pub(crate) struct WatermarkTable {
    nodes: BTreeMap<NodeId, GeneratorNode>,
}

#[derive(Debug)]
struct GeneratorNode {
    frontier: Tick,
    instances: Vec<History>,
}

#[derive(Debug, Clone)]
struct History {
    base: (EventTime, bool),
    later: VecDeque<(Tick, EventTime, bool)>,
}

impl History {
    fn at(&self, frontier: Tick) -> (EventTime, bool) {
        let newest = self.later.iter().rev().find(|(tick, _, _)| *tick < frontier);
        newest.map_or(self.base, |(_, watermark, idle)| (*watermark, *idle))
    }

    fn latest(&self) -> (EventTime, bool) {
        self.later.back().map_or(self.base, |(_, watermark, idle)| (*watermark, *idle))
    }
}

impl WatermarkTable {
    /// Makes room for the `instances` instances of generator `node`.
    pub(crate) fn add(&mut self, node: NodeId, instances: usize) {
        let history = History { base: (WATERMARK_MIN, false), later: VecDeque::new() };
        self.nodes.insert(node, GeneratorNode { frontier: 0, instances: vec![history; instances] });
    }

    /// Takes in a report; watermarks of an instance never go back.
    pub(crate) fn insert(&mut self, report: Report) {
        let Some(node) = self.nodes.get_mut(&(report.node as usize)) else { return };
        let Some(history) = node.instances.get_mut(report.instance as usize) else { return };
        let (before, _) = history.latest();
        history.later.push_back((report.tick, report.watermark.max(before), report.idle));
    }

    /// The side stream of `node` has reached `frontier`. Answers whether that is news.
    pub(crate) fn advance(&mut self, node: NodeId, frontier: Tick) -> bool {
        match self.nodes.get_mut(&node) {
            Some(known) if known.frontier != frontier => {
                known.frontier = frontier;
                true
            }
            _ => false,
        }
    }

    /// How far the reports of all of `nodes` are known.
    pub(crate) fn frontier(&self, nodes: &[NodeId]) -> Tick {
        nodes
            .iter()
            .filter_map(|node| self.nodes.get(node))
            .map(|node| node.frontier)
            .min()
            .unwrap_or(Tick::MAX)
    }

    /// The least watermark that the non-idle instances of `nodes` reported before `frontier`; none if all are idle.
    pub(crate) fn minimum_before(&self, nodes: &[NodeId], frontier: Tick) -> Option<EventTime> {
        self.minimum(nodes, |history| history.at(frontier))
    }

    /// The least watermark that the non-idle instances of `nodes` reported last.
    pub(crate) fn latest_minimum(&self, nodes: &[NodeId]) -> EventTime {
        self.minimum(nodes, History::latest).unwrap_or(WATERMARK_MIN)
    }

    fn minimum(&self, nodes: &[NodeId], at: impl Fn(&History) -> (EventTime, bool)) -> Option<EventTime> {
        let instances = nodes.iter().filter_map(|node| self.nodes.get(node)).flat_map(|node| &node.instances);
        instances.map(at).filter(|(_, idle)| !idle).map(|(watermark, _)| watermark).min()
    }

    /// Who holds the watermark of `nodes` back, for people: the instance with the least watermark.
    pub(crate) fn holder(&self, nodes: &[NodeId]) -> Option<(NodeId, usize, EventTime)> {
        let mut least = None;
        for node in nodes {
            let Some(known) = self.nodes.get(node) else { continue };
            for (instance, history) in known.instances.iter().enumerate() {
                let (watermark, idle) = history.latest();
                if !idle && least.is_none_or(|(_, _, before)| watermark < before) {
                    least = Some((*node, instance, watermark));
                }
            }
        }
        least
    }

    /// Forgets reports that no operator will ask for: all operators have applied everything before `frontier`.
    pub(crate) fn trim(&mut self, frontier: Tick) {
        for history in self.nodes.values_mut().flat_map(|node| &mut node.instances) {
            while history.later.front().is_some_and(|(tick, _, _)| *tick < frontier)
                && history.later.get(1).is_none_or(|(tick, _, _)| *tick < frontier)
            {
                if let Some((_, watermark, idle)) = history.later.pop_front() {
                    history.base = (watermark, idle);
                }
            }
        }
    }

    /// All generators.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(node: u32, instance: u32, tick: Tick, watermark: EventTime, idle: bool) -> Report {
        Report { node, instance, tick, watermark, idle }
    }

    #[test]
    fn minimum_is_over_active_instances_and_only_of_earlier_ticks() {
        let mut table = WatermarkTable::default();
        table.add(0, 2);
        assert_eq!(table.minimum_before(&[0], 10), Some(WATERMARK_MIN));
        table.insert(report(0, 0, 3, 100, false));
        table.insert(report(0, 1, 4, 50, false));
        assert_eq!(table.minimum_before(&[0], 4), Some(WATERMARK_MIN));
        assert_eq!(table.minimum_before(&[0], 5), Some(50));
        table.insert(report(0, 1, 6, 50, true));
        assert_eq!(table.minimum_before(&[0], 7), Some(100));
        table.insert(report(0, 0, 8, 90, true));
        assert_eq!(table.minimum_before(&[0], 9), None, "all idle: nobody has a say");
        table.insert(report(0, 0, 9, 90, false));
        assert_eq!(table.minimum_before(&[0], 10), Some(100), "a watermark does not go back");
        assert_eq!(table.holder(&[0]), Some((0, 0, 100)));
    }

    #[test]
    fn trimming_keeps_what_can_still_be_asked() {
        let mut table = WatermarkTable::default();
        table.add(0, 1);
        for tick in 0..10 {
            table.insert(report(0, 0, tick, tick as i64 * 10, false));
        }
        table.trim(5);
        for frontier in 5..12 {
            assert_eq!(table.minimum_before(&[0], frontier), Some((frontier as i64 - 1).min(9) * 10));
        }
    }

    #[test]
    fn frontier_is_the_least_of_the_asked_generators() {
        let mut table = WatermarkTable::default();
        table.add(0, 1);
        table.add(1, 1);
        assert!(table.advance(0, 7));
        assert!(!table.advance(0, 7));
        assert_eq!(table.frontier(&[0]), 7);
        assert_eq!(table.frontier(&[0, 1]), 0);
        assert_eq!(table.frontier(&[]), Tick::MAX);
    }
}
