//! The watermarks of the splits of one source instance.
//!
//! Each split has its own generator. The instance's watermark is the least over the splits that are neither idle nor
//! paused for good; an instance without active splits is idle. Floors: a restored split promises at least what it
//! had promised before.

use super::SplitId;
use crate::watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use eddyline_core::{Data, EventTime, Record, WATERMARK_MIN};
use std::collections::BTreeMap;

struct Split<T> {
    generator: Box<dyn WatermarkGenerator<T>>,
    output: WatermarkOutput,
    /// The source itself says that nothing is to be expected.
    declared_idle: bool,
    /// Nothing came for longer than the idleness time-out.
    timed_out: bool,
    /// When the last record came, on the clock of [`Splits::pass`].
    active_at_micros: u64,
    paused: bool,
}

impl<T> Split<T> {
    fn is_idle(&self) -> bool {
        self.declared_idle || self.timed_out || self.output.is_idle()
    }
}

/// All splits of an instance.
pub(super) struct Splits<T> {
    splits: BTreeMap<SplitId, Split<T>>,
    /// What restored splits had promised, until their owner claims them.
    floors: BTreeMap<SplitId, EventTime>,
    /// Time in which the source was able to read.
    reading_micros: u64,
    watermark: EventTime,
}

impl<T: Data> Splits<T> {
    pub(super) fn new() -> Self {
        Splits {
            splits: BTreeMap::new(),
            floors: BTreeMap::new(),
            reading_micros: 0,
            watermark: WATERMARK_MIN,
        }
    }

    /// Takes in what all splits of the source had promised at the checkpoint that is restored.
    pub(super) fn restore(&mut self, floors: &[(SplitId, EventTime)]) {
        for (split, floor) in floors {
            let known = self.floors.entry(*split).or_insert(*floor);
            *known = (*known).max(*floor);
        }
    }

    /// What the splits have promised. The first instance keeps the promises of splits that nobody has claimed yet.
    pub(super) fn promises(&self, first_instance: bool) -> Vec<(SplitId, EventTime)> {
        let mut promises: BTreeMap<SplitId, EventTime> =
            if first_instance { self.floors.clone() } else { BTreeMap::new() };
        promises.extend(self.splits.iter().map(|(split, known)| (*split, known.output.watermark())));
        promises.retain(|_, watermark| *watermark > WATERMARK_MIN);
        promises.into_iter().collect()
    }

    pub(super) fn add(&mut self, split: SplitId, strategy: &WatermarkStrategy<T>) {
        self.entry(split, strategy);
    }

    fn entry(&mut self, split: SplitId, strategy: &WatermarkStrategy<T>) -> &mut Split<T> {
        let (floors, now) = (&mut self.floors, self.reading_micros);
        self.splits.entry(split).or_insert_with(|| {
            let mut output = WatermarkOutput::default();
            if let Some(floor) = floors.remove(&split) {
                output.emit(floor);
            }
            Split {
                generator: strategy.make_generator(),
                output,
                declared_idle: false,
                timed_out: false,
                active_at_micros: now,
                paused: false,
            }
        })
    }

    pub(super) fn set_idle(&mut self, split: SplitId, idle: bool, strategy: &WatermarkStrategy<T>) {
        let now = self.reading_micros;
        let known = self.entry(split, strategy);
        known.declared_idle = idle;
        if !idle {
            known.timed_out = false;
            known.active_at_micros = now;
        }
    }

    pub(super) fn remove(&mut self, split: SplitId) {
        self.splits.remove(&split);
        self.floors.remove(&split);
    }

    /// Lets the generator of `split` see records whose timestamps are assigned.
    pub(super) fn observe(&mut self, split: SplitId, records: &[Record<T>], strategy: &WatermarkStrategy<T>) {
        let now = self.reading_micros;
        let known = self.entry(split, strategy);
        known.declared_idle = false;
        known.timed_out = false;
        known.active_at_micros = now;
        known.generator.on_events(records, &mut known.output);
    }

    pub(super) fn is_paused(&self, split: SplitId) -> bool {
        self.splits.get(&split).is_some_and(|split| split.paused)
    }

    /// Whether there are splits and every one of them has to wait for other sources.
    pub(super) fn all_paused(&self) -> bool {
        let mut active = self.splits.values().filter(|split| !split.is_idle()).peekable();
        active.peek().is_some() && active.all(|split| split.paused)
    }

