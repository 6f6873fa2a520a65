//! The decision in words.

use domain::NanoUsd;
use serde_json::Value;

/// Why nothing can serve, and what helps.
pub(super) fn refusal(refusal: &Value) -> String {
    let code = refusal["code"].as_str().unwrap_or("-");
    match advice(code, refusal) {
        Some(advice) => format!("refused: {code} - {advice}"),
        None => format!("refused: {code}"),
    }
}

fn advice(code: &str, refusal: &Value) -> Option<String> {
    let all = |field: &str, between: &str| {
        let list = refusal[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(between)
    };
    let providers = all("providers", " or ");
    let provider = refusal["providers"][0].as_str().unwrap_or("PROVIDER");
    let label = refusal["key_label"].as_str();
    let key = label.map_or_else(|| "the own key".to_owned(), |it| format!("own key {it}"));
    let plans = match all("plans", ", ") {
        plans if plans.is_empty() => String::new(),
        plans => format!("; these do: {plans}"),
    };
    Some(match code {
        "byok_key_missing" | "byok_key_revoked" if refusal["variables"].is_array() => {
            let variables = all("variables", ", ");
            let first = refusal["variables"][0].as_str().unwrap_or("-");
            format!(
                "no own key for {providers}: none was taken from {variables}; set one: export {first}=..., then keybearer reload, which says why it takes none"
            )
        }
        "byok_key_missing" => {
            format!("no own key for {providers}; add one: keybearer keys add {provider}")
        }
        "byok_key_disabled" => {
            let label = label.unwrap_or("LABEL");
            format!(
                "{key} for {providers} is disabled; enable it: keybearer keys enable {provider} --label {label}"
            )
        }
        "byok_key_revoked" => format!(
            "{key} for {providers} was removed; add one: keybearer keys add {provider}"
        ),
        "byok_key_dormant" => format!("the account's plan lets no own key serve{plans}"),
        "byok_disabled_for_provider" => {
            format!("an instance admin switched own keys for {providers} off")
        }
        "byok_required" => "only credits could pay, and the workspace or the request forbids them".to_owned(),
        "byok_forbidden" => "only own keys could serve, and the workspace's policy forbids them".to_owned(),
        "managed_unavailable" => format!(
            "credits would pay, and the instance has no platform key for {providers}; an instance admin adds one: \
             keybearer keys add {provider} --platform --email ADDRESS"
        ),
        "mode_not_offered" => {
            "the instance no longer offers the workspace's mode; choose another: keybearer ai-config set --mode MODE"
                .to_owned()
        }
        "model_not_chosen" => {
            "nobody chose a model; choose one: keybearer ai-config set --model MODEL".to_owned()
        }
        "model_not_found" if refusal["presets"].is_array() => {
            format!("the workspace has no such preset; it has {}", all("presets", ", "))
        }
        "model_not_found" => match refusal["tier"].as_str() {
            Some(tier) => format!("no model stands behind {tier}, in the workspace or the instance"),
            None => "no provider that is switched on has the model".to_owned(),
        },
        "plan_required" => match refusal["tier"].as_str() {
            Some(tier) => format!("the account's plan does not open {tier}{plans}"),
            None => format!("the account's plan does not have this{plans}"),
        },
        _ => return None,
    })
}

/// One way to serve.
pub(super) fn target(target: &Value) -> String {
    let text = |field: &str| target[field].as_str().unwrap_or("-");
    let with = match (target["key_source"].as_str(), target["key_label"].as_str()) {
        (Some("managed"), _) => "credits".to_owned(),
        _ => own_key(target),
    };
    let mut line = format!("{}/{} with {with}", text("provider"), text("model"));
    match text("when") {
        "own_keys_failed" => line.push_str(", if own keys fail"),
        "own_keys_failed_or_denied" => line.push_str(", if own keys fail or are turned away"),
        _ => {}
    }
    if let Some(level) = target["level"].as_i64() {
        line.push_str(&format!(", level {level}"));
    }
    if let Some(until) = target["sleeping_until"].as_str() {
        line.push_str(&format!(", asleep until {until}"));
    }
    line.push_str(&rank(&target["ranked_by"]));
    line
}

/// An own key, by whose it is and its label: the workspace and its account may have keys of one label.
fn own_key(of: &Value) -> String {
    let is_account = of["key_scope"] == "account";
    match (of["key_label"].as_str(), is_account) {
        (Some(label), true) => format!("the account's key {label}"),
        (Some(label), false) => format!("own key {label}"),
        (None, true) => "a key of the account".to_owned(),
        (None, false) => "an own key".to_owned(),
    }
}

/// What the ranking looked at.
fn rank(rank: &Value) -> String {
    if rank.is_null() {
        return String::new();
    }
    let cost = match rank["cost_nano_usd"].as_i64() {
        Some(nanos) => format!("${} for 3000 tokens in and 1000 out", NanoUsd::new(nanos)),
        None => "price not known".to_owned(),
    };
    let first_byte = match rank["first_byte_ms"].as_u64() {
        Some(millis) => format!("first byte in {millis} ms"),
        None => "first byte not measured lately".to_owned(),
    };
    let answer = match rank["answer_ms"].as_u64() {
        Some(millis) => format!("whole answer in {millis} ms"),
        None => "whole answer not measured lately".to_owned(),
    };
    let throughput = match rank["output_tokens_per_second"].as_f64() {
        Some(tokens) => format!("{tokens} tokens/s"),
        None => "throughput not measured lately".to_owned(),
    };
    format!(" ({cost}; {first_byte}; {answer}; {throughput})")
}

/// How the model was found, where the request did not simply name it.
pub(super) fn choice(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    match answer["chosen_by"].as_str() {
        None | Some("request") => {}
        Some(level) => {
            let level = level.replace('_', " ");
            lines.push(format!("the model was chosen by the {level}"));
        }
    }
    let model = answer["model"].as_str().unwrap_or("-");
    if let Some(preset) = answer["preset"].as_str() {
        lines.push(format!("the preset @{preset} stands for {model}"));
    }
    if let Some(ranking) = answer["ranking"].as_str() {
        lines.push(format!(
            "providers of the same payer are ranked by {ranking}"
        ));
    }
    if let Some(tier) = answer["tier"].as_str() {
        lines.push(format!("{tier} stands for {model}"));
    }
    if let Some(pattern) = answer["mapped_by"]["pattern"].as_str() {
        lines.push(format!("the mapping {pattern} puts {model} in its place"));
    }
    lines
}

/// One rule that spoke.
pub(super) fn step(step: &Value) -> String {
    let subject = &step["subject"];
    let kind = subject["kind"].as_str().unwrap_or("-");
    let provider = subject["provider"].as_str().unwrap_or("-");
    let key = match kind {
        "key" => format!("{} for {provider}", own_key(subject)),
        _ => format!("a platform key for {provider}"),
    };
    let verdict = step["verdict"].as_str().unwrap_or("-");
    match (kind, verdict) {
        ("mode", "applies") => format!("the mode is {}", subject["mode"].as_str().unwrap_or("-")),
        ("mode", "not_offered") => format!(
            "the instance no longer offers the mode {}",
            subject["mode"].as_str().unwrap_or("-")
        ),
        ("mode", "no_consent") => "the mode keeps credits out".to_owned(),
        ("key" | "platform_key", "serves") => format!("{key} may serve"),
        ("key" | "platform_key", "serves_last") => {
            format!("{key} may serve after everything else")
        }
        ("key" | "platform_key", "disabled") => format!("{key} is disabled"),
        ("key", "dormant") => format!("{key} is dormant: the account's plan lets no own key serve"),
        ("key", "rests") => format!("{key} rests: own keys for {provider} are switched off"),
        ("provider", "removed") => {
            format!("an own key for {provider} was removed and not replaced")
        }
        ("provider", "switched_off") => {
            format!("an instance admin switched {provider}, or the model there, off")
        }
        ("provider", "byok_switched_off") => {
            format!("an instance admin switched own keys for {provider} off")
        }
        ("model", "not_known") => "no name of a model that is served came of it".to_owned(),
        ("model", "not_allowed") => "the account's plan does not open the tier".to_owned(),
        ("request", "byok_required") => "the request forbids credits".to_owned(),
        ("workspace", "byok_required") => "the workspace's policy forbids credits".to_owned(),
        ("workspace", "byok_forbidden") => "the workspace's policy forbids own keys".to_owned(),
        ("workspace", "consents") => "credits may step in after own keys fail".to_owned(),
        ("workspace", "no_consent") => "credits do not step in after own keys".to_owned(),
        ("instance", "not_allowed") => "the instance lets no credits step in".to_owned(),
        ("instance", "no_platform_key") => {
            "the instance has no platform key that serves the model".to_owned()
        }
        _ => format!("{kind}: {}", verdict.replace('_', " ")),
    }
}
