//! Who may ask.

use crate::answer::Failure;
use crate::server::Shared;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use eddyline_core::Error;
use std::sync::Arc;

/// Lets a request pass that shows the token, if there is one, or comes by a name of loopback, if that is where the
/// server listens.
pub(crate) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/healthz" {
        return next.run(request).await;
    }
    let refused = match &shared.settings.token {
        Some(token) => (!shows_token(&request, token)).then(unauthorised),
        None => (shared.settings.address.ip().is_loopback() && !is_local(&request)).then(foreign),
    };
    match refused {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// The token in the header, or as `access_token`: a browser's stream of events cannot set headers.
fn shows_token(request: &Request, token: &str) -> bool {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = header.and_then(|value| value.strip_prefix("Bearer "));
    let query = request.uri().query().unwrap_or_default();
    let asked = query.split('&').find_map(|part| part.strip_prefix("access_token="));
    shown.or(asked).is_some_and(|shown| is_same(shown.as_bytes(), token.as_bytes()))
}

/// Takes as long wherever the two differ, so that a token cannot be found byte by byte.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    one.len() == other.len() && differing == 0
}

fn is_local(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unauthorised() -> Response {
    let error = Error::config("a token is needed")
        .with_hint("send `Authorization: Bearer TOKEN`, or open the page as /?access_token=TOKEN");
    let mut response = Failure::new(StatusCode::UNAUTHORIZED, error).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

fn foreign() -> Response {
    let error = Error::config("this server answers to localhost only")
        .with_hint("ask it as http://127.0.0.1, or set a token and another address");
    Failure::new(StatusCode::FORBIDDEN, error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(uri: &str, name: header::HeaderName, value: &str) -> Request {
        Request::builder().uri(uri).header(name, value).body(Body::empty()).unwrap()
    }

    #[test]
    fn tokens_are_shown_in_the_header_or_the_query() {
        let with_header = |value| shows_token(&request("/", header::AUTHORIZATION, value), "secret");
        assert!(with_header("Bearer secret"));
        assert!(!with_header("Bearer secre") && !with_header("secret") && !with_header("Bearer secret2"));
        assert!(shows_token(&request("/v1/events?a=b&access_token=secret", header::HOST, "x"), "secret"));
    }

    #[test]
    fn names_of_loopback_are_local() {
        for (host, expected) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("127.9.9.9:1", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(is_local(&request("/", header::HOST, host)), expected, "{host}");
        }
    }
}
