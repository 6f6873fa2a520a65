//! Whose credential a request shows.

use domain::access::ApiScope;
use serde::Serialize;
use store::Principal;
use utoipa::ToSchema;

use crate::auth::principal::OptionalCaller;
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::openapi::Identifies;
use crate::routes::{Routes, routes};
use crate::schema;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_identity))
}

/// Whose credential it is, and how far it reaches.
#[derive(Debug, Serialize, ToSchema)]
pub struct Identity {
    /// `session`: a person who is logged in; `api_key`: a program that acts for a person; `nobody`: no credential.
    #[schema(example = "api_key")]
    kind: &'static str,
    /// The person, or on whose behalf the API key acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    /// The workspace of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    /// The account of that workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// What the API key may do, cut by the current role of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::api_scopes)]
    scopes: Option<Vec<ApiScope>>,
}

/// See whose credential the request shows. One that is not valid is refused; every API key may ask, whatever its scopes.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "sessions",
    extensions(("x-action" = json!("public"))),
    responses((status = 200, body = Identity), Identifies))]
async fn get_identity(
    OptionalCaller(caller): OptionalCaller,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<Identity>, Problem> {
    Ok(axum::Json(Identity::of(caller)))
}

impl Identity {
    fn of(caller: Option<Principal>) -> Self {
        let nobody = Self {
            kind: "nobody",
            user_id: None,
            api_key_id: None,
            workspace_id: None,
            account_id: None,
            scopes: None,
        };
        match caller {
            None => nobody,
            Some(Principal::Session { user, .. }) => Self {
                kind: "session",
                user_id: Some(user.to_string()),
                ..nobody
            },
            Some(Principal::ApiKey {
                key,
                user,
                workspace,
                account,
                scopes,
            }) => Self {
                kind: "api_key",
                user_id: Some(user.to_string()),
                api_key_id: Some(key.to_string()),
                workspace_id: Some(workspace.to_string()),
                account_id: Some(account.to_string()),
                scopes: Some(scopes),
            },
        }
    }
}
