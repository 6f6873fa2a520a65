//! A second attempt beside a first one that is merely slow: a hedged request.
//!
//! Off unless the workspace's policy says after how long. The first attempt of a call that has nothing for the client by
//! then is joined by an attempt with the next way, if the same one pays there: silence is no consent. Whichever succeeds
//! first is the client's; the other one is given up, and its connection closed. A hedge that comes to anything but success
//! while the first attempt still runs is an attempt that failed, and the first goes on; one that outlives the first is the
//! retry that would have followed.

use std::pin::pin;
use std::time::Duration;

use llm::effects;

use super::line::Walk;
use super::{Attempted, Course, Leg, MAX_ATTEMPTS};
use crate::endpoint::Priced;
use crate::health::Trial;
use crate::plan::way::Way;
use crate::realtime::REALTIME;
use crate::room::Room;
use crate::send::{Answer, Missed, Parcel};
use crate::settle::Flight;
use crate::snapshot::View;

/// A second attempt that runs.
struct Hedge<'a> {
    leg: Leg<'a>,
    _trial: Option<Trial>,
    /// What its request takes of the memory for bodies beside the first one's.
    _room: Room,
}

/// After how long the first attempt of a call is hedged; `None`: never.
pub(super) fn hedge_after(view: &View, parcel: &Parcel) -> Option<Duration> {
    let after_ms = view.caller.record.policy.hedge_after_ms?;
    let call = parcel.call;
    // Runs space the attempts at their pictures themselves.
    let once = call == &REALTIME || call.is_passed() || call.priced == Priced::ByPicture;
    let is_whole = parcel.upload.is_none();
    (is_whole && !once).then(|| Duration::from_millis(after_ms.into()))
}

impl<'a> Course<'a> {
    /// The first attempt, with a hedge beside it if it takes longer than `after`. What it returns is the one that counts:
    /// the one that won, or the last to fail.
    pub(super) async fn hedged(
        &mut self,
        first: Leg<'a>,
        after: Duration,
        walk: &mut Walk<'a>,
    ) -> (Leg<'a>, Attempted) {
        let flight = match self.begins(&first).await {
            Ok(flight) => flight,
            Err(failure) => return (first, Err(failure)),
        };
        let mut hedge = None;
        let (hedge_counts, ended) = {
            let mut one = pin!(self.asks(&first, &flight, self.deadline(walk)));
            let in_time = tokio::time::timeout(after, one.as_mut()).await.ok();
            let joined = match in_time {
                Some(_) => None,
                None => self.hedge(first.way, walk),
            };
            if let Some((second, second_flight)) = joined {
                let second: &Leg<'a> = &hedge.insert(second).leg;
                let mut two = pin!(self.asks(second, &second_flight, self.deadline(walk)));
                tokio::select! {
                    biased;
                    outcome = &mut one => {
                        let outcome = self.told_of_model(first.way, outcome);
                        if self.is_for_client(&outcome) {
                            self.gives_up(second, second_flight);
                            (false, self.ended(&first, flight, outcome))
                        } else {
                            drop(self.ended(&first, flight, outcome));
                            self.aims_at(second);
                            let outcome = two.await;
                            (true, self.ended(second, second_flight, outcome))
                        }
                    }
                    outcome = &mut two => {
                        let wins = outcome.as_ref().is_ok_and(|it| it.status.is_success());
                        self.aims_at(second);
                        if wins {
                            self.gives_up(&first, flight);
                            (true, self.ended(second, second_flight, outcome))
                        } else {
                            drop(self.ended(second, second_flight, outcome));
                            self.aims_at(&first);
                            let outcome = one.await;
                            (false, self.ended(&first, flight, outcome))
                        }
                    }
                }
            } else {
                let outcome = match in_time {
                    Some(outcome) => outcome,
                    None => one.await,
                };
                (false, self.ended(&first, flight, outcome))
            }
        };
        let leg = match hedge {
            Some(hedge) if hedge_counts => hedge.leg,
            _ => first,
        };
        (leg, Ok(ended))
    }

    /// Begins a second attempt beside the one that goes the way `first`, if there may be one.
    fn hedge(&mut self, first: &Way, walk: &mut Walk<'a>) -> Option<(Hedge<'a>, Flight)> {
        let settings = &self.view.instance.record.settings;
        let allowed = !first.is_managed() || settings.managed_hedging_allowed;
        if !allowed || self.begun >= MAX_ATTEMPTS || self.has_effects() {
            return None;
        }
        let payer = |way: &Way| {
            let source = (way.target.source, way.is_fallback());
            (source, way.key_scope, way.last_resort)
        };
        let next = walk.peek(self.plane, |way| payer(way) == payer(first));
        let Some((leg, room)) = next.and_then(|way| self.ready(way)) else {
            walk.forgo_trial();
            return None;
        };
        let (way, trial) = walk.next(self.plane)?;
        self.several |= self.first != Some(way.key);
        let flight = self.settlement.as_mut()?.begins(way);
        self.begun += 1;
        let hedge = Hedge {
            leg,
            _trial: trial,
            _room: room,
        };
        Some((hedge, flight))
    }

    /// Makes a way ready for an attempt beside another, if nothing is against it.
    fn ready(&self, way: &'a Way) -> Option<(Leg<'a>, Room)> {
        let plane = self.plane;
        // Whoever failed lately is no help against slowness.
        let sleeps = plane
            .health
            .is_asleep(&way.served_by(), plane.sources.now());
        if sleeps || way.reach.is_none() {
            return None;
        }
        let leg = self.leg(way).ok()?;
        let room = self.room(&leg)?;
        let ready = self.is_covered(&leg) && plane.repeats.spend(&way.target.provider);
        ready.then_some((leg, room))
    }

    /// The memory that the second request takes beside the first. Both share what the client sent, if neither needs another
    /// text; a translated one has its room.
    fn room(&self, leg: &Leg<'_>) -> Option<Room> {
        let mut room = Room::of(&self.plane.body_memory);
        let head = &self.parcel.head;
        let is_shared = head.model == leg.way.target.model && !head.stream;
        if leg.translated.is_none() && !is_shared {
            room.grow(self.parcel.body.len()).ok()?;
        }
        Some(room)
    }

    /// Whether the request makes a provider keep or do something. Of a form nothing does.
    fn has_effects(&self) -> bool {
        let media_type = self.parcel.media_type.as_ref();
        let is_json = media_type.is_some_and(|it| it == "application/json");
        is_json && effects::find(self.call.format, &self.parcel.body).is_some()
    }

    /// Whether the client gets this, whatever else runs.
    fn is_for_client(&self, outcome: &Result<Box<Answer>, Box<Missed>>) -> bool {
        match outcome {
            Ok(_) => true,
            Err(missed) => self.is_told(missed),
        }
    }

    /// Notes that an attempt is given up because the other one won. That it was slow is no failure of its key.
    fn gives_up(&mut self, leg: &Leg<'_>, flight: Flight) {
        let sent_bytes = self.parcel.input_bytes(leg.translated.as_ref());
        let cost = match flight.departure().has_left() {
            true => leg.bill.input_cost(sent_bytes),
            false => None,
        };
        if let Some(settlement) = &mut self.settlement {
            settlement.cancelled(flight, cost);
        }
    }
}
