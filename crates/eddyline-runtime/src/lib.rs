//! Eddyline runtime.
