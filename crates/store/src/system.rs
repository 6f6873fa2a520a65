//! The door without a scope: set-up and log-in here, jobs, rotation and doctor in `system/upkeep.rs`.

mod credits;
mod instance;
mod runs;
mod upkeep;
mod users;

use domain::record::DeploymentRecord;
use domain::{AccountId, ProviderId, SessionId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::api_key;
use crate::audit::{self, Actor, AuditFilter, AuditNote, AuditRow, Origin};
use crate::deployment;
use crate::device_login::{self, DeviceLoginRow, NewDeviceLogin};
use crate::error::{Place, StoreError};
use crate::invitation::{self, AcceptBy, InvitationRow};
use crate::limit;
use crate::member;
use crate::page::{Page, PageRequest};
use crate::password_link;
use crate::revision::Affects;
use crate::scope::{InstanceScope, Principal};
use crate::sealed_box;
use crate::session::{self, NewSession, SessionRow};
use crate::statement::sql;
use crate::usage::{self, SumsRequest, UsageSummary, Whose};
use crate::user::{self, NewUser, UserRow};

pub use instance::AccountSummary;

/// What needs no scope.
///
/// Besides what is named, every function may fail with [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
pub struct System<'a> {
    store: &'a Store,
    actor: Actor,
}

impl<'a> System<'a> {
    pub(crate) fn new(store: &'a Store, actor: Actor) -> Self {
        Self { store, actor }
    }

    /// The same door, opened for somebody: the audit log names `actor` instead of the program.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// The installation, once it is set up.
    ///
    /// # Errors
    /// As every function here.
    pub async fn deployment(&self) -> Result<Option<DeploymentRecord>, StoreError> {
        deployment::get(self.store).await
    }

