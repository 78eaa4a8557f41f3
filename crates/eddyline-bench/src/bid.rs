//! The records that are measured with: bids of an auction house, as rows and as columns.
//!
//! The same seed and number give the same bid everywhere, so that a job and a bare loop see the same records.

use arrow_array::{Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use eddyline_core::{Data, EventTime, Record};
use std::sync::{Arc, LazyLock};

/// The ballast of every bid: 50 bytes.
const EXTRA: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx";
/// The column of the auction.
pub const AUCTION_COLUMN: usize = 0;
/// The column of the event time.
pub const TIME_COLUMN: usize = 3;

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("auction", DataType::UInt64, false),
        Field::new("bidder", DataType::UInt64, false),
        Field::new("price", DataType::UInt64, false),
        Field::new("time", DataType::Int64, false),
        Field::new("extra", DataType::Utf8, false),
    ]))
});

/// A bid.
#[derive(Debug, Clone, PartialEq, Data)]
pub struct Bid {
    /// What is bid for: the key.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// How much.
    pub price: u64,
    /// Ballast of 50 bytes.
    pub extra: String,
}

/// Which bids there are.
#[derive(Debug, Clone, Copy)]
pub struct Bids {
    /// Distinct auctions.
    pub keys: u64,
    /// Bids per second of event time.
    pub per_second: u64,
}

/// A well-mixed number (splitmix64).
#[inline]
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Bids {
    /// The event time of a bid.
    #[inline]
    pub fn time_of(&self, number: u64) -> EventTime {
        (number * 1_000 / self.per_second) as EventTime
    }

    /// The auction of a bid.
    #[inline]
    fn auction_of(&self, random: u64) -> u64 {
        // The upper half of a product is a remainder without a division.
        ((u128::from(random) * u128::from(self.keys)) >> 64) as u64
    }

    /// Bids `first`, `first + step`, …, `count` of them.
    pub fn rows(&self, first: u64, step: u64, count: usize) -> Vec<Record<Bid>> {
        (0..count as u64)
            .map(|turn| {
                let number = first + turn * step;
                let random = mixed(number);
                let bid = Bid {
                    auction: self.auction_of(random),
                    bidder: random >> 40,
                    price: random & 0xffff,
                    extra: EXTRA.to_owned(),
                };
                Record::new(bid, self.time_of(number))
            })
            .collect()
    }

    /// The same bids as columns.
    pub fn columns(&self, first: u64, step: u64, count: usize) -> RecordBatch {
        let numbers = || (0..count as u64).map(|turn| first + turn * step);
        let random: Vec<u64> = numbers().map(mixed).collect();
        let auctions = UInt64Array::from_iter_values(random.iter().map(|random| self.auction_of(*random)));
        let bidders = UInt64Array::from_iter_values(random.iter().map(|random| random >> 40));
        let prices = UInt64Array::from_iter_values(random.iter().map(|random| random & 0xffff));
        let times = Int64Array::from_iter_values(numbers().map(|number| self.time_of(number)));
        let extra = StringArray::from_iter_values(std::iter::repeat_n(EXTRA, count));
        let columns: Vec<arrow_array::ArrayRef> =
            vec![Arc::new(auctions), Arc::new(bidders), Arc::new(prices), Arc::new(times), Arc::new(extra)];
        RecordBatch::try_new(SCHEMA.clone(), columns).expect("invariant: the columns are those of the schema")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, UInt64Type};

    #[test]
    fn rows_and_columns_are_the_same_bids() {
        let bids = Bids { keys: 10, per_second: 100 };
        let (rows, columns) = (bids.rows(3, 2, 1_000), bids.columns(3, 2, 1_000));
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(
                columns.column(AUCTION_COLUMN).as_primitive::<UInt64Type>().value(index),
                row.value.auction
            );
            assert_eq!(columns.column(TIME_COLUMN).as_primitive::<Int64Type>().value(index), row.timestamp);
            assert!(row.value.auction < 10 && row.value.extra.len() == 50);
        }
        assert_eq!(rows[500].timestamp, 10_030);
    }
}
