//! Operators on bounded data, driven by hand.

use super::{BlockingOperator, SortBody};
use crate::spill::testing::MemoryStorage;
use crate::spill::{Order, SpillService};
use eddyline_core::Record;
use eddyline_runtime::harness::{HarnessConfig, OperatorHarness};
use eddyline_runtime::{Progress, Services};
use std::sync::Arc;

fn start(room: i64, memory_bytes: usize) -> OperatorHarness {
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
    let order: Order<u64> = Arc::new(u64::cmp);
    OperatorHarness::start(BlockingOperator::new(SortBody::new(order)), config, &[]).unwrap()
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
