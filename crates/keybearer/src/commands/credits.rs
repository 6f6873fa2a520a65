//! `keybearer credits`: what is left, and where it went.

use std::process::ExitCode;

use super::{Nothing, say};
use crate::client::Api;
use crate::output::Out;

pub(crate) async fn run(api: &Api, _: Nothing, out: Out) -> anyhow::Result<ExitCode> {
    let credits = api.get("/api/v1/users/me/credits").await?;
    let usage = api.get("/api/v1/users/me/ai-usage").await?;
    if out.is_json() {
        let both = serde_json::json!({ "credits": credits, "usage": usage });
        out.json(&both);
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "{} of {} credits left",
        credits["remaining"], credits["total"]
    ));
    for of in usage["by_workspace"].as_array().into_iter().flatten() {
        say(&format!(
            "{}  {} requests, {} input and {} output tokens, {} credits",
            of["workspace_name"].as_str().unwrap_or("-"),
            of["requests"],
            of["input_tokens"],
            of["output_tokens"],
            of["credits"]
        ));
    }
    Ok(ExitCode::SUCCESS)
}
