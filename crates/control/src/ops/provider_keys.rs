//! Stored provider keys: whose they are, and what may change of them without their value.
//!
//! How a key comes in stands in [`submission`](crate::ops::submission).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use domain::access::Role;
use domain::plan::PlanTerms;
use domain::price::{MAX_KEY_PRICES, PriceOverride};
use domain::record::ProviderKeyRecord;
use domain::settings::MAX_LEVEL;
use domain::{AccountId, DeploymentId, KeyOwner, Label, ProviderId, ProviderKeyId, WorkspaceId};
use store::{
    AccountScope, Actor, AuditNote, InstanceScope, KeyChange, MAX_PROVIDER_KEYS, ProviderKeys,
    Store, Within, WithinAccount, WorkspaceScope,
};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::bulk;

/// The places that a key can have among its owner's keys for a provider.
pub const POSITIONS: RangeInclusive<i64> = 0..=9999;
/// The label of the key that a workspace's AI config holds. No other way of submission gives it.
pub const CONFIG_LABEL: &str = "ai-config";
/// The label of the keys that new workspaces get a copy of. No other way of submission gives it.
pub const TEMPLATE_LABEL: &str = "ai-defaults";

/// Whose keys an operation is about, with the door to them.
pub struct Holder<'a> {
    /// The door.
    pub keys: ProviderKeys<'a>,
    /// Who holds them.
    pub(crate) owner: KeyOwner,
    /// The account that this is about; none for the instance's own keys.
    pub(crate) account: Option<AccountId>,
    /// The workspace that this is about.
    pub(crate) workspace: Option<WorkspaceId>,
    /// Who acts.
    pub(crate) actor: Actor,
    /// The caller's role, where the holder is a workspace; elsewhere nothing is hidden from those who get here.
    pub(crate) role: Option<Role>,
    place: Place<'a>,
}

/// Where the plan stands that bounds a holder.
enum Place<'a> {
    Workspace(Within<'a>),
    Account(WithinAccount<'a>),
    Instance,
}

impl<'a> Holder<'a> {
    /// The keys of a workspace.
    pub fn workspace(store: &'a Store, scope: &'a WorkspaceScope) -> Self {
        Self {
            keys: store.within(scope).provider_keys(),
            owner: KeyOwner::Workspace(scope.workspace()),
            account: Some(scope.account()),
            workspace: Some(scope.workspace()),
            actor: scope.actor(),
            role: Some(scope.role()),
            place: Place::Workspace(store.within(scope)),
        }
    }

    /// The keys of an account.
    pub fn account(store: &'a Store, scope: &'a AccountScope) -> Self {
        Self {
            keys: store.within_account(scope).provider_keys(),
            owner: KeyOwner::Account(scope.account()),
            account: Some(scope.account()),
            workspace: None,
            actor: scope.actor(),
            role: None,
            place: Place::Account(store.within_account(scope)),
        }
    }

    /// The instance's own keys, which serve managed calls.
    pub fn instance(store: &'a Store, scope: &'a InstanceScope, deployment: DeploymentId) -> Self {
        Self {
            keys: store.system().platform_keys(scope, deployment),
            owner: KeyOwner::Instance(deployment),
            account: None,
            workspace: None,
            actor: scope.actor(),
            role: None,
            place: Place::Instance,
        }
    }

    /// Whether these are the instance's own keys, which neither a plan nor the switches for own keys concern.
    pub(crate) fn is_instance(&self) -> bool {
        matches!(self.place, Place::Instance)
    }

    /// The terms of the plan that the keys are under; none for the instance's own.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn terms(&self) -> Result<Option<PlanTerms>, Problem> {
        Ok(match &self.place {
            Place::Workspace(within) => Some(within.terms().await?.1),
            Place::Account(within) => Some(within.subscription().await?.terms),
            Place::Instance => None,
        })
    }
}

/// Refuses the labels that other operations keep for themselves.
///
/// # Errors
/// `invalid_request` for field `label`.
pub fn check_label(label: &Label) -> Result<(), Problem> {
    if [CONFIG_LABEL, TEMPLATE_LABEL].contains(&label.as_str()) {
        let rule =
            "the labels ai-config and ai-defaults are kept for the operations of these names";
        return Err(Problem::field("label", rule));
    }
    Ok(())
}

/// Refuses a level out of range.
///
/// # Errors
/// `invalid_request` for field `level`.
pub fn check_level(level: Option<i64>) -> Result<(), Problem> {
    match level {
        Some(level) if !(0..=MAX_LEVEL).contains(&level) => Err(Problem::field(
            "level",
            "level must be a number from 0 to 9999",
        )),
        _ => Ok(()),
    }
}

