//! The playground's API key: for a page that calls models as the person who is logged in.

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use store::Principal;
use utoipa::ToSchema;

use crate::access::{Access, UsePlayground};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Changes;
use crate::ops::api_keys;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(create_playground_key))
}

/// An API key for a page, in the only answer that has it.
#[derive(Serialize, ToSchema)]
pub struct PlaygroundKey {
    /// The API key's id, as usage names it.
    #[schema(example = "ak_06evr40e1m73fwp2hw6n0xq8kc")]
    api_key_id: String,
    /// The key: `kb_...`, for `Authorization: Bearer`. To be held in the page's memory and nowhere else.
    key: String,
    /// When it ends; RFC 3339, UTC. Ask for another one before.
    expires_at: String,
}

/// Get an API key with which a page calls models as the person who is logged in.
///
/// It can call models of this workspace and do nothing else; its calls are paid and recorded as those of any API key of the person.
/// It ends after 15 minutes, and at once with the log-in for which it was made, with the membership, or when it is revoked under
/// its id. It is not in the list of API keys and does not count towards the plan's limit; of one log-in eight such keys of a workspace
/// live at a time, then the oldest ends. There is nothing to send.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/playground-key", tag = "api keys",
    extensions(("x-action" = json!("use_playground"))),
    responses((status = 201, body = PlaygroundKey), Changes))]
async fn create_playground_key(
    access: Access<UsePlayground>,
    State(state): State<ControlState>,
    call: Call,
) -> Result<(StatusCode, axum::Json<PlaygroundKey>), Problem> {
    let Principal::Session { session, .. } = access.principal else {
        // The action is for log-ins only; no API key gets here.
        return Err(Problem::denied("a log-in"));
    };
    let (row, text) = api_keys::mint_for_session(&state, &call, &access.scope, session).await?;
    let key = text.expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok((
        StatusCode::CREATED,
        axum::Json(PlaygroundKey {
            api_key_id: row.id.to_string(),
            key,
            expires_at: row.expires_at.map(|at| at.to_string()).unwrap_or_default(),
        }),
    ))
}
