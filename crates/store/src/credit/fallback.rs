//! The first time that credits stand in for a failed own key is an event of its own.

use domain::{AccountId, Label, ProviderId, ProviderKeyId, RequestId, Timestamp, WorkspaceId};

use crate::Store;
use crate::audit::{Actor, AuditNote, Origin};
use crate::error::StoreError;
use crate::revision::Affects;
use crate::statement::sql;

/// Credits stood in for a failed own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedFallback {
    /// The key that failed.
    pub key: ProviderKeyId,
    /// The version of its value.
    pub version: i64,
    /// The account that pays.
    pub account: AccountId,
    /// The workspace that called.
    pub workspace: WorkspaceId,
    /// The key's provider.
    pub provider: ProviderId,
    /// The key's label.
    pub label: Label,
    /// The call.
    pub request: RequestId,
}

/// Writes an audit row, the first time for this value of the key, and says whether it was.
pub(crate) async fn note(
    store: &Store,
    fallback: &ManagedFallback,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // Nearly every time it is noted already, and then nothing must wait for the lock of changes.
    let (noted,): (i64,) = store
        .db()
        .one(
            sql("SELECT count(*) FROM managed_fallbacks
                 WHERE provider_key_id = $1 AND version = $2")
            .bind(fallback.key)
            .bind(fallback.version),
        )
        .await?;
    if noted > 0 {
        return Ok(false);
    }
    let mut writing = store.writing().await?;
    let first = writing
        .tx
        .run(
            sql(
                "INSERT INTO managed_fallbacks (provider_key_id, version, at) VALUES ($1, $2, $3)
                 ON CONFLICT (provider_key_id, version) DO NOTHING",
            )
            .bind(fallback.key)
            .bind(fallback.version)
            .bind(now),
        )
        .await?;
    if first == 0 {
        return Ok(false);
    }
    let origin = Origin {
        actor: Actor::System,
        account: Some(fallback.account),
        workspace: Some(fallback.workspace),
    };
    let note = AuditNote {
        action: "provider_key.managed_fallback",
        provider: Some(fallback.provider.clone()),
        label: Some(fallback.label.clone()),
        kek_id: None,
        content_sha256: None,
        subject: Some(fallback.key.to_string()),
        outcome: "ok",
        request: fallback.request,
    };
    writing.commit(Affects::Nothing, origin, &note, now).await?;
    Ok(true)
}
