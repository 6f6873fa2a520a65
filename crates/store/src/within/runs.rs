//! A workspace's generation runs.

use domain::run::Visibility;
use domain::{ApiKeyId, RunId, Timestamp};

use super::{Within, commit};
use crate::api_key::{self, NewApiKey};
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::page::{Page, PageRequest};
use crate::revision::Affects;
use crate::run::{self, NewRun, Piece, RunPart, RunRow};

impl Within<'_> {
    /// Adds a run that waits for a worker.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: too many runs or too many bytes of results.
    pub async fn create_run(
        &self,
        new: NewRun,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<RunRow, StoreError> {
        let (workspace, user) = (self.scope.workspace(), self.scope.user());
        let (mut writing, origin) = self.writing().await?;
        let row = run::insert(&mut writing.tx, workspace, user, new, now).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await?;
        Ok(row)
    }

    /// Its runs, newest first: those of the caller, and those that others share.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn list_runs(&self, page: &PageRequest) -> Result<Page<RunRow>, StoreError> {
        run::list(self.store, self.scope.workspace(), self.scope.user(), page).await
    }

    /// A run that the caller may read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn run(&self, id: RunId) -> Result<RunRow, StoreError> {
        let (workspace, user) = (self.scope.workspace(), self.scope.user());
        let row = run::get(self.store, workspace, user, id).await?;
        row.ok_or(StoreError::NotFound)
    }

    /// What there is of what a run made that the caller may read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn run_parts(&self, id: RunId) -> Result<Vec<RunPart>, StoreError> {
        let row = self.run(id).await?;
        run::parts(self.store, row.id).await
    }

    /// A piece of what a step made; empty behind its end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: there is no such run, or the caller may not read it any more.
    pub async fn run_piece(&self, id: RunId, piece: Piece) -> Result<Vec<u8>, StoreError> {
        let reader = (self.scope.workspace(), self.scope.user());
        let content = run::piece(self.store, reader, id, piece).await?;
        content.ok_or(StoreError::NotFound)
    }

    /// Stops a run that has not ended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`]: it has ended.
    pub async fn cancel_run(
        &self,
        id: RunId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.run(id).await?;
        let (mut writing, origin) = self.writing().await?;
        run::cancel(&mut writing.tx, row.id, now).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Lets a run that failed or was cancelled be worked on again, if it is still as `row` says.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: it did neither, or too many runs have not ended.
    pub async fn retry_run(
        &self,
        row: RunRow,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<RunRow, StoreError> {
        let (mut writing, origin) = self.writing().await?;
        let row = run::retry(&mut writing.tx, row, now).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await?;
        Ok(row)
    }

    /// Changes who may read a run; a link that was given out before ends.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn share_run(
        &self,
        id: RunId,
        visibility: Visibility,
        link_hash: Option<&[u8; 32]>,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.run(id).await?;
        let (mut writing, origin) = self.writing().await?;
        run::share(&mut writing.tx, row.id, visibility, link_hash, now).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Removes a run with everything in it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_run(
        &self,
        id: RunId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.run(id).await?;
        let (mut writing, origin) = self.writing().await?;
        run::delete(&mut writing.tx, row.id).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await?;
        self.store.db().forget_log().await;
        Ok(())
    }

    /// The API key that stands for the caller's log-in, if there is one that may act.
    ///
    /// # Errors
    /// As every function here.
    pub async fn run_caller(&self) -> Result<Option<ApiKeyId>, StoreError> {
        run::caller(self.store, self.scope.workspace(), self.scope.user()).await
    }

    /// Mints the API key that stands for the caller's log-in.
    ///
    /// # Errors
    /// As every function here; [`StoreError::Conflict`] where the caller is no member any more.
    pub async fn create_run_caller(
        &self,
        new: &NewApiKey,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (workspace, user) = (self.scope.workspace(), self.scope.user());
        let (mut writing, origin) = self.writing().await?;
        api_key::insert_for_runs(&mut writing.tx, workspace, new, now).await?;
        run::set_caller(&mut writing.tx, workspace, user, new.id).await?;
        commit(writing, origin, audit, now).await
    }
}
