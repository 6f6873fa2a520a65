//! New workspaces, and what they start with.

use domain::access::Action;
use domain::policy::WorkspacePolicy;
use domain::record::{DataKeyRecord, KeyContext, ProviderKeyRecord};
use domain::{KeyOwner, ProviderId, ProviderKeyId, WorkspaceId};
use store::{AccountScope, NewWorkspace, Principal, ProviderKeys, UserScope, WorkspaceRow};

use crate::error::Problem;
use crate::frame::Call;
use crate::ops::ai_defaults;
use crate::ops::provider_keys::CONFIG_LABEL;
use crate::state::ControlState;

/// Makes a workspace in the caller's own account, with the account's defaults: mode, provider and model, and a copy
/// of the key that goes with them under a data key of the workspace's own.
///
/// # Errors
/// `limit_exceeded` when the plan gives no more workspaces.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    principal: &Principal,
    name: String,
) -> Result<WorkspaceRow, Problem> {
    let account = state
        .store
        .authorize_account(principal, scope.account(), Action::ReadAccountDefaults)
        .await?;
    let id: WorkspaceId = state.sources.id()?;
    let policy = inherited(state, &account).await?;
    let copies = match &policy.provider {
        None => None,
        Some(provider) => copy(state, &account, provider, id).await?,
    };
    let (data_key, copies) = copies.unzip();
    let new = NewWorkspace { id, name, policy };
    let note = call.note_on("workspace.create", id);
    let row = state
        .store
        .own(scope)
        .create_workspace(&new, copies.as_slice(), data_key.as_ref(), &note, call.now)
        .await?;
    Ok(row)
}

/// The policy that a new workspace of the account starts with. A mode that is no longer offered is none.
async fn inherited(
    state: &ControlState,
    account: &AccountScope,
) -> Result<WorkspacePolicy, Problem> {
    let defaults = state.store.within_account(account).defaults().await?;
    let mode = ai_defaults::mode(state, account).await?;
    Ok(WorkspacePolicy {
        mode,
        provider: defaults.provider,
        model: defaults.model,
        ..WorkspacePolicy::default()
    })
}

/// The account's template for the provider as a key of the workspace, with the data key that it is under.
async fn copy(
    state: &ControlState,
    account: &AccountScope,
    provider: &ProviderId,
    workspace: WorkspaceId,
) -> Result<Option<(DataKeyRecord, ProviderKeyRecord)>, Problem> {
    let keys: ProviderKeys<'_> = state.store.within_account(account).provider_keys();
    let Some(template) = keys.template(provider).await? else {
        return Ok(None);
    };
    let Some(from_key) = keys.data_key().await? else {
        return Ok(None);
    };
    let owner = KeyOwner::Workspace(workspace);
    let to_key = state.rotator.new_data_key(owner).await?;
    let key: ProviderKeyId = state.sources.id()?;
    let from = template.context.clone();
    let to = KeyContext {
        owner,
        key,
        version: 1,
        ..from.clone()
    };
    let envelope = state
        .rotator
        .rebind_envelope(&template.envelope, &from, &from_key, &to, &to_key)
        .await?;
    let copy = ProviderKeyRecord {
        context: to,
        label: CONFIG_LABEL.parse().expect("the constant is a label"),
        data_key: to_key.id,
        envelope,
        template: false,
        last_used_at: None,
        ..template
    };
    Ok(Some((to_key, copy)))
}
