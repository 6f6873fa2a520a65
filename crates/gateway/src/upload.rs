//! A request body that goes to the provider while it comes from the client.
//!
//! Its beginning is held, the rest is on its way: the provider pulls, so a slow provider slows the client down, and
//! between the two are a few pieces at most. What comes is checked before it goes out, and of a form the last piece goes
//! out only when the whole is known to be one: what breaks a rule ends the request to the provider in the middle, so that
//! nobody takes it for whole. The next attempt may send the body too as long as all of it that went out is held.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use llm::form;
use tokio::time::{Instant, Sleep};

use crate::Body;
use crate::admit;
use crate::config::Timeouts;
use crate::error::Failure;
use crate::room::Room;

/// The most of a body that is held before the rest of it flows.
pub(crate) const HELD_BYTES: usize = 64 * 1024;
/// What a body that flows takes of the memory for bodies beside what is held of it: the piece that is kept back, and what
/// the connections and the reader of forms hold.
pub(crate) const WINDOW_BYTES: usize = 192 * 1024;

/// A call's hold of a body that flows. Dropped before the body's end, it stops what is under way.
pub(crate) struct Upload {
    rest: Arc<Mutex<Rest>>,
    received: Received,
    /// How long the whole is, where the client said so.
    length: Option<u64>,
    /// How much of it is held.
    held: u64,
    pace: Pace,
    /// Its part of the memory for bodies.
    _room: Room,
}

/// How many bytes of a body have come. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<AtomicU64>);

/// What a body that flows is made of.
pub(crate) struct Source {
    /// What has not come yet.
    pub(crate) body: Body,
    /// Has read what is held.
    pub(crate) check: Option<form::Reader>,
    /// How much of the body is held.
    pub(crate) held: usize,
    /// How long the whole is, where the client said so.
    pub(crate) length: Option<u64>,
    /// How long it may be.
    pub(crate) limit: usize,
    /// When it must be there.
    pub(crate) deadline: Instant,
    /// When the call as a whole must be at its end.
    pub(crate) call_ends: Instant,
    /// Its part of the memory for bodies.
    pub(crate) room: Room,
}

/// How long a provider may take.
#[derive(Clone, Copy)]
struct Pace {
    /// To take the next piece.
    idle: Duration,
    /// To answer when it has the last.
    first_byte: Duration,
    /// For either, at the latest.
    call_ends: Instant,
}

/// What has not gone out yet.
struct Rest {
    /// `None`: it is at its end, or given up.
    body: Option<Body>,
    check: Option<form::Reader>,
    /// What came last of a form, kept back until it is known to go on or to be whole.
    kept: Option<Bytes>,
    received: Received,
    limit: usize,
    deadline: Pin<Box<Sleep>>,
    /// The attempt that may take from it.
    attempt: u32,
    /// Whether something went out that is not held any more.
    spent: bool,
    /// Whether the client has sent all of it, and it may.
    whole: bool,
    turn: Turn,
    failure: Option<Failure>,
    waker: Option<Waker>,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
enum Turn {
    /// The provider has taken all that came, since then.
    Client(Instant),
    /// It has not taken the next piece since then.
    Provider(Instant),
    /// The provider's, which has taken the last piece.
    Answer(Instant),
}

impl Received {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Upload {
    pub(crate) fn new(source: Source, timeouts: &Timeouts) -> Self {
        let Source {
            body,
            check,
            held,
            length,
            limit,
            deadline,
            call_ends,
            room,
        } = source;
        let held = held as u64;
        let received = Received(Arc::new(AtomicU64::new(held)));
        Self {
            rest: Arc::new(Mutex::new(Rest {
                body: Some(body),
                check,
                kept: None,
                received: received.clone(),
                limit,
                deadline: Box::pin(tokio::time::sleep_until(deadline)),
                attempt: 0,
                spent: false,
                whole: false,
                turn: Turn::Client(Instant::now()),
                failure: None,
                waker: None,
            })),
            received,
            length,
            held,
            pace: Pace {
                idle: timeouts.idle(),
                first_byte: timeouts.first_byte(),
                call_ends,
            },
            _room: room,
        }
    }

    /// How much has come.
    pub(crate) fn received(&self) -> Received {
        self.received.clone()
    }

    /// The body for another attempt; `first` goes out for what is held. The attempt before gets no more.
    pub(crate) fn begin(&self, first: Bytes) -> Flowing {
        let mut rest = lock(&self.rest);
        rest.attempt += 1;
        rest.turn = Turn::Provider(Instant::now());
        let attempt = rest.attempt;
        let waker = rest.waker.take();
        drop(rest);
        // Who waits for more of it learns that there is none.
        if let Some(waker) = waker {
            waker.wake();
        }
        let after = self.length.map(|it| it.saturating_sub(self.held));
        Flowing {
            left: after.map(|after| after + first.len() as u64),
            first,
            rest: Arc::clone(&self.rest),
            attempt,
            pace: self.pace,
        }
    }

    /// Whether no other attempt can have the whole body.
    pub(crate) fn is_spent(&self) -> bool {
        lock(&self.rest).spent
    }

    /// Whether the client has sent all of it: what has not gone out yet goes out without this.
    pub(crate) fn is_whole(&self) -> bool {
        lock(&self.rest).whole
    }

