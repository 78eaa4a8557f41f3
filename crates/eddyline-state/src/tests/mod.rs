//! Tests that need more than one module.

mod chains;
mod evolution;
mod model;
mod stores;
pub(crate) mod support;
mod windows;
