//! `keybearer whoami`: who the commands act as, and where.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Nothing;
use crate::client::Api;
use crate::output::{Column, Out};

const FACTS: &[Column] = &[
    ("server", "/server"),
    ("logged in as", "/user/email"),
    ("API key", "/api_key_id"),
    ("user", "/user_id"),
    ("instance admin", "/user/instance_admin"),
    ("workspace", "/workspace_id"),
    ("account", "/account_id"),
    ("scopes", "/scopes"),
];

pub(crate) async fn run(api: &Api, _: Nothing, out: Out) -> anyhow::Result<ExitCode> {
    out.facts(&identity(api).await?, FACTS);
    Ok(ExitCode::SUCCESS)
}

/// What the server says of the credential, with the server's address and, of a person, the profile.
pub(super) async fn identity(api: &Api) -> anyhow::Result<Value> {
    let mut identity = api.get("/api/v1/whoami").await?;
    identity["server"] = json!(api.address());
    if identity["kind"] == "session" {
        let me = api.get("/api/v1/me").await?;
        identity["user"] = me["user"].clone();
        identity["workspaces"] = me["workspaces"].clone();
        identity["account_id"] = me["user"]["account_id"].clone();
    }
    Ok(identity)
}
