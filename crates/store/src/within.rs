//! The control plane's doors: one workspace, or one account's own things.

mod config;
mod payer;
mod runs;
mod services;

pub use config::Payer;

use domain::access::Role;
use domain::{ApiKeyId, InvitationId, KeyOwner, RequestId, SessionId, Timestamp, UserId};

use crate::Store;
use crate::account::{self, AccountRow};
use crate::api_key::{self, ApiKeyRow, NewApiKey};
use crate::audit::{self, AuditFilter, AuditNote, AuditRow, Origin};
use crate::error::StoreError;
use crate::invitation::{self, InvitationRow, NewInvitation};
use crate::member::{self, MemberRow};
use crate::news::{self, News, NewsPlace};
use crate::page::{Page, PageRequest};
use crate::provider_key::{ProviderKeys, Reach};
use crate::revision::{Affects, Writing};
use crate::scope::{AccountScope, WorkspaceScope};
use crate::usage::{self, SumsRequest, UsageFilter, UsageRow, UsageSummary, Whose};
use crate::workspace::{self, WorkspaceRow};

/// One workspace.
///
/// Besides what is named, every function may fail with [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
/// Every change may fail with [`StoreError::NotFound`] or [`StoreError::Conflict`] because the workspace, the
/// membership or the role by which it was authorized is gone by the time it would commit.
pub struct Within<'a> {
    store: &'a Store,
    scope: &'a WorkspaceScope,
}

impl<'a> Within<'a> {
    pub(crate) fn new(store: &'a Store, scope: &'a WorkspaceScope) -> Self {
        Self { store, scope }
    }

    /// The workspace.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it was deleted in the meantime.
    pub async fn workspace(&self) -> Result<WorkspaceRow, StoreError> {
        workspace::get(self.store, self.scope.workspace())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it was deleted in the meantime.
    pub async fn rename(
        &self,
        name: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        workspace::rename(&mut writing.tx, self.scope.workspace(), name, now).await?;
        commit(writing, origin, audit, now).await
    }

    /// Deletes it: provider keys, data key, members, invitations and API keys are gone for good; usage and
    /// audit stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it was deleted in the meantime.
    pub async fn delete(&self, audit: &AuditNote, now: Timestamp) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        workspace::delete(&mut writing.tx, self.scope.workspace()).await?;
        commit(writing, origin, audit, now).await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// Its members, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn members(&self, page: &PageRequest) -> Result<Page<MemberRow>, StoreError> {
        member::list(self.store, self.scope.workspace(), page).await
    }

    /// Makes a member an admin or a plain member, whose open invitations end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: not a member; [`StoreError::Conflict`]: the owner, or the role owner.
    pub async fn set_member_role(
        &self,
        user: UserId,
        role: Role,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        member::set_role(&mut writing.tx, self.scope.workspace(), user, role).await?;
        commit(writing, origin, audit, now).await
    }

    /// Removes a member, or lets one leave; the API keys that the member minted here and the member's open
    /// invitations end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: not a member; [`StoreError::Conflict`]: the owner.
    pub async fn remove_member(
        &self,
        user: UserId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        member::remove(&mut writing.tx, self.scope.workspace(), user, now).await?;
        commit(writing, origin, audit, now).await
    }

    /// Invites somebody. An open invitation for the same address ends.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: a member already, or the role owner.
    pub async fn create_invitation(
        &self,
        new: &NewInvitation,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<InvitationRow, StoreError> {
        let (workspace, user) = (self.scope.workspace(), self.scope.user());
        let (mut writing, origin) = self.writing().await?;
        let by = (user, self.scope.api_key());
        let row = invitation::insert(&mut writing.tx, workspace, by, new, now).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await?;
        Ok(row)
    }

    /// Its invitations, newest first, accepted and expired ones included.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn list_invitations(
        &self,
        page: &PageRequest,
    ) -> Result<Page<InvitationRow>, StoreError> {
        invitation::list(self.store, self.scope.workspace(), page).await
    }

    /// Takes an open invitation back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none, or accepted already.
    pub async fn revoke_invitation(
        &self,
        id: InvitationId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        invitation::revoke(&mut writing.tx, self.scope.workspace(), id).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Adds an API key. That its scopes lie within [`WorkspaceScope::grantable`] is the caller's to check;
    /// beyond its minter's role they have no effect in any case.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the minter is not a member, or the key exists already; where an API key mints,
    /// that key was revoked, or would end earlier than the new one.
    pub async fn create_api_key(
        &self,
        new: &NewApiKey,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<ApiKeyRow, StoreError> {
        let (mut writing, origin) = self.writing().await?;
        let (workspace, parent) = (self.scope.workspace(), self.scope.api_key());
        let row = api_key::insert(&mut writing.tx, workspace, parent, new, now).await?;
        commit(writing, origin, audit, now).await?;
        Ok(row)
    }

    /// Adds an API key that ends with the log-in `session` of the person who mints it, at the latest. It is in no list
    /// and counts towards no limit; of one log-in eight of them live at a time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: the log-in has ended, or is another person's; [`StoreError::Conflict`]: the key exists
    /// already.
    pub async fn create_session_key(
        &self,
        new: &NewApiKey,
        session: SessionId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<ApiKeyRow, StoreError> {
        let (mut writing, origin) = self.writing().await?;
        let workspace = self.scope.workspace();
        let row =
            api_key::insert_for_session(&mut writing.tx, workspace, session, new, now).await?;
        commit(writing, origin, audit, now).await?;
        Ok(row)
    }

    /// Its API keys, or one member's, newest first, revoked ones included; without those of log-ins.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn list_api_keys(
        &self,
        of: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<ApiKeyRow>, StoreError> {
        api_key::list(self.store, self.scope.workspace(), of, page).await
    }

    /// One of its API keys.
    ///
    /// # Errors
    /// As every function here.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        api_key::get(self.store, self.scope.workspace(), id).await
    }

    /// Revokes an API key with all that were minted with it; one that is revoked already stays so.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn revoke_api_key(
        &self,
        id: ApiKeyId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        api_key::revoke(&mut writing.tx, self.scope.workspace(), id, now).await?;
        commit(writing, origin, audit, now).await
    }

    /// Puts another key, by keyed hash and first characters, in the place of one that is not revoked and still
    /// has the keyed hash `shown`: of many who replace one key at once, one does.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here, or revoked; [`StoreError::Conflict`]: it was replaced in
    /// the meantime, or the new hash is taken.
    pub async fn replace_api_key_hash(
        &self,
        id: ApiKeyId,
        shown: &[u8; 32],
        new: (&[u8; 32], &str),
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = self.scope.workspace();
        let (mut writing, origin) = self.writing().await?;
        api_key::replace_hash(&mut writing.tx, workspace, id, shown, new).await?;
        commit(writing, origin, audit, now).await
    }

    /// Its calls that fit, newest first; for a plain member their own alone.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn usage(
        &self,
        filter: UsageFilter,
        page: &PageRequest,
    ) -> Result<Page<UsageRow>, StoreError> {
        let Some(filter) = filter.of_person(self.whose_calls()) else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        usage::of_workspace(self.store, self.scope.workspace(), &filter, page).await
    }

