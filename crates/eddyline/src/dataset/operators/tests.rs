//! Operators on bounded data, driven by hand.

use super::{BlockingOperator, BroadcastSetBody, GroupBody, SortBody};
use crate::dataset::Rows;
use crate::function::Collector;
use crate::operators::KeyOf;
use crate::spill::testing::MemoryStorage;
use crate::spill::{Order, SpillService};
use eddyline_core::Record;
use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
use eddyline_runtime::{Operator, Progress, Services};
use std::sync::Arc;

fn start(room: i64, memory_bytes: usize) -> OperatorHarness {
    let order: Order<u64> = Arc::new(u64::cmp);
    start_operator(BlockingOperator::new(SortBody::new(order)), room, memory_bytes)
}

fn start_operator(operator: impl Operator + 'static, room: i64, memory_bytes: usize) -> OperatorHarness {
    let mut services = Services::default();
    let storage = Arc::new(MemoryStorage::with_room(room));
    services.insert(Arc::new(SpillService::inline(storage)));
    let config = HarnessConfig {
        services,
        memory_bytes,
        batch_rows_max: 10,
        batches_per_call: 1,
        ..HarnessConfig::default()
    };
    OperatorHarness::start(operator, config, &[]).unwrap()
}

fn push(harness: &mut OperatorHarness, numbers: impl Iterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.collect();
    for batch in numbers.chunks(500) {
        harness.push(0, batch.iter().map(|number| Record::new(*number, 5)).collect()).unwrap();
        while !harness.accepts_input() {
            harness.wake().unwrap();
        }
    }
}

#[test]
fn results_leave_as_there_is_room_in_order_and_without_times() {
    let mut harness = start(i64::MAX, 100 << 10);
    push(&mut harness, (0..20_000).rev());
    assert!(harness.take::<u64>(0).is_empty(), "nothing before the end");
    assert_eq!(harness.end().unwrap(), Progress::Done);
    let expected: Vec<Record<u64>> = (0..20_000).map(|number| Record::new(number, i64::MIN)).collect();
    assert_eq!(harness.take::<u64>(0), expected);
}

#[test]
fn what_is_collected_cannot_be_part_of_a_checkpoint() {
    let mut harness = start(i64::MAX, 1 << 20);
    assert!(harness.snapshot().is_ok(), "nothing is lost yet");
    push(&mut harness, 0..3);
    let failure = harness.snapshot().err().unwrap().to_error().report();
    assert!(failure.contains("cannot be suspended while it collects"), "{failure}");
    harness.end().unwrap();
    assert!(harness.snapshot().is_ok(), "everything has left");
}

#[test]
fn a_full_disk_ends_the_job_with_a_word_on_what_to_do() {
    let mut harness = start(20_000, 100 << 10);
    let mut failure = None;
    for batch in 0..200u64 {
        let rows = (0..500).map(|row| Record::new(batch * 500 + row, 0)).collect();
        if let Err(report) = harness.push(0, rows).and_then(|()| harness.wake()) {
            failure = Some(report.to_error().report());
            break;
        }
    }
    let failure = failure.unwrap();
    assert!(failure.contains("cannot write a file of spilled records") && failure.contains("io.tmp.dirs"));
}

#[test]
fn a_broadcast_set_that_does_not_fit_ends_the_job_with_a_word_on_what_to_do() {
    let make =
        |set: Vec<u64>| move |value: u64, out: &mut Collector<u64>| out.collect(value + set.len() as u64);
    let body = BroadcastSetBody::<u64, u64, u64, _>::new(make);
    let mut harness = start_operator(BlockingOperator::new(body), i64::MAX, 100 << 10);
    let mut failure = None;
    for batch in 0..40u64 {
        let rows = (0..500).map(|row| Record::new(batch * 500 + row, 0)).collect();
        if let Err(report) = harness.push::<u64>(1, rows) {
            failure = Some(report.to_error().report());
            break;
        }
    }
    let failure = failure.unwrap();
    assert!(failure.contains("each instance holds") && failure.contains("join with it"), "{failure}");
}

#[test]
fn a_call_that_gives_too_much_ends_the_job_with_a_word_on_what_to_do() {
    let key_of: KeyOf<u64, u64> = Arc::new(|_| 0);
    let many = |_: &u64, rows: Rows<'_, u64>, out: &mut Collector<u64>| {
        rows.for_each(|row| (0..1_000).for_each(|number| out.collect(row + number)));
    };
    let body = GroupBody::<u64, u64, u64, _>::new(key_of, None, many);
    let mut harness = start_operator(BlockingOperator::new(body), i64::MAX, 100 << 10);
    push(&mut harness, 0..100);
    let failure = harness.end().unwrap_err().to_error().report();
    assert!(failure.contains("one call of a function") && failure.contains("emit less"), "{failure}");
}
