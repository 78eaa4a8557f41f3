//! Answers and errors as JSON.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline_core::{Error, ErrorKind};
use serde::Serialize;
use serde_json::json;

/// An answer as JSON.
pub(crate) struct Answer<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        match serde_json::to_vec(&self.0) {
            Ok(body) => (json, body).into_response(),
            Err(error) => {
                Failure::from(Error::internal(format!("cannot write JSON: {error}"))).into_response()
            }
        }
    }
}

/// An error as JSON, with the status that fits.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error: Error,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: Error) -> Self {
        Failure { status, error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Config | ErrorKind::Input => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure { status, error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({
            "error": {
                "message": self.error.message(),
                "detail": self.error.detail(),
                "hint": self.error.hint(),
            }
        });
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}
