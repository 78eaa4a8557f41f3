//! What the functions of a job tell about themselves while it runs: metrics and accumulators.
//!
//! Both travel with the heartbeats. A metric is an observation of one attempt. An accumulator is part of the state of
//! the instance that adds to it; what travels is a copy, encoded, with everything that is needed to merge it with the
//! copies of other instances: only the program knows the type.

use eddyline_core::DataType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a metric shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricValue {
    /// How often something has happened in this attempt.
    Counter(u64),
    /// A number as it was last set; always finite.
    Gauge(f64),
    /// How often something has happened in this attempt, and how often a second of late.
    Meter {
        /// How often it has happened.
        count: u64,
        /// Per second, the last minute weighing most.
        per_second: f64,
    },
    /// How values are distributed.
    Histogram {
        /// How many values there were.
        count: u64,
        /// The least one.
        min: u64,
        /// The greatest one.
        max: u64,
        /// Their mean.
        mean: f64,
        /// Half of them are below this; 6 % off at most, like the other shares.
        median: u64,
        /// 95 % of them are below this.
        p95: u64,
        /// 99 % of them are below this.
        p99: u64,
    },
}

/// A metric of one operator instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// The name of the operator.
    pub operator: String,
    /// The uid of the operator.
    pub uid: String,
    /// The number of the instance.
    pub instance: u32,
    /// The name of the metric.
    pub name: String,
    /// What it shows.
    pub value: MetricValue,
}

/// What one operator instance has added to an accumulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccumulatorPart {
    /// The name of the accumulator.
    pub name: String,
    /// The type of the accumulator, as the program calls it.
    pub type_name: String,
    /// The uid of the operator.
    pub uid: String,
    /// The number of the instance.
    pub instance: u32,
    /// The schema of the bytes.
    pub schema: DataType,
    /// The accumulator, encoded.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub bytes: Vec<u8>,
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits a byte: an array of numbers would take up to four times as much.
fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    serializer.serialize_str(&text)
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let halves: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|half| half as u8)).collect();
    match halves {
        Some(halves) if halves.len().is_multiple_of(2) => {
            Ok(halves.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(de::Error::custom("an accumulator is not in hexadecimal digits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accumulators_and_metrics_survive_json() {
        let part = AccumulatorPart {
            name: "lines".into(),
            type_name: "u64".into(),
            uid: "parse".into(),
            instance: 3,
            schema: DataType::UInt(64),
            bytes: (0..=255).collect(),
        };
        let text = serde_json::to_string(&part).unwrap();
        assert_eq!(serde_json::from_str::<AccumulatorPart>(&text).unwrap(), part);
        assert!(serde_json::from_str::<AccumulatorPart>(&text.replace("00", "0")).is_err());
        assert!(serde_json::from_str::<AccumulatorPart>(&text.replace("ff", "fx")).is_err());
        for value in [
            MetricValue::Counter(u64::MAX),
            MetricValue::Gauge(-0.5),
            MetricValue::Meter { count: 3, per_second: 0.25 },
            MetricValue::Histogram { count: 1, min: 2, max: 2, mean: 2.0, median: 2, p95: 2, p99: 2 },
        ] {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<MetricValue>(&text).unwrap(), value);
        }
    }
}
