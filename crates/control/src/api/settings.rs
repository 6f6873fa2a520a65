//! The settings of the instance, apart from the switches of its providers.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::settings::Settings;
use http::header::ETAG;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::access::{Access, ReadInstanceSettings, WriteInstanceSettings};
use crate::api::settings_view::SettingsView;
use crate::body::Json;
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::{GuardedWrites, Reads};
use crate::ops::settings::{self, Patch};
use crate::routes::{Routes, routes};
use crate::state::ControlState;
use crate::tag::{self, IfMatch};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_settings, update_settings))
}

/// See the settings of the instance.
///
/// All of them with their values, set or not. The switches of providers have an operation of their own:
/// `GET /api/v1/admin/providers`.
#[utoipa::path(get, path = "/api/v1/admin/settings", tag = "instance settings",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = SettingsView, headers(("etag" = String, description = "Names this state of them."))),
        Reads))]
async fn get_settings(
    _: Access<ReadInstanceSettings>,
    State(state): State<ControlState>,
) -> Result<Response, Problem> {
    tagged(settings::get(&state).await?)
}

/// The settings with the tag of their state.
fn tagged(settings: Settings) -> Result<Response, Problem> {
    let view = SettingsView::from(settings);
    Ok(([(ETAG, tag::of(&view)?)], axum::Json(view)).into_response())
}

/// Changes of settings: a JSON merge patch (RFC 7396). What is left out stays, `null` brings the default back.
#[derive(Debug)]
pub struct SettingsPatch(Patch);

impl<'de> Deserialize<'de> for SettingsPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Patch::deserialize(deserializer).map(Self)
    }
}

impl PartialSchema for SettingsPatch {
    /// The settings, none of them required.
    fn schema() -> RefOr<Schema> {
        let mut schema = SettingsView::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.clear();
            object.description = Some(
                "A JSON merge patch (RFC 7396): what is left out stays, `null` brings the default back, a list is replaced as a whole."
                    .to_owned(),
            );
        }
        schema
    }
}

impl ToSchema for SettingsPatch {
    fn name() -> Cow<'static, str> {
        "SettingsPatch".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        SettingsView::schemas(schemas);
    }
}

/// Change settings of the instance, all of them or none.
///
/// A JSON merge patch (RFC 7396): what is left out stays, `null` brings the default back, lists are replaced whole. Counts
/// from the next call on, for everybody. With `If-Match` only while they are as they were read: whoever replaces a list whole
/// sends the `etag` of the answer that the list is from, so that no change of somebody else is lost.
#[utoipa::path(patch, path = "/api/v1/admin/settings", tag = "instance settings",
    extensions(("x-action" = json!("write_instance_settings"))), request_body = SettingsPatch,
    params(("if-match" = Option<String>, Header, description = "The `etag` of the settings that one has read; left out: \
        whatever they are now.")),
    responses((status = 200, body = SettingsView, headers(("etag" = String, description = "Names this state of them."))),
        GuardedWrites))]
async fn update_settings(
    access: Access<WriteInstanceSettings>,
    State(state): State<ControlState>,
    call: Call,
    if_match: IfMatch,
    Json(SettingsPatch(patch)): Json<SettingsPatch>,
) -> Result<Response, Problem> {
    let seen = |settings: &Settings| {
        if_match.allows(&SettingsView::from(settings.clone()), "one of the settings")
    };
    tagged(settings::update(&state, &call, &access.scope, &patch, seen).await?)
}
