//! What a logged-in person may do with what is their own.

mod leave;

use domain::access::Role;
use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{KeyOwner, SessionId, Timestamp};

use crate::Store;
use crate::account::{self, AccountRow};
use crate::audit::{AuditNote, Origin};
use crate::db::Tx;
use crate::device_login;
use crate::error::StoreError;
use crate::revision::Affects;
use crate::scope::UserScope;
use crate::session::{self, SessionRow};
use crate::user::{self, UserRow};
use crate::workspace::{self, NewWorkspace, WorkspaceRow};
use crate::{data_key, limit, provider_key};

/// A person's own things.
///
/// Leaving the instance stands in `own/leave.rs`.
pub struct Own<'a> {
    store: &'a Store,
    scope: &'a UserScope,
}

impl<'a> Own<'a> {
    pub(crate) fn new(store: &'a Store, scope: &'a UserScope) -> Self {
        Self { store, scope }
    }

    /// The person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person is gone.
    pub async fn user(&self) -> Result<UserRow, StoreError> {
        user::get(self.store, self.scope.user())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// The person's account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person is gone.
    pub async fn account(&self) -> Result<AccountRow, StoreError> {
        account::get(self.store, self.scope.account())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// The workspaces that the person belongs to, with their role, oldest first; at most 1000.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn workspaces(&self) -> Result<Vec<(WorkspaceRow, Role)>, StoreError> {
        workspace::of_user(self.store, self.scope.user()).await
    }

    /// Makes a workspace in the person's account, owned by the person, with what its account lets it start with:
    /// `template_copies` are keys of the workspace under `data_key`, its first data key.
    ///
    /// # Errors
    /// - [`StoreError::LimitExceeded`]: the account's plan gives no more workspaces.
    /// - [`StoreError::Conflict`]: the id is taken, or two copies have one label.
    /// - [`StoreError::NotFound`]: the person is gone, or a copy or the data key is not the workspace's.
    pub async fn create_workspace(
        &self,
        new: &NewWorkspace,
        template_copies: &[ProviderKeyRecord],
        data_key: Option<&DataKeyRecord>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<WorkspaceRow, StoreError> {
        let (user, account) = (self.scope.user(), self.scope.account());
        let owner = KeyOwner::Workspace(new.id);
        let of_workspace = |copy: &ProviderKeyRecord| {
            let under = data_key.is_some_and(|key| key.owner == owner && key.id == copy.data_key);
            under && copy.context.owner == owner && !copy.template
        };
        if !template_copies.iter().all(of_workspace) {
            return Err(StoreError::NotFound);
        }
        let mut writing = self.store.writing().await?;
        let tx = &mut writing.tx;
        user::still_active(tx, user).await?;
        limit::workspaces(tx, account).await?;
        let row = workspace::insert(tx, new, account, user, now).await?;
        if let Some(data_key) = data_key.filter(|_| !template_copies.is_empty()) {
            data_key::insert(tx, data_key).await?;
            for copy in template_copies {
                provider_key::insert(tx, copy, Some(account), now).await?;
            }
        }
        let origin = Origin {
            workspace: Some(new.id),
            ..self.scope.origin()
        };
        writing
            .commit(Affects::Account(account), origin, audit, now)
            .await?;
        Ok(row)
    }

    /// The person's log-ins, newest first, expired ones included until they are pruned; at most 1000.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        session::of_user(self.store, self.scope.user()).await
    }

    /// Ends one of the person's log-ins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: it is not theirs, or has ended.
    pub async fn end_session(
        &self,
        id: SessionId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        let user = self.scope.user();
        let served = session::served_accounts(&mut writing.tx, user, Some(id)).await?;
        if !session::delete_own(&mut writing.tx, user, id).await? {
            return Err(StoreError::NotFound);
        }
        for account in served {
            writing.affects_also(account).await?;
        }
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
    }

    /// Lets the program with this hash of its person's code log in as the person, as long as this log-in lasts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such program waits.
    pub async fn approve_device_login(
        &self,
        user_hash: &[u8; 32],
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        let session = self.scope.session();
        device_login::approve(&mut writing.tx, user_hash, session, now).await?;
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
    }

    /// Ends the log-in of the program with this hash of its person's code.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: no such program waits.
    pub async fn refuse_device_login(
        &self,
        user_hash: &[u8; 32],
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        device_login::refuse(&mut writing.tx, user_hash).await?;
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
    }

    /// Changes the person's password, which fits `verified_hash`, and ends their other log-ins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person is gone, or the password or the log-in is not what it was.
    pub async fn set_password(
        &self,
        verified_hash: &str,
        hash: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (user, session) = (self.scope.user(), self.scope.session());
        let mut writing = self.store.writing().await?;
        self.still_proven(&mut writing.tx, verified_hash, now)
            .await?;
        user::replace_password(&mut writing, user, hash, Some(session), now).await?;
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
    }

    /// Makes sure, inside a change, that what the person proved who they are with still holds: the log-in, and the password.
    /// Who knew only an old password must not get through with it what was begun before another was set.
    async fn still_proven(
        &self,
        tx: &mut Tx,
        verified_hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let user = self.scope.user();
        session::still_live(tx, user, self.scope.session(), now).await?;
        user::still_has_password(tx, user, verified_hash).await
    }

    /// The stored hash of the person's password.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person is gone.
    pub async fn password_hash(&self) -> Result<String, StoreError> {
        user::password_hash(self.store, self.scope.user())
            .await?
            .ok_or(StoreError::NotFound)
    }
}
