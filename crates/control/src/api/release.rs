//! Handing a workspace's own keys out, sealed, to run a program with.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, ReleaseProviderKeys};
use crate::api::key_body::Confidential;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Releases;
use crate::ops::release::{self, Release, Wanted};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The most providers that one request may name.
const MAX_PROVIDERS: usize = 100;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(release_provider_keys))
}

/// What is to be handed out, and to whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// An X25519 public key, drawn for this request alone, in padded standard base64.
    #[schema(example = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=")]
    public_key: String,
    /// The ids of the providers whose keys are wanted, at most 100; left out: all that have one.
    #[serde(default)]
    #[schema(example = json!(["openai"]), max_items = 100)]
    providers: Option<Vec<String>>,
}

/// The keys that were handed out, each in a sealed box.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleaseView {
    /// One key for each provider: the enabled one that would serve first.
    keys: Vec<ReleasedKeyView>,
    /// The providers whose key stays although there is one.
    withheld: Vec<WithheldView>,
}

/// A key in a sealed box, which only the holder of the one-time private key can open.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleasedKeyView {
    /// The id of the provider key.
    #[schema(example = "pk_06evr40e1m73fwp2hw6n0xq8kc")]
    id: String,
    /// The provider.
    #[schema(example = "openai")]
    provider: String,
    /// The version of the key's value.
    version: i64,
    /// The variables under which programs of the provider look for a key.
    #[schema(example = json!(["OPENAI_API_KEY"]))]
    variables: Vec<String>,
    /// The box in padded standard base64; see docs/vault-format.md.
    ciphertext_b64: String,
}

/// A provider whose key stays.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithheldView {
    /// The provider.
    #[schema(example = "openai")]
    provider: String,
    /// Why: the key is bound to a base URL of its own, or the provider declares no variable.
    #[schema(schema_with = schema::withheld)]
    reason: &'static str,
}

/// Have the workspace's own provider keys handed out to run a program with, sealed to a key of the caller's.
///
/// Refused unless the instance sets `release_keys_allowed` and the workspace's policy `release_keys`. Keys of the account
/// and platform keys are never among them. Calls made with such a key pass the gateway by: they are neither metered nor
/// limited. Each key leaves an audit row before the answer does. At most 100 requests in 15 minutes for a workspace.
#[utoipa::path(post, path = "/api/v1/workspaces/{workspace_id}/provider-keys/release", tag = "provider keys",
    extensions(("x-action" = json!("release_provider_keys"))), request_body = ReleaseRequest,
    responses((status = 200, body = ReleaseView), Releases))]
async fn release_provider_keys(
    access: Access<ReleaseProviderKeys>,
    State(state): State<ControlState>,
    call: Call,
    confidential: Confidential,
    Json(body): Json<ReleaseRequest>,
) -> Result<axum::Json<ReleaseView>, Problem> {
    let ReleaseRequest {
        public_key,
        providers,
    } = body;
    if providers.as_ref().map_or(0, Vec::len) > MAX_PROVIDERS {
        let rule = "providers must have at most 100 entries";
        return Err(Problem::field("providers", rule));
    }
    let wanted = Wanted {
        public_key,
        providers,
        confidential: confidential.is(),
    };
    let released = release::release(&state, &call, &access.scope, &wanted).await?;
    Ok(axum::Json(released.into()))
}

impl From<Release> for ReleaseView {
    fn from(release: Release) -> Self {
        let key = |it: release::Released| ReleasedKeyView {
            id: it.record.context.key.to_string(),
            provider: it.record.context.provider.to_string(),
            version: it.record.context.version,
            variables: it.variables,
            ciphertext_b64: it.sealed,
        };
        let withheld = |(provider, why): (domain::ProviderId, release::Withheld)| WithheldView {
            provider: provider.to_string(),
            reason: why.as_str(),
        };
        Self {
            keys: release.keys.into_iter().map(key).collect(),
            withheld: release.withheld.into_iter().map(withheld).collect(),
        }
    }
}
