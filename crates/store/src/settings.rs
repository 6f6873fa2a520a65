//! The one row of what the instance's admins decide for everybody.

use domain::settings::Settings;

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::statement::{Statement, sql};

const PLACE: Place<'static> = Place {
    table: "settings",
    id: "1",
};

/// What is decided now.
pub(crate) async fn get(store: &Store) -> Result<Settings, StoreError> {
    read(store.db().optional(select()).await?)
}

/// The same, read inside a change.
pub(crate) async fn get_in(tx: &mut Tx) -> Result<Settings, StoreError> {
    read(tx.optional(select()).await?)
}

/// Whether workspaces may let their keys be handed out, read inside a change.
pub(crate) async fn release_keys_allowed(tx: &mut Tx) -> Result<bool, StoreError> {
    Ok(get_in(tx).await?.release_keys_allowed)
}

/// Decides otherwise, if `expected` is what is decided now.
pub(crate) async fn put(
    tx: &mut Tx,
    expected: &Settings,
    new: &Settings,
) -> Result<(), StoreError> {
    if get_in(tx).await? != *expected {
        return Err(StoreError::Conflict(
            "the settings were changed in the meantime",
        ));
    }
    if crate::plan::get(tx, &new.default_plan).await?.is_none() {
        return Err(StoreError::Conflict("there is no such default plan"));
    }
    tx.run(
        sql("INSERT INTO settings (singleton, body) VALUES (1, $1)
             ON CONFLICT (singleton) DO UPDATE SET body = $1")
        .bind(&json(new)),
    )
    .await?;
    Ok(())
}

fn select() -> Statement {
    sql("SELECT body FROM settings WHERE singleton = 1")
}

fn read(row: Option<(String,)>) -> Result<Settings, StoreError> {
    let (body,) = row.ok_or_else(|| PLACE.corrupt("singleton"))?;
    PLACE.json("body", &body)
}
