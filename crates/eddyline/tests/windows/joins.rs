//! Window joins and co-groups with windows of all kinds, against naive models over all records at once.

use crate::support::{Shape, environment, exact, run, shapes, sorted};
use eddyline::join::Sided;
use eddyline::stream::{WindowCoGroupedStreams, WindowJoinedStreams};
use eddyline::window::{
    CountEvictor, CountTrigger, CumulativeWindows, DynamicGap, EventTimeSessionWindows, GlobalWindow,
    GlobalWindows, PurgingTrigger, SlidingEventTimeWindows, TimeEvictor, TimeWindow,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};
use eddyline::{
    CollectHandle, Collector, Environment, KeyedStream, OutputTag, ProcessingTimersAtEnd, RestartStrategy,
    Result, WatermarkStrategy,
};
use eddyline_state::MemoryFileSystem;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A record: key and number. Its time is beside it.
type Row = (u8, i64);
type Timed = (Row, i64);
/// What a co-group gives: key, window, numbers of both sides in order.
type Group = (u8, i64, i64, Vec<i64>, Vec<i64>);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Both sides as keyed streams; records are out of order by less than the watermark waits for.
fn sides(environment: &Environment, [left, right]: [&[Timed]; 2]) -> [KeyedStream<u8, Row>; 2] {
    [left, right].map(|items| {
        let times = WatermarkStrategy::for_bounded_out_of_orderness(millis(1_000));
        environment.from_collection_with(items.to_vec(), times).key_by(|row: &Row| row.0)
    })
}

fn grouped<A: WindowAssigner<Sided<Row, Row>, Window = TimeWindow>>(
    windows: &WindowCoGroupedStreams<u8, Row, Row, A>,
) -> CollectHandle<Group> {
    let numbers = |rows: &[Row]| sorted(rows.iter().map(|row| row.1).collect());
    let groups = windows.apply(move |key, window, left, right, out| {
        out.collect((*key, window.start, window.end, numbers(left), numbers(right)));
        Ok(())
    });
    groups.collect()
}

fn paired<A: WindowAssigner<Sided<Row, Row>>>(
    windows: &WindowJoinedStreams<u8, Row, Row, A>,
) -> CollectHandle<(Row, Row)> {
    windows.apply(|left, right| (*left, *right)).collect()
}

/// The numbers of both sides.
type Both = [Vec<i64>; 2];

/// The groups of windows that do not merge.
fn model(sides: [&[Timed]; 2], windows_of: impl Fn(i64) -> Vec<(i64, i64)>) -> Vec<Group> {
    let mut groups: BTreeMap<(u8, i64, i64), Both> = BTreeMap::new();
    for (side, items) in sides.iter().enumerate() {
        for ((key, number), time) in items.iter() {
            for (start, end) in windows_of(*time) {
                groups.entry((*key, start, end)).or_default()[side].push(*number);
            }
        }
    }
    finished(groups)
}

fn finished(groups: BTreeMap<(u8, i64, i64), Both>) -> Vec<Group> {
    let group =
        |((key, start, end), [left, right]): (_, Both)| (key, start, end, sorted(left), sorted(right));
    sorted(groups.into_iter().map(group).collect())
}

/// The groups of sessions over both sides, whose gap depends on the record.
fn session_model(sides: [&[Timed]; 2], gap_of: impl Fn(Row) -> i64) -> Vec<Group> {
    let tagged = |side: usize| sides[side].iter().map(move |(row, time)| (row.0, *time, side, *row));
    let mut open: BTreeMap<u8, Vec<(i64, i64, Both)>> = BTreeMap::new();
    for (key, time, side, row) in sorted(tagged(0).chain(tagged(1)).collect()) {
        let sessions = open.entry(key).or_default();
        let mut own: (i64, i64, Both) = (time, time + gap_of(row), Both::default());
        own.2[side].push(row.1);
        let (touched, apart) = sessions.drain(..).partition(|known: &(i64, i64, Both)| own.0 <= known.1);
        *sessions = apart;
        for known in touched {
            own.0 = own.0.min(known.0);
            own.1 = own.1.max(known.1);
            (0..2).for_each(|side| own.2[side].extend(&known.2[side]));
        }
        sessions.push(own);
    }
    let keyed = open.into_iter().flat_map(|(key, sessions)| sessions.into_iter().map(move |one| (key, one)));
    finished(keyed.map(|(key, (start, end, both))| ((key, start, end), both)).collect())
}

