//! Eddyline state.
