//! Whether credits may pay for an attempt, and that they do.

use std::sync::Arc;

use domain::resolve::When;
use llm::translate::Translated;

use super::Course;
use crate::bill::Bill;
use crate::error::Failure;
use crate::hold;
use crate::plan::way::Way;

impl Course<'_> {
    /// Whether this managed way may be used after what has happened.
    pub(super) fn credits_may(&self, way: &Way) -> bool {
        let consented = match way.target.when {
            When::InTurn => true,
            When::OwnKeysFailed { denied_too } => denied_too || !self.credits.denied,
        };
        consented && !self.credits.over && !self.credits.unusable
    }

    /// Makes sure that the attempt will be paid for.
    pub(super) async fn paid(
        &mut self,
        way: &Way,
        translated: Option<&Translated>,
        bill: &Arc<Bill>,
    ) -> Result<(), Failure> {
        bill.check().inspect_err(|_| {
            // An own key that may not be used is no reason for credits.
            self.credits.unusable |= !way.is_managed();
        })?;
        if !way.is_managed() {
            return Ok(());
        }
        // What is sent counts: of a translated request nothing else reaches the provider.
        let spoken = translated.map_or(self.call.format, |it| it.plan.upstream());
        let sent = self.parcel.body_for(translated);
        if let Some(field) = spoken.format().surcharge(sent) {
            self.credits.over = true;
            return Err(Failure::FieldNeedsOwnKey(field));
        }
        if self.credits.held {
            return Ok(());
        }
        let Some(mut settlement) = self.settlement.take() else {
            return Err(Failure::Internal);
        };
        settlement.aims_at(way, !self.failed.is_empty(), bill);
        let head = &self.parcel.head;
        let (settlement, held) =
            hold::take(self.plane, self.view, way, bill, head, settlement).await;
        self.settlement = settlement;
        if let (Ok(()), Some(settlement)) = (&held, &self.settlement) {
            self.credits.held = true;
            hold::note_fallback(self.plane, self.view, &self.failed, settlement)
                .await
                .inspect_err(|_| self.credits.over = true)
        } else {
            self.credits.over = true;
            held
        }
    }
}
