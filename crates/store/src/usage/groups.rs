//! What many calls have in common: kept once, and named in each call's row by a number.
//!
//! Groups are remembered, so that a call's row costs no look into the database; what is remembered is bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{KeyScope, Label, ProviderId};

use super::UsageRow;
use crate::Store;
use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::{Statement, sql};

/// How many groups a process remembers, some hundred bytes each. When there are more it begins anew.
const MOST_REMEMBERED: usize = 8_192;
/// How often a number is tried to get that other nodes take at the same time.
const TRIES: usize = 50;

/// The number of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(pub(super) i64);

/// The groups that this process met.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<Box<[u8]>, GroupId>>);

impl Groups {
    fn get(&self, content: &[u8]) -> Option<GroupId> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(content).copied()
    }

    fn remember(&self, content: &[u8], id: GroupId) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(content.into(), id);
    }
}

/// The groups of rows, in their order. New ones are written at once, in one transaction of their own that does nothing
/// else: numbers are taken in a row, so a node that waits for another's number has taken none that the other could wait for.
pub(crate) async fn ids(store: &Store, rows: &[&UsageRow]) -> Result<Vec<GroupId>, StoreError> {
    let mut ids = Vec::with_capacity(rows.len());
    let mut met: BTreeMap<Vec<u8>, GroupId> = BTreeMap::new();
    let mut writing: Option<Tx> = None;
    let mut content = Vec::with_capacity(256);
    for row in rows {
        content.clear();
        write(row, &mut content);
        let known = met.get(&content).copied();
        let id = match known.or_else(|| store.usage_groups().get(&content)) {
            Some(id) => id,
            None => {
                let tx = match &mut writing {
                    Some(tx) => tx,
                    none => none.insert(store.db().begin().await?),
                };
                let id = find_or_add(tx, row).await?;
                met.insert(content.clone(), id);
                id
            }
        };
        ids.push(id);
    }
    if let Some(tx) = writing {
        tx.commit().await?;
        // Only now: what is remembered must be there.
        for (content, id) in met {
            store.usage_groups().remember(&content, id);
        }
    }
    Ok(ids)
}

/// The group of one row, inside of a transaction: if that fails, the group is gone as well, so it is not remembered.
pub(crate) async fn find_or_add(tx: &mut Tx, row: &UsageRow) -> Result<GroupId, StoreError> {
    for _ in 0..TRIES {
        let found: Option<(i64,)> = tx.optional(bind(row, sql(FIND))).await?;
        let id = match found {
            Some(found) => Some(found),
            None => tx.optional(bind(row, sql(ADD))).await?,
        };
        if let Some((id,)) = id {
            return Ok(GroupId(id));
        }
    }
    Err(StoreError::Conflict("other nodes took every number"))
}

const FIND: &str = "SELECT id FROM usage_groups
     WHERE account_id = $1 AND workspace_id = $2 AND api_key_id = $3 AND user_id = $4 AND wire_format = $5
       AND operation = $6 AND model_requested = $7 AND provider IS NOT DISTINCT FROM $8
       AND model IS NOT DISTINCT FROM $9 AND key_source IS NOT DISTINCT FROM $10
       AND provider_key_id IS NOT DISTINCT FROM $11 AND key_label IS NOT DISTINCT FROM $12
       AND pricing IS NOT DISTINCT FROM $13 AND catalog_version IS NOT DISTINCT FROM $14
       AND key_scope IS NOT DISTINCT FROM $15
     ORDER BY id LIMIT 1";

/// No row: another node took the number.
const ADD: &str =
    "INSERT INTO usage_groups (id, account_id, workspace_id, api_key_id, user_id, wire_format, operation,
                               model_requested, provider, model, key_source, provider_key_id, key_label, pricing,
                               catalog_version, key_scope)
     SELECT COALESCE(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
     FROM usage_groups WHERE 0 = 0
     ON CONFLICT (id) DO NOTHING RETURNING id";

fn bind(row: &UsageRow, statement: Statement) -> Statement {
    statement
        .bind(row.account)
        .bind(row.workspace)
        .bind(row.api_key)
        .bind(row.user)
        .bind(&row.wire_format)
        .bind(&row.operation)
        .bind(&row.model_requested)
        .bind(row.provider.as_ref().map(ProviderId::as_str))
        .bind(row.model.as_deref())
        .bind(row.key_source.map(KeySource::as_str))
        .bind(row.key)
        .bind(row.key_label.as_ref().map(Label::as_str))
        .bind(row.pricing.map(Pricing::as_str))
        .bind(row.catalog_version.as_deref())
        .bind(row.key_scope.map(KeyScope::as_str))
}

/// Appends what makes the group, so that no two groups have the same bytes: ids are of one length, and texts say theirs.
fn write(row: &UsageRow, content: &mut Vec<u8>) {
    content.extend_from_slice(row.account.bytes());
    content.extend_from_slice(row.workspace.bytes());
    content.extend_from_slice(row.api_key.bytes());
    content.extend_from_slice(row.user.bytes());
    match row.key {
        Some(key) => {
            content.push(1);
            content.extend_from_slice(key.bytes());
        }
        None => content.push(0),
    }
    let texts = [
        Some(row.wire_format.as_str()),
        Some(&row.operation),
        Some(&row.model_requested),
        row.provider.as_ref().map(ProviderId::as_str),
        row.model.as_deref(),
        row.key_source.map(KeySource::as_str),
        row.key_label.as_ref().map(Label::as_str),
        row.pricing.map(Pricing::as_str),
        row.catalog_version.as_deref(),
        row.key_scope.map(KeyScope::as_str),
    ];
    for text in texts {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        content.extend_from_slice(&length.to_le_bytes());
        content.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
}
