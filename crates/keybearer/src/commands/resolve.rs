//! `keybearer resolve`: which key would serve a model, who would pay, and why.

mod words;

use std::process::ExitCode;

use serde_json::{Value, json};

use super::say;
use super::workspace::Which;
use crate::client::Api;
use crate::output::Out;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model as a client would name it: `gpt-4o`, `anthropic/claude-sonnet-4`, `level_2`, `default`,
    /// `openai/gpt-4o:cost`, `@fast`.
    model: String,
    /// Further models that the request names in `models`, to turn to when those before fail.
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// As if the request carried `x-keybearer-no-managed: true`.
    #[arg(long)]
    no_managed: bool,
    /// Print every rule that spoke, with its number in the decision table, also where a key would serve.
    #[arg(long)]
    trace: bool,
}

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let path = args.which.path(api, "/resolve").await?;
    let mut body = json!({ "model": args.model, "no_managed": args.no_managed });
    if !args.models.is_empty() {
        body["models"] = json!(args.models);
    }
    let answer = api.post(&path, &body).await?;
    let refused = !answer["refusal"].is_null();
    if out.is_json() {
        out.json(&answer);
    } else {
        for line in lines(&answer, args.trace || refused) {
            say(&line);
        }
    }
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The answer for a person, several models one after another.
fn lines(answer: &Value, trace: bool) -> Vec<String> {
    let Some(models) = answer["models"].as_array() else {
        return lines_of(answer, trace);
    };
    let mut lines = Vec::new();
    for (place, model) in models.iter().enumerate() {
        let then = if place == 0 { "" } else { "then " };
        let name = model["requested"].as_str().unwrap_or("-");
        lines.push(format!("{then}{name}:"));
        let refused = !model["refusal"].is_null();
        let mut of_model = lines_of(model, trace || refused);
        if model["targets"].as_array().is_none_or(Vec::is_empty) && !refused {
            of_model.insert(0, "nothing that is not tried before it".to_owned());
        }
        lines.extend(of_model.into_iter().map(|line| format!("  {line}")));
    }
    lines
}

/// The answer for one model: what happens, how the model was found if it was not named, then the rules if wanted.
fn lines_of(answer: &Value, trace: bool) -> Vec<String> {
    let list = |field: &str| answer[field].as_array().cloned().unwrap_or_default();
    let mut lines = Vec::new();
    if !answer["refusal"].is_null() {
        lines.push(words::refusal(&answer["refusal"]));
    }
    for (place, target) in list("targets").iter().enumerate() {
        let then = if place == 0 { "" } else { "then " };
        lines.push(format!("{then}{}", words::target(target)));
    }
    lines.extend(words::choice(answer));
    if trace {
        for step in list("trace") {
            lines.push(format!("  rule {}: {}", step["rule"], words::step(&step)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Value {
        json!({
            "requested": "default", "chosen_by": "workspace", "tier": null, "mapped_by": null,
            "model": "gpt-4o", "refusal": null,
            "targets": [
                {"provider": "openai", "model": "gpt-4o", "key_label": "primary", "key_source": "byok",
                 "when": "in_turn", "sleeping_until": null},
                {"provider": "openai", "model": "gpt-4o", "key_label": null, "key_source": "managed",
                 "when": "own_keys_failed", "sleeping_until": null},
            ],
            "trace": [{"rule": 7, "subject": {"kind": "mode", "mode": "auto"}, "verdict": "applies"}],
        })
    }

    #[test]
    fn what_happens_comes_first_and_the_rules_only_on_demand() {
        let shown = lines(&served(), false);
        assert_eq!(
            shown,
            [
                "openai/gpt-4o with own key primary",
                "then openai/gpt-4o with credits, if own keys fail",
                "the model was chosen by the workspace",
            ]
        );
        let traced = lines(&served(), true);
        assert_eq!(
            traced.last().map(String::as_str),
            Some("  rule 7: the mode is auto")
        );
    }

    #[test]
    fn keys_of_one_label_are_told_apart_by_whose_they_are() {
        let mut answer = served();
        answer["targets"][0]["key_scope"] = json!("workspace");
        answer["targets"][1] = answer["targets"][0].clone();
        answer["targets"][1]["key_scope"] = json!("account");
        let subject = json!({"kind": "key", "provider": "openai", "key_label": "primary", "key_scope": "account"});
        answer["trace"] = json!([{"rule": 9, "subject": subject, "verdict": "serves"}]);
        let shown = lines(&answer, true);
        assert_eq!(shown[0], "openai/gpt-4o with own key primary");
        assert_eq!(
            shown[1],
            "then openai/gpt-4o with the account's key primary"
        );
        assert_eq!(
            shown.last().map(String::as_str),
            Some("  rule 9: the account's key primary for openai may serve")
        );
    }

    #[test]
    fn a_ranking_is_shown_with_what_it_looked_at() {
        let mut answer = served();
        answer["preset"] = json!("fast");
        answer["ranking"] = json!("cost");
        answer["targets"][0]["ranked_by"] = json!({
            "cost_nano_usd": 12_500_000, "first_byte_ms": 250, "answer_ms": 1200, "output_tokens_per_second": null,
        });
        let shown = lines(&answer, false);
        assert_eq!(
            shown[0],
            "openai/gpt-4o with own key primary ($0.0125 for 3000 tokens in and 1000 out; first byte in 250 ms; \
             whole answer in 1200 ms; throughput not measured lately)"
        );
        assert!(shown.contains(&"the preset @fast stands for gpt-4o".to_owned()));
        assert!(shown.contains(&"providers of the same payer are ranked by cost".to_owned()));
        let refusal = json!({"code": "model_not_found", "presets": ["fast", "slow"]});
        let shown = lines(&json!({ "refusal": refusal }), true).remove(0);
        assert_eq!(
            shown,
            "refused: model_not_found - the workspace has no such preset; it has fast, slow"
        );
    }

    #[test]
    fn several_models_are_shown_in_their_turn() {
        let refused = json!({
            "requested": "claude", "refusal": {"code": "model_not_found"}, "targets": [],
            "trace": [{"rule": 3, "subject": {"kind": "model"}, "verdict": "not_known"}],
        });
        let mut left = served();
        left["requested"] = json!("gpt-4o");
        left["targets"] = json!([]);
        let mut whole = served();
        whole["models"] = json!([served(), refused, left]);
        let shown = lines(&whole, false);
        assert_eq!(
            shown,
            [
                "default:",
                "  openai/gpt-4o with own key primary",
                "  then openai/gpt-4o with credits, if own keys fail",
                "  the model was chosen by the workspace",
                "then claude:",
                "  refused: model_not_found - no provider that is switched on has the model",
                "    rule 3: no name of a model that is served came of it",
                "then gpt-4o:",
                "  nothing that is not tried before it",
                "  the model was chosen by the workspace",
            ]
        );
    }

    #[test]
    fn a_refusal_says_what_is_missing_and_what_to_do() {
        let refused = |refusal: Value| lines(&json!({ "refusal": refusal }), true).remove(0);
        assert_eq!(
            refused(json!({"code": "byok_key_missing", "providers": ["openai"]})),
            "refused: byok_key_missing - no own key for openai; add one: keybearer keys add openai"
        );
        assert_eq!(
            refused(json!({"code": "byok_key_dormant", "plans": ["free", "pro"]})),
            "refused: byok_key_dormant - the account's plan lets no own key serve; these do: free, pro"
        );
        assert_eq!(
            refused(json!({"code": "something_new"})),
            "refused: something_new"
        );
    }
}
