//! What each path answers.

use crate::answer::{Answer, Failure};
use crate::operators;
use crate::parameters::{LogsParameters, ResultParameters};
use crate::server::Shared;
use crate::stream::streamed;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline::{JobState, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_core::{Error, Result};
use eddyline_logs::detect::Alert;
use eddyline_logs::store::{LineQuery, Store};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Answered = Result<Response, Failure>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// Bytes of lines that are sent at a time.
const PART_BYTES: usize = 64 << 10;
/// How long a query waits for others.
const WAIT_MAX: Duration = Duration::from_secs(30);

fn asked<T>(parameters: Asked<T>) -> Result<T, Failure> {
    parameters.map(|Query(parameters)| parameters).map_err(|rejection| {
        Failure::from(
            Error::input(rejection.body_text()).with_hint("the parameters are described in /v1/openapi.json"),
        )
    })
}

pub(crate) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:",
        ),
    ];
    (headers, include_str!("page/index.html")).into_response()
}

pub(crate) async fn health() -> Response {
    Answer(json!({"status": "ok"})).into_response()
}

pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

pub(crate) async fn not_found() -> Response {
    let error = Error::input("there is nothing at this path").with_hint("all paths are in /v1/openapi.json");
    Failure::new(StatusCode::NOT_FOUND, error).into_response()
}

pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Response {
    let observed = &shared.observed;
    let status = (observed.status)();
    let time = |time| (time != WATERMARK_MIN && time != WATERMARK_MAX).then_some(time);
    let latency = &status.latency;
    let operators: Vec<Value> = operators::latencies(&status)
        .map(|found| {
            json!({
                "operator": found.operator, "uid": found.uid, "instance": found.instance, "count": found.count,
                "p50_us": found.median_us, "p99_us": found.p99_us, "max_us": found.max_us,
            })
        })
        .collect();
    let is_running = matches!(status.state, JobState::Running);
    Answer(json!({
        "state": format!("{:?}", status.state).to_lowercase(),
        "running": is_running,
        "attempt": status.attempt,
        "restarts": status.restarts,
        "checkpoints": status.checkpoints,
        "started": shared.started_ms,
        "now": observed.clock.wall_millis(),
        "watermark": time(status.watermark),
        "lines_read": observed.progress.lines(),
        "bytes_read": observed.progress.bytes_read(),
        "latency": {
            "count": latency.count(),
            "p50_us": latency.quantile(0.5),
            "p99_us": latency.quantile(0.99),
            "max_us": latency.max(),
        },
        "operators": operators,
        "stored": observed.store.is_some(),
    }))
    .into_response()
}

pub(crate) async fn summary(State(shared): State<Arc<Shared>>) -> Response {
    Answer(shared.observed.board.sums()).into_response()
}

/// Asks the store where waiting is allowed.
async fn query<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let store = shared.observed.store.clone().ok_or_else(nothing_stored)?;
    waiting(shared, move || work(&store).map_err(Failure::from)).await
}

/// Runs `work` where waiting is allowed; not too much at once.
pub(crate) async fn waiting<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let busy = || {
        let error = Error::network("too many queries run").with_hint("ask for less, or try again later");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, error)
    };
    let waiting = tokio::time::timeout(WAIT_MAX, shared.queries.clone().acquire_owned()).await;
    let permit = waiting.map_err(|_| busy())?.map_err(|_| busy())?;
    let done = tokio::task::spawn_blocking(move || {
        let found = work();
        drop(permit);
        found
    });
    done.await.map_err(|error| Failure::from(Error::internal(format!("a query failed: {error}"))))?
}

fn nothing_stored() -> Failure {
    let error = Error::input("nothing is stored")
        .with_hint("start with --store DIRECTORY, or [store] in the configuration");
    Failure::new(StatusCode::NOT_FOUND, error)
}

pub(crate) async fn logs(State(shared): State<Arc<Shared>>, parameters: Asked<LogsParameters>) -> Answered {
    let parameters = asked(parameters)?;
    let now_ms = shared.observed.clock.wall_millis();
    if let Some(limit) = parameters.streamed()? {
        let wanted = parameters.unlimited().query(now_ms)?;
        return stream_lines(&shared, wanted, limit).await;
    }
    let wanted = parameters.query(now_ms)?;
    let answer = query(&shared, move |store| store.lines(&wanted)).await?;
    Ok(Answer(json!({
        "lines": answer.lines,
        "more": answer.more,
        "timed_out": answer.timed_out,
        "groups_read": answer.groups_read,
        "groups_skipped": answer.groups_skipped,
    }))
    .into_response())
}

