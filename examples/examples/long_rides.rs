//! Taxi rides: an alert for each ride that has not ended two hours after it began.
//!
//! Starts and ends come out of order, so the function keeps whichever comes first; a timer in event time fires when an
//! end can be expected no more. Run it: `cargo run -p eddyline-examples --example long_rides -- -p 2`.

use eddyline::{
    Collector, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain,
    ValueState, WatermarkStrategy,
};
use eddyline_examples::rides::{LONG_MS, RideEvent, ride_events};
use std::time::Duration;

/// Per ride: the event that came first, and whether there was an alert.
#[derive(Default)]
struct LongRides {
    first: Option<ValueState<(RideEvent, bool)>>,
}

impl KeyedProcessFunction<u64, RideEvent, String> for LongRides {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.first = Some(context.value_state("first")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        event: RideEvent,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let Some(state) = &self.first else { return Ok(()) };
        let Some((first, is_known)) = state.take() else {
            if event.is_start {
                context.register_event_time_timer(event.at + LONG_MS);
            }
            state.update((event, false));
            return Ok(());
        };
        let (start, end) = if first.is_start { (first.at, event.at) } else { (event.at, first.at) };
        context.delete_event_time_timer(start + LONG_MS);
        if end - start > LONG_MS && !is_known {
            out.collect(format!("ride {} takes too long", event.ride));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _time: i64,
        _domain: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(state) = &self.first
            && let Some((first, _)) = state.get()
        {
            out.collect(format!("ride {} takes too long", context.key()));
            // The end may come after all, and is not to be taken for the first event of a ride.
            state.update((first, true));
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let times = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(120));
    let events = ride_events(11, 2_000).into_iter().map(|event| (event.clone(), event.at)).collect();
    environment
        .from_collection_with(events, times)
        .name("taxis")
        .key_by(|event: &RideEvent| event.ride)
        .process(LongRides::default)
        .uid("long-rides")
        .print();
    environment.execute("long-rides")?;
    Ok(())
}
