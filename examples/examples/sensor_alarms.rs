//! Sensor alarms with limits that change while the job runs.
//!
//! Limits come in on a broadcast stream and reach all instances. A reading waits until the watermark of both streams has
//! passed it; by then every limit that was set before it is known, so the result does not depend on which stream is
//! faster. Run it: `cargo run -p eddyline-examples --example sensor_alarms -- -p 2`.

use eddyline::{
    BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastReader, Collector, Environment,
    KeyedBroadcastProcessFunction, KeyedContext, ListState, Result, TimeDomain, WatermarkStrategy,
};
use eddyline_examples::sensors::{Reading, Threshold, readings, thresholds};

const READINGS: usize = 4_000;

#[derive(Default)]
struct Alarms {
    /// Limits by kind and the time from which on they are valid.
    limits: Option<BroadcastHandle<(String, i64), i64>>,
    /// Readings of the sensor that the watermark has not passed.
    waiting: Option<ListState<Reading>>,
}

impl KeyedBroadcastProcessFunction<u64, Reading, Threshold, String> for Alarms {
    fn open(&mut self, context: &mut BroadcastOpenContext<'_, u64>) -> Result<()> {
        self.limits = Some(context.broadcast_state("limits")?);
        self.waiting = Some(context.list_state("waiting")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        reading: Reading,
        context: &mut KeyedContext<'_, u64>,
        _broadcast: &BroadcastReader,
        _out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(waiting) = &self.waiting {
            context.register_event_time_timer(reading.at);
            waiting.add(reading);
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        threshold: Threshold,
        context: &mut BroadcastContext<'_>,
        _out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(limits) = &self.limits {
            context.state(limits).insert((threshold.kind, threshold.since), threshold.limit);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _domain: TimeDomain,
        _context: &mut KeyedContext<'_, u64>,
        broadcast: &BroadcastReader,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let (Some(waiting), Some(limits)) = (&self.waiting, &self.limits) else { return Ok(()) };
        let (due, later) = waiting.take().into_iter().partition(|reading| reading.at <= time);
        waiting.update(later);
        let limits = broadcast.state(limits);
        for reading in due {
            let until_then = (reading.kind.clone(), i64::MIN)..=(reading.kind.clone(), reading.at);
            let limit = limits.range(until_then).next_back().map(|(_, limit)| *limit);
            if limit.is_some_and(|limit| reading.value > limit) {
                out.collect(format!("sensor {}: {} {}", reading.sensor, reading.kind, reading.value));
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let times = WatermarkStrategy::for_monotonous_timestamps();
    let of_plant = readings(13, READINGS).into_iter().map(|reading| (reading.clone(), reading.at)).collect();
    let readings = environment.from_collection_with(of_plant, times).name("readings");
    let limits =
        thresholds(READINGS).into_iter().map(|threshold| (threshold.clone(), threshold.since)).collect();
    let limits = environment
        .from_collection_with(limits, WatermarkStrategy::for_monotonous_timestamps())
        .name("limits");
    readings
        .key_by(|reading: &Reading| reading.sensor)
        .connect_broadcast(&limits)
        .process(Alarms::default)
        .uid("alarms")
        .print();
    environment.execute("sensor-alarms")?;
    Ok(())
}
