//! One attempt from its begin to its end: what it is made of, and what it leaves in the books of its call.

use std::future::Future;
use std::sync::Arc;

use domain::resolve::Target;
use llm::format::Ceiling;
use llm::translate::Translated;
use tokio::time::Instant;

use super::Course;
use super::line::Walk;
use crate::Plane;
use crate::bill::Bill;
use crate::endpoint::{Call, Priced};
use crate::error::Failure;
use crate::headers::Served;
use crate::pace::Place;
use crate::plan::way::Way;
use crate::room::Room;
use crate::send::{self, Answer, Content, Kind, Missed, Next, Parcel};
use crate::settle::{Aimed, Flight};

/// A way that is ready to be tried.
pub(super) struct Leg<'a> {
    pub(super) way: &'a Way,
    /// `None`: its provider speaks the client's format.
    pub(super) translated: Option<Translated>,
    /// What was translated takes room as long as it may have to be sent.
    _room: Option<Room>,
    pub(super) bill: Arc<Bill>,
}

/// What became of one attempt. The outer error: the store did not take down that the call is forwarded.
pub(super) type Attempted = Result<(Served, Result<Box<Answer>, Box<Missed>>), Failure>;

impl<'a> Course<'a> {
    /// Makes a way ready. Its error: the request cannot be said in the words of its provider.
    pub(super) fn leg(&self, way: &'a Way) -> Result<Leg<'a>, Failure> {
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

    pub(super) async fn attempt(&mut self, leg: &Leg<'a>, walk: &Walk<'a>) -> Attempted {
        let flight = self.begins(leg).await?;
        let deadline = self.deadline(walk);
        let outcome = self.asks(leg, &flight, deadline).await;
        Ok(self.ended(leg, flight, outcome))
    }

    /// Sends the request.
    pub(super) fn asks<'b>(
        &self,
        leg: &'b Leg<'a>,
        flight: &Flight,
        deadline: Instant,
    ) -> impl Future<Output = Result<Box<Answer>, Box<Missed>>> + Send + use<'a, 'b> {
        let Leg {
            way, translated, ..
        } = leg;
        let departure = flight.departure().clone();
        let (plane, view, parcel) = (self.plane, self.view, self.parcel);
        let translated = translated.as_ref();
        send::send(plane, view, way, parcel, translated, deadline, departure)
    }

    /// An attempt begins.
    pub(super) async fn begins(&mut self, leg: &Leg<'a>) -> Result<Flight, Failure> {
        let way = leg.way;
        self.refused = None;
        self.several |= self.first.get_or_insert(way.key) != &way.key;
        self.aims_at(leg);
        let settlement = self.settlement.as_mut().ok_or(Failure::Internal)?;
        let flight = settlement.begins(way);
        if way.is_managed()
            && let Err(failure) = self.leaves().await
        {
            if let Some(settlement) = &mut self.settlement {
                settlement.attempted(flight, None, failure.code());
            }
            return Err(failure);
        }
        self.begun += 1;
        Ok(flight)
    }

    /// The call is served this way, as far as its row is concerned.
    pub(super) fn aims_at(&mut self, leg: &Leg<'a>) {
        let (way, translated) = (leg.way, leg.translated.as_ref());
        let ceiling = || ceiling(self.plane, way, self.parcel, translated);
        let aimed = Aimed {
            ceiling: way.is_managed().then(ceiling),
            ..self.aimed(leg, self.parcel.input_bytes(translated))
        };
        self.aim = Some(way);
        if let Some(settlement) = &mut self.settlement {
            settlement.aims_at(&aimed);
        }
    }

    /// Who is to serve, without a ceiling.
    pub(super) fn aimed<'b>(&self, leg: &'b Leg<'_>, sent_bytes: u64) -> Aimed<'b> {
        let way = leg.way;
        Aimed {
            way,
            fallback: way.is_managed() && !self.failed.is_empty(),
            bill: &leg.bill,
            sent_bytes,
            ceiling: None,
        }
    }

    /// What a provider says of a model that it does not know is for the client, if this is the last of those that the
    /// request names.
    pub(super) fn told_of_model(
        &self,
        way: &Way,
        outcome: Result<Box<Answer>, Box<Missed>>,
    ) -> Result<Box<Answer>, Box<Missed>> {
        let is_last = self.ways.last().is_none_or(|it| it.place == way.place);
        match outcome {
            Err(mut missed) if is_last && missed.next == Next::OtherModel => {
                missed.answer.take().ok_or(missed)
            }
            outcome => outcome,
        }
    }

    /// An attempt is over; what it leaves behind.
    pub(super) fn ended(
        &mut self,
        leg: &Leg<'a>,
        flight: Flight,
        outcome: Result<Box<Answer>, Box<Missed>>,
    ) -> (Served, Result<Box<Answer>, Box<Missed>>) {
        let (plane, way) = (self.plane, leg.way);
        let outcome = self.told_of_model(way, outcome);
        self.left = flight.departure().has_left();
        match &outcome {
            Ok(answer) => {
                let place = self.tells_pace(way, answer);
                if let Some(settlement) = &mut self.settlement {
                    if let Some((place, is_stream)) = place {
                        settlement.paced(&flight, &plane.paces, place, is_stream);
                    }
                    settlement.answered(flight, answer.status);
                }
                plane.health.succeeded(|| way.served_by());
                if let Some(millis) = answer.rests_ms {
                    let now = plane.sources.now();
                    plane.health.rests(way.served_by(), millis, now);
                }
            }
            Err(missed) => self.missed(way, flight, missed),
        }
        (self.served(way), outcome)
    }

    /// What an answer tells the pace of, and whether as a stream. Of two attempts only the one that counts is asked.
    fn tells_pace(&self, way: &Way, answer: &Answer) -> Option<(Place, bool)> {
        let generates = self.call.priced == Priced::ByToken && answer.status.is_success();
        if !self.plane.paces.are_wanted() || !generates {
            return None;
        }
        let Content::Flowing { kind, .. } = &answer.content else {
            return None;
        };
        let (record, _) = self.view.key(&way.target)?;
        let place = Place::of(&record.context, &way.target.model);
        Some((place, *kind == Kind::EventStream || self.call.streams()))
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
