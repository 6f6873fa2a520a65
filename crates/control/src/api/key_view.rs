//! What is shown of provider keys. No type here has a field for the key.

use std::collections::BTreeMap;

use domain::key::FailureKind;
use domain::plan::PlanTerms;
use domain::price::PriceOverride;
use domain::record::{KeyContext, ProviderKeyRecord};
use domain::settings::{MaskStyle, Settings};
use domain::{KeyOwner, ProviderKeyId};
use serde::Serialize;
use store::KeyHealth;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::ops::provider_keys::Holder;
use crate::ops::submission::Stored;
use crate::schema;
use crate::schema::shapes::PriceOverrideShape;
use crate::state::ControlState;

/// A provider key as owners and admins see it. The key itself is in no answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderKeyView {
    /// The id.
    #[schema(example = "pk_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The provider that issued it.
    #[schema(example = "openai")]
    provider: String,
    /// What the owner calls it.
    #[schema(example = "primary")]
    label: String,
    /// Whose it is.
    #[schema(schema_with = schema::key_scope)]
    scope: &'static str,
    /// What may be shown of it, made by the server; `...` where the instance shows nothing.
    #[schema(example = "sk-a...bCdE")]
    mask: String,
    /// Whether it serves: `active`; `disabled` by its owner; `dormant` because the account's plan lets no own key
    /// serve; `resting` because an admin of the instance switched own keys or the provider off.
    #[schema(schema_with = schema::key_state)]
    state: &'static str,
    /// Where it is sent, if not to the provider's own base URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// Whether it may serve.
    enabled: bool,
    /// Its place among the keys for the provider; lower serves first.
    position: i64,
    /// The pool that it belongs to: keys of one level take turns, lower levels come first, and keys without one last.
    #[schema(required)]
    level: Option<i64>,
    /// Whether it serves only after everything else failed, credits too.
    fallback: bool,
    /// Prices that were negotiated for it, in USD per million tokens.
    #[schema(value_type = Vec<PriceOverrideShape>)]
    prices: Vec<PriceOverride>,
    /// The sealing key to which it was submitted; absent if it came in plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    kek_id: Option<String>,
    /// Counts the replacements of its value, from 1.
    version: i64,
    /// When the label was first given a key.
    created_at: String,
    /// When the key, its order or its state last changed.
    updated_at: String,
    /// When it last served, to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// When this value was last handed out, sealed, to run a program with.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_released_at: Option<String>,
    /// The last time that the provider did not accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureView>,
    /// How it fared in the last 24 hours.
    health: HealthView,
}

/// How the tries with a provider key ended in the last 24 hours: in the hour that runs, and in the 23 before.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// How often the provider was called with it.
    calls: i64,
    /// How often that did not serve.
    failed: i64,
    /// How often the provider answered 401.
    unauthorized: i64,
    /// How often the provider answered 429.
    rate_limited: i64,
}

impl From<KeyHealth> for HealthView {
    fn from(health: KeyHealth) -> Self {
        Self {
            calls: health.calls,
            failed: health.failed,
            unauthorized: health.unauthorized,
            rate_limited: health.rate_limited,
        }
    }
}

/// A provider key that was just stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoredKeyView {
    /// The key as it is listed.
    #[serde(flatten)]
    key: ProviderKeyView,
    /// Whether the provider was asked about the key and accepted it; `false` where the instance asks no
    /// provider and where the provider has no way to ask.
    probed: bool,
    /// A sign that this is not the key that was meant. It was stored all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "keys of openai usually look like sk-*")]
    warning: Option<String>,
}

/// A failure of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// When.
    at: String,
    /// Why.
    #[schema(schema_with = schema::failure_kind)]
    kind: FailureKind,
}

/// That there is a key for a provider: all that members see.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailabilityView {
    /// The provider.
    #[schema(example = "openai")]
    provider: String,
    /// Whether one of its keys may serve.
    available: bool,
}

/// An entry in the list of provider keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ProviderKeyEntry {
    /// For owners and admins.
    Key(Box<ProviderKeyView>),
    /// For members.
    Availability(AvailabilityView),
}

/// Whether a stored key serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It may serve.
    Active,
    /// Its owner disabled it.
    Disabled,
    /// The account's plan lets no own key serve.
    Dormant,
    /// Its provider, or own keys for it, are switched off.
    Resting,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Disabled, Self::Dormant, Self::Resting];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Dormant => "dormant",
            Self::Resting => "resting",
        }
    }
}

/// How the instance shows the keys of one holder to one caller.
pub(crate) struct Look {
    settings: Settings,
    /// The terms that the keys are under; none for the instance's own.
    terms: Option<PlanTerms>,
    /// How the holder's keys fared; none are told of to a caller who sees no labels.
    health: BTreeMap<ProviderKeyId, KeyHealth>,
    /// Whether the caller may see labels and masks.
    pub(crate) sees: bool,
}

