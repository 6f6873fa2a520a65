//! Helping the instance's users: who manages the instance, and new passwords for those who forgot theirs.

use domain::{Timestamp, UserId};

use crate::audit::{AuditNote, Origin};
use crate::error::StoreError;
use crate::password_link::{self, NewPasswordLink};
use crate::revision::Affects;
use crate::scope::InstanceScope;
use crate::statement::sql;
use crate::system::{System, of_user};
use crate::user::{self, UserRow};

impl System<'_> {
    /// Makes a person an admin of the instance, or no admin any more. What API keys of the person may do follows, and
    /// the links to new passwords that a former admin made end for good.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: there is no such person, or they left.
    /// - [`StoreError::Conflict`]: who is suspended becomes no admin; or the asking admin is none any more.
    /// - [`StoreError::LastAdmin`]: nobody else manages the instance.
    pub async fn set_instance_admin(
        &self,
        scope: &InstanceScope,
        user: UserId,
        instance_admin: bool,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
        let tx = &mut writing.tx;
        let person = user::get_in(tx, user).await?.ok_or(StoreError::NotFound)?;
        if instance_admin && person.suspended {
            return Err(StoreError::Conflict("the user is suspended"));
        }
        if !instance_admin && !person.suspended {
            user::another_admin(tx, user).await?;
        }
        tx.run(
            sql("UPDATE users SET instance_admin = $2, updated_at = $3 WHERE id = $1")
                .bind(user)
                .bind(instance_admin)
                .bind(now),
        )
        .await?;
        if !instance_admin {
            password_link::drop_made_by(tx, user).await?;
        }
        // API keys that the person minted in workspaces of other accounts lose or regain scopes, too.
        writing
            .commit(Affects::Everybody, scope.origin(), audit, now)
            .await
    }

    /// Adds a link to a new password for somebody else, in the place of the one before, and says who that is.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: there is no such person.
    /// - [`StoreError::Conflict`]: it is the asking admin, who is none any more, or the person is suspended.
    pub async fn create_password_link(
        &self,
        scope: &InstanceScope,
        new: &NewPasswordLink,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<UserRow, StoreError> {
        if new.user == scope.user() {
            return Err(StoreError::Conflict("nobody makes a link for themselves"));
        }
        let mut writing = self.changing(scope).await?;
        let user = password_link::insert(&mut writing.tx, new, Some(scope.user()), now).await?;
        writing
            .commit(Affects::Nothing, scope.origin(), audit, now)
            .await?;
        Ok(user)
    }

    /// The same for whoever runs the instance, by nobody's leave.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: there is no such person; [`StoreError::Conflict`]: the person is suspended.
    pub async fn create_operators_password_link(
        &self,
        new: &NewPasswordLink,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<UserRow, StoreError> {
        let mut writing = self.store.writing().await?;
        let user = password_link::insert(&mut writing.tx, new, None, now).await?;
        let origin = self.origin(None, None);
        writing.commit(Affects::Nothing, origin, audit, now).await?;
        Ok(user)
    }

    /// Whether a link with this hash can be used. One whose maker manages the instance no more, or is suspended, cannot.
    ///
    /// # Errors
    /// As every function here.
    pub async fn has_open_password_link(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        password_link::is_open(self.store, hash, now).await
    }

    /// Takes the open link with this hash, once: its person has the password with this hash from now on, and all
    /// log-ins of the person end. `notes` is told of the link's person: what the instance's log says of the link, and
    /// what the person's account says of the password.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: there is no open link; of two at once, one finds it.
    pub async fn use_password_link(
        &self,
        hash: &[u8; 32],
        password_hash: &str,
        notes: impl FnOnce(&UserRow) -> (AuditNote, AuditNote),
        now: Timestamp,
    ) -> Result<UserRow, StoreError> {
        let mut writing = self.store.writing().await?;
        let user = password_link::take(&mut writing.tx, hash, now).await?;
        user::replace_password(&mut writing, user.id, password_hash, None, now).await?;
        let (of_link, of_password) = notes(&user);
        let origin = of_user(user.id);
        writing.note(origin, &of_link, now).await?;
        let origin = Origin {
            account: Some(user.account),
            ..origin
        };
        writing
            .commit(Affects::Nothing, origin, &of_password, now)
            .await?;
        Ok(user)
    }

    /// Removes links to new passwords that ended by themselves and says how many.
    ///
    /// # Errors
    /// As every function here.
    pub async fn prune_password_links(&self, now: Timestamp) -> Result<u64, StoreError> {
        password_link::prune(self.store, now).await
    }

    /// The active admins of the instance, in the order of their ids, at most 100.
    ///
    /// # Errors
    /// As every function here.
    pub async fn instance_admins(&self) -> Result<Vec<UserRow>, StoreError> {
        user::admins(self.store).await
    }
}
