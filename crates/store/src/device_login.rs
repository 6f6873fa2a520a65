//! Log-ins that a program began and a person approves elsewhere. Only keyed hashes of their codes are stored.

use domain::{SessionId, Timestamp, UserId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// The most that wait at once, in the whole instance: anybody can begin one.
pub const MAX_DEVICE_LOGINS: i64 = 10_000;

/// A log-in to begin.
#[derive(Clone)]
pub struct NewDeviceLogin {
    /// The keyed hash of the code that the program keeps.
    pub hash: [u8; 32],
    /// The keyed hash of the code that the person types.
    pub user_hash: [u8; 32],
    /// What the program calls itself, shortened by the caller.
    pub client: String,
    /// Where the program is, if that is known.
    pub address: Option<String>,
    /// Until when it can be approved and taken.
    pub expires_at: Timestamp,
}

/// A log-in that waits, without its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLoginRow {
    /// What the program calls itself.
    pub client: String,
    /// Where the program is.
    pub address: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// Until when it can be approved and taken.
    pub expires_at: Timestamp,
    /// Who approved it.
    pub approved_by: Option<UserId>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    client: String,
    address: Option<String>,
    created_at: i64,
    expires_at: i64,
    user_id: Option<String>,
}

/// Adds a log-in that waits, and drops those whose time is over.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewDeviceLogin,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(sql("DELETE FROM device_logins WHERE expires_at <= $1").bind(now))
        .await?;
    let (count,): (i64,) = tx.one(sql("SELECT count(*) FROM device_logins")).await?;
    if count >= MAX_DEVICE_LOGINS {
        return Err(StoreError::Conflict("too many log-ins wait for approval"));
    }
    tx.run(
        sql(
            "INSERT INTO device_logins (hash, user_hash, client, address, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&new.hash)
        .bind(&new.user_hash)
        .bind(&new.client)
        .bind(new.address.as_deref())
        .bind(now)
        .bind(new.expires_at),
    )
    .await?;
    Ok(())
}

/// The log-in with this hash of the program's code, if its time is not over.
pub(crate) async fn by_hash(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<DeviceLoginRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT d.client, d.address, d.created_at, d.expires_at, s.user_id
                 FROM device_logins d
                 LEFT JOIN sessions s ON s.id = d.session_id AND s.expires_at > $2
                 WHERE d.hash = $1 AND d.expires_at > $2",
            )
            .bind(hash)
            .bind(now),
        )
        .await?
        .map(read)
        .transpose()
}

/// The log-in with this hash of the person's code, if its time is not over and nobody approved it.
pub(crate) async fn open(
    store: &Store,
    user_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<DeviceLoginRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT client, address, created_at, expires_at, CAST(NULL AS TEXT) AS user_id
                 FROM device_logins
                 WHERE user_hash = $1 AND expires_at > $2 AND session_id IS NULL",
            )
            .bind(user_hash)
            .bind(now),
        )
        .await?
        .map(read)
        .transpose()
}

/// Approves the open log-in with this hash of the person's code, for the person of this session.
pub(crate) async fn approve(
    tx: &mut Tx,
    user_hash: &[u8; 32],
    session: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let approved = tx
        .run(
            sql("UPDATE device_logins SET session_id = $2
                 WHERE user_hash = $1 AND expires_at > $3 AND session_id IS NULL")
            .bind(user_hash)
            .bind(session)
            .bind(now),
        )
        .await?;
    if approved == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Drops the open log-in with this hash of the person's code.
pub(crate) async fn refuse(tx: &mut Tx, user_hash: &[u8; 32]) -> Result<(), StoreError> {
    let refused = tx
        .run(
            sql("DELETE FROM device_logins WHERE user_hash = $1 AND session_id IS NULL")
                .bind(user_hash),
        )
        .await?;
    if refused == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Takes the log-in that this person approved, once.
pub(crate) async fn take(
    tx: &mut Tx,
    hash: &[u8; 32],
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let taken = tx
        .run(
            sql("DELETE FROM device_logins
                 WHERE hash = $1 AND expires_at > $3
                   AND EXISTS (SELECT 1 FROM sessions s
                               WHERE s.id = device_logins.session_id
                                 AND s.user_id = $2 AND s.expires_at > $3)")
            .bind(hash)
            .bind(user)
            .bind(now),
        )
        .await?;
    if taken == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// Drops all log-ins that a person approved and that nobody took.
pub(crate) async fn drop_of_user(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    tx.run(
        sql("DELETE FROM device_logins
             WHERE session_id IN (SELECT id FROM sessions WHERE user_id = $1)")
        .bind(user),
    )
    .await?;
    Ok(())
}

fn read(row: Stored) -> Result<DeviceLoginRow, StoreError> {
    let place = Place {
        table: "device_logins",
        id: "-",
    };
    Ok(DeviceLoginRow {
        approved_by: place.parse_optional("user_id", row.user_id.as_deref())?,
        client: row.client,
        address: row.address,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}
