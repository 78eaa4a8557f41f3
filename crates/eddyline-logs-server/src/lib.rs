//! What is served of a running log job: REST under `/v1`, a stream of alerts, metrics for Prometheus, and a page.
//!
//! # Contract
//! - Every answer is JSON, but for the page, metrics, streams of lines (`application/x-ndjson`) and of events. Errors
//!   are `{"error": {"message", "detail", "hint"}}` with the status that fits.
//! - Queries are limited: in lines, in time, and in how many run at once. An answer that is streamed is made as fast as
//!   the client takes it, and holds a few thousand lines at most.
//! - A client of the stream of alerts that is too slow, or gone, is dropped; it never holds back the job or others.
//! - With a token set, everything but `/healthz` asks for it. Without one, requests whose `Host` is no address of this
//!   machine's own loopback are refused where the server listens on loopback: another site's page cannot reach it.
//!
//! **Architecture invariant:** the server reads what the job shows, and never the job itself: it cannot stop, slow or
//! change it. Only this crate knows Tokio and axum.

mod access;
mod answer;
mod events;
mod handlers;
mod metrics;
mod operators;
mod parameters;
mod router;
mod server;
mod sql;
mod stream;
mod tables;

pub use parameters::{statuses, times};
pub use router::ROUTES;
pub use server::{Listener, Observed, Server, ServerSettings};