    /// Pauses the splits that are past `limit`, and lets the others go on.
    pub(super) fn pause_beyond(&mut self, limit: EventTime) -> bool {
        let mut any = false;
        for split in self.splits.values_mut() {
            split.paused = split.output.watermark() > limit;
            any |= split.paused;
        }
        any
    }

    /// The source was able to read for another `micros`: splits that said nothing for too long become idle. Answers
    /// after how many microseconds the next one will.
    pub(super) fn pass(&mut self, micros: u64, idleness_micros: Option<u64>) -> Option<u64> {
        self.reading_micros += micros;
        let timeout = idleness_micros?;
        let mut next = None;
        for split in self.splits.values_mut().filter(|split| !split.timed_out && !split.declared_idle) {
            if split.paused {
                split.active_at_micros += micros;
                continue;
            }
            let silent = self.reading_micros - split.active_at_micros.min(self.reading_micros);
            if silent >= timeout {
                split.timed_out = true;
            } else {
                let left = timeout - silent;
                next = Some(next.map_or(left, |soonest: u64| soonest.min(left)));
            }
        }
        next
    }

    /// Asks the generators, and answers the instance's watermark and whether the instance is idle.
    pub(super) fn watermark(&mut self) -> (EventTime, bool) {
        let mut least = None;
        for split in self.splits.values_mut() {
            split.generator.on_periodic(&mut split.output);
            if !split.is_idle() {
                let watermark = split.output.watermark();
                least = Some(least.map_or(watermark, |before: EventTime| before.min(watermark)));
            }
        }
        if let Some(least) = least {
            self.watermark = self.watermark.max(least);
        }
        (self.watermark, least.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn strategy() -> WatermarkStrategy<u8> {
        WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(10))
    }

    fn see(splits: &mut Splits<u8>, split: SplitId, time: EventTime) {
        splits.observe(split, &[Record::new(0, time)], &strategy());
    }

    #[test]
    fn the_instance_promises_the_least_of_its_active_splits() {
        let mut splits = Splits::new();
        assert_eq!(splits.watermark(), (WATERMARK_MIN, true), "without splits it is idle");
        see(&mut splits, 1, 100);
        assert_eq!(splits.watermark(), (89, false));
        splits.add(2, &strategy());
        see(&mut splits, 1, 200);
        assert_eq!(splits.watermark(), (89, false), "a new split holds, but nothing goes back");
        splits.set_idle(2, true, &strategy());
        assert_eq!(splits.watermark(), (189, false));
        see(&mut splits, 2, 150);
        assert_eq!(splits.watermark(), (189, false));
        splits.remove(1);
        splits.remove(2);
        assert_eq!(splits.watermark(), (189, true));
    }

    #[test]
    fn silence_becomes_idleness_but_not_while_paused() {
        let mut splits = Splits::new();
        see(&mut splits, 1, 100);
        see(&mut splits, 2, 500);
        assert_eq!(splits.pass(600, Some(1_000)), Some(400));
        see(&mut splits, 2, 600);
        splits.watermark();
        assert!(splits.pause_beyond(400));
        assert!(splits.is_paused(2) && !splits.is_paused(1) && !splits.all_paused());
        assert_eq!(splits.pass(400, Some(1_000)), None);
        assert_eq!(splits.watermark(), (589, false), "split 1 timed out");
        assert!(splits.all_paused());
        assert!(!splits.pause_beyond(1_000));
        assert_eq!(splits.pass(999, Some(1_000)), Some(1));
    }

    #[test]
    fn promises_are_kept_over_a_restore_wherever_a_split_ends_up() {
        let mut before = Splits::new();
        see(&mut before, 1, 100);
        see(&mut before, 2, 300);
        before.watermark();
        let promised = before.promises(false);
        assert_eq!(promised, vec![(1, 89), (2, 289)]);
        let mut after = Splits::<u8>::new();
        after.restore(&promised);
        after.add(2, &strategy());
        assert_eq!(after.watermark(), (289, false));
        see(&mut after, 2, 290);
        assert_eq!(after.watermark(), (289, false), "an older record does not move the promise back");
        assert_eq!(after.promises(false), vec![(2, 289)]);
        assert_eq!(after.promises(true), vec![(1, 89), (2, 289)], "nobody has claimed split 1 yet");
    }
}
