//! What a failed attempt leaves behind, and what the client gets when all failed.

use std::sync::Arc;

use domain::policy::KeySource;
use http::StatusCode;

use super::{Course, Outcome};
use crate::error::{Attempt, Failure};
use crate::headers::{Aim, Served};
use crate::health::Strain;
use crate::plan::way::Way;
use crate::send::{Missed, Next};
use crate::settle::Flight;

impl<'a> Course<'a> {
    /// Notes what a failed attempt says of its key.
    pub(super) fn missed(&mut self, way: &'a Way, flight: Flight, missed: &Missed) {
        let strain = match missed.next {
            Next::SameKeyOnce | Next::AfterSilence => Some(Strain::Failed {
                retry_after_ms: missed.retry_after_ms.map(i64::from),
            }),
            Next::OtherKey if missed.status == Some(StatusCode::TOO_MANY_REQUESTS) => {
                Some(Strain::Limited {
                    retry_after_ms: missed.retry_after_ms.map(i64::from),
                })
            }
            Next::OtherKey | Next::OtherModel | Next::Told => None,
        };
        if missed.next == Next::OtherModel {
            self.plane.health.succeeded(|| way.served_by());
            // Of two that ran at once the one further back may have ended first.
            self.passed_by = self.passed_by.max(Some(way.place));
        }
        if let Some(strain) = strain {
            self.backoff.failed(&way.target.provider);
            let now = self.plane.sources.now();
            self.plane.health.failed(way.served_by(), strain, now);
        }
        if let Some(settlement) = &mut self.settlement {
            settlement.attempted(flight, missed.status, missed.kind());
            settlement.read(missed.metered.as_deref().copied().unwrap_or_default());
            if let Some(kind) = missed.blames_key() {
                settlement.key_failed(way.key, kind);
            }
        }
        if way.target.source == KeySource::Byok {
            self.credits.denied |= missed.turns_away;
            self.credits.unusable |= missed.is_unusable();
            if self.failed.iter().all(|failed| failed.key != way.key) {
                self.failed.push(way);
            }
        }
        self.tried.push(Attempt {
            provider: way.target.provider.clone(),
            label: way.own_label(),
            source: way.target.source,
            status: missed.status.map(|status| status.as_u16()),
            kind: missed.kind(),
            denied: missed.denied,
        });
    }

    /// Notes that the request cannot be said in the words of this way's provider, or not now for lack of memory. An own
    /// key was then never tried, which is no reason for credits.
    pub(super) fn not_translated(&mut self, way: &'a Way, failure: Failure) {
        self.credits.unusable |= !way.is_managed();
        // What a provider that was asked said is worth more: it may pass.
        if self.begun > 0 {
            return;
        }
        self.refused = Some(failure);
        self.aim = Some(way);
        if let Some(settlement) = &mut self.settlement {
            let requested = settlement.row().model_requested.clone();
            settlement.aimed(Aim {
                provider: way.target.provider.clone(),
                model: Some(way.target.model.clone()),
                requested: Some(requested),
            });
        }
    }

    /// What the client gets when no way is left.
    pub(super) fn nobody(&mut self) -> Outcome {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let Some((served, last)) = self.last.take() else {
            return Err(Failure::Internal);
        };
        let all = |status: StatusCode| {
            let said = |it: &Attempt| it.status == Some(status.as_u16());
            self.tried.iter().all(said)
        };
        let alike = all(StatusCode::TOO_MANY_REQUESTS) || all(StatusCode::NOT_FOUND);
        let ours = last.is_unusable() && self.tried.iter().all(|it| it.status.is_none());
        if self.several && !ours && !alike {
            return Err(self.exhausted());
        }
        match (last.answer, last.failure) {
            (Some(answer), _) => Ok((served, answer)),
            (None, Failure::CredentialsExhausted { .. }) => Err(self.exhausted()),
            // Nobody but the operator can mend it.
            (None, Failure::KeyUnreadable) if served.source == KeySource::Managed => {
                Err(Failure::PlatformKeyUnreadable)
            }
            (None, failure) => {
                self.retry_after_ms = last.retry_after_ms.map(i64::from);
                Err(failure)
            }
        }
    }

    /// What the call was meant for, for the headers.
    pub(super) fn meant(&self, way: &Way) -> Aim {
        Aim {
            provider: way.target.provider.clone(),
            model: Some(way.target.model.clone()).filter(|model| !model.is_empty()),
            requested: None,
        }
    }

    /// Who serves, for the headers.
    pub(super) fn served(&self, way: &Way) -> Served {
        Served {
            named: Arc::clone(&way.named),
            source: way.target.source,
            attempts: self.begun,
        }
    }

    fn exhausted(&mut self) -> Failure {
        Failure::CredentialsExhausted {
            attempts: std::mem::take(&mut self.tried),
        }
    }
}
