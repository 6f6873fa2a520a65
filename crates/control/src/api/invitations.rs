//! Invitations to a workspace.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::access::Role;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::InvitationRow;
use utoipa::ToSchema;

use crate::access::{Access, InvitationInPath, ReadMembers, WriteMembers};
use crate::api::members::{GivenRole, given};
use crate::auth::password::Password;
use crate::auth::principal::OptionalCaller;
use crate::auth::session;
use crate::body::{Json, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Acceptances, Additions, Changes, Reads};
use crate::ops::invitations::{self, Newcomer};
use crate::page::{List, PageQuery};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_invitations, create_invitation))
        .routes(routes!(revoke_invitation))
        .routes(routes!(accept_invitation))
}

/// An invitation.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationView {
    /// The id.
    #[schema(example = "inv_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// Who is invited.
    email: String,
    /// The role that the person will have.
    #[schema(schema_with = schema::given_role)]
    role: Role,
    /// Who invited.
    invited_by: String,
    /// When it was made.
    created_at: String,
    /// When it ends by itself.
    expires_at: String,
    /// When it was taken up.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<String>,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.id.to_string(),
            email: row.email,
            role: row.role,
            invited_by: row.invited_by.to_string(),
            created_at: row.created_at.to_string(),
            expires_at: row.expires_at.to_string(),
            accepted_at: row.accepted_at.map(|at| at.to_string()),
        }
    }
}

/// List the invitations of a workspace.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/invitations", tag = "members", params(PageQuery),
    extensions(("x-action" = json!("read_members"))),
    responses((status = 200, body = List<InvitationView>), Reads))]
async fn list_invitations(
    access: Access<ReadMembers>,
    State(state): State<ControlState>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<InvitationView>>, Problem> {
    let page = query.request()?;
    let page = state
        .store
        .within(&access.scope)
        .list_invitations(&page)
        .await?;
    Ok(axum::Json(List::of(page, InvitationView::from)))
}

/// Who is to be invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// The e-mail.
    email: String,
    /// `member` or `admin`; an API key can give `member` alone.
    #[schema(schema_with = schema::given_role)]
    role: GivenRole,
}

/// An invitation with its credential.
#[derive(Serialize, ToSchema)]
pub struct FreshInvitation {
    /// The invitation.
    #[serde(flatten)]
    invitation: InvitationView,
    /// What the invited person shows, once: `kbi_...`. It is not kept and cannot be shown again.
    token: String,
}

/// Invite somebody. An open invitation for the same e-mail ends.
///
/// It can be accepted for as long as who made it, and the API key with which it was made, may invite.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/invitations", tag = "members",
    extensions(("x-action" = json!("write_members"))), request_body = NewInvitation,
    responses((status = 201, body = FreshInvitation), Additions))]
async fn create_invitation(
    access: Access<WriteMembers>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewInvitation>,
) -> Result<(StatusCode, axum::Json<FreshInvitation>), Problem> {
    let role = given(body.role, &access.scope)?;
    let (row, credential) =
        invitations::create(&state, &call, &access.scope, &body.email, role).await?;
    let fresh = FreshInvitation {
        invitation: row.into(),
        token: credential.expose(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    };
    Ok((StatusCode::CREATED, axum::Json(fresh)))
}

/// Take an open invitation back.
#[utoipa::path(delete, path = "/api/v1/workspaces/{workspace_id}/invitations/{invitation_id}", tag = "members",
    extensions(("x-action" = json!("write_members"))),
    responses((status = 204), Changes))]
async fn revoke_invitation(
    access: Access<WriteMembers>,
    InvitationInPath(invitation): InvitationInPath,
    State(state): State<ControlState>,
    call: Call,
) -> Result<StatusCode, Problem> {
    let note = call.note_on("invitation.revoke", invitation);
    let within = state.store.within(&access.scope);
    within
        .revoke_invitation(invitation, &note, call.now)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An invitation that is taken up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The credential of the invitation: `kbi_...`.
    token: String,
    /// The invited e-mail; may be left out.
    #[serde(default)]
    email: Option<String>,
    /// For a person who is not logged in: the new user's password, 10 to 128 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
}

/// Who joined what.
#[derive(Debug, Serialize, ToSchema)]
pub struct JoinedView {
    /// The workspace.
    #[schema(example = "ws_06evr40e1m73fwp2hw6n0xq8kc")]
    workspace_id: String,
    /// The person.
    #[schema(example = "usr_06evr40e1m73fwp2hw6n0xq8kc")]
    user_id: String,
}

/// Accept an invitation: as the person who is logged in, or as a new one, who is then logged in.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "members",
    extensions(("x-action" = json!("public"))), request_body = Acceptance,
    responses((status = 200, body = JoinedView, description = "The person who is logged in joined."),
        (status = 201, body = JoinedView, description = "A new person joined.",
            headers(("set-cookie" = String, description = "The session."))), Acceptances))]
async fn accept_invitation(
    OptionalCaller(caller): OptionalCaller,
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<Acceptance>,
) -> Result<Response, Problem> {
    let newcomer = Newcomer {
        email: body.email,
        password: body.password,
    };
    let joined = invitations::accept(&state, &call, caller, &body.token, newcomer).await?;
    let view = axum::Json(JoinedView {
        workspace_id: joined.workspace.to_string(),
        user_id: joined.user.to_string(),
    });
    if !joined.created {
        return Ok(view.into_response());
    }
    let (_, cookie) = session::begin(&state, &call, joined.user, &headers).await?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], view).into_response())
}
