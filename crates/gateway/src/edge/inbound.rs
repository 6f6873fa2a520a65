//! A request body that does not wait for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::stream::Progress;

/// The body of a request, with a limit on standing still and on the whole.
pub struct Inbound {
    body: Incoming,
    idle: Duration,
    deadline: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    progress: Arc<Progress>,
    /// Its number.
    request: u64,
}

/// Why a request body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The client was too slow; answer 408.
    #[error("the request body did not arrive in time")]
    TooSlow,
    /// The connection broke or the framing is wrong.
    #[error("the request body is broken")]
    Broken(#[source] hyper::Error),
}

impl Inbound {
    pub(super) fn new(
        body: Incoming,
        idle: Duration,
        total: Duration,
        progress: Arc<Progress>,
        request: u64,
    ) -> Self {
        if body.is_end_stream() {
            progress.ends(request);
        }
        Self {
            body,
            idle,
            deadline: Instant::now() + total,
            alarm: None,
            progress,
            request,
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.alarm = None;
            if frame.is_none() {
                self.progress.ends(self.request);
            }
            // What comes in time is too late where nobody reads it in time.
            return Poll::Ready(match frame {
                Some(Ok(_)) if self.deadline <= Instant::now() => Some(Err(InboundError::TooSlow)),
                frame => frame.map(|frame| frame.map_err(InboundError::Broken)),
            });
        }
        let until = (Instant::now() + self.idle).min(self.deadline);
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        alarm
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(InboundError::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
