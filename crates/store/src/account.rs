//! Accounts: who owns workspaces. Each person owns one.

use domain::{AccountId, PlanId, Timestamp, UserId};

use crate::Store;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::statement::sql;
use crate::user;

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

/// An account as the instance's admins see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The e-mail of the person who owns it.
    pub owner_email: String,
    /// Its plan.
    pub plan: PlanId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Id, name, e-mail of the owner, plan and moment of an account.
type StoredSummary = (String, String, String, String, i64);

/// All accounts whose owners are there, or those whose owner's e-mail has a part, in whichever case; in the order of their
/// ids. Of one who left the rows stay, under a name that no person can have.
pub(crate) async fn list(
    store: &Store,
    part: Option<&str>,
    page: &PageRequest,
) -> Result<Page<AccountSummary>, StoreError> {
    let list = List("accounts");
    let after: Option<AccountId> = list.place(page)?;
    let rows: Vec<StoredSummary> = store
        .db()
        .all(
            sql("SELECT a.id, a.name, u.email, s.plan_id, a.created_at
                 FROM accounts a
                 JOIN users u ON u.id = a.owner_user
                 JOIN subscriptions s ON s.account_id = a.id
                 WHERE a.id > $1 AND u.email <> 'deleted-' || u.id
                   AND lower(u.email) LIKE lower($2) ESCAPE '\\'
                 ORDER BY a.id LIMIT $3")
            .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
            .bind(user::holding(part.unwrap_or_default()).as_str())
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read_summary, |row| row.id.to_string())
}

/// The account with this id, with its plan.
pub(crate) async fn summary(
    store: &Store,
    account: AccountId,
) -> Result<Option<AccountSummary>, StoreError> {
    let row: Option<StoredSummary> = store
        .db()
        .optional(
            sql("SELECT a.id, a.name, u.email, s.plan_id, a.created_at
                 FROM accounts a
                 JOIN users u ON u.id = a.owner_user
                 JOIN subscriptions s ON s.account_id = a.id
                 WHERE a.id = $1")
            .bind(account),
        )
        .await?;
    row.map(read_summary).transpose()
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

fn read_summary(
    (id, name, owner_email, plan, created_at): StoredSummary,
) -> Result<AccountSummary, StoreError> {
    let place = Place {
        table: "accounts",
        id: &id,
    };
    Ok(AccountSummary {
        id: place.parse("id", &id)?,
        plan: place.parse("plan of it", &plan)?,
        created_at: Timestamp::from_millis(created_at),
        name,
        owner_email,
    })
}
