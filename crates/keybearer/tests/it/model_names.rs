//! Rankings and presets over the running server: set by the command line, called, explained.

use serde_json::{Value, json};
use testkit::app::Reply;
use testkit::canary::Canary;
use testkit::provider::ScriptedProvider;

use crate::{Fixture, builder, chat, chat_stream};

/// Two providers have it by this name; the first is the dearer one.
const MODEL: &str = "openai/gpt-oss-120b";

/// An instance of two providers that know the same model, with an own key for each.
async fn market() -> Fixture {
    let provider = ScriptedProvider::start();
    let mut app = builder()
        .provider("groq", &provider)
        .provider("openrouter", &provider)
        .provider("openai", &provider)
        .start()
        .await;
    let owner = app.setup().await;
    for (name, value) in [
        ("KEYBEARER_URL", app.url()),
        ("KEYBEARER_API_KEY", owner.api_key.clone()),
        ("KEYBEARER_WORKSPACE", owner.workspace.clone()),
    ] {
        app.builder_mut().set_env(name, &value);
    }
    let fixture = Fixture {
        app,
        owner,
        provider,
        canary: Canary::new(),
    };
    for provider in ["groq", "openrouter"] {
        let key = fixture.canary.openai_key();
        fixture.workspace_key(provider, "primary", &key).await;
    }
    let price = |provider: &str, rate: &str| json!({"provider": provider, "model": "*", "price": {"input": rate, "output": rate}});
    let prices = [price("groq", "2"), price("openrouter", "1")];
    fixture.policy(&json!({ "prices": prices })).await;
    fixture
}

fn by(reply: &Reply) -> (u16, Option<&str>, Option<&str>) {
    let header = |name| reply.header(name);
    (
        reply.status,
        header("x-keybearer-provider"),
        header("x-keybearer-model"),
    )
}

fn is(provider: &str) -> (u16, Option<&str>, Option<&str>) {
    (200, Some(provider), Some(MODEL))
}

#[tokio::test]
async fn a_ranking_is_called_recorded_and_explained_alike() {
    let fixture = market().await;
    assert_eq!(by(&fixture.chat(MODEL).await), is("groq"));
    let ranked = format!("{MODEL}:cost");
    assert_eq!(by(&fixture.chat(&ranked).await), is("openrouter"));
    let rows = fixture.app.usage(&fixture.owner, 2).await;
    assert_eq!(rows[0]["model_requested"], ranked.as_str());
    assert_eq!(rows[0]["model"], MODEL);
    assert_eq!(fixture.provider.last().json()["model"], MODEL);

    let shown = fixture.resolve(&ranked).await;
    assert_eq!(shown["ranking"], "cost");
    let order = |shown: &Value| -> Vec<String> {
        let targets = shown["targets"].as_array().expect("a list").iter();
        targets
            .map(|it| it["provider"].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(order(&shown), ["openrouter", "groq"]);
    let costs = shown["targets"].as_array().expect("a list").iter();
    let costs: Vec<i64> = costs
        .map(|it| it["ranked_by"]["cost_nano_usd"].as_i64().expect("a number"))
        .collect();
    assert_eq!(costs, [4_000_000, 8_000_000]);
    let plain = fixture.resolve(MODEL).await;
    assert_eq!(order(&plain), ["groq", "openrouter"]);
    assert_eq!(plain["targets"][0]["ranked_by"], Value::Null);
    let told = fixture.cli(&["resolve", &ranked]).await.stdout;
    assert!(
        told.starts_with("openrouter/openai/gpt-oss-120b with own key primary ($0.004 for 3000"),
        "{told}"
    );

    // What calls measured is in the explanation.
    let body = chat_stream(&format!("{MODEL}:latency"));
    let post = async || {
        let key = &fixture.owner.key;
        key.post("/v1/chat/completions", &body).await
    };
    assert_eq!(by(&post().await), is("groq"));
    let shown = fixture.resolve(&format!("{MODEL}:latency")).await;
    assert_eq!(order(&shown), ["openrouter", "groq"]);
    let [first, second] = [0, 1].map(|at| shown["targets"][at]["ranked_by"].clone());
    assert_eq!(first["first_byte_ms"], Value::Null);
    assert!(second["first_byte_ms"].is_u64(), "{second}");
    assert_eq!(by(&post().await), is("openrouter"));
    let unknown = fixture.chat("nobody-knows:quality").await;
    let unknown = unknown.expect_error(404, "model_not_found");
    assert!(unknown.text().contains("`throughput`"));
    fixture.finish().await;
}

#[tokio::test]
async fn a_preset_is_set_shown_called_and_taken_out() {
    let fixture = market().await;
    let preset = json!({"presets": {"fast": {
        "models": [format!("{MODEL}:cost"), "level_2"],
        "parameters": {"temperature": 0.2, "max_tokens": 50, "system_prompt": "Be brief."},
    }}});
    let file = fixture.app.dir().join("presets.json");
    std::fs::write(&file, preset.to_string()).expect("written");
    let file = file.display().to_string();
    fixture.cli(&["policy", "set", "--input", &file]).await;
    let shown = fixture.cli_json(&["policy", "show"]).await;
    let stored = &shown["presets"]["fast"];
    assert_eq!(stored["parameters"]["temperature"], "0.2");

    assert_eq!(by(&fixture.chat("@fast").await), is("openrouter"));
    let sent = fixture.provider.last().json();
    assert_eq!(
        (&sent["model"], &sent["temperature"]),
        (&json!(MODEL), &json!(0.2))
    );
    assert_eq!(sent["messages"][0]["content"], "Be brief.");
    let mut own = chat("@fast");
    own["temperature"] = json!(1);
    own["messages"] = json!([{"role": "system", "content": "x"}]);
    let key = &fixture.owner.key;
    let reply = key.post("/v1/chat/completions", &own).await;
    assert_eq!(by(&reply), is("openrouter"));
    let sent = fixture.provider.last().json();
    assert_eq!(
        (&sent["temperature"], &sent["messages"]),
        (&json!(1), &own["messages"])
    );
    assert_eq!(sent["max_tokens"], 50);

    let shown = fixture.resolve("@fast:latency").await;
    assert_eq!(
        (&shown["preset"], &shown["ranking"]),
        (&json!("fast"), &json!("latency"))
    );
    assert_eq!(shown["models"][1]["refusal"]["code"], "model_not_found");
    let listed = key.get("/v1/models").await.json();
    let listed = listed["data"].as_array().expect("a list").iter();
    assert!(listed.clone().any(|it| it["id"] == "@fast"));
    let refused = fixture.chat("@slow").await;
    let refused = refused.expect_error(404, "model_not_found");
    assert_eq!(refused.json()["error"]["presets"], json!(["fast"]));
    let slow = fixture.resolve("@slow").await;
    assert_eq!(slow["refusal"]["presets"], json!(["fast"]));

    // The next call follows the policy.
    let change = json!({"presets": {"fast": {"parameters": {"temperature": null}}}});
    fixture.policy(&change).await;
    fixture.chat("@fast").await.expect(200);
    let sent = fixture.provider.last().json();
    assert_eq!(
        (sent.get("temperature"), &sent["max_tokens"]),
        (None, &json!(50))
    );
    fixture.policy(&json!({"presets": {"fast": null}})).await;
    let gone = fixture.chat("@fast").await;
    gone.expect_error(404, "model_not_found");
    fixture.finish().await;
}
