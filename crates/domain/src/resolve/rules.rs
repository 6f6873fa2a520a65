//! The rules themselves, in the order of the decision table.

use crate::key::{KeyOwner, ProviderId};
use crate::policy::{ByokRule, KeySource, LevelMapping, Mode};
use crate::record::RemovedKey;

use super::{
    Call, Candidate, Decision, HeldKey, Pool, Refusal, Step, Subject, Target, Verdict, When,
};

mod credits;

use credits::Managed;

pub(super) fn decide(call: &Call<'_>) -> Decision {
    let mut rules = Rules {
        call,
        mode: call.policy.mode,
        trace: Vec::new(),
    };
    let outcome = rules.outcome();
    Decision {
        outcome,
        trace: rules.trace,
    }
}

struct Rules<'a> {
    call: &'a Call<'a>,
    /// The mode that counts.
    mode: Mode,
    trace: Vec<Step>,
}

/// What was found of own keys.
#[derive(Default)]
struct Own<'a> {
    first: Vec<Target>,
    fallback: Vec<Target>,
    disabled: Option<&'a HeldKey>,
    dormant: Option<&'a HeldKey>,
    removed: Option<&'a RemovedKey>,
    /// A key for a provider whose own keys are switched off.
    resting: Option<&'a HeldKey>,
}

impl<'a> Rules<'a> {
    fn outcome(&mut self) -> Result<Vec<Target>, Refusal> {
        let call = self.call;
        let open: Vec<&Candidate> = call
            .candidates
            .iter()
            .filter(|it| {
                let opens = call.settings.switch(&it.provider).opens(&it.model);
                if !opens {
                    let subject = Subject::Provider(it.provider.clone());
                    self.trace.push(Step::new(6, subject, Verdict::SwitchedOff));
                }
                opens
            })
            .collect();
        if open.is_empty() {
            self.note(3, Subject::Model, Verdict::NotKnown);
            return Err(Refusal::ModelNotFound);
        }
        self.mode = self.effective_mode()?;
        let own = self.own(&open);
        let has_own = !(own.first.is_empty() && own.fallback.is_empty());
        let mut targets = own.first.clone();
        match self.managed(&own, &open, has_own) {
            Managed::No(Some(refusal)) if !has_own => return Err(refusal),
            Managed::No(_) => {}
            Managed::Yes(when) => {
                let served = self.platform(&open, when);
                if served.is_empty() && !has_own {
                    self.note(12, Subject::Instance, Verdict::NoPlatformKey);
                    return Err(Refusal::ManagedUnavailable {
                        providers: names(&open),
                    });
                }
                targets.extend(served);
            }
        }
        targets.extend(own.fallback);
        Ok(targets)
    }

    /// The workspace's mode, or the one that counts where the instance does not offer it.
    fn effective_mode(&mut self) -> Result<Mode, Refusal> {
        let wanted = self.call.policy.mode;
        let mode = self.call.settings.effective_mode(wanted);
        if mode != Some(wanted) {
            self.note(7, Subject::Mode(wanted), Verdict::NotOffered);
        }
        let mode = mode.ok_or(Refusal::ModeNotOffered)?;
        self.note(7, Subject::Mode(mode), Verdict::Applies);
        Ok(mode)
    }

