//! Stored provider keys: whose they are, and what may change of them without their value.
//!
//! How a key comes in stands in [`submission`](crate::ops::submission).

use std::ops::RangeInclusive;

use domain::record::ProviderKeyRecord;
use domain::{AccountId, KeyOwner, Label, ProviderId, ProviderKeyId, WorkspaceId};
use store::{AccountScope, Actor, AuditNote, ProviderKeys, Store, WorkspaceScope};

use crate::error::{Code, Problem};
use crate::frame::Call;

/// The places that a key can have among its owner's keys for a provider.
pub const POSITIONS: RangeInclusive<i64> = 0..=9999;

/// Whose keys an operation is about, with the door to them.
pub struct Holder<'a> {
    /// The door.
    pub keys: ProviderKeys<'a>,
    /// Who holds them.
    pub(crate) owner: KeyOwner,
    /// The account that this is about.
    pub(crate) account: AccountId,
    /// The workspace that this is about.
    pub(crate) workspace: Option<WorkspaceId>,
    /// Who acts.
    pub(crate) actor: Actor,
}

impl<'a> Holder<'a> {
    /// The keys of a workspace.
    pub fn workspace(store: &'a Store, scope: &'a WorkspaceScope) -> Self {
        Self {
            keys: store.within(scope).provider_keys(),
            owner: KeyOwner::Workspace(scope.workspace()),
            account: scope.account(),
            workspace: Some(scope.workspace()),
            actor: scope.actor(),
        }
    }

    /// The keys of an account.
    pub fn account(store: &'a Store, scope: &'a AccountScope) -> Self {
        Self {
            keys: store.within_account(scope).provider_keys(),
            owner: KeyOwner::Account(scope.account()),
            account: scope.account(),
            workspace: None,
            actor: scope.actor(),
        }
    }
}

/// What may change of a key without its value.
pub struct Changes {
    /// A new label.
    pub label: Option<Label>,
    /// Whether it may serve.
    pub enabled: Option<bool>,
    /// A new place in the order.
    pub position: Option<i64>,
}

/// Changes a key without its value, one audit row for each change.
///
/// # Errors
/// `invalid_request` for a place outside [`POSITIONS`]; `not_found`; `conflict` when another key of the
/// provider has the label.
pub async fn change(
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    changes: Changes,
) -> Result<ProviderKeyRecord, Problem> {
    let in_range = |position| POSITIONS.contains(&position);
    if !changes.position.is_none_or(in_range) {
        let rule = "position is a number from 0 to 9999";
        return Err(Problem::field("position", rule));
    }
    let record = get(holder, id).await?;
    let note = |action, label: Option<&Label>| AuditNote {
        provider: Some(record.context.provider.clone()),
        label: Some(label.unwrap_or(&record.label).clone()),
        ..call.note_on(action, id)
    };
    if let Some(label) = &changes.label {
        let note = note("provider_key.set_label", Some(label));
        holder.keys.set_label(id, label, &note, call.now).await?;
    }
    let label = changes.label.as_ref();
    if let Some(position) = changes.position {
        let note = note("provider_key.set_position", label);
        holder
            .keys
            .set_position(id, position, &note, call.now)
            .await?;
    }
    if let Some(enabled) = changes.enabled {
        let action = if enabled {
            "provider_key.enable"
        } else {
            "provider_key.disable"
        };
        let note = note(action, label);
        holder
            .keys
            .set_enabled(id, enabled, &note, call.now)
            .await?;
    }
    get(holder, id).await
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

async fn remove_record(
    call: &Call,
    holder: &Holder<'_>,
    record: &ProviderKeyRecord,
) -> Result<(), Problem> {
    let note = AuditNote {
        provider: Some(record.context.provider.clone()),
        label: Some(record.label.clone()),
        ..call.note_on("provider_key.remove", record.context.key)
    };
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

/// The key with this id.
///
/// # Errors
/// `not_found`.
pub async fn get(holder: &Holder<'_>, id: ProviderKeyId) -> Result<ProviderKeyRecord, Problem> {
    let record = holder.keys.get(id).await?;
    record.ok_or_else(|| Problem::new(Code::NotFound))
}
