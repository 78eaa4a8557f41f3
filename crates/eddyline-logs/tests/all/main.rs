//! The log application as others see it.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod data_round_trip;
mod parser_properties;
mod python_check;
mod report_golden;
mod support;
