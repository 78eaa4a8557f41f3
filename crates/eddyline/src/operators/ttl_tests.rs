//! State with a time to live in a function on a keyed stream: by either time, over a restore, at the end of input.

use super::{KeyedProcessOperator, ProcessingTimersAtEnd};
use crate::function::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, TimeDomain};
use crate::side_output::SidePorts;
use eddyline_core::{ManualClock, Record, Result};
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use eddyline_state::{StateTtlConfig, TtlTimeDomain, ValueState};
use std::sync::Arc;
use std::time::Duration;

/// Counts the records of a key, as far as it remembers them; tells the count 50 ms later, too.
struct Remember {
    config: StateTtlConfig,
    count: Option<ValueState<u64>>,
}

impl KeyedProcessFunction<u64, u64, (u64, u64)> for Remember {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.time_to_live(self.config).value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        key: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        let count = self.count.as_ref().unwrap();
        let now = count.with_mut(
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        out.collect((key, now));
        if context.timestamp() > i64::MIN {
            context.register_event_time_timer(context.timestamp() + 50);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        out.collect((*context.key(), self.count.as_ref().unwrap().get().unwrap_or(0)));
        Ok(())
    }
}

fn start(config: StateTtlConfig, clock: &ManualClock, snapshots: &[HarnessSnapshot]) -> OperatorHarness {
    let operator = KeyedProcessOperator::<u64, u64, (u64, u64), Remember>::new(
        Remember { config, count: None },
        Arc::new(|key: &u64| *key),
        SidePorts::default(),
        ProcessingTimersAtEnd::Drop,
    );
    let config = HarnessConfig { clock: clock.clone(), ..HarnessConfig::default() };
    OperatorHarness::start(operator, config, snapshots).unwrap()
}

fn take(harness: &mut OperatorHarness) -> Vec<(u64, u64)> {
    harness.take::<(u64, u64)>(0).into_iter().map(|record| record.value).collect()
}

#[test]
fn by_processing_time_the_clock_decides_also_after_a_restore() {
    let clock = ManualClock::new(1_000_000);
    let config = StateTtlConfig::new(Duration::from_millis(100));
    let mut harness = start(config, &clock, &[]);
    harness.push(0, vec![Record::new(1u64, i64::MIN), Record::new(2, i64::MIN)]).unwrap();
    clock.advance(60_000);
    harness.push(0, vec![Record::new(1u64, i64::MIN)]).unwrap();
    assert_eq!(take(&mut harness), [(1, 1), (2, 1), (1, 2)]);
    let snapshot = harness.snapshot().unwrap();
    clock.advance(60_000);
    let mut restored = start(config, &clock, &[snapshot]);
    restored.push(0, vec![Record::new(1u64, i64::MIN), Record::new(2, i64::MIN)]).unwrap();
    assert_eq!(take(&mut restored), [(1, 3), (2, 1)]);
}

#[test]
fn by_event_time_the_watermark_decides_and_the_end_of_input_is_no_time() {
    let clock = ManualClock::new(1_000_000);
    let config = StateTtlConfig::new(Duration::from_millis(100)).time_domain(TtlTimeDomain::EventTime);
    let mut harness = start(config, &clock, &[]);
    harness.push(0, vec![Record::new(1u64, 1_000)]).unwrap();
    harness.advance_watermark(1_020).unwrap();
    clock.advance(3_600_000_000);
    harness.push(0, vec![Record::new(1u64, 1_040)]).unwrap();
    assert_eq!(take(&mut harness), [(1, 1), (1, 2)], "the clock does not matter");
    // Both timers are due, and each finds the state of its time although the watermark is far ahead of it.
    harness.advance_watermark(1_200).unwrap();
    assert_eq!(take(&mut harness), [(1, 2), (1, 2)]);
    harness.push(0, vec![Record::new(1u64, 1_300)]).unwrap();
    assert_eq!(take(&mut harness), [(1, 1)], "what was touched at 1040 has expired at 1200");
    harness.end().unwrap();
    assert_eq!(take(&mut harness), [(1, 1)], "the end of the input makes nothing expire");
}

#[test]
fn watermarks_clean_up_what_no_record_asks_for() {
    let config = StateTtlConfig::new(Duration::from_millis(100))
        .time_domain(TtlTimeDomain::EventTime)
        .cleanup_incrementally(64, true);
    let mut harness = start(config, &ManualClock::new(0), &[]);
    harness.push(0, (0..1_000u64).map(|key| Record::new(key, 0)).collect()).unwrap();
    for watermark in 0..300 {
        harness.advance_watermark(watermark).unwrap();
    }
    harness.take::<(u64, u64)>(0);
    harness.push(0, vec![Record::new(1u64, 400)]).unwrap();
    let snapshot = harness.snapshot().unwrap();
    assert!(snapshot.bytes_len() < 200, "{} bytes", snapshot.bytes_len());
}

#[test]
fn a_time_to_live_of_nothing_is_refused() {
    let operator = KeyedProcessOperator::<u64, u64, (u64, u64), Remember>::new(
        Remember { config: StateTtlConfig::new(Duration::ZERO), count: None },
        Arc::new(|key: &u64| *key),
        SidePorts::default(),
        ProcessingTimersAtEnd::Drop,
    );
    assert!(OperatorHarness::start(operator, HarnessConfig::default(), &[]).is_err());
}
