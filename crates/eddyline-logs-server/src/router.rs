//! Which path is answered by what.

use crate::server::Shared;
use crate::{access, events, handlers, metrics, sql};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// All paths that are answered; the OpenAPI document describes just these.
pub const ROUTES: [&str; 15] = [
    "/",
    "/healthz",
    "/metrics",
    "/v1/openapi.json",
    "/v1/status",
    "/v1/summary",
    "/v1/logs",
    "/v1/windows",
    "/v1/top",
    "/v1/sessions",
    "/v1/alerts",
    "/v1/alerts/{id}",
    "/v1/events",
    "/v1/unreadable",
    "/v1/sql",
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for path in ROUTES {
        let handler = match path {
            "/" => get(handlers::page),
            "/healthz" => get(handlers::health),
            "/metrics" => get(metrics::metrics),
            "/v1/openapi.json" => get(handlers::openapi),
            "/v1/status" => get(handlers::status),
            "/v1/summary" => get(handlers::summary),
            "/v1/logs" => get(handlers::logs),
            "/v1/windows" => get(handlers::windows),
            "/v1/top" => get(handlers::top),
            "/v1/sessions" => get(handlers::sessions),
            "/v1/alerts" => get(handlers::alerts),
            "/v1/alerts/{id}" => get(handlers::alert),
            "/v1/events" => get(events::events),
            "/v1/sql" => post(sql::sql),
            _ => get(handlers::unreadable),
        };
        router = router.route(path, handler);
    }
    router
        .fallback(handlers::not_found)
        .layer(from_fn_with_state(shared.clone(), access::check))
        .with_state(shared)
}