    /// One of its calls, if its row is written; for a plain member one of their own.
    ///
    /// # Errors
    /// As every function here.
    pub async fn call(&self, request: RequestId) -> Result<Option<UsageRow>, StoreError> {
        let (workspace, person) = (self.scope.workspace(), self.whose_calls());
        usage::one_of_workspace(self.store, workspace, person, request).await
    }

    /// What its calls came to; for a plain member their own alone.
    ///
    /// # Errors
    /// As every function here.
    pub async fn usage_sums(&self, request: &SumsRequest) -> Result<UsageSummary, StoreError> {
        let Some(request) = request.clone().of_person(self.whose_calls()) else {
            return Ok(UsageSummary::default());
        };
        let whose = Whose::Workspace(self.scope.workspace());
        usage::sums(self.store, whose, &request).await
    }

    /// The only person whose calls the caller may see; `None`: everybody's.
    fn whose_calls(&self) -> Option<UserId> {
        let scope = self.scope;
        (scope.role() < Role::Admin).then(|| scope.user())
    }

    /// Behind everything that has happened.
    ///
    /// # Errors
    /// As every function here.
    pub async fn news_end(&self) -> Result<NewsPlace, StoreError> {
        news::end(self.store).await
    }

    /// What has happened to it behind `since`.
    ///
    /// # Errors
    /// As every function here.
    pub async fn news(&self, since: NewsPlace) -> Result<News, StoreError> {
        let (workspace, account) = (self.scope.workspace(), self.scope.account());
        news::of_workspace(self.store, workspace, account, since).await
    }

    /// What of its audit log fits, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        audit::of_workspace(self.store, self.scope.workspace(), filter, page).await
    }

    /// Its provider keys.
    pub fn provider_keys(&self) -> ProviderKeys<'a> {
        ProviderKeys::new(
            self.store,
            KeyOwner::Workspace(self.scope.workspace()),
            Some(self.scope.account()),
            self.scope.origin(),
            Reach::Member(self.scope.user(), self.scope.role()),
        )
    }

    /// Begins a change, in which what was authorized still holds.
    async fn writing(&self) -> Result<(Writing<'a>, Origin), StoreError> {
        let scope = self.scope;
        let mut writing = self.store.writing().await?;
        let (workspace, user) = (scope.workspace(), scope.user());
        let account = member::still(&mut writing.tx, workspace, user, scope.role()).await?;
        let origin = Origin {
            account: Some(account),
            ..scope.origin()
        };
        Ok((writing, origin))
    }
}

/// Commits a change of what is served to the workspace's account.
async fn commit(
    writing: Writing<'_>,
    origin: Origin,
    audit: &AuditNote,
    now: Timestamp,
) -> Result<(), StoreError> {
    let affects = origin.account.map_or(Affects::Everybody, Affects::Account);
    writing.commit(affects, origin, audit, now).await
}

/// One account's own things; nothing of its workspaces.
pub struct WithinAccount<'a> {
    pub(crate) store: &'a Store,
    pub(crate) scope: &'a AccountScope,
}

impl<'a> WithinAccount<'a> {
    pub(crate) fn new(store: &'a Store, scope: &'a AccountScope) -> Self {
        Self { store, scope }
    }

    /// The account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is gone.
    pub async fn account(&self) -> Result<AccountRow, StoreError> {
        account::get(self.store, self.scope.account())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Its provider keys.
    pub fn provider_keys(&self) -> ProviderKeys<'a> {
        ProviderKeys::new(
            self.store,
            KeyOwner::Account(self.scope.account()),
            Some(self.scope.account()),
            self.scope.origin(),
            Reach::Owner(self.scope.user()),
        )
    }

    /// What the calls of its workspaces came to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn usage_sums(&self, request: &SumsRequest) -> Result<UsageSummary, StoreError> {
        usage::sums(self.store, Whose::Account(self.scope.account()), request).await
    }

    /// What of its audit log fits, without its workspaces' rows, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        audit::of_account(self.store, self.scope.account(), filter, page).await
    }
}
