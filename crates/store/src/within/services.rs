//! What a workspace has its machines run.
//!
//! Nothing of it is served by the data plane, so no change here is a revision.

use domain::{ScriptId, ServiceId, Timestamp};

use super::Within;
use crate::audit::AuditNote;
use crate::error::StoreError;
use crate::revision::Affects;
use crate::script::{self, ScriptRow};
use crate::service::{self, ServiceRow};

impl Within<'_> {
    /// Its scripts in the order in which they run; at most [`domain::service::MAX_SCRIPTS`].
    ///
    /// # Errors
    /// As every function here.
    pub async fn scripts(&self) -> Result<Vec<ScriptRow>, StoreError> {
        script::list(self.store, self.scope.workspace()).await
    }

    /// One of its scripts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn script(&self, id: ScriptId) -> Result<ScriptRow, StoreError> {
        let found = script::get(self.store, self.scope.workspace(), id).await?;
        found.ok_or(StoreError::NotFound)
    }

    /// Adds a script.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the name is taken, or there are as many as there may be.
    pub async fn create_script(
        &self,
        row: &ScriptRow,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        script::insert(&mut writing.tx, self.scope.workspace(), row).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Writes a script anew; its version rises by one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the name is taken, or it has not `row.version` any more.
    pub async fn update_script(
        &self,
        row: &ScriptRow,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        script::update(&mut writing.tx, self.scope.workspace(), row).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Removes a script.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn delete_script(
        &self,
        id: ScriptId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        script::delete(&mut writing.tx, self.scope.workspace(), id).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Its services, by name; at most [`domain::service::MAX_SERVICES`].
    ///
    /// # Errors
    /// As every function here.
    pub async fn services(&self) -> Result<Vec<ServiceRow>, StoreError> {
        service::list(self.store, self.scope.workspace()).await
    }

    /// One of its services.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn service(&self, id: ServiceId) -> Result<ServiceRow, StoreError> {
        let found = service::get(self.store, self.scope.workspace(), id).await?;
        found.ok_or(StoreError::NotFound)
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the name is taken, or there are as many as there may be.
    pub async fn create_service(
        &self,
        row: &ServiceRow,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        service::insert(&mut writing.tx, self.scope.workspace(), row).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Writes a service anew; its version rises by one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the name is taken, or it has not `row.version` any more.
    pub async fn update_service(
        &self,
        row: &ServiceRow,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        service::update(&mut writing.tx, self.scope.workspace(), row).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Removes a service.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]: none with this id here.
    pub async fn delete_service(
        &self,
        id: ServiceId,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut writing, origin) = self.writing().await?;
        service::delete(&mut writing.tx, self.scope.workspace(), id).await?;
        writing.commit(Affects::Nothing, origin, audit, now).await
    }
}
