//! Bodies that are made while they are sent.

use axum::body::Body;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Parts of a body that wait to be sent.
const PARTS_MAX: usize = 16;

/// What is sent down a channel, as a body.
struct Parts(mpsc::Receiver<Vec<u8>>);

impl Stream for Parts {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|part| part.map(Ok))
    }
}

/// A body and where its parts go; it ends when the sender is dropped, and the sender fails when the client is gone.
pub(crate) fn streamed() -> (mpsc::Sender<Vec<u8>>, Body) {
    let (sender, receiver) = mpsc::channel(PARTS_MAX);
    (sender, Body::from_stream(Parts(receiver)))
}
