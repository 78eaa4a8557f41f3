//! `POST /v1/sql`: a query over what the job knows.
//!
//! A query reads and does nothing else: it is one SELECT over the tables of [`crate::tables`], in a session of its own
//! that knows no other. It has limits of time and of rows, and shares with other queries how many may run at once.

use crate::answer::Failure;
use crate::handlers::{Answered, waiting};
use crate::parameters::times;
use crate::server::{Observed, Shared};
use crate::tables::tables;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline::Options;
use eddyline_core::{Error, ErrorKind, EventTime, Result};
use eddyline_sql::{JobProgress, LiveRows, ResultColumn, Session, SqlMode, Watcher};
use serde::Deserialize;
use serde_json::json;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

/// How long a query may run.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What a query may remember.
const MEMORY: &str = "256m";
/// The longest query, in bytes.
const QUERY_BYTES_MAX: usize = 64 << 10;
/// Rows that are answered if nothing else is said, and at most.
const ROWS_DEFAULT: usize = 1_000;
const ROWS_MAX: usize = 10_000;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlRequest {
    query: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
}

/// Takes the rows of a query, as many as are wanted.
struct Taken {
    limit: usize,
    columns: Vec<ResultColumn>,
    rows: Vec<String>,
    more: bool,
    timed_out: bool,
    elapsed: Duration,
}

impl Watcher for Taken {
    fn look(&mut self, progress: &JobProgress, rows: Option<&LiveRows>) -> Result<ControlFlow<()>> {
        self.timed_out = progress.elapsed > TIME_MAX;
        let is_enough = rows.is_some_and(|rows| rows.len() > self.limit);
        Ok(if self.timed_out || is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn ended(&mut self, progress: &JobProgress, rows: Option<&LiveRows>, cancelled: bool) -> Result<()> {
        self.timed_out &= cancelled;
        self.elapsed = progress.elapsed;
        if let Some(rows) = rows {
            self.columns = rows.columns().to_vec();
            self.rows = rows.json(0, self.limit);
            self.more = rows.len() > self.limit;
        }
        Ok(())
    }
}

/// Runs a query where it may wait.
fn run(observed: &Observed, query: &str, times: &Range<EventTime>, limit: usize) -> Result<Taken, Failure> {
    let mut taken = Taken {
        limit,
        columns: Vec::new(),
        rows: Vec::new(),
        more: false,
        timed_out: false,
        elapsed: Duration::ZERO,
    };
    let mut engine = Options::default();
    engine.set("restart-strategy.type", "none")?;
    engine.set("taskmanager.memory.process.size", MEMORY)?;
    // It is over before anyone could look for it.
    engine.set("eddyline.control-dir", "")?;
    let mut session = Session::with_options(engine);
    session.set_mode(SqlMode::Batch);
    session.set_option("table.local-time-zone", "UTC")?;
    for (name, table) in tables(observed, times) {
        session.add_table(name, table)?;
    }
    match session.run_query(query, &mut taken) {
        Ok(()) => Ok(taken),
        Err(error) if error.kind() == ErrorKind::Cancelled && !taken.timed_out => Ok(taken),
        Err(error) if error.kind() == ErrorKind::Cancelled => {
            let error = Error::input(format!("the query did not end within {} s", TIME_MAX.as_secs()))
                .with_hint("give `from` and `to`: only rows of that time are read");
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, error))
        }
        Err(error) if error.kind() == ErrorKind::Memory => {
            let error = error.with_hint("ask for less: give `from` and `to`");
            Err(Failure::new(StatusCode::BAD_REQUEST, error))
        }
        // What a query computes wrongly is its author's affair.
        Err(error) if error.kind() == ErrorKind::User => Err(Failure::new(StatusCode::BAD_REQUEST, error)),
        Err(error) => Err(error.into()),
    }
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "type": column.type_name}))
            .collect();
        // The rows are JSON already.
        let body = format!(
            "{{\"columns\":{},\"rows\":[{}],\"more\":{},\"elapsed_ms\":{}}}",
            json!(columns),
            self.rows.join(","),
            self.more,
            self.elapsed.as_millis()
        );
        ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body)
            .into_response()
    }
}

/// Reads what is asked.
fn asked(headers: &HeaderMap, body: &[u8]) -> Result<SqlRequest, Failure> {
    // A foreign page cannot send this type without being asked for leave first.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let error = Error::input("the body has to be JSON")
            .with_hint("send `Content-Type: application/json` and {\"query\": \"SELECT …\"}");
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    let request: SqlRequest = serde_json::from_slice(body).map_err(|error| {
        Error::input(format!("the body cannot be read: {error}"))
            .with_hint("it is {\"query\": \"SELECT …\"}; `from`, `to` and `limit` may be there too")
    })?;
    if request.query.len() > QUERY_BYTES_MAX {
        return Err(Error::input("the query is too long")
            .with_hint(format!("it has at most {QUERY_BYTES_MAX} bytes"))
            .into());
    }
    Ok(request)
}

pub(crate) async fn sql(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answered {
    let request = asked(&headers, &body)?;
    let limit = request.limit.unwrap_or(ROWS_DEFAULT);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Error::input(format!("a limit of {limit} rows is not possible"))
            .with_hint(format!("1 to {ROWS_MAX}"))
            .into());
    }
    let now_ms = shared.observed.clock.wall_millis();
    let times = times(request.from.as_deref(), request.to.as_deref(), now_ms)?;
    let observed = shared.observed.clone();
    let taken = waiting(&shared, move || run(&observed, &request.query, &times, limit)).await?;
    Ok(taken.into_response())
}