/// Sends lines as they are found, as fast as the client takes them.
async fn stream_lines(shared: &Arc<Shared>, wanted: LineQuery, limit: usize) -> Answered {
    let store = shared.observed.store.clone().ok_or_else(nothing_stored)?;
    let permit = shared.queries.clone().acquire_owned().await.map_err(|_| nothing_stored())?;
    let (parts, body) = streamed();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut part = Vec::with_capacity(PART_BYTES);
        let mut left = limit;
        let outcome = store.each_line(&wanted, |line| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            if serde_json::to_writer(&mut part, &line).is_err() {
                return ControlFlow::Break(());
            }
            part.push(b'\n');
            if part.len() < PART_BYTES {
                return ControlFlow::Continue(());
            }
            match parts.blocking_send(std::mem::take(&mut part)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        if let Err(error) = outcome {
            // The answer has begun: what went wrong is its last line.
            part.extend_from_slice(json!({"error": {"message": error.message()}}).to_string().as_bytes());
            part.push(b'\n');
        }
        let _ = parts.blocking_send(part);
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

pub(crate) async fn windows(
    State(shared): State<Arc<Shared>>,
    parameters: Asked<ResultParameters>,
) -> Answered {
    let parameters = asked(parameters)?;
    let (kind, limit) = (parameters.window_kind()?, parameters.limit()?);
    let times = parameters.times(shared.observed.clock.wall_millis())?;
    let live = shared.observed.board.windows(kind, times.clone(), limit);
    let mut found = live;
    let earliest = found.first().map_or(times.end, |figures| figures.start);
    if found.len() < limit && shared.observed.store.is_some() && times.start < earliest {
        let left = limit - found.len();
        let mut older = query(&shared, move |store| store.windows(kind, times.start..earliest, left)).await?;
        older.append(&mut found);
        found = older;
    }
    Ok(Answer(json!({"kind": kind.name(), "windows": found})).into_response())
}

pub(crate) async fn top(State(shared): State<Arc<Shared>>, parameters: Asked<ResultParameters>) -> Answered {
    let parameters = asked(parameters)?;
    let limit = parameters.limit()?.min(20);
    let found = shared.observed.board.top(parameters.dimension()?, parameters.minutes(), limit);
    let values: Vec<Value> =
        found.into_iter().map(|value| json!({"value": value.path, "count": value.count})).collect();
    Ok(Answer(json!({"minutes": parameters.minutes(), "top": values})).into_response())
}

pub(crate) async fn sessions(
    State(shared): State<Arc<Shared>>,
    parameters: Asked<ResultParameters>,
) -> Answered {
    let parameters = asked(parameters)?;
    let limit = parameters.limit()?;
    let times = parameters.times(shared.observed.clock.wall_millis())?;
    let host = parameters.host.clone();
    let is_wanted = |session: &eddyline_logs::Session| {
        times.contains(&session.start) && host.as_ref().is_none_or(|host| session.host == *host)
    };
    let mut found: Vec<_> =
        shared.observed.board.sessions(usize::MAX).into_iter().filter(is_wanted).collect();
    if shared.observed.store.is_some() {
        let wanted = times.clone();
        let older = query(&shared, move |store| store.sessions(wanted, host.as_deref(), limit)).await?;
        found.extend(older);
        found.sort_by(|one, other| other.start.cmp(&one.start).then_with(|| one.host.cmp(&other.host)));
        found.dedup();
    }
    found.truncate(limit);
    let rows: Vec<Value> = found
        .iter()
        .map(|session| {
            json!({
                "host": session.host, "start": session.start, "end": session.end,
                "requests": session.requests, "bytes": session.bytes,
            })
        })
        .collect();
    Ok(Answer(json!({"sessions": rows})).into_response())
}

pub(crate) async fn alerts(
    State(shared): State<Arc<Shared>>,
    parameters: Asked<ResultParameters>,
) -> Answered {
    let parameters = asked(parameters)?;
    let limit = parameters.limit()?;
    let times = parameters.times(shared.observed.clock.wall_millis())?;
    let wants_open = match parameters.state.as_deref() {
        None | Some("all") => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(other) => {
            return Err(Error::input(format!("alerts are never `{other}`"))
                .with_hint("open, closed or all")
                .into());
        }
    };
    let mut found = shared.observed.board.alerts();
    if shared.observed.store.is_some() && wants_open != Some(true) {
        let wanted = times.clone();
        let older = query(&shared, move |store| store.alerts(wanted, limit)).await?;
        let known: std::collections::BTreeSet<String> = found.iter().map(|alert| alert.id.clone()).collect();
        found.extend(older.into_iter().filter(|alert| !known.contains(&alert.id)));
    }
    let is_wanted = |alert: &Alert| {
        times.contains(&alert.opened)
            && wants_open.is_none_or(|open| alert.is_open() == open)
            && parameters.kind.as_ref().is_none_or(|kind| alert.kind.name() == kind)
    };
    found.retain(is_wanted);
    found.sort_by_key(|alert| std::cmp::Reverse(alert.opened));
    found.truncate(limit);
    let next = shared.observed.board.next_alert_change();
    Ok(Answer(json!({"alerts": found, "next_event": next})).into_response())
}

pub(crate) async fn alert(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answered {
    let found = shared.observed.board.alerts().into_iter().find(|alert| alert.id == id);
    let found = match found {
        None if shared.observed.store.is_some() => {
            let all = query(&shared, |store| store.alerts(i64::MIN..i64::MAX, usize::MAX)).await?;
            all.into_iter().find(|alert| alert.id == id)
        }
        found => found,
    };
    match found {
        Some(alert) => Ok(Answer(alert).into_response()),
        None => Err(Failure::new(StatusCode::NOT_FOUND, Error::input(format!("there is no alert `{id}`")))),
    }
}

pub(crate) async fn unreadable(State(shared): State<Arc<Shared>>) -> Response {
    Answer(shared.observed.board.unreadable()).into_response()
}
