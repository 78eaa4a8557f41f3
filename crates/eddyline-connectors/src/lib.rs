//! Eddyline connectors.
