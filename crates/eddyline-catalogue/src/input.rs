//! The input of every job: splits of records that follow from a seed.

use eddyline::source::{SourceContext, SplitOutput, SplitSource};
use eddyline::{
    Data, DataStream, Environment, EventTime, ManagedState, OperatorListState, Result, SourceStatus,
    WatermarkStrategy,
};
use std::time::Duration;

/// Event time of the first records, milliseconds since the epoch.
const FIRST_MS: i64 = 1_700_000_000_000;
/// Event time from record to record of a split, milliseconds.
const STEP_MS: i64 = 10;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct Event {
    /// Its event time.
    pub time: i64,
    /// Its key.
    pub key: u64,
    /// A number.
    pub value: i64,
    /// The source it comes from, 0 or 1.
    pub source: u32,
    /// The split it comes from.
    pub split: u32,
    /// Its place in the split.
    pub index: u32,
}

/// What the records follow from, and how fast they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Decides the records.
    pub seed: u64,
    /// Splits of each source.
    pub splits: u32,
    /// Records in each split.
    pub records: u32,
    /// Different keys.
    pub keys: u64,
    /// Bound of the disorder within a split, milliseconds of event time.
    pub disorder_ms: i64,
    /// Records read at once.
    pub rows_per_poll: u32,
    /// Milliseconds from one reading to the next.
    pub pace_ms: u64,
}

/// Spreads `number` over all 64 bits.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Input {
    /// A record.
    fn event(&self, source: u32, split: u32, index: u32) -> Event {
        let place = (u64::from(source) << 60) | (u64::from(split) << 32) | u64::from(index);
        let chance = mix(self.seed ^ mix(place));
        let disorder = (chance >> 40) as i64 % self.disorder_ms.max(1);
        Event {
            time: FIRST_MS + i64::from(index) * STEP_MS - disorder,
            key: chance % self.keys.max(1),
            value: (chance >> 20) as i64 % 1_000,
            source,
            split,
            index,
        }
    }

    /// All records of a source, split by split.
    pub(crate) fn events(&self, source: u32) -> impl Iterator<Item = Event> + '_ {
        (0..self.splits)
            .flat_map(move |split| (0..self.records).map(move |index| self.event(source, split, index)))
    }

    /// The stream of a source's records, with timestamps and watermarks.
    pub(crate) fn stream(&self, environment: &Environment, source: u32) -> DataStream<Event> {
        let input = *self;
        let disorder = Duration::from_millis(self.disorder_ms.max(1) as u64);
        let strategy = WatermarkStrategy::for_bounded_out_of_orderness(disorder)
            .with_timestamp_assigner(|event: &Event, _| event.time);
        let name = format!("source {source}");
        environment.from_source(name, move || EventSource::new(input, source), strategy)
    }
}

/// Reads the splits of one instance.
struct EventSource {
    input: Input,
    source: u32,
    /// Splits of this instance, and how many records of each have been read.
    places: OperatorListState<(u32, u32)>,
    announced: bool,
    turn: usize,
    next_micros: u64,
}

impl EventSource {
    fn new(input: Input, source: u32) -> Self {
        let places = OperatorListState::union("places", 0);
        EventSource { input, source, places, announced: false, turn: 0, next_micros: 0 }
    }
}

impl SplitSource<Event> for EventSource {
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.places = OperatorListState::union("places", context.instance());
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let mut places = self.places.items().to_vec();
        if places.is_empty() {
            places.extend((0..self.input.splits).map(|split| (split, 0)));
        }
        places.retain(|(split, _)| split % context.parallelism() == context.instance());
        self.places.set(places);
        Ok(())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, Event>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        let records = self.input.records;
        if !self.announced {
            self.announced = true;
            let unread = self.places.items().iter().filter(|(_, next)| *next < records);
            unread.for_each(|(split, _)| out.split_added(u64::from(*split)));
        }
        let now = context.clock().monotonic_micros();
        if now < self.next_micros {
            let wait_ms = (self.next_micros - now).div_ceil(1_000) as i64;
            context.wake_at(context.processing_time_ms() + wait_ms);
            return Ok(SourceStatus::Pending);
        }
        self.next_micros = now + self.input.pace_ms * 1_000;
        let count = self.places.items().len();
        let next_unread = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|place| self.places.items()[*place].1 < records);
        let Some(place) = next_unread else { return Ok(SourceStatus::Finished) };
        self.turn = place + 1;
        let (split, next) = self.places.items()[place];
        let end = (next + self.input.rows_per_poll.max(1)).min(records);
        for index in next..end {
            let event = self.input.event(self.source, split, index);
            out.push_with_time(u64::from(split), event, EventTime::MIN);
        }
        if end == records {
            out.split_finished(u64::from(split));
        }
        self.places.items_mut()[place].1 = end;
        Ok(SourceStatus::Ready)
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.places)
    }
}
