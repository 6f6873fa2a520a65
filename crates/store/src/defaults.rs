//! What new workspaces of an account start with. The key among it is a template among the account's provider keys.

use domain::policy::{Mode, ModelName};
use domain::{AccountId, ProviderId, Timestamp};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::{Statement, sql};

/// What new workspaces of an account start with; `None`: as the instance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultsRow {
    /// Who pays.
    pub mode: Option<Mode>,
    /// The provider that the AI config names.
    pub provider: Option<ProviderId>,
    /// The model that serves when a call names none.
    pub model: Option<ModelName>,
    /// When something of this last changed; the beginning of 1970: never.
    pub updated_at: Timestamp,
}

type Stored = (Option<String>, Option<String>, Option<String>, i64);

/// What an account decided.
pub(crate) async fn get(store: &Store, account: AccountId) -> Result<DefaultsRow, StoreError> {
    read(account, store.db().optional(select(account)).await?)
}

/// Decides otherwise, if `expected` is what is decided now.
pub(crate) async fn put(
    tx: &mut Tx,
    account: AccountId,
    expected: &DefaultsRow,
    new: &DefaultsRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let stored = read(account, tx.optional(select(account)).await?)?;
    if stored != *expected {
        return Err(StoreError::Conflict(
            "the account's defaults were changed in the meantime",
        ));
    }
    tx.run(
        sql(
            "INSERT INTO account_defaults (account_id, mode, provider, model, updated_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (account_id)
             DO UPDATE SET mode = $2, provider = $3, model = $4, updated_at = $5",
        )
        .bind(account)
        .bind(new.mode)
        .bind(new.provider.as_ref())
        .bind(new.model.as_ref())
        .bind(now),
    )
    .await?;
    Ok(())
}

fn select(account: AccountId) -> Statement {
    sql("SELECT mode, provider, model, updated_at FROM account_defaults WHERE account_id = $1")
        .bind(account)
}

fn read(account: AccountId, row: Option<Stored>) -> Result<DefaultsRow, StoreError> {
    let id = account.to_string();
    let place = Place {
        table: "account_defaults",
        id: &id,
    };
    let (mode, provider, model, at) = row.unwrap_or_default();
    Ok(DefaultsRow {
        mode: place.parse_optional("mode", mode.as_deref())?,
        provider: place.parse_optional("provider", provider.as_deref())?,
        model: place.parse_optional("model", model.as_deref())?,
        updated_at: Timestamp::from_millis(at),
    })
}
