//! One submission of a provider key, from the box to the row.
//!
//! Nothing is stored unless the box opened, the provider accepted the key (where a probe is required) and
//! the row commits with its audit row. A sealed box is marked as taken before the provider is asked, whatever
//! comes of it. A refusal leaves an audit row, and the mark if the box was opened, and nothing else.

use domain::price::PriceOverride;
use domain::record::{DataKeyRecord, KeyContext, ProviderKeyRecord};
use domain::settings::Settings;
use domain::{Label, ProviderKeyId, Secret};
use llm::provider::Provider;
use store::{AuditNote, Expect};
use vault::{Accepted, IntakeRules, Submission};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::admission::{admit, turned_away};
use crate::ops::destination::Destination;
use crate::ops::plan_gate;
use crate::ops::provider_keys::{self, Changes, Holder, POSITIONS, get};
use crate::ops::{sealing_key, verdict};
use crate::state::{ControlState, ProbePolicy};

/// The key as the client sent it.
pub enum Material {
    /// In a sealed box.
    Sealed {
        /// The sealing key that the client used.
        kek_id: String,
        /// The box.
        ciphertext_b64: String,
    },
    /// In plain text.
    Plain {
        /// The key.
        key: Secret,
        /// Whether nobody between the client and this process could read it.
        confidential: bool,
    },
}

impl Material {
    /// The sealing key that the client names, if the text may stand in an audit row.
    pub(super) fn kek_id(&self) -> Option<String> {
        match self {
            Self::Sealed { kek_id, .. } if is_kek_id(kek_id) => Some(kek_id.clone()),
            Self::Sealed { .. } | Self::Plain { .. } => None,
        }
    }
}

/// A key that a client wants stored.
pub struct NewKey {
    /// The provider's id, as the client wrote it.
    pub provider: String,
    /// What the owner calls it.
    pub label: Label,
    /// Where it is to be sent, if not to the provider's own base URL.
    pub base_url: Option<String>,
    /// The pool that it belongs to; left out: as the key that it replaces, else as the instance says.
    pub level: Option<Option<i64>>,
    /// Whether it serves only after everything else failed; left out: as the key that it replaces, else not.
    pub fallback: Option<bool>,
    /// Prices that were negotiated for it; left out: as the key that it replaces, else none.
    pub prices: Option<Vec<PriceOverride>>,
    /// Whether it never serves and is copied into new workspaces instead.
    pub template: bool,
    /// The key.
    pub material: Material,
}

impl NewKey {
    /// A key of which no more is said than what it takes to store one.
    pub fn plain(provider: String, label: Label, material: Material) -> Self {
        Self {
            provider,
            label,
            base_url: None,
            level: None,
            fallback: None,
            prices: None,
            template: false,
            material,
        }
    }
}

/// What became of a submission.
pub struct Stored {
    /// The row.
    pub record: ProviderKeyRecord,
    /// Whether the label had no key before.
    pub created: bool,
    /// Whether the provider was asked about the key and accepted it.
    pub probed: bool,
    /// A sign that this is not the key that was meant; never a reason to refuse it.
    pub warning: Option<String>,
}

/// Stores a key under its label, or replaces the one that is there.
///
/// # Errors
/// Every code of `openapi::Submissions`; no key is stored then.
pub async fn submit(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    new: NewKey,
) -> Result<Stored, Problem> {
    let settings = state.store.system().settings().await?;
    let (provider, destination) = match admit(state, &settings, holder, &new).await {
        Ok(admitted) => admitted,
        Err(problem) => return Err(turned_away(state, call, holder, &new, problem).await),
    };
    let subject = format!("keys of {}", holder.owner);
    state.submissions.begin(&subject, call.now)?;
    let submission = Attempt {
        state,
        call,
        holder,
        provider,
        destination,
        settings,
        new,
    };
    let mut taken = None;
    let result = match submission.run(&mut taken).await {
        // Somebody replaced the key between our look and our write: once more, on top of theirs.
        Err(problem) if problem.code() == Code::Conflict => submission.run(&mut taken).await,
        result => result,
    };
    let result = match result {
        Ok(stored) => submission.finish(stored).await,
        refused => refused,
    };
    // A provider that cannot be reached counts: the base URL may be one that the client chose.
    let ours =
        |problem: &Problem| matches!(problem.code(), Code::Unavailable | Code::InternalError);
    if result.as_ref().err().is_none_or(ours) {
        state.submissions.forgive(&subject);
    }
    result
}

/// Replaces the value of a stored key. Provider, label and base URL stay.
///
/// # Errors
/// As [`submit`]; `not_found` when there is no such key.
pub async fn replace(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    material: Material,
) -> Result<Stored, Problem> {
    let record = get(holder, id).await?;
    let provider = record.context.provider.to_string();
    let new = NewKey {
        base_url: Some(record.context.base_url),
        template: record.template,
        ..NewKey::plain(provider, record.label, material)
    };
    submit(state, call, holder, new).await
}

/// Writes an audit row of a refusal and returns the refusal, or why the row could not be written.
pub(super) async fn note_refused(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    note: &AuditNote,
    problem: Problem,
) -> Problem {
    let (account, workspace) = (holder.account, holder.workspace);
    let system = state.store.system();
    let written = system
        .note_refused(account, workspace, holder.actor, note, call.now)
        .await;
    match written {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

/// One submission; runs again as a whole when somebody else was faster.
struct Attempt<'a> {
    state: &'a ControlState,
    call: &'a Call,
    holder: &'a Holder<'a>,
    provider: &'a Provider,
    destination: Destination,
    settings: Settings,
    new: NewKey,
}

impl Attempt<'_> {
    /// Runs once. `taken` is the mark of the box that an earlier run of this submission has taken.
    async fn run(&self, taken: &mut Option<[u8; 32]>) -> Result<Stored, Problem> {
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
            level: match &existing {
                Some(record) => record.level,
                None => self.new.level.unwrap_or(self.settings.default_level),
            },
            fallback: match &existing {
                Some(record) => record.fallback,
                None => self.new.fallback.unwrap_or(false),
            },
            template: self.new.template,
            prices: match &existing {
                Some(record) => record.prices.clone(),
                None => self.new.prices.clone().unwrap_or_default(),
            },
            enabled: existing.as_ref().is_none_or(|record| record.enabled),
            created_at: existing
                .as_ref()
                .map_or(call.now, |record| record.created_at),
            updated_at: call.now,
            last_used_at: existing.as_ref().and_then(|record| record.last_used_at),
            // What the provider said of the old value says nothing of the new one.
            last_failure: None,
            context,
        };
        let keys = &holder.keys;
        if let Err(error) = keys.put(&record, expect, &note, call.now).await {
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

    /// What the client said beside the value of a key that was replaced: the replacement itself leaves that as it is.
    async fn finish(&self, stored: Stored) -> Result<Stored, Problem> {
        let (new, old) = (&self.new, &stored.record);
        let changes = Changes {
            level: new.level.filter(|level| *level != old.level),
            fallback: new.fallback.filter(|fallback| *fallback != old.fallback),
            prices: new.prices.clone().filter(|prices| *prices != old.prices),
            ..Changes::default()
        };
        let nothing =
            changes.level.is_none() && changes.fallback.is_none() && changes.prices.is_none();
        if nothing {
            return Ok(stored);
        }
        let key = old.context.key;
        let record = provider_keys::change(self.call, self.holder, key, changes).await?;
        Ok(Stored { record, ..stored })
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

/// Whether a client's text has the form of a sealing key's id, so that it may stand in an audit row.
fn is_kek_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
