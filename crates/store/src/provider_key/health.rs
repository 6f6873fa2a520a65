//! How provider keys fared lately.

use std::collections::BTreeMap;

use domain::{KeyOwner, ProviderKeyId, Timestamp};

use crate::Store;
use crate::error::{Place, StoreError};
use crate::statement::sql;
use crate::usage;

/// How the tries with a provider key ended in the last 24 hours: in this one, and in the 23 before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyHealth {
    /// How often the provider was called with it.
    pub calls: i64,
    /// How often that did not serve.
    pub failed: i64,
    /// How often the provider answered 401.
    pub unauthorized: i64,
    /// How often the provider answered 429.
    pub rate_limited: i64,
}

/// Of the keys of an owner, those that were tried.
pub(super) async fn of_owner(
    store: &Store,
    owner: KeyOwner,
    now: Timestamp,
) -> Result<BTreeMap<ProviderKeyId, KeyHealth>, StoreError> {
    let rows: Vec<(String, i64, i64, i64, i64)> = store
        .db()
        .all(
            sql("SELECT h.provider_key_id, CAST(sum(h.calls) AS BIGINT),
                        CAST(sum(h.failed) AS BIGINT), CAST(sum(h.unauthorized) AS BIGINT),
                        CAST(sum(h.rate_limited) AS BIGINT)
                 FROM provider_keys k
                 JOIN provider_key_hours h ON h.provider_key_id = k.id
                 WHERE k.owner_id = $1 AND h.hour > $2
                 GROUP BY h.provider_key_id")
            .bind(owner)
            .bind(usage::hour(now) - (usage::HOURS - 1)),
        )
        .await?;
    let read = |(id, calls, failed, unauthorized, rate_limited): (String, i64, i64, i64, i64)| {
        let place = Place {
            table: "provider_key_hours",
            id: &id,
        };
        let health = KeyHealth {
            calls,
            failed,
            unauthorized,
            rate_limited,
        };
        Ok((place.parse("provider_key_id", &id)?, health))
    };
    rows.into_iter().map(read).collect()
}
