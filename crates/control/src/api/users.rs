//! The people of the instance.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use store::PageRequest;
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ManageUsers, UserInPath};
use crate::api::sessions::UserView;
use crate::auth::password::Password;
use crate::body::{Json, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Reads, UserChanges, Writes};
use crate::ops::users;
use crate::page::{List, page_request};
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(update_user))
}

/// Whom one looks for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EmailQuery {
    /// Only those whose e-mail has this part, in whichever case; 1 to 254 characters.
    #[param(min_length = 1, max_length = 254)]
    q: Option<String>,
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the part before.
    after: Option<String>,
}

/// List the people of the instance, or find some by e-mail.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(EmailQuery),
    extensions(("x-action" = json!("manage_users"))),
    responses((status = 200, body = List<UserView>), Reads))]
async fn list_users(
    access: Access<ManageUsers>,
    State(state): State<ControlState>,
    Query(query): Query<EmailQuery>,
) -> Result<axum::Json<List<UserView>>, Problem> {
    let (part, page) = query.parts()?;
    let system = state.store.system();
    let page = match part {
        None => system.list_users(&access.scope, &page).await?,
        Some(part) => system.find_users(&access.scope, &part, &page).await?,
    };
    Ok(axum::Json(List::of(page, UserView::from)))
}

impl EmailQuery {
    /// The part that is looked for, and which part of the list is wanted.
    pub(crate) fn parts(self) -> Result<(Option<String>, PageRequest), Problem> {
        let fits = |part: &String| (1..=254).contains(&part.chars().count());
        if !self.q.as_ref().is_none_or(fits) {
            return Err(Problem::field("q", "q must have 1 to 254 characters"));
        }
        Ok((self.q, page_request(self.limit, self.after)?))
    }
}

/// A new person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Who logs in; unique.
    email: String,
    /// 10 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// Create a person with an account and a workspace named Personal.
#[utoipa::path(post, path = "/api/v1/users", tag = "users",
    extensions(("x-action" = json!("manage_users"))), request_body = NewUser,
    responses((status = 201, body = UserView), Writes))]
async fn create_user(
    access: Access<ManageUsers>,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, axum::Json<UserView>), Problem> {
    let new = users::new_user(&state, &body.email, body.password, false).await?;
    let note = call.note_on("user.create", new.user);
    let system = state.store.system();
    let row = system
        .create_user(&access.scope, &new, &note, call.now)
        .await?;
    Ok((StatusCode::CREATED, axum::Json(row.into())))
}

/// What may change of a person, one thing at a time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// Whether the person is locked out.
    #[serde(default)]
    suspended: Option<bool>,
    /// Whether the person manages the instance.
    #[serde(default)]
    instance_admin: Option<bool>,
}

/// Lock a person out, or in again; or make the person an admin of the instance, or none any more.
///
/// Suspending ends sessions at once, and the person's API keys rest while it lasts; nobody suspends themselves. What an admin of
/// the instance may do counts from the next request on, in open sessions and of API keys with scopes of the instance. An admin may
/// step down, but for the last: the instance always has one. Who is suspended becomes no admin.
#[utoipa::path(patch, path = "/api/v1/users/{user_id}", tag = "users",
    extensions(("x-action" = json!("manage_users"))), request_body = UserPatch,
    responses((status = 204), UserChanges))]
async fn update_user(
    access: Access<ManageUsers>,
    UserInPath(user): UserInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<UserPatch>,
) -> Result<StatusCode, Problem> {
    let system = state.store.system();
    match (body.suspended, body.instance_admin) {
        (Some(suspended), None) => {
            let action = match suspended {
                true => "user.suspend",
                false => "user.resume",
            };
            let note = call.note_on(action, user);
            system
                .set_user_suspended(&access.scope, user, suspended, &note, call.now)
                .await?;
        }
        (None, Some(instance_admin)) => {
            let action = match instance_admin {
                true => "user.promote",
                false => "user.demote",
            };
            let note = call.note_on(action, user);
            system
                .set_instance_admin(&access.scope, user, instance_admin, &note, call.now)
                .await?;
        }
        _ => {
            let rule = "exactly one of suspended and instance_admin is changed at a time";
            return Err(Problem::field("suspended", rule));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
