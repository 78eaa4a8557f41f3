//! Idle inputs behind operators that hold watermarks back.

use eddyline::DataStream;
use eddyline::async_call::{AsyncOptions, AsyncOrder};
use eddyline::testing::{TestPipeline, TestSink};
use eddyline::window::TumblingEventTimeWindows;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

const SIZE: Duration = Duration::from_millis(10);

type Piece = fn(&DataStream<u64>) -> DataStream<u64>;

/// Windows with allowed lateness, an interval join, and calls.
const PIECES: [Piece; 3] = [
    |numbers| {
        let windows = numbers.window_all(TumblingEventTimeWindows::of(SIZE)).allowed_lateness(SIZE);
        windows.sum(|number| *number).map(|row| row.value)
    },
    |numbers| {
        let keyed = numbers.key_by(|number| *number);
        keyed.interval_join(&keyed).between(-1, 1).apply(|left, right| left + right)
    },
    |numbers| {
        numbers.async_call(AsyncOptions::new(AsyncOrder::Ordered), |number| async move { Ok(vec![number]) })
    },
];

/// The number of records in windows over all of `streams`.
fn counts(pipeline: &mut TestPipeline, one: &DataStream<u64>, other: &DataStream<u64>) -> TestSink<u64> {
    let windows = one.union(other).window_all(TumblingEventTimeWindows::of(SIZE));
    pipeline.sink(&windows.count().map(|row| row.value))
}

#[test]
fn what_an_idle_input_could_promise_is_not_waited_for() {
    for (number, piece) in PIECES.iter().enumerate() {
        let mut pipeline = TestPipeline::new();
        let (quiet, busy) = (pipeline.source::<u64>("quiet"), pipeline.source::<u64>("busy"));
        let counts = counts(&mut pipeline, &piece(&quiet.stream()), &busy.stream());
        busy.push(1, 1).watermark(20);
        pipeline.settle().unwrap();
        assert_eq!(counts.take_values(), [0u64; 0], "piece {number}: the quiet source has promised nothing");
        quiet.idle(true);
        pipeline.settle().unwrap();
        assert_eq!(counts.take_values(), [1], "piece {number}");
        quiet.idle(false);
        pipeline.settle().unwrap();
        busy.push(1, 25).watermark(40);
        pipeline.settle().unwrap();
        assert_eq!(counts.take_values(), [0u64; 0], "piece {number}: it is waited for again");
    }
}

/// What calls wait for.
#[derive(Default)]
struct Gate(Mutex<(bool, Option<Waker>)>);

impl Gate {
    fn open(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        state.1.take().unwrap().wake();
    }

    async fn passed(self: Arc<Self>) {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            state.1 = Some(context.waker().clone());
            if state.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[test]
fn a_call_under_way_is_waited_for_although_its_input_is_idle() {
    let gate = Arc::new(Gate::default());
    let mut pipeline = TestPipeline::new();
    let (quiet, busy) = (pipeline.source::<u64>("quiet"), pipeline.source::<u64>("busy"));
    let waits = gate.clone();
    let answers = quiet.stream().async_call(AsyncOptions::new(AsyncOrder::Ordered), move |number| {
        let gate = waits.clone();
        async move {
            gate.passed().await;
            Ok(vec![number])
        }
    });
    let counts = counts(&mut pipeline, &answers, &busy.stream());
    quiet.push(7, 5).watermark(50).idle(true);
    busy.push(1, 1).watermark(20);
    pipeline.settle().unwrap();
    assert_eq!(counts.take_values(), [0u64; 0], "the answer belongs to the window");
    gate.open();
    pipeline.settle().unwrap();
    assert_eq!(counts.take_values(), [2]);
}
