//! Presets: what a name of the workspace stands for, in every format, and that it gives no rights.

use std::time::Duration;

use domain::KeyOwner;
use domain::policy::Tier;
use domain::settings::ProviderSwitch;
use http::Method;
use serde_json::{Value, json};

use super::client::Answer;
use super::harness::Harness;
use super::payer::{HOLD, JSON, REPORT, managed, price};
use super::provider::{Provider, Step, answer};

const EVERYTHING: &str = r#""parameters":{"temperature":"0.2","top_p":0.9,"max_tokens":64,
    "reasoning_effort":"low","system_prompt":"Be brief."}"#;

impl Harness {
    async fn preset(&self, name: &str, json: &str) {
        let preset = serde_json::from_str(json).expect("a preset");
        self.policy(|policy| {
            let name = name.parse().expect("a name");
            policy.presets.insert(name, preset);
        })
        .await;
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(self.request(Method::POST, path, body)).await
    }
}

async fn own(harness: &Harness, provider: &str) -> Provider {
    let upstream = Provider::start().await;
    upstream.says(REPORT);
    let owner = KeyOwner::Workspace(harness.workspace);
    let record = harness.record_of(owner, provider, "own", &upstream).await;
    harness.put(&record).await;
    upstream
}

fn last(provider: &Provider) -> String {
    let (_, body) = provider.requests().pop().expect("a request");
    String::from_utf8(body).expect("text")
}

#[tokio::test]
async fn a_preset_says_what_the_request_leaves_unsaid_in_all_formats() {
    let harness = Harness::start().await;
    let openai = own(&harness, "openai").await;
    let anthropic = own(&harness, "anthropic").await;
    let google = own(&harness, "google").await;
    for (name, model) in [
        ("gpt", "gpt-x"),
        ("claude", "claude-x"),
        ("gemini", "gemini-x"),
    ] {
        let json = format!(r#"{{"models":["{model}"],{EVERYTHING}}}"#);
        harness.preset(name, &json).await;
    }
    for (path, body, upstream, expected) in [
        (
            "/v1/chat/completions",
            r#"{"model":"@gpt","messages":[{"role":"user","content":"hi"}],"stream":false, "x":1.0e3}"#,
            &openai,
            r#"{"model":"gpt-x","messages":[{"content":"Be brief.","role":"system"},{"role":"user","content":"hi"}],"stream":false, "x":1.0e3,"max_tokens":64,"temperature":0.2,"top_p":0.9,"reasoning_effort":"low"}"#,
        ),
        (
            "/v1/chat/completions",
            r#"{"messages":[{"role":"system","content":"x"}],"temperature":1,"top_p":null,"max_completion_tokens":5,"reasoning_effort":"high","stream":true,"stream_options":{"include_usage":true},"model":"@gpt"}"#,
            &openai,
            r#"{"messages":[{"role":"system","content":"x"}],"temperature":1,"top_p":null,"max_completion_tokens":5,"reasoning_effort":"high","stream":true,"stream_options":{"include_usage":true},"model":"gpt-x"}"#,
        ),
        (
            "/v1/responses",
            r#"{"model":"@gpt","input":"hi","temperature":1}"#,
            &openai,
            r#"{"model":"gpt-x","input":"hi","temperature":1,"max_output_tokens":64,"top_p":0.9,"reasoning":{"effort":"low"},"instructions":"Be brief."}"#,
        ),
        (
            "/v1/messages",
            r#"{"model":"@claude","max_tokens":9,"messages":[],"stream":true}"#,
            &anthropic,
            r#"{"model":"claude-x","max_tokens":9,"messages":[],"stream":true,"temperature":0.2,"top_p":0.9,"output_config":{"effort":"low"},"system":"Be brief."}"#,
        ),
        (
            "/v1beta/models/@gemini:generateContent",
            r#"{"model":"models/@gemini","contents":[]}"#,
            &google,
            r#"{"model":"models/gemini-x","contents":[],"generationConfig":{"temperature":0.2,"topP":0.9,"maxOutputTokens":64,"thinkingConfig":{"thinkingLevel":"low"}},"systemInstruction":{"parts":[{"text":"Be brief."}]}}"#,
        ),
        (
            "/v1beta/models/@gemini:streamGenerateContent",
            r#"{"contents":[],"generation_config":{"temperature":1},"systemInstruction":{"parts":[]}}"#,
            &google,
            r#"{"contents":[],"generation_config":{"temperature":1,"topP":0.9,"maxOutputTokens":64,"thinkingConfig":{"thinkingLevel":"low"}},"systemInstruction":{"parts":[]}}"#,
        ),
        // Where the format has no words for it the models are all that it says.
        (
            "/v1/embeddings",
            r#"{"model":"@gpt","input":"hi"}"#,
            &openai,
            r#"{"model":"gpt-x","input":"hi"}"#,
        ),
        (
            "/v1/messages/count_tokens",
            r#"{"model":"@claude","messages":[]}"#,
            &anthropic,
            r#"{"model":"claude-x","messages":[]}"#,
        ),
    ] {
        // A plan that is remembered has the preset as well.
        for _ in 0..2 {
            let answer = harness.post(path, body).await;
            assert_eq!(
                answer.status,
                200,
                "{path} {}",
                String::from_utf8_lossy(&answer.body)
            );
            assert_eq!(last(upstream), expected, "{path}");
        }
    }
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model_requested, "@claude");
    assert_eq!(row.model.as_deref(), Some("claude-x"));
}

