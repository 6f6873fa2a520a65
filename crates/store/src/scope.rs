//! Principals and scopes. Without a scope no tenant row can be named, and only `scope/authorize.rs` can make one:
//! their fields are private to here.

mod authorize;

use domain::access::{ApiScope, Role};
use domain::{AccountId, ApiKeyId, SessionId, UserId, WorkspaceId};

use crate::audit::{Actor, Origin};
use crate::error::StoreError;

pub(crate) use authorize::effective_scopes;

/// Who asks, as its credential says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A logged-in person.
    Session {
        /// The person.
        user: UserId,
        /// The log-in.
        session: SessionId,
    },
    /// An API key, which acts for its minter inside its workspace.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Its minter.
        user: UserId,
        /// Its workspace.
        workspace: WorkspaceId,
        /// The workspace's account.
        account: AccountId,
        /// What it may do, at most.
        scopes: Vec<ApiScope>,
    },
}

impl Principal {
    /// The person behind the credential.
    pub fn user(&self) -> UserId {
        match self {
            Self::Session { user, .. } | Self::ApiKey { user, .. } => *user,
        }
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Session { user, .. } => Actor::User(*user),
            Self::ApiKey { key, .. } => Actor::ApiKey(*key),
        }
    }
}

/// Why no scope was given.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// It is another's, or there is no such thing: answer 404, the same for both.
    #[error("not found")]
    NotFound,
    /// The caller belongs here, but its role or scopes do not reach: answer 403.
    #[error("this needs {needs}")]
    Forbidden {
        /// What it takes: `the role admin`, `the scope byok:write`, `a log-in`.
        needs: String,
    },
    /// The question could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Leave to act inside one workspace.
#[derive(Debug, Clone)]
pub struct WorkspaceScope {
    workspace: WorkspaceId,
    account: AccountId,
    role: Role,
    user: UserId,
    actor: Actor,
    grantable: Vec<ApiScope>,
}

impl WorkspaceScope {
    /// The workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The account that the workspace belongs to.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The person's role in it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The person, or the minter of the API key.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The API key that acts; `None`: the person, logged in.
    pub fn api_key(&self) -> Option<ApiKeyId> {
        match self.actor {
            Actor::ApiKey(key) => Some(key),
            Actor::User(_) | Actor::System => None,
        }
    }

    /// The scopes that an API key minted by this caller may carry: what the caller itself may do here.
    pub fn grantable(&self) -> &[ApiScope] {
        &self.grantable
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            actor: self.actor,
            account: Some(self.account),
            workspace: Some(self.workspace),
        }
    }
}

/// Leave to act on an account's own things. It reaches into none of its workspaces.
#[derive(Debug, Clone)]
pub struct AccountScope {
    account: AccountId,
    user: UserId,
    actor: Actor,
}

impl AccountScope {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The person, or the minter of the API key.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            actor: self.actor,
            account: Some(self.account),
            workspace: None,
        }
    }
}

/// Leave of a logged-in person to act on their own things.
#[derive(Debug, Clone)]
pub struct UserScope {
    user: UserId,
    account: AccountId,
    session: SessionId,
}

impl UserScope {
    /// The person.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The person's own account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The log-in that asks.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::User(self.user)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            actor: self.actor(),
            account: Some(self.account),
            workspace: None,
        }
    }
}

/// Leave to act on the whole instance. It reaches into no account and no workspace.
#[derive(Debug, Clone)]
pub struct InstanceScope {
    user: UserId,
    actor: Actor,
}

impl InstanceScope {
    /// The person, or the minter of the API key.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            actor: self.actor,
            account: None,
            workspace: None,
        }
    }
}
