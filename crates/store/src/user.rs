//! People who log in.

use domain::policy::WorkspacePolicy;
use domain::{AccountId, SessionId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::revision::Writing;
use crate::statement::sql;
use crate::workspace::{self, NewWorkspace};
use crate::{device_login, password_link, plan, provider_key_row, session, settings};

/// A person, without the password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The person's id.
    pub id: UserId,
    /// Lower-cased and trimmed; unique.
    pub email: String,
    /// The account that the person owns.
    pub account: AccountId,
    /// Whether the person manages the instance.
    pub instance_admin: bool,
    /// Whether the person is locked out.
    pub suspended: bool,
    /// When the person was added.
    pub created_at: Timestamp,
    /// When something of this last changed.
    pub updated_at: Timestamp,
}

/// A person to add, with an own account and a workspace named "Personal".
#[derive(Clone)]
pub struct NewUser {
    /// The person's id.
    pub user: UserId,
    /// The account's id.
    pub account: AccountId,
    /// The workspace's id.
    pub workspace: WorkspaceId,
    /// Lower-cased and trimmed by the caller.
    pub email: String,
    /// The hash, never the password.
    pub password_hash: String,
    /// Whether the person manages the instance.
    pub instance_admin: bool,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Stored {
    id: String,
    email: String,
    account_id: String,
    instance_admin: i64,
    suspended: i64,
    created_at: i64,
    updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct StoredWithPassword {
    #[sqlx(flatten)]
    user: Stored,
    password_hash: String,
}

/// A person with this id.
pub(crate) async fn get(store: &Store, user: UserId) -> Result<Option<UserRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                        u.created_at, u.updated_at
                 FROM users u
                 JOIN accounts a ON a.owner_user = u.id
                 WHERE u.id = $1",
            )
            .bind(user),
        )
        .await?
        .map(read)
        .transpose()
}

/// The same inside a change, but nobody who left.
pub(crate) async fn get_in(tx: &mut Tx, user: UserId) -> Result<Option<UserRow>, StoreError> {
    tx.optional(
        sql(
            "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                    u.created_at, u.updated_at
             FROM users u
             JOIN accounts a ON a.owner_user = u.id
             WHERE u.id = $1 AND u.email <> 'deleted-' || u.id",
        )
        .bind(user),
    )
    .await?
    .map(read)
    .transpose()
}

/// The person with this address and the stored password hash, by one query whether there is one or not.
pub(crate) async fn by_email(
    store: &Store,
    email: &str,
) -> Result<Option<(UserRow, String)>, StoreError> {
    let row: Option<StoredWithPassword> = store
        .db()
        .optional(
            sql(
                "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                        u.created_at, u.updated_at, u.password_hash
                 FROM users u
                 JOIN accounts a ON a.owner_user = u.id
                 WHERE u.email = $1",
            )
            .bind(email),
        )
        .await?;
    row.map(|row| Ok((read(row.user)?, row.password_hash)))
        .transpose()
}