    /// The own keys that may serve, and why the others may not.
    fn own(&mut self, open: &[&'a Candidate]) -> Own<'a> {
        let call = self.call;
        let mut own = Own::default();
        if self.mode == Mode::Managed {
            return own;
        }
        if call.policy.byok == ByokRule::Forbidden {
            self.note(4, Subject::Workspace, Verdict::ByokForbidden);
            return own;
        }
        for candidate in open {
            let provider = &candidate.provider;
            let switched_on = call.settings.switch(provider).byok;
            if !switched_on {
                self.note(
                    8,
                    Subject::Provider(provider.clone()),
                    Verdict::ByokSwitchedOff,
                );
            }
            for key in self.held(candidate, false) {
                let verdict = if !key.enabled {
                    own.disabled = own.disabled.or(Some(key));
                    Verdict::Disabled
                } else if !switched_on {
                    own.resting = own.resting.or(Some(key));
                    Verdict::Rests
                } else if !call.terms.byok {
                    own.dormant = own.dormant.or(Some(key));
                    Verdict::Dormant
                } else {
                    let target = target(candidate, key, KeySource::Byok, When::InTurn);
                    if key.fallback {
                        own.fallback.push(target);
                        Verdict::ServesLast
                    } else {
                        own.first.push(target);
                        Verdict::Serves
                    }
                };
                self.note(9, Subject::Key(key.id), verdict);
            }
            let removed = call
                .removed
                .iter()
                .find(|it| it.provider == *provider && self.owns(it.owner));
            if own.removed.is_none() && removed.is_some() {
                own.removed = removed;
                self.note(10, Subject::Provider(provider.clone()), Verdict::Removed);
            }
        }
        own
    }

    /// The instance's keys: those for the model's own providers, or where none of them serves, the gateway's.
    fn platform(&mut self, open: &[&'a Candidate], when: When) -> Vec<Target> {
        let direct = self.serving(open, when);
        if !direct.is_empty() {
            return direct;
        }
        let mut through = Vec::new();
        for candidate in self.call.gateway_candidates {
            let switch = self.call.settings.switch(&candidate.provider);
            if switch.opens(&candidate.model) {
                through.push(candidate);
            } else {
                let gateway = Subject::Provider(candidate.provider.clone());
                self.note(12, gateway, Verdict::SwitchedOff);
            }
        }
        self.serving(&through, when)
    }

    /// The instance's keys for these candidates.
    fn serving(&mut self, candidates: &[&'a Candidate], when: When) -> Vec<Target> {
        let mut targets = Vec::new();
        for candidate in candidates {
            for key in self.held(candidate, true) {
                let verdict = if key.enabled {
                    targets.push(target(candidate, key, KeySource::Managed, when));
                    Verdict::Serves
                } else {
                    Verdict::Disabled
                };
                self.note(12, Subject::Key(key.id), verdict);
            }
        }
        targets
    }

    /// The caller's or the instance's keys for a candidate, in the order in which they serve.
    fn held(&self, candidate: &Candidate, platform: bool) -> Vec<&'a HeldKey> {
        let call = self.call;
        let mapped = self.mapped_level(candidate);
        let mut keys: Vec<&HeldKey> = call
            .keys
            .iter()
            .filter(|key| key.provider == candidate.provider)
            .filter(|key| match key.owner {
                KeyOwner::Instance(_) => platform,
                owner => !platform && self.owns(owner),
            })
            .collect();
        keys.sort_by(|a, b| {
            let rank = |key: &HeldKey| {
                (
                    matches!(key.owner, KeyOwner::Account(_)),
                    mapped.is_some() && key.level != mapped,
                    key.level.unwrap_or(i64::MAX),
                    key.position,
                )
            };
            rank(a).cmp(&rank(b)).then_with(|| a.label.cmp(&b.label))
        });
        keys
    }

    fn mapped_level(&self, candidate: &Candidate) -> Option<i64> {
        let call = self.call;
        let mut rules = call
            .policy
            .level_mappings
            .iter()
            .chain(&call.settings.level_mappings);
        let fits = |rule: &&LevelMapping| rule.fits(call.model, &candidate.model);
        rules.find(fits).map(|rule| rule.level)
    }

    fn owns(&self, owner: KeyOwner) -> bool {
        match owner {
            KeyOwner::Workspace(workspace) => workspace == self.call.workspace,
            KeyOwner::Account(account) => account == self.call.account,
            KeyOwner::Instance(_) => false,
        }
    }

    fn note(&mut self, rule: u8, subject: Subject, verdict: Verdict) {
        self.trace.push(Step::new(rule, subject, verdict));
    }
}

impl Call<'_> {
    /// Why no own key serves: the reason that is closest to a key.
    fn refusal_without(&self, own: &Own<'_>, open: &[&Candidate]) -> Refusal {
        let of = |key: &HeldKey| (key.provider.clone(), key.label.clone());
        if let Some(key) = own.resting {
            return Refusal::ByokDisabled {
                provider: key.provider.clone(),
            };
        }
        if let Some(key) = own.dormant {
            let (provider, label) = of(key);
            return Refusal::KeyDormant { provider, label };
        }
        if let Some(key) = own.disabled {
            let (provider, label) = of(key);
            return Refusal::KeyDisabled { provider, label };
        }
        let best = &open[0].provider;
        if !self.settings.switch(best).byok {
            return Refusal::ByokDisabled {
                provider: best.clone(),
            };
        }
        if let Some(key) = own.removed {
            return Refusal::KeyRevoked {
                provider: key.provider.clone(),
                label: key.label.clone(),
            };
        }
        Refusal::KeyMissing {
            providers: names(open),
        }
    }
}

/// Each provider once, in their order: one may know the model by two names.
fn names(candidates: &[&Candidate]) -> Vec<ProviderId> {
    let mut names: Vec<ProviderId> = Vec::new();
    for candidate in candidates {
        if !names.contains(&candidate.provider) {
            names.push(candidate.provider.clone());
        }
    }
    names
}

fn target(candidate: &Candidate, key: &HeldKey, source: KeySource, when: When) -> Target {
    Target {
        provider: candidate.provider.clone(),
        model: candidate.model.clone(),
        key: key.id,
        source,
        pool: key.level.map(|level| Pool {
            owner: key.owner,
            level,
        }),
        when,
    }
}
