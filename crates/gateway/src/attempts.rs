//! One way after the other is tried until a provider answers. Nothing of a failed attempt reaches the client.
//!
//! 429: the next key. A failing provider: the same key once more, then the next. A silent one: the next key, since to wait
//! for as long once more helps nobody. A key that is turned away: the next own key. What the provider says of the request
//! itself goes to the client at once. Credits stand in for own keys only where the workspace's policy says so, and only
//! within what is held for the call.

use std::future::Future;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;

use crate::Plane;
use crate::endpoint::Call;
use crate::error::{Attempt, Failure};
use crate::headers::Served;
use crate::health::{KeyVersion, Trial};
use crate::plan::Planned;
use crate::plan::way::Way;
use crate::send::{Answer, Missed, Next, Parcel};
use crate::settle::Settlement;
use crate::snapshot::View;
use crate::upload::Upload;

mod attempt;
mod backoff;
mod budget;
mod hedge;
mod line;
mod pace;
mod payment;
mod verdict;

use attempt::{Attempted, Leg};
use backoff::Backoff;
pub(crate) use budget::Repeats;
pub(crate) use line::Pools;
use line::Walk;

/// A call that the provider answered with something for the client.
pub(crate) struct Answered {
    pub(crate) settlement: Settlement,
    pub(crate) call: &'static Call,
    pub(crate) served: Served,
    pub(crate) answer: Box<Answer>,
    /// As in [`Planned`].
    pub(crate) beginning: usize,
    /// The body of the request, if it may flow yet.
    pub(crate) upload: Option<Upload>,
}

/// Most attempts of one call.
const MAX_ATTEMPTS: usize = 8;

/// Serves a planned call. A failure is settled; the facts for its headers are in `said`.
pub(crate) fn serve(
    plane: &Plane,
    planned: Planned,
    said: &mut HeaderMap,
) -> impl Future<Output = Result<Answered, Failure>> + Send {
    let Planned {
        view,
        settlement,
        ways,
        beginning,
        parcel,
        room,
    } = planned;
    let call = parcel.call;
    async move {
        let mut course = Course {
            plane,
            view: &view,
            call,
            aim: None,
            begun: 0,
            ends_at: parcel.ends_at,
            settlement: Some(settlement),
            parcel: &parcel,
            tried: Vec::new(),
            left: false,
            first: None,
            several: false,
            failed: Vec::new(),
            backoff: Backoff::default(),
            credits: Credits::default(),
            refused: None,
            last: None,
            ways: &ways,
            hedge_after: hedge::hedge_after(&view, &parcel),
            passed_by: None,
            retry_after_ms: None,
        };
        let outcome = Box::pin(course.run()).await;
        let settlement = course.settlement.take();
        if let (Err(_), Some(way)) = (&outcome, course.aim) {
            match course.begun {
                0 => course.meant(way).write(said),
                _ => course.served(way).write(said),
            }
        }
        if let (Err(_), Some(millis)) = (&outcome, course.retry_after_ms) {
            let seconds = HeaderValue::from(millis.saturating_add(999) / 1_000);
            said.insert(header::RETRY_AFTER, seconds);
        }
        // The request was sent; its memory need not wait for the end of the answer.
        drop(room);
        match (outcome, settlement) {
            (Ok((served, answer)), Some(settlement)) => Ok(Answered {
                settlement,
                call,
                served,
                answer,
                beginning,
                upload: parcel.upload.filter(|it| !it.is_whole()),
            }),
            (Err(failure), Some(settlement)) => Err(settlement.refuse(failure)),
            // The task that held it died, and it is settled.
            (_, None) => Err(Failure::Internal),
        }
    }
}

/// How far a call has come.
struct Course<'a> {
    plane: &'a Plane,
    view: &'a View,
    call: &'static Call,
    /// The way that was tried last, for the headers of a failure; as long as none was, the one that would have been.
    aim: Option<&'a Way>,
    /// How many requests were made to providers.
    begun: usize,
    /// When the call as a whole must be at its end.
    ends_at: Instant,
    /// `None`: it was lost.
    settlement: Option<Settlement>,
    parcel: &'a Parcel,
    /// The attempts that failed.
    tried: Vec<Attempt>,
    /// Whether the request of the last attempt has left.
    left: bool,
    /// The first key that was tried, and whether there were others.
    first: Option<KeyVersion>,
    several: bool,
    /// The ways that failed, each key once.
    failed: Vec<&'a Way>,
    /// How long providers in trouble are left alone.
    backoff: Backoff<'a>,
    credits: Credits,
    /// Why credits do not pay, if nothing was tried since.
    refused: Option<Failure>,
    last: Option<(Served, Box<Missed>)>,
    ways: &'a [Way],
    /// After how long the first attempt is hedged; `None`: never.
    hedge_after: Option<Duration>,
    /// The place of the model that its provider does not know.
    passed_by: Option<usize>,
    /// When the provider whose failure the client is told of wants to be asked again.
    retry_after_ms: Option<i64>,
}

