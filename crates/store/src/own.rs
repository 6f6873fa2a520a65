//! What a logged-in person may do with what is their own.

use domain::access::Role;
use domain::{SessionId, Timestamp, WorkspaceId};

use crate::Store;
use crate::account::{self, AccountRow};
use crate::audit::{AuditNote, Origin};
use crate::error::StoreError;
use crate::revision::Affects;
use crate::scope::UserScope;
use crate::session::{self, SessionRow};
use crate::statement::sql;
use crate::user::{self, UserRow};
use crate::workspace::{self, WorkspaceRow};

/// A person's own things.
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

    /// Makes a workspace in the person's account, owned by the person.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id is taken.
    pub async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<WorkspaceRow, StoreError> {
        let (user, account) = (self.scope.user(), self.scope.account());
        let mut writing = self.store.writing().await?;
        let row = workspace::insert(&mut writing.tx, id, account, user, name, now).await?;
        let origin = Origin {
            workspace: Some(id),
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
        if !session::delete_own(&mut writing.tx, self.scope.user(), id).await? {
            return Err(StoreError::NotFound);
        }
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
    }

    /// Changes the person's password and ends their other log-ins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the person is gone.
    pub async fn set_password(
        &self,
        hash: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let user = self.scope.user();
        let mut writing = self.store.writing().await?;
        let changed = writing
            .tx
            .run(
                sql("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1")
                    .bind(user)
                    .bind(hash)
                    .bind(now),
            )
            .await?;
        if changed == 0 {
            return Err(StoreError::NotFound);
        }
        session::delete_of_user(&mut writing.tx, user, Some(self.scope.session())).await?;
        writing
            .commit(Affects::Nothing, self.scope.origin(), audit, now)
            .await
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
