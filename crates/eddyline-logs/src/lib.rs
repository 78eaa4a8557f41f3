//! Eddyline logs.
