//! Keyed streams cut into windows.

use super::{DataStream, KeyedStream};
use crate::function::OutputTag;
use crate::side_output::SidePorts;
use crate::window::{
    Aggregator, LATE_OUTPUT, SessionWindowOperator, SlicedWindowOperator, SlicedWindows, WindowResult,
};
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::NodeSpec;
use std::time::Duration;

#[derive(Clone, Copy)]
enum Shape {
    Sliced(SlicedWindows),
    Session { gap_ms: i64 },
}

/// A keyed stream and the windows that its records belong to.
pub struct WindowedStream<K, T> {
    keyed: KeyedStream<K, T>,
    shape: Shape,
    sides: SidePorts,
    outputs: usize,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Cuts the stream into tumbling or sliding windows.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::{Count, SlicedWindows};
    /// use eddyline::{Environment, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let strategy = WatermarkStrategy::for_monotonous_timestamps();
    /// let clicks = environment.from_collection_with(vec![("a".to_string(), 1_000), ("b".to_string(), 61_000)], strategy);
    /// clicks.key_by(|page| page.clone()).window(SlicedWindows::tumbling(60_000)).aggregate(Count::new()).print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn window(&self, windows: SlicedWindows) -> WindowedStream<K, T> {
        self.windowed(Shape::Sliced(windows))
    }

    /// Cuts the stream into sessions: a window lasts until the key has been quiet for `gap`.
    pub fn session_window(&self, gap: Duration) -> WindowedStream<K, T> {
        self.windowed(Shape::Session { gap_ms: crate::watermark::millis(gap) })
    }

    fn windowed(&self, shape: Shape) -> WindowedStream<K, T> {
        WindowedStream { keyed: self.clone(), shape, sides: SidePorts::default(), outputs: 1 }
    }
}

impl<K: Key, T: Data> WindowedStream<K, T> {
    /// Emits records that come too late for all of their windows on a side output, to be read from the stream of
    /// results.
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        if let Err(problem) = self.sides.port(tag, LATE_OUTPUT) {
            self.keyed.stream.graph.borrow_mut().refuse(problem);
        }
        self.outputs = LATE_OUTPUT + 1;
        self
    }

    /// Aggregates the records of each key and window; the result leaves when the watermark has passed the window,
    /// with the window's last millisecond as its timestamp.
    pub fn aggregate<A: Aggregator<Input = T>>(
        &self,
        aggregator: A,
    ) -> DataStream<WindowResult<K, A::Output>> {
        let (key_of, emits_late) = (self.keyed.key_of.clone(), self.outputs > 1);
        let stream = &self.keyed.stream;
        let key = move |value: &T| key_of(value);
        let named = |name: &str| NodeSpec::named(name).with_watermarks().with_outputs(self.outputs);
        let results = match self.shape {
            Shape::Sliced(windows) => {
                if let Err(problem) =
                    SlicedWindowOperator::new(windows, key.clone(), aggregator.clone(), emits_late)
                {
                    stream.graph.borrow_mut().refuse(problem);
                }
                stream.transform(named("window"), move || {
                    SlicedWindowOperator::new(windows, key.clone(), aggregator.clone(), emits_late)
                        .expect("invariant: a job with impossible windows is not built")
                })
            }
            Shape::Session { gap_ms } => {
                if let Err(problem) =
                    SessionWindowOperator::new(gap_ms, key.clone(), aggregator.clone(), emits_late)
                {
                    stream.graph.borrow_mut().refuse(problem);
                }
                stream.transform(named("session window"), move || {
                    SessionWindowOperator::new(gap_ms, key.clone(), aggregator.clone(), emits_late)
                        .expect("invariant: a job with impossible windows is not built")
                })
            }
        };
        results.with_sides(self.sides.clone())
    }
}
