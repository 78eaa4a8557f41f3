//! The input of jobs of the catalogue that are killed.

use eddyline_catalogue::Input;

/// Four splits of a source, read within about a second.
pub fn catalogue_input(seed: u64) -> Input {
    Input { seed, splits: 4, records: 240, keys: 8, disorder_ms: 60, rows_per_poll: 6, pace_ms: 10 }
}