    /// Names the installation, at its first start.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: it has a name; another node may have been first.
    pub async fn insert_deployment(&self, record: &DeploymentRecord) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        deployment::insert(&mut writing.tx, record).await?;
        writing.commit_unaudited(Affects::Nothing).await
    }

    /// How many people there are.
    ///
    /// # Errors
    /// As every function here.
    pub async fn user_count(&self) -> Result<i64, StoreError> {
        let (count,): (i64,) = self
            .store
            .db()
            .one(sql("SELECT count(*) FROM users"))
            .await?;
        Ok(count)
    }

    /// Adds the first person with account, "Personal" workspace and ownership. Of two at once, one wins.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: there is somebody already.
    pub async fn create_first_user(
        &self,
        new: &NewUser,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<UserRow, StoreError> {
        let mut writing = self.store.writing().await?;
        let (count,): (i64,) = writing.tx.one(sql("SELECT count(*) FROM users")).await?;
        if count > 0 {
            return Err(StoreError::Conflict("this instance is set up already"));
        }
        let row = user::insert(&mut writing.tx, new, now).await?;
        let origin = self.origin(Some(new.account), None);
        writing
            .commit(Affects::Account(new.account), origin, audit, now)
            .await?;
        Ok(row)
    }

    /// Adds a person with account, "Personal" workspace and ownership.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the email is taken, or the admin is none any more.
    pub async fn create_user(
        &self,
        scope: &InstanceScope,
        new: &NewUser,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<UserRow, StoreError> {
        let mut writing = self.changing(scope).await?;
        let row = user::insert(&mut writing.tx, new, now).await?;
        let origin = Origin {
            account: Some(new.account),
            ..scope.origin()
        };
        writing
            .commit(Affects::Account(new.account), origin, audit, now)
            .await?;
        Ok(row)
    }

    /// All people but those who left, oldest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn list_users(
        &self,
        _scope: &InstanceScope,
        page: &PageRequest,
    ) -> Result<Page<UserRow>, StoreError> {
        user::list(self.store, page).await
    }

    /// The people whose e-mail has this part, in the order of their ids; nobody who left.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn find_users(
        &self,
        _scope: &InstanceScope,
        part: &str,
        page: &PageRequest,
    ) -> Result<Page<UserRow>, StoreError> {
        user::find(self.store, part, page).await
    }

    /// The providers for which somebody has a key that may serve.
    ///
    /// # Errors
    /// As every function here.
    pub async fn providers_with_keys(&self) -> Result<Vec<ProviderId>, StoreError> {
        let rows: Vec<(String,)> = self
            .store
            .db()
            .all(sql("SELECT DISTINCT provider FROM provider_keys
                      WHERE template = 0 AND enabled = 1 ORDER BY provider"))
            .await?;
        let read = |(id,): (String,)| {
            let place = Place {
                table: "provider_keys",
                id: &id,
            };
            place.parse("provider", &id)
        };
        rows.into_iter().map(read).collect()
    }

    /// What the calls of everybody came to.
    ///
    /// # Errors
    /// As every function here.
    pub async fn usage_sums(
        &self,
        _scope: &InstanceScope,
        request: &SumsRequest,
    ) -> Result<UsageSummary, StoreError> {
        usage::sums(self.store, Whose::Instance, request).await
    }

    /// What fits of the audit log of what is about the instance and nobody's account, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn instance_audit(
        &self,
        _scope: &InstanceScope,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        audit::of_instance(self.store, filter, page).await
    }

    /// Takes the sealed box with this keyed hash, once in the whole instance and for ever, whatever becomes of
    /// it. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Replayed`]: it was taken before; of two at once, one is.
    pub async fn take_box(&self, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
        sealed_box::take(self.store, hash, now).await
    }

    /// Locks a person out, with all log-ins and API keys, and with them every API key of the workspaces of the
    /// person's account, whoever minted it; or lets them in again. Links to new passwords, for the person
    /// and those that the person made, end for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for who left; [`StoreError::Conflict`]: nobody locks themselves out, or the admin is none any more.
    pub async fn set_user_suspended(
        &self,
        scope: &InstanceScope,
        user: UserId,
        suspended: bool,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if user == scope.user() {
            return Err(StoreError::Conflict("nobody suspends themselves"));
        }
        let mut writing = self.changing(scope).await?;
        let tx = &mut writing.tx;
        user::get_in(tx, user).await?.ok_or(StoreError::NotFound)?;
        tx.run(
            sql("UPDATE users SET suspended = $2, updated_at = $3 WHERE id = $1")
                .bind(user)
                .bind(suspended)
                .bind(now),
        )
        .await?;
        if suspended {
            session::delete_of_user(tx, user, None).await?;
            password_link::drop_of_user(tx, user).await?;
            password_link::drop_made_by(tx, user).await?;
        }
        // The person may belong to workspaces of many accounts.
        writing
            .commit(Affects::Everybody, scope.origin(), audit, now)
            .await
    }

    /// The person with this email and their password hash. Suspended people are found, too.
    ///
    /// # Errors
    /// As every function here.
    pub async fn login(&self, email: &str) -> Result<Option<(UserRow, String)>, StoreError> {
        user::by_email(self.store, email).await
    }

    /// Logs a person in by a password that fits `verified_hash`, if that is still the stored one: checking a password
    /// takes its time, in which another may have been set and the log-ins before ended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: nobody, suspended, or the password is another by now.
    pub async fn create_session_by_password(
        &self,
        new: &NewSession,
        verified_hash: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        session::insert(&mut writing.tx, new, Some(verified_hash), now).await?;
        writing
            .commit(Affects::Nothing, of_user(new.user), audit, now)
            .await
    }

    /// Logs a person in without a password: who was just added, or came by something else that holds.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: nobody, or suspended.
    pub async fn create_session(
        &self,
        new: &NewSession,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        session::insert(&mut writing.tx, new, None, now).await?;
        writing
            .commit(Affects::Nothing, of_user(new.user), audit, now)
            .await
    }

    /// Begins a log-in that a person approves elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: too many wait.
    pub async fn begin_device_login(
        &self,
        new: &NewDeviceLogin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.db().begin().await?;
        device_login::insert(&mut tx, new, now).await?;
        tx.commit().await
    }

    /// The log-in with this hash of the program's code; `None`: unknown, refused, taken or over.
    ///
    /// # Errors
    /// As every function here.
    pub async fn device_login_by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<DeviceLoginRow>, StoreError> {
        device_login::by_hash(self.store, hash, now).await
    }

    /// The log-in with this hash of the person's code that nobody approved yet; `None`: unknown, or over.
    ///
    /// # Errors
    /// As every function here.
    pub async fn open_device_login(
        &self,
        user_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<DeviceLoginRow>, StoreError> {
        device_login::open(self.store, user_hash, now).await
    }

    /// Adds the session of a log-in that its person approved; of two at once, one is added.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: not approved by this person (any more), taken, over, or the person is suspended.
    pub async fn take_device_login(
        &self,
        hash: &[u8; 32],
        new: &NewSession,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        device_login::take(&mut writing.tx, hash, new.user, now).await?;
        session::insert(&mut writing.tx, new, None, now).await?;
        writing
            .commit(Affects::Nothing, of_user(new.user), audit, now)
            .await
    }

    /// The session with this hash; `None`: unknown, expired, or its person is suspended.
    ///
    /// # Errors
    /// As every function here.
    pub async fn session_by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<SessionRow>, StoreError> {
        session::live(self.store, hash, now).await
    }

    /// Notes that a session is in use, at most once a minute.
    ///
    /// # Errors
    /// As every function here.
    pub async fn touch_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        session::touch(self.store, id, now).await
    }

    /// The API key with this hash as a [`Principal`], its scopes cut by its minter's role.
    ///
    /// `None`: unknown, expired or revoked, its minter is suspended or has left the workspace, or the owner of the
    /// workspace's account is suspended.
    ///
    /// # Errors
    /// As every function here.
    pub async fn api_key_by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        let live = api_key::live(self.store, hash, now).await?;
        Ok(live.map(|live| Principal::ApiKey {
            key: live.id,
            user: live.user,
            workspace: live.workspace,
            account: live.account,
            scopes: live.scopes,
        }))
    }

    /// The open invitation with this hash. One whose maker has lost the right to invite is not open.
    ///
    /// # Errors
    /// As every function here.
    pub async fn invitation_by_hash(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<InvitationRow>, StoreError> {
        invitation::open(self.store, hash, now).await
    }

    /// Makes the invited person a member, adding the person if need be, and says of which workspace.
    ///
    /// Who is added so has the default plan without its monthly credits.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: no open invitation, its maker may invite no more, or the person is unknown or
    ///   suspended.
    /// - [`StoreError::Conflict`]: it is for another email, or the person is a member or a user already.
    /// - [`StoreError::LimitExceeded`]: the plan of the workspace's account gives no more members.
    pub async fn accept_invitation(
        &self,
        hash: &[u8; 32],
        by: &AcceptBy,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<WorkspaceId, StoreError> {
        let mut writing = self.store.writing().await?;
        let tx = &mut writing.tx;
        let invitation = invitation::accept(tx, hash, now).await?;
        let (user, email) = match by {
            AcceptBy::Existing(user) => {
                let person: Option<(String,)> = tx
                    .optional(
                        sql("SELECT email FROM users WHERE id = $1 AND suspended = 0").bind(*user),
                    )
                    .await?;
                (*user, person.ok_or(StoreError::NotFound)?.0)
            }
            AcceptBy::New(new) => (new.user, new.email.clone()),
        };
        if email != invitation.email {
            return Err(StoreError::Conflict("this invitation is for another email"));
        }
        if let AcceptBy::New(new) = by {
            // An invitation to a workspace makes nobody an admin of the instance.
            let new = NewUser {
                instance_admin: false,
                ..new.clone()
            };
            user::insert_invited(tx, &new, now).await?;
        }
        limit::members(tx, invitation.workspace).await?;
        member::insert(tx, invitation.workspace, user, invitation.role, now).await?;
        let origin = Origin {
            workspace: Some(invitation.workspace),
            ..of_user(user)
        };
        // Two accounts may be concerned: the workspace's and a new person's.
        writing
            .commit(Affects::Everybody, origin, audit, now)
            .await?;
        Ok(invitation.workspace)
    }

    /// Writes an audit row of something that was refused and changed nothing.
    ///
    /// # Errors
    /// As every function here.
    pub async fn note_refused(
        &self,
        account: Option<AccountId>,
        workspace: Option<WorkspaceId>,
        actor: Actor,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let origin = Origin {
            actor,
            account,
            workspace,
        };
        let writing = self.store.writing().await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    fn origin(&self, account: Option<AccountId>, workspace: Option<WorkspaceId>) -> Origin {
        Origin {
            actor: self.actor,
            account,
            workspace,
        }
    }
}

/// What a person does with their own log-ins.
fn of_user(user: UserId) -> Origin {
    Origin {
        actor: Actor::User(user),
        account: None,
        workspace: None,
    }
}