#[tokio::test]
async fn what_is_translated_says_it_in_the_providers_words() {
    let harness = Harness::start().await;
    let anthropic = own(&harness, "anthropic").await;
    anthropic.says(
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":1,"output_tokens":1}}"#,
    );
    let json = format!(r#"{{"models":["claude-x"],{EVERYTHING}}}"#);
    harness.preset("fast", &json).await;
    let body = r#"{"model":"@fast","messages":[{"role":"user","content":"hi"}],"top_p":0.5}"#;
    let answer = harness.chat(body).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let sent: Value = serde_json::from_str(&last(&anthropic)).expect("JSON");
    assert_eq!(sent["model"], "claude-x");
    assert_eq!(sent["max_tokens"], 64);
    assert_eq!(
        (&sent["top_p"], &sent["temperature"]),
        (&json!(0.5), &json!(0.2))
    );
    assert!(sent["system"].to_string().contains("Be brief."), "{sent}");
}

#[tokio::test]
async fn the_models_of_a_preset_are_tried_in_turn_each_with_its_ranking() {
    let harness = Harness::start().await;
    let (mart, stall, openai) = (
        own(&harness, "mart").await,
        own(&harness, "stall").await,
        own(&harness, "openai").await,
    );
    harness
        .policy(|policy| {
            policy.prices = vec![
                price("mart", "*", r#"{"input":"3","output":"15"}"#),
                price("stall", "*", r#"{"input":"1","output":"2"}"#),
            ];
        })
        .await;
    let fast = r#"{"models":["org/x:cost","gpt-x"]}"#;
    harness.preset("fast", fast).await;
    let call = r#"{"model":"@fast","messages":[]}"#;
    let served = |answer: &Answer| {
        let header = |name| answer.header(name).to_owned();
        (
            header("x-keybearer-provider"),
            header("x-keybearer-attempts"),
        )
    };
    let is = |provider: &str, attempts: &str| (provider.to_owned(), attempts.to_owned());
    // So slow that whoever asks for latency is better off elsewhere.
    stall.once(vec![
        Step::Wait(Duration::from_millis(500)),
        Step::Send(answer(200, &[JSON], REPORT.as_bytes())),
    ]);
    assert_eq!(served(&harness.chat(call).await), is("stall", "1"));
    stall.fails(401);
    assert_eq!(served(&harness.chat(call).await), is("mart", "2"));
    mart.fails(401);
    assert_eq!(served(&harness.chat(call).await), is("openai", "3"));
    // What the request says of the order counts more than the preset; another base is another model.
    mart.says(REPORT);
    stall.says(REPORT);
    let latency = r#"{"model":"@fast:latency","messages":[]}"#;
    assert_eq!(served(&harness.chat(latency).await).0, "mart");
    let other = r#"{"model":"@fast/gpt-other","messages":[]}"#;
    assert_eq!(served(&harness.chat(other).await), is("openai", "1"));
    assert!(last(&openai).contains("gpt-other"));
    // A preset without parameters may stand in a list.
    let listed = r#"{"model":"@fast","models":["gpt-z"],"messages":[]}"#;
    assert_eq!(served(&harness.chat(listed).await), is("stall", "1"));
}

#[tokio::test]
async fn credits_are_held_for_what_the_preset_says() {
    let (harness, openai, _) = managed().await;
    let fast = r#"{"models":["gpt-x"],"parameters":{"max_tokens":2}}"#;
    harness.preset("fast", fast).await;
    harness.has_credits(HOLD - 1).await;
    let refused = harness.chat(r#"{"model":"@fast"}"#).await;
    assert_eq!(refused.code(), "credits_exhausted");
    assert_eq!(refused.json()["error"]["needed"]["nano_usd"], HOLD);
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn a_default_may_be_a_preset() {
    let harness = Harness::start().await;
    let openai = own(&harness, "openai").await;
    let fast = r#"{"models":["level_1:cost"],"parameters":{"temperature":1}}"#;
    harness.preset("fast", fast).await;
    harness
        .policy(|policy| {
            policy.model = Some("@fast".parse().expect("a name"));
            policy
                .tiers
                .insert(Tier::Level1, "gpt-x".parse().expect("a name"));
        })
        .await;
    let answer = harness.chat(r#"{"model":"default"}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(last(&openai), r#"{"model":"gpt-x","temperature":1}"#);
}

#[tokio::test]
async fn what_names_no_preset_or_too_much_is_refused() {
    let harness = Harness::start().await;
    let openai = own(&harness, "openai").await;
    let refused = harness.chat(r#"{"model":"@fast"}"#).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "model_not_found")
    );
    assert_eq!(refused.json()["error"]["presets"], json!([]));
    let fast = r#"{"models":["gpt-x"],"parameters":{"temperature":1}}"#;
    harness.preset("fast", fast).await;
    for name in ["@slow", "@sk-secret", "@fast:quality", "@"] {
        let refused = harness.chat(&json!({ "model": name }).to_string()).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "model_not_found")
        );
        assert_eq!(refused.json()["error"]["presets"], json!(["fast"]));
        let text = String::from_utf8_lossy(&refused.body);
        assert!(
            text.contains("`@fast`") && !text.contains("secret"),
            "{text}"
        );
    }
    for listed in [
        r#"{"model":"@fast","models":["gpt-z"]}"#,
        r#"{"model":"gpt-z","models":["@fast"]}"#,
    ] {
        let refused = harness.chat(listed).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "invalid_request")
        );
        assert_eq!(refused.json()["error"]["field"], "models");
    }
    // Nor where nothing of the preset may serve.
    let locked = r#"{"models":["level_2"],"parameters":{"temperature":1}}"#;
    harness.preset("locked", locked).await;
    let listed = harness.chat(r#"{"models":["@locked","gpt-x"]}"#).await;
    assert_eq!(
        (listed.status, listed.code().as_str()),
        (400, "invalid_request")
    );
    // A ranking is no part of the name that is not found.
    for name in ["typo-x:cost", "opnai/gpt-x:cost"] {
        let refused = harness.chat(&json!({ "model": name }).to_string()).await;
        assert_eq!(refused.code(), "model_not_found", "{name}");
        let text = String::from_utf8_lossy(&refused.body);
        assert!(
            text.contains("`cost`") || text.contains("latency"),
            "{text}"
        );
    }
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn a_preset_gives_no_rights_and_is_listed_where_it_is_served() {
    let harness = Harness::start().await;
    let openai = own(&harness, "openai").await;
    harness.preset("fast", r#"{"models":["gpt-x"]}"#).await;
    harness.preset("other", r#"{"models":["claude-x"]}"#).await;
    let listed = async || {
        let list = harness.get("/v1/models").await.json();
        let data = list["data"].as_array().expect("a list").clone();
        let presets = data.into_iter();
        presets
            .filter(|it| it["id"].as_str().is_some_and(|id| id.starts_with('@')))
            .map(|it| (it["id"].clone(), it["keybearer"].clone()))
            .collect::<Vec<_>>()
    };
    let served =
        json!({"key_source": "byok", "provider": "openai", "model": "gpt-x", "preset": "fast"});
    assert_eq!(listed().await, [(json!("@fast"), served.clone())]);
    let one = harness.get("/v1/models/@fast:cost").await;
    assert_eq!((one.status, &one.json()["keybearer"]), (200, &served));
    let call = r#"{"model":"@other"}"#;
    assert_eq!(harness.chat(call).await.code(), "byok_key_missing");
    harness
        .settings(|settings| {
            let off = ProviderSwitch {
                models: Some(Vec::new()),
                ..ProviderSwitch::default()
            };
            let id = "openai".parse().expect("an id");
            settings.providers.insert(id, off);
        })
        .await;
    let refused = harness.chat(r#"{"model":"@fast"}"#).await;
    assert_eq!(refused.code(), "model_not_found");
    assert_eq!(listed().await, []);
    assert_eq!(openai.hits(), 0);
}
