//! Profiles: bundles of settings and plans, shown and applied.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Access, NameInPath, ReadInstanceSettings, WriteInstanceSettings};
use crate::body::{Json, NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{Reads, Writes};
use crate::ops::profiles::{self, Outcome, Profile};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_profiles))
        .routes(routes!(apply_profile))
}

/// A profile.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileView {
    /// The name.
    #[schema(example = "rigbox")]
    name: &'static str,
    /// What it is; one line.
    description: &'static str,
}

/// List the profiles.
///
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/profiles", tag = "profiles",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = List<ProfileView>), Reads))]
async fn list_profiles(
    _: Access<ReadInstanceSettings>,
    Query(NoParameters {}): Query<NoParameters>,
) -> axum::Json<List<ProfileView>> {
    axum::Json(List::whole(Profile::ALL.map(|profile| ProfileView {
        name: profile.as_str(),
        description: profile.description(),
    })))
}

/// How to apply a profile.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Whether only to say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// What a profile changes, or changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppliedProfile {
    /// The profile.
    #[schema(example = "rigbox")]
    profile: &'static str,
    /// Every value that changes, by path; empty: the instance is as the profile has it.
    changes: Vec<ChangeView>,
    /// The options of the server's configuration that the profile relies on. No operation changes them.
    requires: Vec<RequirementView>,
    /// Whether the changes were made.
    applied: bool,
}

/// One value that changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeView {
    /// Where it stands.
    #[schema(example = "settings.modes")]
    path: String,
    /// What it is; `null`: nothing is there.
    from: Value,
    /// What it becomes; `null`: nothing is there.
    to: Value,
}

/// An option of the server's configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequirementView {
    /// Its name.
    #[schema(example = "probe")]
    option: &'static str,
    /// What the profile relies on.
    #[schema(example = "required")]
    wanted: &'static str,
    /// What the server has.
    actual: &'static str,
}

/// See what a profile would change, or apply it. Subscriptions keep their terms.
///
/// With `dry_run` nothing changes. Otherwise all of it is applied in one step, or nothing where somebody else changed the
/// settings meanwhile (`409`). Prices, models, the gateway and credit ratios stay as they are.
#[utoipa::path(post, path = "/api/v1/admin/profiles/{name}", tag = "profiles",
    extensions(("x-action" = json!("write_instance_settings"))), request_body = Application,
    responses((status = 200, body = AppliedProfile), Writes))]
async fn apply_profile(
    access: Access<WriteInstanceSettings>,
    NameInPath(name): NameInPath,
    State(state): State<ControlState>,
    call: Call,
    Json(body): Json<Application>,
) -> Result<axum::Json<AppliedProfile>, Problem> {
    let profile: Profile = name.parse()?;
    let outcome = profiles::apply(&state, &call, &access.scope, profile, body.dry_run).await?;
    Ok(axum::Json(view(profile, outcome)))
}

fn view(profile: Profile, outcome: Outcome) -> AppliedProfile {
    let changes = outcome.changes.into_iter().map(|change| ChangeView {
        path: change.path,
        from: change.from,
        to: change.to,
    });
    let requires = outcome.requires.into_iter().map(|it| RequirementView {
        option: it.option,
        wanted: it.wanted,
        actual: it.actual,
    });
    AppliedProfile {
        profile: profile.as_str(),
        changes: changes.collect(),
        requires: requires.collect(),
        applied: outcome.applied,
    }
}
