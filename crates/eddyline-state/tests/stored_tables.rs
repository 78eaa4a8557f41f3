//! Tables with a store, over the store that is no store: nearly every access brings an entry in and pushes one out.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

mod stored;

use eddyline_state::store::MemoryBackend;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn tables_with_a_store_give_what_was_put(steps in stored::steps(60), max in 3..7u32, bytes in 100..4_000usize) {
        stored::check(&MemoryBackend::new(bytes), max, steps);
    }
}
