//! Fraud detection: a tiny payment and then a large one within a minute.
//!
//! A keyed process function remembers in state that an account's last payment was tiny, and a timer forgets it after a
//! minute. Run it: `cargo run -p eddyline-examples --example fraud_detection -- -p 2`.

use eddyline::{
    Collector, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain,
    ValueState, WatermarkStrategy,
};
use eddyline_examples::payments::{LARGE_CENTS, Payment, TINY_CENTS, WITHIN_MS, payments};
use std::time::Duration;

/// Per account: when the tiny payment was that came last.
#[derive(Default)]
struct Detector {
    tiny_at: Option<ValueState<i64>>,
}

impl KeyedProcessFunction<u64, Payment, String> for Detector {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.tiny_at = Some(context.value_state("tiny-at")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        payment: Payment,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let Some(tiny_at) = &self.tiny_at else { return Ok(()) };
        if let Some(before) = tiny_at.take() {
            context.delete_event_time_timer(before + WITHIN_MS);
            if payment.cents > LARGE_CENTS && payment.at - before <= WITHIN_MS {
                out.collect(format!("account {} paid {} cents", payment.account, payment.cents));
            }
        }
        if payment.cents < TINY_CENTS {
            tiny_at.update(payment.at);
            context.register_event_time_timer(payment.at + WITHIN_MS);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _time: i64,
        _domain: TimeDomain,
        _context: &mut KeyedContext<'_, u64>,
        _out: &mut Collector<String>,
    ) -> Result<()> {
        if let Some(tiny_at) = &self.tiny_at {
            tiny_at.clear();
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let times = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(1));
    let day = payments(7, 10_000).into_iter().map(|payment| (payment.clone(), payment.at)).collect();
    environment
        .from_collection_with(day, times)
        .name("payments")
        // One instance reads: the payments of an account keep their order.
        .set_parallelism(1)
        .key_by(|payment: &Payment| payment.account)
        .process(Detector::default)
        .uid("detector")
        .print();
    environment.execute("fraud-detection")?;
    Ok(())
}
