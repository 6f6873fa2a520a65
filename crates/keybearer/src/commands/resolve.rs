//! `keybearer resolve`: which key would serve a model, who would pay, and why.

use std::process::ExitCode;

use domain::WorkspaceId;
use serde_json::{Value, json};

use super::{chosen_workspace, say};
use crate::client::Api;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model as a client would name it: `gpt-4o`, `anthropic/claude-sonnet-4`, `level_2`, `default`.
    model: String,
    /// The workspace; `KEYBEARER_WORKSPACE` unless given.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// As if the request carried `x-keybearer-no-managed: true`.
    #[arg(long)]
    no_managed: bool,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(api: &Api, args: Args) -> anyhow::Result<ExitCode> {
    let workspace = chosen_workspace(args.workspace)?;
    let body = json!({ "model": args.model, "no_managed": args.no_managed });
    let path = format!("/api/v1/workspaces/{workspace}/resolve");
    let answer = api.post(&path, &body).await?;
    let refused = !answer["refusal"].is_null();
    if args.json {
        say(&answer.to_string());
    } else {
        for line in lines(&answer) {
            say(&line);
        }
    }
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The answer for a person: the targets in order or the refusal, then what each rule said.
fn lines(answer: &Value) -> Vec<String> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("-").to_owned();
    let mut lines = Vec::new();
    for (place, target) in answer["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let pays = match target["key_source"].as_str() {
            Some("managed") => "credits pay".to_owned(),
            _ => format!("own key {}", text(target, "key_label")),
        };
        lines.push(format!(
            "{}. {}/{}  {pays}",
            place + 1,
            text(target, "provider"),
            text(target, "model")
        ));
    }
    if let Some(code) = answer["refusal"]["code"].as_str() {
        lines.push(format!("refused: {code}"));
    }
    for step in answer["trace"].as_array().into_iter().flatten() {
        lines.push(format!(
            "   rule {:>2}  {}: {}",
            step["rule"],
            subject(&step["subject"]),
            text(step, "verdict")
        ));
    }
    lines
}

/// What a rule spoke of: its kind, and which one.
fn subject(subject: &Value) -> String {
    let texts = subject.as_object().into_iter().flatten();
    let which: Vec<&str> = texts
        .filter(|(name, _)| *name != "kind")
        .filter_map(|(_, value)| value.as_str())
        .collect();
    let kind = subject["kind"].as_str().unwrap_or("-");
    [&[kind][..], &which].concat().join(" ")
}
