//! Services that a workspace's machines keep running.

use domain::service::{MAX_SERVICES, Service, Variables};
use domain::{ServiceId, Timestamp, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::statement::sql;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    /// Its id.
    pub id: ServiceId,
    /// What its writer said.
    pub service: Service,
    /// SHA-256 of what its writer said, in hex.
    pub content_sha256: String,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed the last time.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: String,
    name: String,
    command: String,
    variables: String,
    restart: String,
    auto_enable: i64,
    content_sha256: String,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

/// A workspace's services, by name.
pub(crate) async fn list(
    store: &Store,
    workspace: WorkspaceId,
) -> Result<Vec<ServiceRow>, StoreError> {
    let rows = store
        .db()
        .all(
            sql(
                "SELECT id, name, command, variables, restart, auto_enable, content_sha256,
                        version, created_at, updated_at
                 FROM services
                 WHERE workspace_id = $1
                 ORDER BY name LIMIT $2",
            )
            .bind(workspace)
            .bind(MAX_SERVICES),
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// One of them.
pub(crate) async fn get(
    store: &Store,
    workspace: WorkspaceId,
    id: ServiceId,
) -> Result<Option<ServiceRow>, StoreError> {
    store
        .db()
        .optional(
            sql(
                "SELECT id, name, command, variables, restart, auto_enable, content_sha256,
                        version, created_at, updated_at
                 FROM services
                 WHERE workspace_id = $1 AND id = $2",
            )
            .bind(workspace)
            .bind(id),
        )
        .await?
        .map(read)
        .transpose()
}

/// Adds one.
pub(crate) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    row: &ServiceRow,
) -> Result<(), StoreError> {
    let count = sql("SELECT count(*) FROM services WHERE workspace_id = $1").bind(workspace);
    let (count,): (i64,) = tx.one(count).await?;
    if count >= MAX_SERVICES {
        return Err(StoreError::Conflict("a workspace has at most 50 services"));
    }
    tx.run(
        sql(
            "INSERT INTO services (id, workspace_id, name, command, variables, restart,
                                   auto_enable, content_sha256, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(row.id)
        .bind(workspace)
        .bind(row.service.name.as_str())
        .bind(&json(&row.service.command))
        .bind(&json(&row.service.env))
        .bind(row.service.restart.as_str())
        .bind(row.service.auto_enable)
        .bind(row.content_sha256.as_str())
        .bind(row.version)
        .bind(row.created_at)
        .bind(row.updated_at),
    )
    .await
    .map_err(name_taken)?;
    Ok(())
}

/// Writes one anew, if nobody else did so since `row.version` before the change.
pub(crate) async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    row: &ServiceRow,
) -> Result<(), StoreError> {
    let written = tx
        .run(
            sql("UPDATE services
                 SET name = $4, command = $5, variables = $6, restart = $7, auto_enable = $8,
                     content_sha256 = $9, version = version + 1, updated_at = $10
                 WHERE workspace_id = $1 AND id = $2 AND version = $3")
            .bind(workspace)
            .bind(row.id)
            .bind(row.version)
            .bind(row.service.name.as_str())
            .bind(&json(&row.service.command))
            .bind(&json(&row.service.env))
            .bind(row.service.restart.as_str())
            .bind(row.service.auto_enable)
            .bind(row.content_sha256.as_str())
            .bind(row.updated_at),
        )
        .await
        .map_err(name_taken)?;
    if written == 0 {
        return Err(StoreError::Conflict("the service was changed meanwhile"));
    }
    Ok(())
}

/// Removes one.
pub(crate) async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ServiceId,
) -> Result<(), StoreError> {
    let delete = sql("DELETE FROM services WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id);
    if tx.run(delete).await? == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

fn name_taken(error: StoreError) -> StoreError {
    error.or_conflict("a service of this name exists already")
}

fn read(row: Stored) -> Result<ServiceRow, StoreError> {
    let place = Place {
        table: "services",
        id: &row.id,
    };
    Ok(ServiceRow {
        id: place.parse("id", &row.id)?,
        service: Service {
            name: place.parse("name", &row.name)?,
            command: place.json("command", &row.command)?,
            env: Variables::stored(place.json("variables", &row.variables)?)
                .map_err(|_| place.corrupt("variables"))?,
            restart: place.parse("restart", &row.restart)?,
            auto_enable: row.auto_enable != 0,
        },
        content_sha256: row.content_sha256,
        version: row.version,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