/// What is decided about credits in the course of the call.
#[derive(Default)]
struct Credits {
    held: bool,
    /// Within the cap of what they may pay in place of own keys.
    capped: bool,
    /// The store knows that the call has left.
    forwarded: bool,
    /// They were refused; no other way makes them more.
    over: bool,
    /// An own key was turned away.
    denied: bool,
    /// An own key could not be used at all: that must be mended, not paid for.
    unusable: bool,
}

/// What became of the attempts with one key.
enum Turn {
    Answered(Served, Box<Answer>),
    /// The client must know at once.
    Told(Failure),
    Next,
}

type Outcome = Result<(Served, Box<Answer>), Failure>;

impl<'a> Course<'a> {
    async fn run(&mut self) -> Outcome {
        let mut walk = Walk::along(self.ways);
        while self.begun < MAX_ATTEMPTS && !self.parcel.is_spent() {
            let Some((way, trial)) = walk.next(self.plane) else {
                break;
            };
            if self.passed_by == Some(way.place) {
                continue;
            }
            match self.turn(way, trial, &mut walk).await {
                Turn::Answered(served, answer) => return Ok((served, answer)),
                Turn::Told(failure) => return Err(failure),
                Turn::Next => {}
            }
        }
        self.nobody()
    }

    /// Tries one key, if it may be.
    async fn turn(&mut self, way: &'a Way, mut trial: Option<Trial>, walk: &mut Walk<'a>) -> Turn {
        if way.is_managed() && !self.credits_may(way) {
            return Turn::Next;
        }
        let mut leg = match self.leg(way) {
            Ok(leg) => leg,
            Err(failure) => {
                self.not_translated(way, failure);
                return Turn::Next;
            }
        };
        // Nothing is held for an attempt that there is no time for.
        if !self.paused(way, 0).await {
            return Turn::Next;
        }
        if let Err(failure) = self.paid(&leg).await {
            self.refused = Some(failure);
            return Turn::Next;
        }
        self.plane.repeats.earn(&way.target.provider);
        let mut again = false;
        loop {
            let attempted = match self.hedge_after.filter(|_| self.begun == 0) {
                None => self.attempt(&leg, walk).await,
                // In a box, so that calls that are not hedged have no room for two attempts.
                Some(after) => {
                    let counts = Box::pin(self.hedged(leg, after, walk)).await;
                    leg = counts.0;
                    counts.1
                }
            };
            // The first attempt in a line is the one on trial.
            drop(trial.take());
            let (served, missed) = match attempted {
                Err(failure) => {
                    self.credits.over = true;
                    self.refused = Some(failure);
                    return Turn::Next;
                }
                Ok((served, Ok(answer))) => return Turn::Answered(served, answer),
                Ok((served, Err(missed))) => (served, missed),
            };
            if self.is_told(&missed) {
                self.retry_after_ms = missed.retry_after_ms.map(i64::from);
                return Turn::Told(missed.failure);
            }
            let (next, pause_ms) = (missed.next, missed.retry_after_ms);
            self.last = Some((served, missed));
            if again || next != Next::SameKeyOnce || !self.repeats(&leg, pause_ms).await {
                return Turn::Next;
            }
            again = true;
        }
    }

    /// Whether the client is told of this failure, whoever else could serve.
    fn is_told(&self, missed: &Missed) -> bool {
        match missed.next {
            Next::Told => true,
            Next::SameKeyOnce | Next::AfterSilence => self.left && self.acts(),
            Next::OtherKey | Next::OtherModel => false,
        }
    }

    /// Whether a provider must not be asked for it twice. A model's answer may be asked for again; whatever else a request
    /// does, only its method says so.
    fn acts(&self) -> bool {
        self.call.is_passed() && !self.parcel.method.is_idempotent()
    }
}
