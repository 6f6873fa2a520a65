//! Accounts: who owns workspaces. Each person owns one.

use domain::{AccountId, Timestamp, UserId};

use crate::Store;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// Its name; at first its owner's email.
    pub name: String,
    /// The person who owns it.
    pub owner: UserId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The account with this id.
pub(crate) async fn get(
    store: &Store,
    account: AccountId,
) -> Result<Option<AccountRow>, StoreError> {
    let row: Option<(String, String, String, i64)> = store
        .db()
        .optional(
            sql("SELECT id, name, owner_user, created_at FROM accounts WHERE id = $1")
                .bind(account),
        )
        .await?;
    row.map(|(id, name, owner, created_at)| {
        let place = Place {
            table: "accounts",
            id: &id,
        };
        Ok(AccountRow {
            id: place.parse("id", &id)?,
            name,
            owner: place.parse("owner_user", &owner)?,
            created_at: Timestamp::from_millis(created_at),
        })
    })
    .transpose()
}