/// All pairs of all groups.
fn pairs(groups: &[Group]) -> Vec<(Row, Row)> {
    let of_group = |(key, _, _, left, right): &Group| {
        let with = |one: &i64| right.iter().map(|other| ((*key, *one), (*key, *other))).collect::<Vec<_>>();
        left.iter().flat_map(with).collect::<Vec<_>>()
    };
    sorted(groups.iter().flat_map(of_group).collect())
}

fn items() -> impl Strategy<Value = Vec<Timed>> {
    prop::collection::vec(((0u8..4, 0i64..20), 0i64..200), 0..40)
}

fn check(
    shape: Shape,
    [left, right]: [&[Timed]; 2],
    expected: &[Group],
    windows: impl WindowAssigner<Sided<Row, Row>, Window = TimeWindow>,
) {
    let environment = environment(shape);
    let [left, right] = sides(&environment, [left, right]);
    let joined = paired(&left.join(&right).window(windows.clone()));
    let grouped_simply = grouped(&left.co_group(&right).window(windows.clone()));
    // An evictor that drops nothing: whatever operator the windows have without it, this is the general one.
    let general = left.co_group(&right).window(windows).evictor(CountEvictor::of(u64::MAX));
    let grouped_generally = grouped(&general);
    run(&environment, "join");
    assert_eq!(sorted(grouped_simply.rows()), expected);
    assert_eq!(sorted(grouped_generally.rows()), expected);
    assert_eq!(sorted(joined.rows()), pairs(expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn all_kinds_of_windows_give_what_the_model_says(left in items(), right in items(), shape in shapes()) {
        let both = [left.as_slice(), right.as_slice()];
        let sliding = |time: i64| -> Vec<(i64, i64)> {
            let first = (time - 29).div_euclid(10) * 10;
            (first..=time).step_by(10).filter(|start| start + 30 > time).map(|start| (start, start + 30)).collect()
        };
        check(shape, both, &model(both, sliding), SlidingEventTimeWindows::of(millis(30), millis(10)));
        let cumulative = |time: i64| -> Vec<(i64, i64)> {
            let start = time.div_euclid(60) * 60;
            (1..=4).map(|step| (start, start + step * 15)).filter(|window| window.1 > time).collect()
        };
        check(shape, both, &model(both, cumulative), CumulativeWindows::event_time(millis(60), millis(15)));
        let sessions = session_model(both, |_| 7);
        check(shape, both, &sessions, EventTimeSessionWindows::with_gap(millis(7)));
        let dynamic: EventTimeSessionWindows<DynamicGap<_>> =
            EventTimeSessionWindows::with_dynamic_gap(|record: &Sided<Row, Row>| {
                let (Sided::Left(row) | Sided::Right(row)) = record;
                millis(row.1.unsigned_abs() + 1)
            });
        check(shape, both, &session_model(both, |row| row.1 + 1), dynamic);
    }
}

/// Both sides in one instance, in the order of their numbers: left ones are even, right ones odd.
fn in_order(environment: &Environment, items: &[(i64, i64)]) -> [KeyedStream<u8, Row>; 2] {
    let all = items.iter().map(|(number, time)| ((0u8, *number), *time)).collect();
    let all = environment.from_collection_with(all, WatermarkStrategy::for_monotonous_timestamps());
    [0, 1].map(|odd| all.filter(move |row| row.1.rem_euclid(2) == odd).key_by(|row: &Row| row.0))
}

#[test]
fn triggers_fire_on_records_of_both_sides() {
    let environment = exact();
    let [left, right] = in_order(&environment, &[(0, 1), (1, 2), (3, 3), (2, 4), (5, 6), (4, 6)]);
    let all = left.co_group(&right).window(GlobalWindows::create());
    let numbers = |rows: &[Row]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
    let show = move |_: &u8, _: &GlobalWindow, left: &[Row], right: &[Row], out: &mut Collector<_>| {
        out.collect((numbers(left), numbers(right)));
        Result::Ok(())
    };
    let purged = all.trigger(PurgingTrigger::of(CountTrigger::of(2))).apply(show).collect();
    let last = left.co_group(&right).window(GlobalWindows::create()).trigger(CountTrigger::of(2));
    let last = last.evictor(CountEvictor::of(3)).apply(show).collect();
    run(&environment, "triggers");
    let expected: [(Vec<i64>, Vec<i64>); 3] = [(vec![0], vec![1]), (vec![2], vec![3]), (vec![4], vec![5])];
    assert_eq!(purged.rows(), expected);
    // The last three records of both sides together.
    assert_eq!(last.rows()[1..], [(vec![2], vec![1, 3]), (vec![2, 4], vec![5])]);
}

#[test]
fn evictors_see_the_times_of_both_sides() {
    let environment = exact();
    let [left, right] = in_order(&environment, &[(0, 1), (1, 3), (2, 6), (3, 8), (4, 9)]);
    let windows = left.join(&right).window(TumblingEventTimeWindows::of(millis(10)));
    let pairs = windows.evictor(TimeEvictor::of(millis(4))).apply(|left, right| (left.1, right.1)).collect();
    run(&environment, "evictor");
    assert_eq!(sorted(pairs.rows()), [(2, 3), (4, 3)]);
}

#[test]
fn late_records_fire_again_or_leave_by_the_output_of_their_side() {
    let environment = exact();
    let items = [(0, 1), (1, 2), (2, 12), (3, 5), (4, 13), (6, 40), (7, 3), (8, 4)];
    let [left, right] = in_order(&environment, &items);
    let (late_left, late_right) = (OutputTag::new("left"), OutputTag::new("right"));
    let windows = left.join(&right).window(TumblingEventTimeWindows::of(millis(10)));
    let windows = windows.allowed_lateness(millis(20)).side_output_late_data(&late_left, &late_right);
    let pairs = windows.apply(|left, right| (left.1, right.1));
    let (late_left, late_right) = (pairs.side_output(&late_left), pairs.side_output(&late_right));
    let (pairs, late_left, late_right) = (pairs.collect(), late_left.collect(), late_right.collect());
    run(&environment, "late");
    // Record 3 comes when its window has fired: the window fires again, with all of both sides.
    assert_eq!(pairs.rows(), [(0, 1), (0, 1), (0, 3)]);
    assert_eq!((late_left.rows(), late_right.rows()), (vec![(0, 8)], vec![(0, 7)]));
}

#[test]
fn windows_in_processing_time_fire_at_the_end_or_are_dropped() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let environment = environment(Shape { parallelism: 2, batch_rows: 4, tick_millis: 1 });
    let [left, right] =
        [[1u64, 2], [3, 4]].map(|all| environment.from_collection(all.to_vec()).key_by(|_| 0u8));
    let windows = || left.join(&right).window(TumblingProcessingTimeWindows::of(century));
    let fired = windows().allowed_lateness(century).apply(|left, right| (*left, *right)).collect();
    let dropped = windows().processing_time_at_end(ProcessingTimersAtEnd::Drop);
    let dropped = dropped.apply(|left, right| (*left, *right)).collect();
    run(&environment, "at the end");
    assert_eq!(sorted(fired.rows()), [(1, 3), (1, 4), (2, 3), (2, 4)]);
    assert_eq!(dropped.rows(), []);
}

#[test]
fn what_cannot_work_is_refused() {
    let environment = Environment::new();
    let [left, right] = sides(&environment, [&[], &[]]);
    let zero = left.join(&right).window(CumulativeWindows::event_time(millis(10), millis(0)));
    zero.apply(|left, _| *left).print();
    assert!(environment.execute("job").unwrap_err().report().contains("cumulative windows"));
}

#[test]
fn every_pair_is_there_once_after_panics() {
    const COUNT: i64 = 1_500;
    for parallelism in 1..=3 {
        let mut environment = Environment::new();
        {
            let mut options = environment.options_mut();
            options.parallelism = parallelism;
            options.runtime.checkpoint_dir = Some("/checkpoints".into());
            options.runtime.file_system = Arc::new(MemoryFileSystem::new());
            options.runtime.checkpoints.interval_ms = Some(20);
            options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
            options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 10, delay_ms: 1 });
        }
        let panics = Arc::new(AtomicU32::new(0));
        let items: Vec<Timed> = (0..COUNT).map(|number| (((number % 5) as u8, number), number)).collect();
        let [left, right] = sides(&environment, [&items, &items]);
        let windows = CumulativeWindows::event_time(millis(40), millis(20));
        let joined = left.join(&right).window(windows).apply(|left, right| (*left, *right));
        let seen = panics.clone();
        let trips = move |pair: &(Row, Row)| {
            if pair.0.1 % 500 == 499 && seen.fetch_add(1, Ordering::Relaxed) < 2 {
                panic!("this is how it fails");
            }
        };
        let rows = joined.inspect(trips).collect();
        run(&environment, "panics");
        assert!(panics.load(Ordering::Relaxed) >= 2);
        let both = [items.as_slice(), items.as_slice()];
        let expected = model(both, |time| {
            let start = time.div_euclid(40) * 40;
            (1..=2).map(|step| (start, start + step * 20)).filter(|window| window.1 > time).collect()
        });
        assert_eq!(sorted(rows.rows()), pairs(&expected), "parallelism {parallelism}");
    }
}
