//! What one submission does once it is admitted.

use domain::record::{DataKeyRecord, KeyContext, ProviderKeyRecord};
use domain::settings::Settings;
use domain::{ProviderKeyId, Secret};
use llm::provider::Provider;
use store::{AuditNote, Expect, KeyChange};
use vault::{Accepted, IntakeRules, Submission};

use super::{Material, NewKey, Stored, note_refused};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::destination::Destination;
use crate::ops::plan_gate;
use crate::ops::provider_keys::{Holder, POSITIONS};
use crate::ops::{sealing_key, verdict};
use crate::state::{ControlState, ProbePolicy};

/// One submission; runs again as a whole when somebody else was faster.
pub(super) struct Attempt<'a> {
    pub(super) state: &'a ControlState,
    pub(super) call: &'a Call,
    pub(super) holder: &'a Holder<'a>,
    pub(super) provider: &'a Provider,
    pub(super) destination: Destination,
    pub(super) settings: Settings,
    pub(super) new: NewKey,
}

impl Attempt<'_> {
    /// Runs once. `taken` is the mark of the box that an earlier run of this submission has taken.
    pub(super) async fn run(&self, taken: &mut Option<[u8; 32]>) -> Result<Stored, Problem> {
        let Self { call, holder, .. } = self;
        let existing = self.existing().await?;
        let context = self.context(existing.as_ref())?;
        let action = match existing {
            Some(_) => "provider_key.replace",
            None => "provider_key.create",
        };
        let data_key = self.data_key().await?;
        let accepted = match self.take_in(&context, &data_key).await {
            Ok(accepted) => accepted,
            Err(problem) => return Err(self.refused(action, "refused", problem).await),
        };
        if accepted.replay.is_some() && accepted.replay != *taken {
            // Before the probe: a box that was captured must not cause a second call with somebody's key.
            if let Err(problem) = self.take_box(accepted.replay).await {
                return Err(self.refused(action, "refused", problem).await);
            }
            *taken = accepted.replay;
        }
        let warning = verdict::warning(self.provider, &accepted.mask);
        let probed = match self.probe(&accepted, &context, &data_key).await {
            Ok(probed) => probed,
            Err(problem) => {
                let problem = match warning {
                    Some(warning) if problem.code() == Code::ProbeFailed => {
                        problem.with("warning", warning)
                    }
                    _ => problem,
                };
                return Err(self.refused(action, "probe_failed", problem).await);
            }
        };
        let expect = existing.as_ref().map_or(Expect::New, |record| {
            Expect::Version(record.context.version)
        });
        let created = existing.is_none();
        let note = AuditNote {
            kek_id: accepted.kek_id.clone(),
            ..self.note(action, Some(context.key))
        };
        let position = match &existing {
            Some(record) => record.position,
            None => self.next_position().await?,
        };
        let record = ProviderKeyRecord {
            account: holder.account,
            label: self.new.label.clone(),
            data_key: data_key.id,
            envelope: accepted.envelope,
            mask: accepted.mask,
            kek_id: accepted.kek_id,
            position,
            level: self.new.level.unwrap_or(match &existing {
                Some(record) => record.level,
                None => self.settings.default_level,
            }),
            fallback: self.new.fallback.unwrap_or(match &existing {
                Some(record) => record.fallback,
                None => false,
            }),
            template: self.new.template,
            prices: match (&self.new.prices, &existing) {
                (Some(prices), _) => prices.clone(),
                (None, Some(record)) => record.prices.clone(),
                (None, None) => Vec::new(),
            },
            enabled: existing.as_ref().is_none_or(|record| record.enabled),
            created_at: existing
                .as_ref()
                .map_or(call.now, |record| record.created_at),
            updated_at: call.now,
            last_used_at: existing.as_ref().and_then(|record| record.last_used_at),
            // What the provider said of the old value says nothing of the new one.
            last_failure: None,
            last_released_at: None,
            context,
        };
        let keys = &holder.keys;
        let change = existing.as_ref().map(|old| self.change(old));
        let change = change.unwrap_or_default();
        if let Err(error) = keys
            .put_with(&record, expect, &change, &note, call.now)
            .await
        {
            let problem = plan_gate::explained(self.state, error).await;
            let of_plan = [Code::PlanRequired, Code::LimitExceeded];
            return Err(match of_plan.contains(&problem.code()) {
                true => self.refused(action, "refused", problem).await,
                false => problem,
            });
        }
        Ok(Stored {
            record,
            created,
            probed,
            warning,
        })
    }

    /// The key that this one replaces.
    async fn existing(&self) -> Result<Option<ProviderKeyRecord>, Problem> {
        let keys = &self.holder.keys;
        let provider = &self.provider.id;
        Ok(match self.new.template {
            true => keys.template(provider).await?,
            false => keys.find(provider, &self.new.label).await?,
        })
    }

    /// What the client says beside the value of the key that is replaced.
    fn change(&self, old: &ProviderKeyRecord) -> KeyChange {
        let new = &self.new;
        KeyChange {
            level: new.level.filter(|level| *level != old.level),
            fallback: new.fallback.filter(|fallback| *fallback != old.fallback),
            prices: new.prices.clone().filter(|prices| *prices != old.prices),
            ..KeyChange::default()
        }
    }

    /// Marks the sealed box as taken, for good.
    async fn take_box(&self, replay: Option<[u8; 32]>) -> Result<(), Problem> {
        let system = self.state.store.system();
        if let Some(hash) = replay {
            system.take_box(&hash, self.call.now).await?;
        }
        Ok(())
    }

    /// What the key is bound to: a fresh id, or the id of the one that it replaces and the next version.
    fn context(&self, existing: Option<&ProviderKeyRecord>) -> Result<KeyContext, Problem> {
        let (key, version) = match existing {
            Some(record) => (record.context.key, record.context.version + 1),
            None => (self.state.sources.id()?, 1),
        };
        Ok(KeyContext {
            owner: self.holder.owner,
            key,
            provider: self.provider.id.clone(),
            base_url: self.destination.base_url.clone(),
            auth_header: self.provider.auth.header.clone(),
            version,
        })
    }

    /// The owner's data key, made at the first submission; of two made at once the first stays.
    async fn data_key(&self) -> Result<DataKeyRecord, Problem> {
        if let Some(data_key) = self.holder.keys.data_key().await? {
            return Ok(data_key);
        }
        let new = self.state.rotator.new_data_key(self.holder.owner).await?;
        Ok(self.holder.keys.insert_data_key(&new).await?)
    }

    async fn take_in(
        &self,
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<Accepted, Problem> {
        let intake = &self.state.intake;
        let accepted = match &self.new.material {
            Material::Plain { key, .. } => {
                let key = key.expose(|bytes| Secret::new(bytes.to_vec()));
                intake.accept_plain(key, context, data_key).await
            }
            Material::Sealed {
                kek_id,
                ciphertext_b64,
            } => {
                let sealing_key = sealing_key::current(self.state).await?;
                let submission = Submission {
                    kek_id,
                    ciphertext_b64,
                };
                let rules = IntakeRules {
                    now: self.call.now,
                    raw_box: self.destination.raw_box,
                };
                intake
                    .accept(&sealing_key, &submission, &rules, context, data_key)
                    .await
            }
        };
        Ok(accepted?)
    }

    /// Whether the provider accepted the key: `false` when it is not asked or there is nothing to ask it with.
    async fn probe(
        &self,
        accepted: &Accepted,
        context: &KeyContext,
        data_key: &DataKeyRecord,
    ) -> Result<bool, Problem> {
        if self.state.config.probe == ProbePolicy::Off || self.provider.probe_request().is_none() {
            return Ok(false);
        }
        let answer = self
            .state
            .probe
            .probe(&accepted.envelope, context, data_key)
            .await;
        answer.map_err(|failure| verdict::refusal(self.provider, &failure))?;
        Ok(true)
    }

    /// The place after the owner's other keys for the provider; the last one is shared.
    async fn next_position(&self) -> Result<i64, Problem> {
        let keys = self.holder.keys.list().await?;
        let of_provider = keys
            .iter()
            .filter(|key| key.context.provider == self.provider.id);
        let after = of_provider.map(|key| key.position + 1).max().unwrap_or(0);
        Ok(after.min(*POSITIONS.end()))
    }

    fn note(&self, action: &'static str, key: Option<ProviderKeyId>) -> AuditNote {
        AuditNote {
            provider: Some(self.provider.id.clone()),
            label: Some(self.new.label.clone()),
            subject: key.map(|key| key.to_string()),
            ..self.call.note(action)
        }
    }

    /// Writes the audit row of a refusal and returns what the client is told.
    async fn refused(
        &self,
        action: &'static str,
        outcome: &'static str,
        problem: Problem,
    ) -> Problem {
        let note = AuditNote {
            kek_id: self.new.material.kek_id(),
            outcome,
            ..self.note(action, None)
        };
        note_refused(self.state, self.call, self.holder, &note, problem).await
    }
}
