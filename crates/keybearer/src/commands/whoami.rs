//! `keybearer whoami`: who the commands act as, and where.

use std::process::ExitCode;

use serde_json::json;

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
    let mut identity = api.identity().await?;
    // A person's is the one that commands are about, if they can tell.
    if identity["workspace_id"].is_null()
        && let Ok(workspace) = api.workspace().await
    {
        identity["workspace_id"] = json!(workspace);
    }
    out.facts(&identity, FACTS);
    Ok(ExitCode::SUCCESS)
}
