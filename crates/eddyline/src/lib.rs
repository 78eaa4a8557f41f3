//! Eddyline.
