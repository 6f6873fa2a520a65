//! Whether credits may pay for an attempt, and that they do.

use domain::NanoUsd;
use domain::resolve::When;
use llm::head;
use llm::translate::Translated;

use super::{Course, Leg};
use crate::error::Failure;
use crate::hold::{self, Sent};
use crate::plan::way::Way;

impl<'a> Course<'a> {
    /// Whether this managed way may be used after what has happened.
    pub(super) fn credits_may(&self, way: &Way) -> bool {
        let consented = match way.target.when {
            When::InTurn => true,
            When::OwnKeysFailed { denied_too } => denied_too || !self.credits.denied,
        };
        // What was held for one model without the cap does not pay in place of the own keys of another.
        let within = !way.is_fallback() || !self.credits.held || self.credits.capped;
        consented && within && !self.credits.over && !self.credits.unusable
    }

    /// What the call is expected to take of the models behind this way's, the dearest of them: credits are held once.
    /// Its error: what one of them would be sent, and so what it would take, cannot be known for lack of memory.
    fn dearest(&self, way: &Way) -> Result<NanoUsd, Failure> {
        let behind = self.ways.iter().filter(|it| it.place > way.place);
        let mut dearest = NanoUsd::ZERO;
        for it in behind.filter(|it| it.is_managed() && self.credits_may(it)) {
            let leg = match self.leg(it) {
                Ok(leg) => leg,
                Err(Failure::Overloaded) => return Err(Failure::Overloaded),
                // Without a translation it is not sent at all.
                Err(_) => continue,
            };
            let sent = self.sent(it, leg.translated.as_ref());
            let charge = hold::expected(self.plane, self.view, it, &leg.bill, &sent);
            dearest = dearest.max(charge);
        }
        Ok(dearest)
    }

    /// What a provider is sent this way, as far as it decides what that will cost.
    fn sent(&self, way: &Way, translated: Option<&Translated>) -> Sent {
        let mut head = self.parcel.head.clone();
        let limit = translated.and_then(|translated| {
            let (body, model) = (&translated.body, &way.target.model);
            let format = translated.plan.upstream().format();
            let written = match format.action() {
                Some(_) => head::read_beside(body, model, head.stream),
                None => head::read(body),
            };
            written.ok()?.output_limit
        });
        let is_limited = head.output_limit.is_some();
        if is_limited {
            head.output_limit = limit.or(head.output_limit);
        }
        Sent {
            bytes: self.parcel.input_bytes(translated),
            head,
            most_output: limit.filter(|_| !is_limited),
        }
    }

    /// A field of what would be sent that could make it cost more than credits pay for.
    fn surcharge(&self, leg: &Leg<'_>) -> Option<&'static str> {
        // What is sent counts: of a translated request nothing else reaches the provider.
        let translated = leg.translated.as_ref();
        let spoken = translated.map_or(self.call.format, |it| it.plan.upstream());
        let sent = self.parcel.body_for(translated);
        // The request for a picture of a run is written here, and priced as a whole.
        match leg.bill.is_by_picture() {
            true => None,
            false => spoken.format().surcharge(sent),
        }
    }

    /// Whether a second attempt beside the first is paid for as well: by the owner of the key, or by what is held already.
    pub(super) fn is_covered(&self, leg: &Leg<'_>) -> bool {
        let held = || {
            let known = self.credits.held && self.credits.forwarded;
            known && self.credits_may(leg.way) && self.surcharge(leg).is_none()
        };
        leg.bill.check().is_ok() && (!leg.way.is_managed() || held())
    }

    /// Makes sure that the attempt will be paid for.
    pub(super) async fn paid(&mut self, leg: &Leg<'a>) -> Result<(), Failure> {
        let Leg { way, bill, .. } = leg;
        let way = *way;
        let translated = leg.translated.as_ref();
        // A refusal says what it is about, but not in the place of a key that was asked.
        if self.begun == 0 {
            self.aim = Some(way);
        }
        bill.check().inspect_err(|_| {
            // An own key that may not be used is no reason for credits.
            self.credits.unusable |= !way.is_managed();
        })?;
        if !way.is_managed() {
            return Ok(());
        }
        if let Some(field) = self.surcharge(leg) {
            self.credits.over = true;
            return Err(Failure::FieldNeedsOwnKey(field));
        }
        if self.credits.held {
            return Ok(());
        }
        let dearest = self.dearest(way)?;
        let Some(mut settlement) = self.settlement.take() else {
            return Err(Failure::Internal);
        };
        let sent = self.sent(way, translated);
        let aimed = self.aimed(leg, sent.bytes);
        if self.begun == 0 {
            settlement.aims_at(&aimed);
        }
        let (settlement, held) =
            hold::take(self.plane, self.view, &aimed, &sent, dearest, settlement).await;
        self.settlement = settlement;
        match held.is_ok() && self.settlement.is_some() {
            true => {
                self.credits.held = true;
                self.credits.capped = way.is_fallback();
            }
            false => self.credits.over = true,
        }
        held
    }

    /// The call leaves for a provider that is paid by credits. The store knows before a byte of it does, so that no death of
    /// this process makes a call free that the provider got; and so does the audit log, if credits stand in for own keys.
    pub(super) async fn leaves(&mut self) -> Result<(), Failure> {
        let settlement = self.settlement.as_ref().ok_or(Failure::Internal)?;
        if !self.credits.forwarded {
            let serving = self.plane.store.serving();
            let marked = serving.mark_forwarded(settlement.request()).await;
            marked.map_err(|error| hold::not_held(&error))?;
            self.credits.forwarded = true;
        }
        hold::note_fallback(self.plane, self.view, &self.failed, settlement).await
    }
}