impl Look {
    /// How the holder's keys are shown to the caller who holds them.
    pub(crate) async fn of(state: &ControlState, holder: &Holder<'_>) -> Result<Self, Problem> {
        let settings = state.store.system().settings().await?;
        let least = settings.mask_visible_to;
        let sees = holder.role.is_none_or(|role| role >= least);
        let health = match sees {
            true => holder.keys.health(state.sources.now()).await?,
            false => BTreeMap::new(),
        };
        Ok(Self {
            sees,
            health,
            terms: holder.terms().await?,
            settings,
        })
    }

    /// The view of a record for those who manage it.
    pub(crate) fn view(&self, state: &ControlState, record: ProviderKeyRecord) -> ProviderKeyView {
        let mask = self.mask(&record.mask);
        let serves = self.state(&record).as_str();
        ProviderKeyView {
            mask,
            state: serves,
            ..view(state, record, &self.health)
        }
    }

    /// The view of what a submission stored.
    pub(crate) fn stored(&self, state: &ControlState, stored: Stored) -> StoredKeyView {
        StoredKeyView {
            key: self.view(state, stored.record),
            probed: stored.probed,
            warning: stored.warning,
        }
    }

    /// What is shown of a key: as the instance says, nothing to a caller who may not see it.
    pub(crate) fn mask(&self, mask: &str) -> String {
        let style = if self.sees {
            self.settings.mask
        } else {
            MaskStyle::None
        };
        match style {
            MaskStyle::First4Last4 => mask.to_owned(),
            MaskStyle::Prefix => {
                let shown = mask.split("...").next().unwrap_or_default();
                format!("{shown}...")
            }
            MaskStyle::None => "...".to_owned(),
        }
    }

    /// Whether a key serves, in the order in which the decision asks.
    pub(crate) fn state(&self, record: &ProviderKeyRecord) -> KeyState {
        let switch = self.settings.switch(&record.context.provider);
        let own = !matches!(record.context.owner, KeyOwner::Instance(_));
        let dormant = self.terms.as_ref().is_some_and(|terms| !terms.byok);
        if !record.enabled {
            KeyState::Disabled
        } else if !switch.enabled || (own && !switch.byok) {
            KeyState::Resting
        } else if dormant {
            KeyState::Dormant
        } else {
            KeyState::Active
        }
    }

    /// One entry for each provider that has a key.
    pub(crate) fn availability(&self, records: &[ProviderKeyRecord]) -> Vec<ProviderKeyEntry> {
        let mut providers = BTreeMap::<String, bool>::new();
        for record in records {
            let available = providers
                .entry(record.context.provider.to_string())
                .or_default();
            *available |= self.state(record) == KeyState::Active;
        }
        let entry = |(provider, available)| {
            ProviderKeyEntry::Availability(AvailabilityView {
                provider,
                available,
            })
        };
        providers.into_iter().map(entry).collect()
    }
}

/// The view of a record for those whom nothing is hidden from.
pub(crate) fn view(
    state: &ControlState,
    record: ProviderKeyRecord,
    health: &BTreeMap<ProviderKeyId, KeyHealth>,
) -> ProviderKeyView {
    let health = health.get(&record.context.key).copied().unwrap_or_default();
    let base_url = custom_base_url(state, &record.context);
    let context = record.context;
    let serves = if record.enabled {
        KeyState::Active
    } else {
        KeyState::Disabled
    };
    ProviderKeyView {
        id: context.key.to_string(),
        provider: context.provider.to_string(),
        label: record.label.to_string(),
        scope: context.owner.scope().as_str(),
        mask: record.mask,
        state: serves.as_str(),
        base_url,
        enabled: record.enabled,
        position: record.position,
        level: record.level,
        fallback: record.fallback,
        prices: record.prices,
        kek_id: record.kek_id,
        version: context.version,
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        last_used_at: record.last_used_at.map(|at| at.to_string()),
        last_released_at: record.last_released_at.map(|at| at.to_string()),
        last_failure: record.last_failure.map(|(at, kind)| FailureView {
            at: at.to_string(),
            kind,
        }),
        health: health.into(),
    }
}

/// The view of what a submission stored, for those whom nothing is hidden from.
pub(crate) fn stored_view(
    state: &ControlState,
    stored: Stored,
    health: &BTreeMap<ProviderKeyId, KeyHealth>,
) -> StoredKeyView {
    StoredKeyView {
        key: view(state, stored.record, health),
        probed: stored.probed,
        warning: stored.warning,
    }
}

/// Where a key is sent, if not to the provider's own base URL.
pub(crate) fn custom_base_url(state: &ControlState, context: &KeyContext) -> Option<String> {
    let provider = state.registry.get(&context.provider);
    let own = provider.is_some_and(|provider| provider.base_url == context.base_url);
    (!own).then(|| context.base_url.clone())
}
