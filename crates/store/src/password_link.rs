//! Links to a new password. Only a keyed hash of a link's credential is stored, for one link of a person at a time.

use domain::{Timestamp, UserId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;
use crate::user::{self, UserRow};

/// A link to add. It takes the place of the person's link before.
#[derive(Clone)]
pub struct NewPasswordLink {
    /// Whose password it is for.
    pub user: UserId,
    /// The keyed hash of the link's credential.
    pub hash: [u8; 32],
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Ends a statement about links with what makes one open: in time (`$2` is now), for a person who is not suspended, and
/// still backed by the admin who made it, if it was one.
macro_rules! open {
    ($before:literal, $after:literal) => {
        sql(concat!(
            $before,
            " WHERE hash = $1 AND expires_at > $2
                AND EXISTS (SELECT 1
                            FROM users u
                            WHERE u.id = password_links.user_id AND u.suspended = 0)
                AND (made_by IS NULL
                     OR EXISTS (SELECT 1
                                FROM users a
                                WHERE a.id = password_links.made_by
                                  AND a.instance_admin = 1 AND a.suspended = 0)) ",
            $after
        ))
    };
}

/// Adds a link for a person who is not suspended, in the place of the one before.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewPasswordLink,
    made_by: Option<UserId>,
    now: Timestamp,
) -> Result<UserRow, StoreError> {
    let user = user::get_in(tx, new.user)
        .await?
        .ok_or(StoreError::NotFound)?;
    if user.suspended {
        return Err(StoreError::Conflict("the user is suspended"));
    }
    drop_of_user(tx, new.user).await?;
    tx.run(
        sql(
            "INSERT INTO password_links (user_id, hash, made_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.user)
        .bind(&new.hash)
        .bind(made_by)
        .bind(now)
        .bind(new.expires_at),
    )
    .await?;
    Ok(user)
}

/// Whether there is an open link with this hash.
pub(crate) async fn is_open(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let found: Option<(String,)> = store
        .db()
        .optional(
            open!("SELECT user_id FROM password_links", "")
                .bind(hash)
                .bind(now),
        )
        .await?;
    Ok(found.is_some())
}

/// Takes the open link with this hash away and says whose it was.
pub(crate) async fn take(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<UserRow, StoreError> {
    let taken: Option<(String,)> = tx
        .optional(
            open!("DELETE FROM password_links", "RETURNING user_id")
                .bind(hash)
                .bind(now),
        )
        .await?;
    let (id,) = taken.ok_or(StoreError::NotFound)?;
    let place = Place {
        table: "password_links",
        id: "-",
    };
    let user = place.parse("user_id", &id)?;
    user::get_in(tx, user).await?.ok_or(StoreError::NotFound)
}

/// Ends the link of a person, if there is one.
pub(crate) async fn drop_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.run(sql("DELETE FROM password_links WHERE user_id = $1").bind(user))
        .await?;
    Ok(())
}

/// Ends the links for others that a person made.
pub(crate) async fn drop_made_by(tx: &mut Tx, maker: UserId) -> Result<(), StoreError> {
    tx.run(sql("DELETE FROM password_links WHERE made_by = $1").bind(maker))
        .await?;
    Ok(())
}

/// Removes links that ended by themselves.
pub(crate) async fn prune(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let mut tx = store.db().begin().await?;
    let removed = tx
        .run(sql("DELETE FROM password_links WHERE expires_at <= $1").bind(now))
        .await?;
    tx.commit().await?;
    Ok(removed)
}
