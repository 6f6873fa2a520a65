//! From a request to the right to do something: the only way to a scope of the store.
//!
//! A handler that takes `Access<ReadWorkspace>` cannot be reached by a caller whom the table in
//! `domain::access` does not let read the workspace in the path, and a handler without an `Access` holds
//! no scope, so that no tenant row can be named in it.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use domain::access::Action;
use domain::{AccountId, WorkspaceId};
use http::request::Parts;
use store::{AccountScope, InstanceScope, Principal, UserScope, WorkspaceScope};

use crate::auth::principal::Caller;
use crate::error::{Code, Problem};
use crate::state::ControlState;

/// One action of the table, as a type.
pub trait Permission: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
    /// What the right to it lets one reach.
    type Scope: Mint;
}

/// A scope that the store mints for a caller of a request.
pub trait Mint: Sized + Send {
    /// Asks the store for the scope that the path names.
    fn mint(
        state: &ControlState,
        principal: &Principal,
        parts: &mut Parts,
        action: Action,
    ) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// The right of this request's caller to do `P`.
pub struct Access<P: Permission> {
    /// What may be reached.
    pub scope: P::Scope,
    /// Who it is.
    pub principal: Principal,
    permission: PhantomData<P>,
}

impl<P: Permission> FromRequestParts<ControlState> for Access<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let scope = P::Scope::mint(state, &principal, parts, P::ACTION).await?;
        Ok(Self {
            scope,
            principal,
            permission: PhantomData,
        })
    }
}

macro_rules! permissions {
    ($($name:ident: $scope:ty;)*) => {
        $(
            #[doc = concat!("The right to [`Action::", stringify!($name), "`].")]
            pub enum $name {}

            impl Permission for $name {
                const ACTION: Action = Action::$name;
                type Scope = $scope;
            }
        )*
    };
}

permissions! {
    UseOwnUser: UserScope;
    ManageUsers: InstanceScope;
    ManageSealingKey: InstanceScope;
    ReadInstanceAudit: InstanceScope;
    ReadInstanceSettings: InstanceScope;
    WriteInstanceSettings: InstanceScope;
    ReadPlatformKeys: InstanceScope;
    WritePlatformKeys: InstanceScope;
    ReadAccounts: InstanceScope;
    WriteAccounts: InstanceScope;
    ReadAccount: AccountScope;
    ReadAccountAudit: AccountScope;
    ReadBilling: AccountScope;
    ReadAccountDefaults: AccountScope;
    WriteAccountDefaults: AccountScope;
    ReadAccountProviderKeys: AccountScope;
    WriteAccountProviderKeys: AccountScope;
    ReadWorkspace: WorkspaceScope;
    UpdateWorkspace: WorkspaceScope;
    DeleteWorkspace: WorkspaceScope;
    ReadMembers: WorkspaceScope;
    WriteMembers: WorkspaceScope;
    LeaveWorkspace: WorkspaceScope;
    ReadApiKeys: WorkspaceScope;
    WriteApiKeys: WorkspaceScope;
    ReadProviderKeys: WorkspaceScope;
    WriteProviderKeys: WorkspaceScope;
    ReleaseProviderKeys: WorkspaceScope;
    ReadPolicy: WorkspaceScope;
    WritePolicy: WorkspaceScope;
    ReadServices: WorkspaceScope;
    WriteServices: WorkspaceScope;
    UsePlayground: WorkspaceScope;
    ReadUsage: WorkspaceScope;
    ReadAudit: WorkspaceScope;
    ReadRuns: WorkspaceScope;
    WriteRuns: WorkspaceScope;
}

impl Mint for WorkspaceScope {
    async fn mint(
        state: &ControlState,
        principal: &Principal,
        parts: &mut Parts,
        action: Action,
    ) -> Result<Self, Problem> {
        let workspace: WorkspaceId = path_id(parts, "workspace_id").await?;
        let scope = state
            .store
            .authorize_workspace(principal, workspace, action)
            .await;
        scope.map_err(Problem::from)
    }
}

impl Mint for AccountScope {
    /// The account in the path; `/v1/byok`, `/v1/billing` and `/users/me` name none and mean the caller's own.
    async fn mint(
        state: &ControlState,
        principal: &Principal,
        parts: &mut Parts,
        action: Action,
    ) -> Result<Self, Problem> {
        let account: AccountId = match (path_param(parts, "account_id").await, principal) {
            (Some(text), _) => parse_id(&text)?,
            (None, Principal::ApiKey { account, .. }) => *account,
            (None, Principal::Session { .. }) => {
                let own = state
                    .store
                    .authorize_user(principal, Action::UseOwnUser)
                    .await?;
                own.account()
            }
        };
        let scope = state
            .store
            .authorize_account(principal, account, action)
            .await;
        scope.map_err(Problem::from)
    }
}

impl Mint for UserScope {
    async fn mint(
        state: &ControlState,
        principal: &Principal,
        _: &mut Parts,
        action: Action,
    ) -> Result<Self, Problem> {
        let scope = state.store.authorize_user(principal, action).await;
        scope.map_err(Problem::from)
    }
}

impl Mint for InstanceScope {
    async fn mint(
        state: &ControlState,
        principal: &Principal,
        _: &mut Parts,
        action: Action,
    ) -> Result<Self, Problem> {
        let scope = state.store.authorize_instance(principal, action).await;
        scope.map_err(Problem::from)
    }
}

/// An id in the path. What is not an id is as unknown as an id that was never given out.
///
/// # Errors
/// `not_found`.
pub async fn path_id<T: std::str::FromStr>(parts: &mut Parts, name: &str) -> Result<T, Problem> {
    let text = path_param(parts, name).await;
    parse_id(text.as_deref().unwrap_or_default())
}

async fn path_param(parts: &mut Parts, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let mut params = params.iter();
    params.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

fn parse_id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(Code::NotFound))
}

macro_rules! path_ids {
    ($($(#[$doc:meta])* $name:ident($id:ty) = $param:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub $id);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                path_id(parts, $param).await.map(Self)
            }
        }
    )*};
}

path_ids! {
    /// The user in the path.
    UserInPath(domain::UserId) = "user_id";
    /// The session in the path.
    SessionInPath(domain::SessionId) = "session_id";
    /// The invitation in the path.
    InvitationInPath(domain::InvitationId) = "invitation_id";
    /// The call in the path.
    RequestInPath(domain::RequestId) = "request_id";
    /// The API key in the path.
    ApiKeyInPath(domain::ApiKeyId) = "api_key_id";
    /// The script in the path.
    ScriptInPath(domain::ScriptId) = "script_id";
    /// The service in the path.
    ServiceInPath(domain::ServiceId) = "service_id";
    /// The provider key in the path.
    ProviderKeyInPath(domain::ProviderKeyId) = "key_id";
    /// The provider in the path.
    ProviderInPath(domain::ProviderId) = "provider";
    /// The provider in the path as the client wrote it, for refusals that suggest another.
    ProviderNameInPath(String) = "provider";
    /// The generation run in the path.
    RunInPath(domain::RunId) = "run_id";
    /// The place of a picture of a run, as the client wrote it.
    NumberInPath(String) = "number";
    /// The credential of a link to a run's document, as the client wrote it.
    LinkInPath(String) = "link";
    /// The account in the path of an operation of the instance.
    AccountInPath(domain::AccountId) = "account_id";
    /// The plan in the path.
    PlanInPath(domain::PlanId) = "plan_id";
    /// The person's code of a program's log-in, as the client wrote it.
    UserCodeInPath(String) = "user_code";
    /// The name in the path, as the client wrote it.
    NameInPath(String) = "name";
}
