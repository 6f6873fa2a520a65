//! Several models in one call: what is left of the targets of each, and when they count.
//!
//! Each model's targets are resolved as if it were asked for alone. Only consent to credits looks further: another model
//! is no reason to leave own keys that failed for credits.

use crate::id::ProviderKeyId;
use crate::policy::{KeySource, Mode, WorkspacePolicy};
use crate::settings::Settings;

use super::{Decision, Step, Subject, Target, Verdict, When};

/// The models of a call, one after another.
#[derive(Debug)]
pub struct Several<'a> {
    settings: &'a Settings,
    policy: &'a WorkspacePolicy,
    /// Keys and what they are asked for.
    taken: Vec<(ProviderKeyId, String)>,
    /// Whether own keys serve models up to here.
    has_own: bool,
    /// The same, before the model that is looked at.
    after_own: bool,
}

impl<'a> Several<'a> {
    /// Before the first model.
    pub const fn new(settings: &'a Settings, policy: &'a WorkspacePolicy) -> Self {
        Self {
            settings,
            policy,
            taken: Vec::new(),
            has_own: false,
            after_own: false,
        }
    }

    /// Turns to the next model.
    pub const fn next_model(&mut self) {
        self.after_own = self.has_own;
    }

    /// Whether a target of the model that is looked at counts; `when` becomes what it is behind the models before.
    ///
    /// One that asks a key for what it was asked for already does not, nor one that takes consent that is not given.
    pub fn admits(&mut self, target: &mut Target) -> bool {
        let same = |(key, model): &(ProviderKeyId, String)| {
            (*key, model.as_str()) == (target.key, target.model.as_str())
        };
        if self.taken.iter().any(same) {
            return false;
        }
        if target.source == KeySource::Byok {
            self.has_own = true;
        } else if self.after_own {
            let Some(when) = self.consent() else {
                return false;
            };
            target.when = when;
        }
        self.taken.push((target.key, target.model.clone()));
        true
    }

    /// Turns to the next model and leaves of its decision what counts.
    pub fn leave(&mut self, decision: &mut Decision) {
        self.next_model();
        let Ok(targets) = &mut decision.outcome else {
            return;
        };
        let is_managed = |target: &Target| target.source == KeySource::Managed;
        let would_pay = targets.iter().any(is_managed);
        targets.retain_mut(|target| self.admits(target));
        if self.after_own && would_pay {
            let verdict = match self.consent() {
                Some(_) => Verdict::Consents,
                None => Verdict::NoConsent,
            };
            let step = Step::new(14, Subject::Workspace, verdict);
            // One model's own rules may have said so already.
            if !decision.trace.contains(&step) {
                decision.trace.push(step);
            }
        }
    }

    /// When credits may stand in for own keys that failed; `None`: never. As the rules have it within one model.
    fn consent(&self) -> Option<When> {
        let auto = self.settings.effective_mode(self.policy.mode) == Some(Mode::Auto);
        let may = auto && self.policy.managed_on_failure && self.settings.managed_fallback_allowed;
        may.then_some(When::OwnKeysFailed {
            denied_too: self.policy.managed_on_denied,
        })
    }
}
