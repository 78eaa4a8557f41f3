//! Spools against vectors.

use super::storage::testing::MemoryStorage;
use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

fn setup(storage: MemoryStorage, budget_bytes: usize) -> SpillSetup {
    let service = Arc::new(SpillService::inline(Arc::new(storage)));
    SpillSetup { service, waker: Waker::noop().clone(), budget_bytes }
}

fn collect<T: eddyline_core::Data>(spool: &mut Spool<T>, rows: Vec<T>, per_batch: usize) -> Spooled<T> {
    for (number, row) in rows.into_iter().enumerate() {
        spool.push(row);
        if number % per_batch == 0 {
            spool.poll().unwrap();
            while !spool.accepts() {
                spool.poll().unwrap();
            }
        }
    }
    loop {
        if let Some(spooled) = spool.finish().unwrap() {
            return spooled;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_is_a_stable_sort(
        rows in prop::collection::vec((0u8..20, ".{0,12}"), 0..600),
        budget in prop::sample::select(vec![100usize, 500, 3_000, 1 << 20]),
        per_batch in 1usize..40,
    ) {
        let storage = MemoryStorage::with_room(i64::MAX);
        let files = storage.files.clone();
        let order: Order<(u8, String)> = Arc::new(|one, other| one.0.cmp(&other.0));
        let mut spool = Spool::new(setup(storage, budget), Some(order));
        let spooled = collect(&mut spool, rows.clone(), per_batch);
        let mut merge = spooled.into_merge().unwrap();
        let mut merged = Vec::new();
        while let Some(row) = merge.next().unwrap() {
            merged.push(row);
        }
        let mut expected = rows;
        expected.sort_by_key(|row| row.0);
        prop_assert_eq!(merged, expected);
        drop(merge);
        prop_assert_eq!(files.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_sequence_keeps_the_order_and_can_be_read_again(
        rows in prop::collection::vec(".{0,30}", 0..300),
        budget in prop::sample::select(vec![100usize, 2_000, 1 << 20]),
        stop in 0usize..300,
    ) {
        let mut spool = Spool::new(setup(MemoryStorage::with_room(i64::MAX), budget), None);
        let mut once = collect(&mut spool, rows.clone(), 7).into_sequence();
        for row in &rows {
            prop_assert_eq!(once.next().unwrap(), Some(row.clone()));
        }
        prop_assert_eq!(once.next().unwrap(), None);
        let mut sequence = collect(&mut spool, rows.clone(), 7).into_repeatable();
        for row in rows.iter().take(stop) {
            prop_assert_eq!(sequence.next().unwrap(), Some(row.clone()));
        }
        for _ in 0..2 {
            sequence.rewind();
            for row in &rows {
                prop_assert_eq!(sequence.next().unwrap(), Some(row.clone()));
            }
            prop_assert_eq!(sequence.next().unwrap(), None);
        }
    }
}

#[test]
fn memory_stays_near_the_budget_and_few_bytes_are_written_twice() {
    const BUDGET: usize = 96 << 10;
    let storage = MemoryStorage::with_room(i64::MAX);
    let written = storage.written.clone();
    let order: Order<u64> = Arc::new(u64::cmp);
    let mut spool = Spool::new(setup(storage, BUDGET), Some(order));
    let count = 1_000_000u64;
    for number in 0..count {
        spool.push(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if number % 100 == 0 {
            spool.poll().unwrap();
            assert!(spool.memory_bytes() < BUDGET + 17 * (4 << 10), "{}", spool.memory_bytes());
        }
    }
    let spooled = loop {
        if let Some(spooled) = spool.finish().unwrap() {
            break spooled;
        }
    };
    let mut merge = spooled.into_merge().unwrap();
    let mut before = None;
    let mut seen = 0;
    while let Some(next) = merge.next().unwrap() {
        assert!(before <= Some(next));
        before = Some(next);
        seen += 1;
    }
    assert_eq!(seen, count);
    let once = (count * 12) as i64;
    assert!(written.load(Ordering::SeqCst) <= 4 * once, "{} of {once}", written.load(Ordering::SeqCst));
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
    let storage = MemoryStorage::with_room(10_000);
    let (bytes, files) = (storage.bytes.clone(), storage.files.clone());
    let mut spool = Spool::new(setup(storage, 3_000), None);
    let mut failure = None;
    for number in 0..100_000u64 {
        spool.push(number);
        if let Err(error) = spool.poll() {
            failure = Some(error);
            break;
        }
    }
    assert!(failure.unwrap().report().contains("io.tmp.dirs"));
    drop(spool);
    assert_eq!((bytes.load(Ordering::SeqCst), files.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn threads_do_the_same_as_the_caller() {
    let service = Arc::new(SpillService::in_directories(Vec::new()));
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let order: Order<u32> = Arc::new(u32::cmp);
    let mut spool = Spool::new(SpillSetup { service, waker, budget_bytes: 30_000 }, Some(order));
    for number in 0..200_000u32 {
        spool.push(number.wrapping_mul(2_654_435_761));
        spool.poll().unwrap();
        while !spool.accepts() {
            std::thread::park();
            spool.poll().unwrap();
        }
    }
    let spooled = loop {
        match spool.finish().unwrap() {
            Some(spooled) => break spooled,
            None => std::thread::park(),
        }
    };
    assert!(!spooled.is_in_memory());
    let mut merge = spooled.into_merge().unwrap();
    let mut last = None;
    while let Some(next) = merge.next().unwrap() {
        assert!(last <= Some(next));
        last = Some(next);
    }
}
