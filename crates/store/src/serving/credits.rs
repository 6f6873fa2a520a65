//! Credits around one call: hold, forward, settle.

use domain::{RequestId, Timestamp};

use super::Serving;
use crate::credit::{self, ManagedFallback, NewHold, Reservation};
use crate::error::StoreError;
use crate::usage::UsageRow;

impl Serving<'_> {
    /// Holds credits for a call, or says why the call must not go on. Refused, it leaves no trace.
    ///
    /// # Errors
    /// - [`StoreError::Conflict`]: the call has a hold already, or the amount is out of range.
    /// - [`StoreError::NotFound`]: there is no such account.
    /// - [`StoreError::Unavailable`]: nothing is held.
    pub async fn reserve(&self, hold: &NewHold, now: Timestamp) -> Result<Reservation, StoreError> {
        credit::reserve(self.store, hold, now).await
    }

    /// Notes that the call is about to be forwarded: from now on it is charged even if this node dies. Call it
    /// before the first byte leaves.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: it has no hold, or others have settled it meanwhile: it must not be forwarded.
    /// - [`StoreError::Unavailable`].
    pub async fn mark_forwarded(&self, request: RequestId) -> Result<(), StoreError> {
        credit::forwarded(self.store, request).await
    }

    /// Writes usage rows and settles their calls' holds, all or none; a call that has a row already keeps it and
    /// is not charged again.
    ///
    /// # Errors
    /// - [`StoreError::Unavailable`]: nothing was written; the same rows may be sent again.
    /// - [`StoreError::NotFound`]: a row is charged to an account that does not exist.
    pub async fn insert_usage(&self, rows: &[UsageRow]) -> Result<(), StoreError> {
        credit::settle(self.store, rows).await
    }

    /// Audits that credits stood in for a failed own key, the first time for this value of the key, and says
    /// whether it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing is noted.
    pub async fn note_managed_fallback(
        &self,
        fallback: &ManagedFallback,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        credit::note_fallback(self.store, fallback, now).await
    }
}
