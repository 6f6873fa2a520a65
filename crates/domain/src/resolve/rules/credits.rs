//! Whether credits may pay: by the mode, by consent, and by what the request and the workspace forbid.

use crate::policy::{ByokRule, Mode};
use crate::settings::{OnByokDisabled, OnKeyRemoved};

use super::super::{Candidate, Refusal, Subject, Verdict, When};
use super::{Own, Rules};

/// Whether credits may pay.
pub(super) enum Managed {
    /// No; the reason counts where there is no own key.
    No(Option<Refusal>),
    Yes(When),
}

impl Rules<'_> {
    /// Whether credits may pay, and why.
    pub(super) fn managed(&mut self, own: &Own<'_>, open: &[&Candidate], has_own: bool) -> Managed {
        let call = self.call;
        let wanted = if has_own {
            match self.after_failure() {
                Some(when) => Ok(when),
                // The own keys are there; nothing is refused.
                None => return Managed::No(None),
            }
        } else {
            self.without_own(own, open)
        };
        let when = match wanted {
            Ok(when) => when,
            Err(refusal) => return Managed::No(Some(refusal)),
        };
        if call.no_managed {
            self.note(11, Subject::Request, Verdict::ByokRequired);
            // The request forbids what the mode would do; what is missing then is a key.
            let refusal = match self.mode {
                Mode::Managed => Refusal::ByokRequired,
                Mode::Byok | Mode::Auto => call.refusal_without(own, open),
            };
            return Managed::No(Some(refusal));
        }
        if call.policy.byok == ByokRule::Required {
            self.note(11, Subject::Workspace, Verdict::ByokRequired);
            return Managed::No(Some(Refusal::ByokRequired));
        }
        Managed::Yes(when)
    }

    /// Consent to credits after own keys failed.
    fn after_failure(&mut self) -> Option<When> {
        let (policy, settings) = (self.call.policy, self.call.settings);
        if self.mode != Mode::Auto || !policy.managed_on_failure {
            self.note(14, Subject::Workspace, Verdict::NoConsent);
            return None;
        }
        if !settings.managed_fallback_allowed {
            self.note(14, Subject::Instance, Verdict::NotAllowed);
            return None;
        }
        self.note(14, Subject::Workspace, Verdict::Consents);
        Some(When::OwnKeysFailed {
            denied_too: policy.managed_on_denied,
        })
    }

    /// What happens where no own key may serve.
    fn without_own(&mut self, own: &Own<'_>, open: &[&Candidate]) -> Result<When, Refusal> {
        let (policy, settings) = (self.call.policy, self.call.settings);
        let refusal = self.call.refusal_without(own, open);
        match self.mode {
            Mode::Managed => return Ok(When::InTurn),
            Mode::Byok | Mode::Auto if policy.byok == ByokRule::Forbidden => {
                return if self.mode == Mode::Auto && settings.managed_fallback_allowed {
                    Ok(When::InTurn)
                } else {
                    Err(Refusal::ByokForbidden)
                };
            }
            Mode::Byok | Mode::Auto => {}
        }
        let rule = match refusal {
            Refusal::ByokDisabled { .. } => match settings.on_byok_disabled {
                OnByokDisabled::FollowMode => None,
                // Who never brought a key is not moved: that would be a bill out of nowhere.
                OnByokDisabled::Managed => own.resting.map(|_| true),
                OnByokDisabled::Refuse => Some(false),
            },
            Refusal::KeyRevoked { .. } => match settings.on_key_removed {
                OnKeyRemoved::FollowMode => None,
                OnKeyRemoved::Managed => Some(true),
                OnKeyRemoved::Refuse => Some(false),
            },
            _ => None,
        };
        if rule == Some(false) {
            self.note(10, Subject::Instance, Verdict::NotAllowed);
            return Err(refusal);
        }
        if self.mode == Mode::Byok && rule != Some(true) {
            self.note(10, Subject::Mode(Mode::Byok), Verdict::NoConsent);
            return Err(refusal);
        }
        // A key that its owner disabled is not a key that is missing: leaving it for credits takes the same
        // consent as leaving one that failed.
        if matches!(refusal, Refusal::KeyDisabled { .. }) && !policy.managed_on_failure {
            self.note(10, Subject::Workspace, Verdict::NoConsent);
            return Err(refusal);
        }
        // The rule moves nobody to credits where no mode offers them.
        if !(settings.managed_fallback_allowed && settings.offers_credits()) {
            self.note(10, Subject::Instance, Verdict::NotAllowed);
            return Err(refusal);
        }
        Ok(When::InTurn)
    }
}
