//! Leaving the instance for good.

use domain::{AccountId, Timestamp, UserId};

use super::Own;
use crate::audit::AuditNote;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::revision::Affects;
use crate::session;
use crate::statement::sql;
use crate::user;

/// No password has this hash.
const NO_PASSWORD: &str = "!";
/// Above this many other accounts, everybody's rows count as changed.
const MOST_ACCOUNTS: usize = 100;

impl Own<'_> {
    /// Deletes the person's account: its workspaces with everything in them, its provider keys and data keys, the
    /// person's log-ins, API keys, invitations and memberships are gone for good, and so are e-mail and password.
    /// Usage, the ledger and the audit log stay; they name ids only. The person's password fits `verified_hash`.
    ///
    /// # Errors
    /// [`StoreError::LastAdmin`]: nobody else manages the instance; [`StoreError::NotFound`] if the person is gone, or the
    /// password or the log-in is not what it was.
    pub async fn delete_account(
        &self,
        verified_hash: &str,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (user, account) = (self.scope.user(), self.scope.account());
        let mut writing = self.store.writing().await?;
        let tx = &mut writing.tx;
        self.still_proven(tx, verified_hash, now).await?;
        let email = leaving(tx, user).await?;
        let others = other_accounts(tx, user, account).await?;
        delete_keys(tx, account).await?;
        delete_traces(tx, user, &email).await?;
        session::delete_of_user(tx, user, None).await?;
        forget_name(tx, user, account, now).await?;
        let affects = match others.len() {
            ..=MOST_ACCOUNTS => Affects::Account(account),
            _ => Affects::Everybody,
        };
        if let Affects::Account(_) = affects {
            for other in others {
                writing.affects_also(other).await?;
            }
        }
        writing
            .commit(affects, self.scope.origin(), audit, now)
            .await?;
        self.store.db().forget_log().await;
        Ok(())
    }
}

/// The e-mail of a person who may leave.
async fn leaving(tx: &mut Tx, user: UserId) -> Result<String, StoreError> {
    let person: Option<(String, i64)> = tx
        .optional(
            sql("SELECT email, instance_admin FROM users WHERE id = $1 AND suspended = 0")
                .bind(user),
        )
        .await?;
    let (email, instance_admin) = person.ok_or(StoreError::NotFound)?;
    if instance_admin != 0 {
        user::another_admin(tx, user).await?;
    }
    Ok(email)
}

/// The other accounts in whose workspaces the person may call.
async fn other_accounts(
    tx: &mut Tx,
    user: UserId,
    account: AccountId,
) -> Result<Vec<AccountId>, StoreError> {
    let rows: Vec<(String,)> = tx
        .all(
            sql("SELECT DISTINCT w.account_id
                 FROM members m JOIN workspaces w ON w.id = m.workspace_id
                 WHERE m.user_id = $1 AND w.account_id <> $2")
            .bind(user)
            .bind(account),
        )
        .await?;
    let read = |(id,): (String,)| {
        let place = Place {
            table: "workspaces",
            id: &id,
        };
        place.parse("account_id", &id)
    };
    rows.into_iter().map(read).collect()
}

/// Deletes what the account owns. Keys go with their data keys, and a workspace's with the workspace.
async fn delete_keys(tx: &mut Tx, account: AccountId) -> Result<(), StoreError> {
    for statement in [
        sql("DELETE FROM workspaces WHERE account_id = $1"),
        sql("DELETE FROM data_keys WHERE account_id = $1"),
        sql("DELETE FROM account_defaults WHERE account_id = $1"),
        sql("DELETE FROM removed_provider_keys WHERE owner_id = $1"),
    ] {
        tx.run(statement.bind(account)).await?;
    }
    Ok(())
}

/// Deletes what the person has in other accounts' workspaces.
async fn delete_traces(tx: &mut Tx, user: UserId, email: &str) -> Result<(), StoreError> {
    for statement in [
        sql("DELETE FROM api_keys WHERE user_id = $1"),
        sql("DELETE FROM invitations WHERE invited_by = $1"),
        sql("DELETE FROM members WHERE user_id = $1"),
        sql("DELETE FROM password_links WHERE user_id = $1 OR made_by = $1"),
    ] {
        tx.run(statement.bind(user)).await?;
    }
    tx.run(sql("DELETE FROM invitations WHERE email = $1").bind(email))
        .await?;
    Ok(())
}

/// Leaves of the person and the account what other rows refer to.
async fn forget_name(
    tx: &mut Tx,
    user: UserId,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = format!("deleted-{user}");
    tx.run(
        sql("UPDATE users
             SET email = $2, password_hash = $3, instance_admin = 0, suspended = 1, updated_at = $4
             WHERE id = $1")
        .bind(user)
        .bind(&name)
        .bind(NO_PASSWORD)
        .bind(now),
    )
    .await?;
    tx.run(
        sql("UPDATE accounts SET name = $2 WHERE id = $1")
            .bind(account)
            .bind(&name),
    )
    .await?;
    Ok(())
}