/// All people but those who left, oldest first.
pub(crate) async fn list(store: &Store, page: &PageRequest) -> Result<Page<UserRow>, StoreError> {
    let list = List("users");
    let after: Option<UserId> = list.place(page)?;
    let rows = store
        .db()
        .all(
            sql(
                "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                        u.created_at, u.updated_at
                 FROM users u
                 JOIN accounts a ON a.owner_user = u.id
                 WHERE u.id > $1 AND u.email <> 'deleted-' || u.id
                 ORDER BY u.id LIMIT $2",
            )
            .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

/// The people whose e-mail has this part, in whichever case; nobody who left.
pub(crate) async fn find(
    store: &Store,
    part: &str,
    page: &PageRequest,
) -> Result<Page<UserRow>, StoreError> {
    let list = List("users");
    let after: Option<UserId> = list.place(page)?;
    let rows = store
        .db()
        .all(
            sql(
                "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                        u.created_at, u.updated_at
                 FROM users u
                 JOIN accounts a ON a.owner_user = u.id
                 WHERE u.id > $1 AND u.email <> 'deleted-' || u.id
                   AND lower(u.email) LIKE lower($2) ESCAPE '\\'
                 ORDER BY u.id LIMIT $3",
            )
            .bind(after.map_or(String::new(), |id| id.to_string()).as_str())
            .bind(holding(part).as_str())
            .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, read, |row| row.id.to_string())
}

/// The pattern for `LIKE ... ESCAPE '\'` of every text that holds this one.
pub(crate) fn holding(part: &str) -> String {
    let literal = part.replace('\\', "\\\\");
    let literal = literal.replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

/// The stored password hash.
pub(crate) async fn password_hash(
    store: &Store,
    user: UserId,
) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = store
        .db()
        .optional(sql("SELECT password_hash FROM users WHERE id = $1").bind(user))
        .await?;
    Ok(row.map(|(hash,)| hash))
}

/// Makes sure, inside a change, that a person is there and not suspended.
pub(crate) async fn still_active(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    standing(tx, user).await.map(drop)
}

/// Makes sure, inside a change, that a person's stored password hash is still the one that a password was found to fit.
pub(crate) async fn still_has_password(
    tx: &mut Tx,
    user: UserId,
    verified_hash: &str,
) -> Result<(), StoreError> {
    let row: Option<(String,)> = tx
        .optional(
            sql("SELECT id FROM users WHERE id = $1 AND password_hash = $2")
                .bind(user)
                .bind(verified_hash),
        )
        .await?;
    row.map(drop).ok_or(StoreError::NotFound)
}

/// Makes sure, inside a change, that a person still manages the instance.
pub(crate) async fn still_admin(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    if standing(tx, user).await? {
        return Ok(());
    }
    Err(StoreError::Conflict(
        "the user is no admin of the instance any more",
    ))
}

/// Makes sure, inside a change, that somebody else manages the instance, too.
pub(crate) async fn another_admin(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let (others,): (i64,) = tx
        .one(
            sql("SELECT count(*) FROM users
                 WHERE instance_admin = 1 AND suspended = 0 AND id <> $1")
            .bind(user),
        )
        .await?;
    match others {
        0 => Err(StoreError::LastAdmin),
        _ => Ok(()),
    }
}

/// The active admins of the instance, at most 100.
pub(crate) async fn admins(store: &Store) -> Result<Vec<UserRow>, StoreError> {
    let rows: Vec<Stored> = store
        .db()
        .all(sql(
            "SELECT u.id, u.email, a.id AS account_id, u.instance_admin, u.suspended,
                    u.created_at, u.updated_at
             FROM users u
             JOIN accounts a ON a.owner_user = u.id
             WHERE u.instance_admin = 1 AND u.suspended = 0
             ORDER BY u.id LIMIT 100",
        ))
        .await?;
    rows.into_iter().map(read).collect()
}

/// Gives a person another password and ends what the one before had begun: log-ins, but for `except`, what they approved,
/// a link to a new password, and the links that the person made for others: somebody else may have made and kept them.
pub(crate) async fn replace_password(
    writing: &mut Writing<'_>,
    user: UserId,
    hash: &str,
    except: Option<SessionId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let tx = &mut writing.tx;
    let changed = tx
        .run(
            sql("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1")
                .bind(user)
                .bind(hash)
                .bind(now),
        )
        .await?;
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    let served = session::served_accounts(tx, user, None).await?;
    session::delete_of_user(tx, user, except).await?;
    device_login::drop_of_user(tx, user).await?;
    password_link::drop_of_user(tx, user).await?;
    password_link::drop_made_by(tx, user).await?;
    for account in served {
        writing.affects_also(account).await?;
    }
    Ok(())
}

/// Whether an active person manages the instance.
async fn standing(tx: &mut Tx, user: UserId) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = tx
        .optional(
            sql("SELECT instance_admin FROM users WHERE id = $1 AND suspended = 0").bind(user),
        )
        .await?;
    let (instance_admin,) = row.ok_or(StoreError::NotFound)?;
    Ok(instance_admin != 0)
}

/// Adds a person with account, plan, workspace and ownership.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewUser,
    now: Timestamp,
) -> Result<UserRow, StoreError> {
    insert_person(tx, new, now).await?;
    plan::open(tx, new.account, now).await?;
    insert_personal(tx, new, now).await?;
    Ok(row(new, now))
}

/// The same for a person whom a tenant invited: without included credits, which tenants could otherwise make as
/// many of as they like.
pub(crate) async fn insert_invited(
    tx: &mut Tx,
    new: &NewUser,
    now: Timestamp,
) -> Result<(), StoreError> {
    insert_person(tx, new, now).await?;
    plan::open_invited(tx, new.account, now).await?;
    insert_personal(tx, new, now).await
}

/// Adds a person with an account that has neither plan nor credits yet.
async fn insert_person(tx: &mut Tx, new: &NewUser, now: Timestamp) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO users (id, email, password_hash, instance_admin, suspended,
                                created_at, updated_at)
             VALUES ($1, $2, $3, $4, 0, $5, $5)",
        )
        .bind(new.user)
        .bind(&new.email)
        .bind(&new.password_hash)
        .bind(new.instance_admin)
        .bind(now),
    )
    .await
    .map_err(|error| error.or_conflict("a user with this email exists already"))?;
    tx.run(
        sql("INSERT INTO accounts (id, owner_user, name, created_at) VALUES ($1, $2, $3, $4)")
            .bind(new.account)
            .bind(new.user)
            .bind(&new.email)
            .bind(now),
    )
    .await?;
    Ok(())
}

/// Adds the first workspace of a new person.
async fn insert_personal(tx: &mut Tx, new: &NewUser, now: Timestamp) -> Result<(), StoreError> {
    let personal = NewWorkspace {
        id: new.workspace,
        name: "Personal".to_owned(),
        policy: WorkspacePolicy {
            mode: settings::get_in(tx)
                .await?
                .new_workspace_mode(provider_key_row::instance_serves(tx).await?),
            ..WorkspacePolicy::default()
        },
    };
    workspace::insert(tx, &personal, new.account, new.user, now)
        .await
        .map(drop)
}

fn row(new: &NewUser, now: Timestamp) -> UserRow {
    UserRow {
        id: new.user,
        email: new.email.clone(),
        account: new.account,
        instance_admin: new.instance_admin,
        suspended: false,
        created_at: now,
        updated_at: now,
    }
}

pub(crate) fn read(row: Stored) -> Result<UserRow, StoreError> {
    let place = Place {
        table: "users",
        id: &row.id,
    };
    Ok(UserRow {
        id: place.parse("id", &row.id)?,
        account: place.parse("account", &row.account_id)?,
        email: row.email,
        instance_admin: row.instance_admin != 0,
        suspended: row.suspended != 0,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
