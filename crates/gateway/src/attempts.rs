//! One way after the other is tried until a provider answers. Nothing of a failed attempt reaches the client.
//!
//! 429: the next key. A failing or silent provider: the same key once more, then the next. A key that is turned
//! away: the next own key. What the provider says of the request itself goes to the client at once. Credits stand
//! in for own keys only where the workspace's policy says so, and only within what is held for the call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::resolve::Target;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use llm::format::Ceiling;
use llm::translate::Translated;
use tokio::time::Instant;

use crate::Plane;
use crate::admit::Held;
use crate::bill::Bill;
use crate::endpoint::{Call, Priced};
use crate::error::{Attempt, Failure};
use crate::headers::Served;
use crate::health::{KeyVersion, Trial};
use crate::hold;
use crate::plan::Planned;
use crate::plan::way::Way;
use crate::room::Room;
use crate::send::{self, Answer, Content, Missed, Next, Parcel, Translation};
use crate::settle::{Aimed, Flight, Settlement};
use crate::snapshot::View;
use crate::upload::Upload;

mod budget;
mod line;
mod payment;
mod verdict;

pub(crate) use budget::Repeats;
pub(crate) use line::Pools;
use line::Walk;

/// A call that the provider answered with something for the client.
pub(crate) struct Answered {
    pub(crate) settlement: Settlement,
    pub(crate) call: &'static Call,
    pub(crate) served: Served,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) translation: Option<Box<Translation>>,
    /// As in [`Planned`].
    pub(crate) beginning: usize,
    /// The body of the request, if it may flow yet.
    pub(crate) upload: Option<Upload>,
}

/// Most attempts of one call.
const MAX_ATTEMPTS: usize = 8;
/// The pause between two attempts: 50 to 150 ms.
const SHORTEST_PAUSE_MS: u64 = 50;
const PAUSE_SPREAD_MS: u64 = 100;
/// The longest pause that a provider may ask for before the same key is tried once more; beyond that others are.
const LONGEST_PAUSE_MS: u64 = 2_000;

/// Serves a planned call. A failure is settled; the facts for its headers are in `said`.
pub(crate) async fn serve(
    plane: &Plane,
    planned: Planned,
    said: &mut HeaderMap,
) -> Result<Answered, Failure> {
    let Planned {
        view,
        settlement,
        call,
        method,
        ways,
        headers,
        hops,
        head,
        listed,
        beginning,
        body:
            Held {
                bytes,
                media_type,
                upload,
                room,
            },
    } = planned;
    let started_at = settlement.started_at();
    let parcel = Parcel {
        call,
        method,
        headers,
        hops,
        head,
        listed,
        body: bytes,
        upload,
        media_type,
        ends_at: started_at + plane.config.timeouts.total(),
    };
    let mut course = Course {
        plane,
        view: &view,
        call,
        aim: None,
        begun: 0,
        deadline: started_at + plane.config.timeouts.first_byte(),
        settlement: Some(settlement),
        parcel: &parcel,
        tried: Vec::new(),
        left: false,
        first: None,
        several: false,
        failed: Vec::new(),
        credits: Credits::default(),
        refused: None,
        last: None,
        ways: &ways,
        passed_by: None,
        retry_after_ms: None,
    };
    let outcome = Box::pin(course.run()).await;
    let settlement = course.settlement.take();
    if let (Err(_), Some(way)) = (&outcome, course.aim) {
        course.served(way).write(said);
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
            status: answer.status,
            headers: answer.headers,
            content: answer.content,
            translation: answer.translation,
            beginning,
            upload: parcel.upload.filter(|it| !it.is_whole()),
        }),
        (Err(failure), Some(settlement)) => Err(settlement.refuse(failure)),
        // The task that held it died, and it is settled.
        (_, None) => Err(Failure::Internal),
    }
}

/// How far a call has come.
struct Course<'a> {
    plane: &'a Plane,
    view: &'a View,
    call: &'static Call,
    /// The way that was tried last, for the headers of a failure.
    aim: Option<&'a Way>,
    /// How many attempts have begun.
    begun: usize,
    /// The moment by which the head of an answer must be there.
    deadline: Instant,
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
    credits: Credits,
    /// Why credits do not pay, if nothing was tried since.
    refused: Option<Failure>,
    last: Option<(Served, Missed)>,
    ways: &'a [Way],
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

/// A way that is ready to be tried.
struct Leg<'a> {
    way: &'a Way,
    /// `None`: its provider speaks the client's format.
    translated: Option<Translated>,
    /// What was translated takes room as long as it may have to be sent.
    _room: Option<Room>,
    bill: Arc<Bill>,
}

