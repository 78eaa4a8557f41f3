//! Operators by hand: restores at another parallelism, timers that are overdue, idleness in mid-pipeline.

use super::{KeyedProcessOperator, ProcessingTimersAtEnd};
use crate::function::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, TimeDomain};
use crate::side_output::SidePorts;
use crate::watermark::WatermarkStrategy;
use crate::watermark::assigner::TimestampAssigner;
use eddyline_core::key::owner_of;
use eddyline_core::{Clock, Data, ManualClock, Record, Result, WATERMARK_MAX, key_group_of};
use eddyline_runtime::harness::{HarnessConfig, HarnessSnapshot, OperatorHarness};
use eddyline_state::ValueState;
use std::sync::Arc;
use std::time::Duration;

/// Counts; tells the count at the event time and the processing time that a record asks for.
#[derive(Default)]
struct Ask {
    count: Option<ValueState<u64>>,
}

type Told = (u64, i64, bool, u64);

impl KeyedProcessFunction<u64, (u64, i64, i64), Told> for Ask {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, event, processing): (u64, i64, i64),
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<Told>,
    ) -> Result<()> {
        self.count.as_ref().unwrap().with_mut(|| 0, |count| *count += 1);
        context.register_event_time_timer(event);
        context.register_processing_time_timer(processing);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<Told>,
    ) -> Result<()> {
        let count = self.count.as_ref().unwrap().get().unwrap();
        out.collect((*context.key(), time, domain == TimeDomain::EventTime, count));
        Ok(())
    }
}

fn start(
    instance: u32,
    parallelism: u32,
    clock: &ManualClock,
    snapshots: &[HarnessSnapshot],
) -> OperatorHarness {
    let key_of = Arc::new(|row: &(u64, i64, i64)| row.0);
    let operator = KeyedProcessOperator::<u64, (u64, i64, i64), Told, Ask>::new(
        Ask::default(),
        key_of,
        SidePorts::default(),
        ProcessingTimersAtEnd::Drop,
    );
    let config = HarnessConfig {
        instance,
        parallelism,
        clock: clock.clone(),
        batches_per_call: 3,
        batch_rows_max: 2,
        ..HarnessConfig::default()
    };
    OperatorHarness::start(operator, config, snapshots).unwrap()
}

fn owner(key: u64, parallelism: u32) -> u32 {
    owner_of(key_group_of(key.stable_hash(), 128), 128, parallelism)
}

#[test]
fn state_and_timers_move_with_their_keys_and_overdue_timers_fire_after_a_restore() {
    let clock = ManualClock::new(1_000_000);
    let mut one = start(0, 1, &clock, &[]);
    let rows: Vec<_> = (0..40u64).map(|key| Record::new((key, 500i64, 2_000 + key as i64), 1)).collect();
    one.push(0, rows.clone()).unwrap();
    one.push(0, rows).unwrap();
    one.advance_watermark(499).unwrap();
    assert_eq!(one.take::<Told>(0), []);
    let snapshot = one.snapshot().unwrap();
    let (mut early, mut late, mut at_watermark) = (Vec::new(), Vec::new(), Vec::new());
    for instance in 0..3 {
        let now = ManualClock::new(2_019_000);
        let mut harness = start(instance, 3, &now, std::slice::from_ref(&snapshot));
        harness.advance_clock(now.wall_millis()).unwrap();
        early.extend(harness.take::<Told>(0));
        harness.advance_clock(3_000).unwrap();
        late.extend(harness.take::<Told>(0));
        harness.advance_watermark(500).unwrap();
        let fired = harness.take::<Told>(0);
        assert!(fired.iter().all(|record| owner(record.value.0, 3) == instance && record.timestamp == 500));
        let keys: Vec<u64> = fired.iter().map(|record| record.value.0).collect();
        let mut in_order = keys.clone();
        in_order.sort_by_key(|key| key.to_le_bytes());
        assert_eq!(keys, in_order, "timers of one time fire in the order of their keys' bytes");
        at_watermark.extend(fired);
        harness.end().unwrap();
        assert_eq!(harness.take::<Told>(0), [], "nothing is left");
    }
    let values = |records: Vec<Record<Told>>| {
        let mut values: Vec<Told> = records.into_iter().map(|record| record.value).collect();
        values.sort_unstable();
        values
    };
    let told =
        |keys: std::ops::Range<u64>| keys.map(|key| (key, 2_000 + key as i64, false, 2)).collect::<Vec<_>>();
    assert_eq!(values(early), told(0..20), "overdue at the restore");
    assert_eq!(values(late), told(20..40));
    assert_eq!(values(at_watermark), (0..40).map(|key| (key, 500, true, 2)).collect::<Vec<_>>());
}

#[test]
fn an_assigner_promises_what_it_saw_is_idle_after_silence_and_keeps_its_promise() {
    let strategy = WatermarkStrategy::<i64>::for_bounded_out_of_orderness(Duration::from_millis(10))
        .with_timestamp_assigner(|time, _| *time)
        .with_idleness(Duration::from_secs(1));
    let clock = ManualClock::new(1_000_000);
    let config = HarnessConfig { clock: clock.clone(), ..HarnessConfig::default() };
    let mut harness =
        OperatorHarness::start(TimestampAssigner::new(strategy.clone()), config.clone(), &[]).unwrap();
    harness.push(0, vec![Record::new(100i64, 0), Record::new(50, 0)]).unwrap();
    assert_eq!(harness.take::<i64>(0), [Record::new(100, 100), Record::new(50, 50)]);
    assert_eq!(harness.output_watermark(), 89);
    harness.advance_watermark(1_000_000).unwrap();
    assert_eq!(harness.output_watermark(), 89, "watermarks from before do not count");
    let snapshot = harness.snapshot().unwrap();
    let mut restored = OperatorHarness::start(TimestampAssigner::new(strategy), config, &[snapshot]).unwrap();
    assert_eq!(restored.output_watermark(), 89);
    restored.push(0, vec![Record::new(60i64, 0)]).unwrap();
    assert_eq!(restored.output_watermark(), 89, "a promise is not taken back");
    restored.advance_watermark(WATERMARK_MAX).unwrap();
    assert_eq!(restored.output_watermark(), WATERMARK_MAX);
}
