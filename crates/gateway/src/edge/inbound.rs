//! A request body that does not wait for ever.

use std::future::{Future, poll_fn};
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
    /// `None`: it is at its end, or broken.
    body: Option<Incoming>,
    idle: Duration,
    deadline: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    progress: Arc<Progress>,
    /// Its number.
    request: u64,
}

/// How long the rest of a body that nobody wants is waited for, and how many bytes of it are read: clients send a head and a
/// short body one after the other, and use the connection again.
const REST: Duration = Duration::from_secs(1);
const REST_BYTES: u64 = 64 * 1024;

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
        let ended = body.is_end_stream();
        if ended {
            progress.ends(request);
        }
        Self {
            body: (!ended).then_some(body),
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
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            self.alarm = None;
            match &frame {
                Some(Ok(_)) => {}
                Some(Err(_)) => self.body = None,
                None => {
                    self.body = None;
                    self.progress.ends(self.request);
                }
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
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = SizeHint::with_exact(0);
        self.body.as_ref().map_or(none, Body::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        match self.body.take() {
            // Its reader knew the length and asked for nothing behind it.
            Some(body) if body.is_end_stream() => self.progress.ends(self.request),
            Some(body) => self.progress.leaves(self.request, body),
            None => {}
        }
    }
}

/// Reads what nobody wanted of a body, if its end is near. Returns whether it is at its end.
pub(super) async fn read_rest(mut body: Incoming) -> bool {
    if body.size_hint().lower() > REST_BYTES {
        return false;
    }
    let mut bytes = 0;
    let reading = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else {
                return false;
            };
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > REST_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(REST, reading).await.unwrap_or(false)
}