/// What became of the attempts with one key.
enum Turn {
    Answered(Served, Box<Answer>),
    /// The client must know at once.
    Told(Failure),
    Next,
}

type Outcome = Result<(Served, Answer), Failure>;
/// What became of one attempt. The outer error: the store did not take down that the call is forwarded.
type Attempted = Result<(Served, Result<Answer, Missed>), Failure>;

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
            match self.turn(way, trial).await {
                Turn::Answered(served, answer) => return Ok((served, *answer)),
                Turn::Told(failure) => return Err(failure),
                Turn::Next => {}
            }
        }
        self.nobody()
    }

    /// Makes a way ready. Its error: the request cannot be said in the words of its provider.
    fn leg(&self, way: &'a Way) -> Result<Leg<'a>, Failure> {
        let (translated, room) = send::translated(self.plane, way, self.parcel)?.unzip();
        let Call {
            operation, priced, ..
        } = *self.call;
        let bill = Bill::of(self.plane, self.view, &way.target, operation, priced);
        Ok(Leg {
            way,
            translated,
            _room: room,
            bill: Arc::new(bill),
        })
    }

    /// Tries one key, if it may be.
    async fn turn(&mut self, way: &'a Way, mut trial: Option<Trial>) -> Turn {
        if way.is_managed() && !self.credits_may(way) {
            return Turn::Next;
        }
        let leg = match self.leg(way) {
            Ok(leg) => leg,
            Err(failure) => {
                self.not_translated(way, failure);
                return Turn::Next;
            }
        };
        self.aim = Some(way);
        if let Err(failure) = self.paid(&leg).await {
            self.refused = Some(failure);
            return Turn::Next;
        }
        let mut pause_ms = 0;
        for again in [false, true] {
            if self.begun >= MAX_ATTEMPTS
                || self.parcel.is_spent()
                || pause_ms > LONGEST_PAUSE_MS
                || !self.may(way, again)
                || !self.paused(pause_ms).await
            {
                return Turn::Next;
            }
            let attempted = self.attempt(&leg).await;
            // The first attempt in a line is the one on trial.
            drop(trial.take());
            match attempted {
                Err(failure) => {
                    self.credits.over = true;
                    self.refused = Some(failure);
                    return Turn::Next;
                }
                Ok((served, Ok(answer))) => return Turn::Answered(served, Box::new(answer)),
                Ok((served, Err(missed))) => {
                    let next = missed.next;
                    if self.is_told(&missed) {
                        self.retry_after_ms = missed.retry_after_ms.map(i64::from);
                        return Turn::Told(missed.failure);
                    }
                    pause_ms = missed.retry_after_ms.map_or(0, u64::from);
                    self.last = Some((served, missed));
                    if next != Next::SameKeyOnce || again {
                        return Turn::Next;
                    }
                }
            }
        }
        Turn::Next
    }

    /// Whether the client is told of this failure, whoever else could serve.
    fn is_told(&self, missed: &Missed) -> bool {
        missed.next == Next::Told || (missed.next == Next::SameKeyOnce && self.may_be_done())
    }

    /// Whether the provider may have done what it must not do twice. A model's answer may be asked for again; whatever
    /// else a request does, only its method says so.
    fn may_be_done(&self) -> bool {
        self.left && self.call.is_passed() && !self.parcel.method.is_idempotent()
    }

    /// Whether the provider may be asked, once more if `again`.
    fn may(&self, way: &Way, again: bool) -> bool {
        let (repeats, provider) = (&self.plane.repeats, &way.target.provider);
        // Runs space the attempts at their pictures themselves.
        if again && self.call.priced == Priced::ByPicture {
            return false;
        }
        if again {
            return repeats.spend(provider);
        }
        repeats.earn(provider);
        true
    }

    /// Waits a little before an attempt that is not the first, `at_least_ms` if the provider said so. `false`: there is
    /// no time left.
    async fn paused(&self, at_least_ms: u64) -> bool {
        if self.begun == 0 {
            return true;
        }
        let spread = self.plane.sources.random.bytes::<1>();
        let spread = spread.map_or(0, |[byte]| u64::from(byte) * PAUSE_SPREAD_MS / 255);
        let pause_ms = at_least_ms.max(SHORTEST_PAUSE_MS + spread);
        let until = Instant::now() + Duration::from_millis(pause_ms);
        if until >= self.deadline {
            return false;
        }
        tokio::time::sleep_until(until).await;
        true
    }

    async fn attempt(&mut self, leg: &Leg<'a>) -> Attempted {
        let flight = self.begins(leg).await?;
        let outcome = self.asks(leg, &flight).await;
        Ok(self.ended(leg, flight, outcome))
    }

    /// Sends the request.
    fn asks<'b>(
        &self,
        leg: &'b Leg<'a>,
        flight: &Flight,
    ) -> impl Future<Output = Result<Answer, Missed>> + Send + use<'a, 'b> {
        let Leg {
            way, translated, ..
        } = leg;
        let departure = flight.departure().clone();
        let (plane, view, parcel) = (self.plane, self.view, self.parcel);
        let translated = translated.as_ref();
        send::send(
            plane,
            view,
            way,
            parcel,
            translated,
            self.deadline,
            departure,
        )
    }

    /// An attempt begins.
    async fn begins(&mut self, leg: &Leg<'a>) -> Result<Flight, Failure> {
        let way = leg.way;
        self.refused = None;
        self.several |= self.first.get_or_insert(way.key) != &way.key;
        self.aim = Some(way);
        self.aims_at(leg)?;
        let settlement = self.settlement.as_mut().ok_or(Failure::Internal)?;
        let flight = settlement.begins(way);
        // Before a byte of it leaves, so that no death of this process makes a call free that the provider got.
        if way.is_managed() && !self.credits.forwarded {
            let serving = self.plane.store.serving();
            let marked = serving.mark_forwarded(settlement.request()).await;
            if let Err(error) = marked {
                let failure = hold::not_held(&error);
                settlement.attempted(flight, None, failure.code());
                return Err(failure);
            }
            self.credits.forwarded = true;
        }
        self.begun += 1;
        Ok(flight)
    }

    /// The call is served this way, as far as its row is concerned.
    fn aims_at(&mut self, leg: &Leg<'_>) -> Result<(), Failure> {
        let (plane, parcel) = (self.plane, self.parcel);
        let Leg {
            way, translated, ..
        } = leg;
        let translated = translated.as_ref();
        let ceiling = || ceiling(plane, way, parcel, translated);
        let aim = Aimed {
            way,
            fallback: way.is_managed() && !self.failed.is_empty(),
            bill: &leg.bill,
            sent_bytes: parcel.input_bytes(translated),
            ceiling: way.is_managed().then(ceiling),
        };
        let settlement = self.settlement.as_mut().ok_or(Failure::Internal)?;
        settlement.aims_at(aim);
        Ok(())
    }

    /// An attempt is over; what it leaves behind.
    fn ended(
        &mut self,
        leg: &Leg<'a>,
        flight: Flight,
        outcome: Result<Answer, Missed>,
    ) -> (Served, Result<Answer, Missed>) {
        let (plane, way) = (self.plane, leg.way);
        let is_last = self.ways.last().is_none_or(|it| it.place == way.place);
        let outcome = told_of_model(outcome, is_last);
        self.left = flight.departure().has_left();
        match &outcome {
            Ok(answer) => {
                if let Some(settlement) = &mut self.settlement {
                    settlement.answered(flight, answer.status);
                }
                plane.health.succeeded(&way.served_by());
                if let Some(millis) = answer.rests_ms {
                    let now = plane.sources.now();
                    plane.health.rests(way.served_by(), millis, now);
                }
            }
            Err(missed) => self.missed(way, flight, missed),
        }
        (self.served(way), outcome)
    }
}

/// What a provider says of a model that it does not know is for the client, if it `is_last` of those that the request
/// names.
fn told_of_model(outcome: Result<Answer, Missed>, is_last: bool) -> Result<Answer, Missed> {
    match outcome {
        Err(Missed {
            next: Next::OtherModel,
            answer: Some(answer),
            ..
        }) if is_last => Ok(*answer),
        outcome => outcome,
    }
}

/// The most that a call can use that credits pay for.
fn ceiling(plane: &Plane, way: &Way, parcel: &Parcel, translated: Option<&Translated>) -> Ceiling {
    let Target {
        provider, model, ..
    } = &way.target;
    let each = plane.registry.max_output_tokens(provider, model);
    let answers = parcel.head.choices.unwrap_or(1).max(1);
    Ceiling::of(
        parcel.body_for(translated),
        each.map(|it| it.saturating_mul(answers)),
        plane
            .registry
            .context_tokens(&way.target.provider, &way.target.model),
    )
}
