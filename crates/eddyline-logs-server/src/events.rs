//! The stream of alerts: `text/event-stream`, one event for each revision of an alert.

use crate::answer::Failure;
use crate::parameters::ResultParameters;
use crate::server::Shared;
use crate::stream::streamed;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline_core::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// A line is sent at least so often, so that a client that is gone is found out.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A client that takes nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /v1/events`: from now on, or after the event that `Last-Event-ID` or `after` says.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(parameters): Query<ResultParameters>,
) -> Response {
    let Ok(permit) = shared.event_clients.clone().try_acquire_owned() else {
        let error =
            Error::network("too many clients listen to events").with_hint("close one, or try again later");
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    };
    let last_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let next = match last_id.or(parameters.after) {
        Some(last) => last.saturating_add(1).min(shared.observed.board.next_alert_change()),
        None => shared.observed.board.next_alert_change(),
    };
    let (parts, body) = streamed();
    tokio::spawn(send(shared, parts, next, permit));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// Sends changes from number `next` on until the client is gone, too slow, or has missed some.
async fn send(
    shared: Arc<Shared>,
    parts: mpsc::Sender<Vec<u8>>,
    mut next: u64,
    _permit: OwnedSemaphorePermit,
) {
    let mut changes = shared.changes.clone();
    let mut part = b": welcome\n\n".to_vec();
    loop {
        match timeout(PATIENCE, parts.send(part)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        part = match timeout(KEEP_ALIVE, changes.wait_for(|known| *known > next)).await {
            Err(_) => b": still here\n\n".to_vec(),
            Ok(Err(_)) => return,
            Ok(Ok(_)) => match shared.observed.board.alert_changes(next) {
                None => {
                    let _ = parts.try_send(b"event: missed\ndata: {}\n\n".to_vec());
                    return;
                }
                Some(found) => {
                    next += found.len() as u64;
                    found.iter().flat_map(|(number, alert)| event(*number, alert)).collect()
                }
            },
        };
    }
}

fn event(number: u64, alert: &eddyline_logs::detect::Alert) -> Vec<u8> {
    // JSON has no line ends of its own.
    let json = serde_json::to_string(alert).unwrap_or_default();
    format!("id: {number}\nevent: alert\ndata: {json}\n\n").into_bytes()
}