    /// When it last went on: the provider took a piece, or came to wait for one.
    pub(crate) fn moved_at(&self) -> Instant {
        match lock(&self.rest).turn {
            Turn::Client(since) | Turn::Provider(since) | Turn::Answer(since) => since,
        }
    }

    /// Why the client's part in it failed, if it did; told once.
    pub(crate) fn failure(&self) -> Option<Failure> {
        lock(&self.rest).failure.take()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut rest = lock(&self.rest);
        if rest.whole {
            return;
        }
        rest.attempt = u32::MAX;
        let given_up = (rest.body.take(), rest.kept.take());
        let waker = rest.waker.take();
        drop(rest);
        drop(given_up);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The body of one attempt.
pub(crate) struct Flowing {
    /// What goes out for what is held, if it has not.
    first: Bytes,
    /// How much is to go out yet, where that is known.
    left: Option<u64>,
    rest: Arc<Mutex<Rest>>,
    attempt: u32,
    pace: Pace,
}

/// A body ended before its end. Why, [`Upload::failure`] says.
#[derive(Debug, thiserror::Error)]
#[error("the request body was given up")]
pub(crate) struct GivenUp;

impl Flowing {
    /// Returns when the provider has not taken the next piece, or has not answered after the last one, in time, which
    /// the end of the call bounds. The client has limits of its own.
    pub(crate) fn overdue(&self) -> impl Future<Output = ()> + Send + use<> {
        let (rest, pace) = (Arc::clone(&self.rest), self.pace);
        // As often as it could become overdue.
        let often = pace.idle.min(pace.first_byte);
        async move {
            loop {
                let now = Instant::now();
                let turn = lock(&rest).turn;
                let until = match turn {
                    Turn::Client(_) => None,
                    Turn::Provider(since) => Some(since + pace.idle),
                    Turn::Answer(since) => Some(since + pace.first_byte),
                };
                if until.is_some_and(|until| until.min(pace.call_ends) <= now) {
                    return;
                }
                let mut next = until.unwrap_or(now + often).min(now + often);
                if now < pace.call_ends {
                    next = next.min(pace.call_ends);
                }
                tokio::time::sleep_until(next).await;
            }
        }
    }

    fn goes_out(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        self.left = self
            .left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl HttpBody for Flowing {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let flowing = &mut *self;
        let shared = Arc::clone(&flowing.rest);
        let mut rest = lock(&shared);
        if rest.attempt != flowing.attempt {
            return Poll::Ready(Some(Err(GivenUp)));
        }
        let before = rest.turn;
        rest.turn = Turn::Provider(Instant::now());
        if !flowing.first.is_empty() {
            let first = std::mem::take(&mut flowing.first);
            return flowing.goes_out(first);
        }
        match rest.poll_next(cx) {
            Poll::Pending => {
                // Asked again, it has taken nothing in between.
                rest.turn = match before {
                    Turn::Client(_) => before,
                    Turn::Provider(_) | Turn::Answer(_) => Turn::Client(Instant::now()),
                };
                rest.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Ok(Some(bytes))) => {
                rest.spent = true;
                if rest.whole {
                    rest.turn = Turn::Answer(Instant::now());
                }
                flowing.goes_out(bytes)
            }
            Poll::Ready(Ok(None)) => {
                rest.turn = Turn::Answer(Instant::now());
                Poll::Ready(None)
            }
            Poll::Ready(Err(failure)) => {
                rest.spent = true;
                rest.body = None;
                rest.kept = None;
                rest.failure = Some(failure);
                Poll::Ready(Some(Err(GivenUp)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Rest {
    /// The next piece that may go out; `None`: there is none, and the body is whole.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            if self.whole {
                return Poll::Ready(Ok(self.kept.take()));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Err(Failure::BodyBroken));
            };
            // Before the body: a client that is always ahead of the provider always has the next piece ready.
            if self.deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Failure::BodyTooSlow));
            }
            let Some(frame) = std::task::ready!(Pin::new(body).poll_frame(cx)) else {
                if let Some(check) = &self.check {
                    check.finish().map_err(Failure::InvalidRequest)?;
                }
                self.ends();
                continue;
            };
            // Trailers do not pass.
            let Ok(data) = frame.map_err(admit::broken)?.into_data() else {
                continue;
            };
            if data.is_empty() {
                continue;
            }
            let received = self.received.bytes() + data.len() as u64;
            if received > self.limit as u64 {
                return Poll::Ready(Err(Failure::BodyTooLarge { limit: self.limit }));
            }
            self.received.0.store(received, Ordering::Relaxed);
            let Some(check) = &mut self.check else {
                // Nobody asks for more when the announced length has gone out.
                if self.body.as_ref().is_some_and(admit::is_at_end) {
                    self.ends();
                }
                return Poll::Ready(Ok(Some(data)));
            };
            check.push(&data).map_err(Failure::InvalidRequest)?;
            if let Some(before) = self.kept.replace(data) {
                return Poll::Ready(Ok(Some(before)));
            }
        }
    }

    fn ends(&mut self) {
        self.whole = true;
        self.body = None;
    }
}

fn lock(rest: &Mutex<Rest>) -> MutexGuard<'_, Rest> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}