/// Refuses prices that are too many or too long, for another provider than the key's, or for a platform key: what that
/// one serves is charged at the prices of the instance.
///
/// # Errors
/// `invalid_request` for field `prices`.
pub fn check_prices(
    holder: &Holder<'_>,
    prices: &[PriceOverride],
    provider: &ProviderId,
) -> Result<(), Problem> {
    if holder.is_instance() && !prices.is_empty() {
        let rule = "a platform key must have no prices: its calls are charged at the instance's prices, which stand in the settings";
        return Err(Problem::field("prices", rule));
    }
    if prices.len() > MAX_KEY_PRICES {
        return Err(Problem::field(
            "prices",
            "prices must have at most 50 entries",
        ));
    }
    if !bulk::brackets_fit(prices) {
        return Err(Problem::field("prices", bulk::BRACKETS));
    }
    if prices.iter().any(|price| price.provider != *provider) {
        let rule = "prices of a key must be for the provider of the key";
        return Err(Problem::field("prices", rule));
    }
    Ok(())
}

/// Changes a key without its value: all of it, with one audit row for each change, or nothing.
///
/// # Errors
/// `invalid_request` for a place outside [`POSITIONS`], a level out of range, prices for another provider and a label
/// that is kept; `not_found`; `conflict` when another key of the provider has the label.
pub async fn change(
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    changes: &KeyChange,
) -> Result<ProviderKeyRecord, Problem> {
    let in_range = |position| POSITIONS.contains(&position);
    if !changes.position.is_none_or(in_range) {
        let rule = "position must be a number from 0 to 9999";
        return Err(Problem::field("position", rule));
    }
    if let Some(level) = changes.level {
        check_level(level)?;
    }
    let record = get(holder, id).await?;
    if let Some(label) = changes
        .label
        .as_ref()
        .filter(|label| **label != record.label)
    {
        check_label(label)?;
    }
    if let Some(prices) = &changes.prices {
        check_prices(holder, prices, &record.context.provider)?;
    }
    let note = AuditNote {
        provider: Some(record.context.provider),
        label: Some(record.label),
        ..call.note_on("provider_key.update", id)
    };
    holder.keys.update(id, changes, &note, call.now).await?;
    get(holder, id).await
}

/// Puts the keys for a provider into this order and gets them in it.
///
/// # Errors
/// `invalid_request` for a list that names a key twice or more than there can be; `keys_changed` when it is not of exactly
/// the keys that are there.
pub async fn order(
    call: &Call,
    holder: &Holder<'_>,
    provider: &ProviderId,
    order: &[ProviderKeyId],
) -> Result<Vec<ProviderKeyRecord>, Problem> {
    let each: BTreeSet<_> = order.iter().collect();
    if each.len() != order.len() || order.is_empty() || order.len() as i64 > MAX_PROVIDER_KEYS {
        let rule = "key_ids must have 1 to 1000 ids, each once";
        return Err(Problem::field("key_ids", rule));
    }
    let note = AuditNote {
        provider: Some(provider.clone()),
        ..call.note_on("provider_key.set_order", provider)
    };
    let keys = &holder.keys;
    if !keys.put_order(provider, order, &note, call.now).await? {
        return Err(Problem::new(Code::KeysChanged));
    }
    let mut records = keys.list().await?;
    records.retain(|record| record.context.provider == *provider);
    Ok(records)
}

/// Removes a key for good.
///
/// # Errors
/// `not_found`.
pub async fn remove(call: &Call, holder: &Holder<'_>, id: ProviderKeyId) -> Result<(), Problem> {
    let record = get(holder, id).await?;
    remove_record(call, holder, &record).await
}

/// Removes the key with this provider and label for good.
///
/// # Errors
/// `not_found`.
pub async fn remove_labelled(
    call: &Call,
    holder: &Holder<'_>,
    provider: &ProviderId,
    label: &Label,
) -> Result<(), Problem> {
    let record = holder.keys.find(provider, label).await?;
    let record = record.ok_or_else(|| Problem::new(Code::NotFound))?;
    remove_record(call, holder, &record).await
}

/// Removes this key for good.
///
/// # Errors
/// `not_found`.
pub(crate) async fn remove_record(
    call: &Call,
    holder: &Holder<'_>,
    record: &ProviderKeyRecord,
) -> Result<(), Problem> {
    let note = removal_note(call, record);
    if holder
        .keys
        .remove(record.context.key, &note, call.now)
        .await?
    {
        Ok(())
    } else {
        Err(Problem::new(Code::NotFound))
    }
}

/// What the audit log says of a removal.
pub(crate) fn removal_note(call: &Call, record: &ProviderKeyRecord) -> AuditNote {
    AuditNote {
        provider: Some(record.context.provider.clone()),
        label: Some(record.label.clone()),
        ..call.note_on("provider_key.remove", record.context.key)
    }
}

/// The key with this id.
///
/// # Errors
/// `not_found`.
pub async fn get(holder: &Holder<'_>, id: ProviderKeyId) -> Result<ProviderKeyRecord, Problem> {
    let record = holder.keys.get(id).await?;
    record.ok_or_else(|| Problem::new(Code::NotFound))
}
