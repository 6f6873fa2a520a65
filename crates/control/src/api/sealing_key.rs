//! The sealing key, for those who run the instance.

use axum::extract::State;
use domain::record::SealingKeyRecord;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ManageSealingKey};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Changes, Reads};
use crate::ops::sealing_key::{self, fingerprint};
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_sealing_key))
        .routes(routes!(rotate_sealing_key))
}

/// The current sealing key.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealingKeyView {
    /// Its id, computed from the public key.
    kek_id: String,
    /// The id in groups of four, to compare with what a client shows.
    fingerprint: String,
    /// When it became the current one.
    created_at: String,
    /// When it is due to be replaced.
    expires_at: String,
}

impl From<SealingKeyRecord> for SealingKeyView {
    fn from(record: SealingKeyRecord) -> Self {
        Self {
            fingerprint: fingerprint(&record.kek_id),
            kek_id: record.kek_id,
            created_at: record.created_at.to_string(),
            expires_at: record.expires_at.to_string(),
        }
    }
}

/// See the current sealing key and its age.
#[utoipa::path(get, path = "/api/v1/sealing-key", tag = "sealing key",
    extensions(("x-action" = json!("manage_sealing_key"))),
    responses((status = 200, body = SealingKeyView), Reads))]
async fn get_sealing_key(
    _access: Access<ManageSealingKey>,
    State(state): State<ControlState>,
) -> Result<axum::Json<SealingKeyView>, Problem> {
    Ok(axum::Json(sealing_key::current(&state).await?.into()))
}

/// Replace the sealing key now. Stored keys stay; boxes sealed to the old one are refused.
#[utoipa::path(post, path = "/api/v1/sealing-key/rotate", tag = "sealing key",
    extensions(("x-action" = json!("manage_sealing_key"))),
    responses((status = 200, body = SealingKeyView), Changes))]
async fn rotate_sealing_key(
    access: Access<ManageSealingKey>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<axum::Json<SealingKeyView>, Problem> {
    let current = state.store.system().active_sealing_key().await?;
    let replaces = current.as_ref().map(|record| record.kek_id.as_str());
    let note = call.note("sealing_key.rotate");
    let new = sealing_key::rotate(&state, replaces, access.scope.actor(), note).await?;
    Ok(axum::Json(new.into()))
}
