//! Rankings: which provider of a model comes first, and that nothing but the order changes.

use std::time::Duration;

use domain::policy::Mode;
use domain::ranking::Pace;
use domain::record::ProviderKeyRecord;
use domain::settings::ProviderSwitch;
use http::Method;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{REPORT, STREAM, paid, price};
use super::provider::{Provider, Step, chunk};

const EVERY: [&str; 4] = ["cost", "latency", "throughput", "balanced"];

/// The workspace's own key for a provider, which reports its usage.
async fn own(harness: &Harness, provider: &str) -> (ProviderKeyRecord, Provider) {
    let (record, upstream) = harness.own_at(provider, "own", |_| {}).await;
    upstream.says(REPORT);
    (record, upstream)
}

async fn switch_off(harness: &Harness, provider: &str) {
    let off = ProviderSwitch {
        enabled: false,
        ..ProviderSwitch::default()
    };
    let id = provider.parse().expect("an id");
    harness
        .settings(|settings| drop(settings.providers.insert(id, off)))
        .await;
}

struct Market {
    harness: Harness,
    mart: Provider,
    stall: Provider,
    records: [ProviderKeyRecord; 2],
}

/// Two own keys, for providers that know the same models. The dearer one comes first as they stand.
async fn market() -> Market {
    let harness = Harness::start().await;
    let (of_mart, mart) = own(&harness, "mart").await;
    let (of_stall, stall) = own(&harness, "stall").await;
    harness
        .policy(|policy| {
            policy.prices = vec![
                price("mart", "*", r#"{"input":"3","output":"15"}"#),
                price("stall", "org/x", r#"{"input":"1","output":"20"}"#),
            ];
        })
        .await;
    Market {
        harness,
        mart,
        stall,
        records: [of_mart, of_stall],
    }
}

fn call(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[],"n":1}}"#)
}

fn by(answer: &Answer) -> (u16, String) {
    let provider = answer.header("x-keybearer-provider").to_owned();
    (answer.status, provider)
}

fn is(provider: &str) -> (u16, String) {
    (200, provider.to_owned())
}

/// A stream of so many tokens that begins after so long.
fn stream(millis: u64, tokens: u64) -> Vec<Step> {
    let first = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let usage = format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{tokens}}}}}\n\n"
    );
    vec![
        Step::Wait(Duration::from_millis(millis)),
        Step::Send(STREAM.into()),
        Step::Send(chunk(first)),
        Step::Send(chunk(&usage)),
        Step::Send(chunk("data: [DONE]\n\n")),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]
}

async fn streamed(harness: &Harness, model: &str) -> (u16, String) {
    let body = format!(r#"{{"model":"{model}","messages":[],"stream":true}}"#);
    by(&harness.chat(&body).await)
}

#[tokio::test]
async fn cost_is_ascending_price_and_an_unknown_one_is_last() {
    let Market {
        harness,
        mart,
        stall,
        ..
    } = market().await;
    assert_eq!(by(&harness.chat(&call("org/x")).await), is("mart"));
    // 3000 tokens of input and 1000 of output: $0.023 against $0.024.
    let answer = harness.chat(&call("org/x:cost")).await;
    assert_eq!(by(&answer), is("stall"));
    assert_eq!(answer.header("x-keybearer-model"), "org/x");
    let (_, body) = stall.requests().remove(0);
    assert_eq!(body, call("org/x").as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model_requested, "org/x:cost");
    assert_eq!(row.model.as_deref(), Some("org/x"));
    // Nobody knows what the other model costs there.
    assert_eq!(by(&harness.chat(&call("org/y:cost")).await), is("mart"));
    // A plan that is remembered follows the policy of today.
    harness
        .policy(|policy| policy.prices[0] = price("mart", "*", r#"{"input":"1","output":"1"}"#))
        .await;
    assert_eq!(by(&harness.chat(&call("org/x:cost")).await), is("mart"));
    // The other one is still there when the first fails.
    mart.fails(429);
    let answer = harness.chat(&call("org/x:cost")).await;
    assert_eq!(by(&answer), is("stall"));
    assert_eq!(answer.header("x-keybearer-attempts"), "2");
}

#[tokio::test]
async fn latency_is_learnt_from_streams_and_what_is_unknown_gets_its_turn() {
    let Market {
        harness,
        mart,
        stall,
        ..
    } = market().await;
    mart.script(stream(300, 20));
    stall.script(stream(20, 20));
    // Nothing is measured before somebody ranks.
    assert_eq!(streamed(&harness, "org/x").await, is("mart"));
    assert_eq!(streamed(&harness, "org/x:latency").await, is("mart"));
    assert_eq!(streamed(&harness, "org/x:latency").await, is("stall"));
    for _ in 0..2 {
        assert_eq!(streamed(&harness, "org/x:latency").await, is("stall"));
    }
    // Calls that do not rank teach, too.
    mart.script(stream(0, 20));
    stall.script(stream(300, 20));
    for _ in 0..8 {
        assert_eq!(streamed(&harness, "org/x").await, is("mart"));
        assert_eq!(streamed(&harness, "stall/org/x").await, is("stall"));
    }
    assert_eq!(streamed(&harness, "org/x:latency").await, is("mart"));
    // What was measured long ago is not known.
    harness.advance(11 * 60_000);
    let first = streamed(&harness, "org/x:latency").await;
    assert_eq!(first, is("mart"));
    assert_eq!(streamed(&harness, "org/x:latency").await, is("stall"));
}

/// A whole answer of so many tokens after so long.
fn answer(millis: u64, tokens: u64) -> Vec<Step> {
    let body =
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":{tokens}}}}}"#);
    vec![
        Step::Wait(Duration::from_millis(millis)),
        Step::Send(super::provider::answer(
            200,
            &[super::payer::JSON],
            body.as_bytes(),
        )),
    ]
}

#[tokio::test]
async fn latency_of_whole_answers_is_learnt_apart_from_that_of_streams() {
    let Market {
        harness,
        mart,
        stall,
        records,
    } = market().await;
    mart.script(answer(300, 20));
    stall.script(answer(20, 20));
    let body = call("org/x:latency");
    for provider in ["mart", "stall", "stall", "stall"] {
        assert_eq!(by(&harness.chat(&body).await), is(provider));
    }
    // A long answer takes long wherever it is written.
    stall.script(answer(200, 1_000));
    assert_eq!(by(&harness.chat(&body).await), is("stall"));
    assert_eq!(by(&harness.chat(&body).await), is("stall"));
    let probe = harness.gateway.probe();
    let pace = |at: usize| probe.pace(&records[at].context, "org/x");
    assert!(pace(0).answer_ms > pace(1).answer_ms);
    assert_eq!((pace(0).first_byte_ms, pace(1).first_byte_ms), (None, None));
    // Of streams nothing is known yet, and what is learnt of them changes nothing for the others.
    mart.script(stream(0, 20));
    stall.script(stream(300, 20));
    for provider in ["mart", "stall", "mart", "mart"] {
        assert_eq!(streamed(&harness, "org/x:latency").await, is(provider));
    }
    mart.script(answer(0, 20));
    stall.script(answer(0, 20));
    assert_eq!(by(&harness.chat(&body).await), is("stall"));
}

#[tokio::test]
async fn throughput_is_learnt_from_whole_answers_as_well_and_balanced_weighs_all_three() {
    let Market {
        harness,
        mart,
        stall,
        records,
    } = market().await;
    mart.script(stream(300, 20));
    stall.script(stream(100, 20));
    assert_eq!(streamed(&harness, "org/x:throughput").await, is("mart"));
    assert_eq!(streamed(&harness, "org/x:throughput").await, is("stall"));
    assert_eq!(streamed(&harness, "org/x:throughput").await, is("stall"));
    stall.script(answer(500, 8));
    for _ in 0..6 {
        assert_eq!(by(&harness.chat(&call("stall/org/x")).await), is("stall"));
    }
    let body = call("org/x:throughput");
    assert_eq!(by(&harness.chat(&body).await), is("mart"));
    let probe = harness.gateway.probe();
    let pace = |at: usize| probe.pace(&records[at].context, "org/x");
    assert!(pace(0).first_byte_ms.is_some_and(|it| it >= 300));
    assert!(pace(0).tokens_in_1000_s > pace(1).tokens_in_1000_s);
    // As cheap, and three times as quick to begin, which is more than it is slower to write.
    assert!(pace(1).first_byte_ms < pace(0).first_byte_ms);
    assert_eq!(streamed(&harness, "org/x:balanced").await, is("stall"));
    // Ten times as dear is more than all of that.
    harness
        .policy(|policy| {
            policy.prices[1] = price("stall", "org/x", r#"{"input":"30","output":"150"}"#);
        })
        .await;
    assert_eq!(streamed(&harness, "org/x:balanced").await, is("mart"));
}

#[tokio::test]
async fn only_the_winner_of_a_hedge_teaches() {
    let Market {
        harness,
        mart,
        stall,
        records,
    } = market().await;
    harness
        .policy(|policy| policy.hedge_after_ms = Some(100))
        .await;
    mart.script(vec![Step::Gate]);
    stall.script(stream(0, 20));
    assert_eq!(streamed(&harness, "org/x:latency").await, is("stall"));
    assert!(mart.hung_up_soon().await);
    let probe = harness.gateway.probe();
    let pace = |at: usize| probe.pace(&records[at].context, "org/x");
    assert_eq!(pace(0), Pace::default());
    assert!(pace(1).first_byte_ms.is_some_and(|it| it < 100));
}

#[tokio::test]
async fn an_own_key_comes_before_credits_with_every_ranking() {
    let harness = Harness::start().await;
    let (_, mart) = own(&harness, "mart").await;
    let (_, stall) = harness.platform("stall").await;
    stall.says(REPORT);
    harness
        .settings(|settings| {
            settings.prices = vec![
                price("mart", "*", r#"{"input":"30","output":"150"}"#),
                price("stall", "*", r#"{"input":"1","output":"2"}"#),
            ];
        })
        .await;
    harness.mode(Mode::Auto).await;
    for ranking in EVERY {
        let answer = harness.chat(&call(&format!("org/x:{ranking}"))).await;
        assert_eq!(by(&answer), is("mart"), "{ranking}");
        assert_eq!(paid(&answer), "byok");
    }
    // Nor is a ranking consent to credits where the own key fails.
    mart.fails(429);
    for ranking in EVERY {
        let answer = harness.chat(&call(&format!("org/x:{ranking}"))).await;
        assert_eq!(answer.status, 429, "{ranking}");
    }
    assert_eq!(stall.hits(), 0);
}

#[tokio::test]
async fn platform_keys_are_ranked_by_what_they_take_in_credits() {
    let harness = Harness::start().await;
    let (_, mart) = harness.platform("mart").await;
    let (_, stall) = harness.platform("stall").await;
    mart.says(REPORT);
    stall.says(REPORT);
    let prices = vec![
        price("mart", "*", r#"{"input":"1","output":"1"}"#),
        price("stall", "*", r#"{"input":"2","output":"2"}"#),
    ];
    harness.settings(|settings| settings.prices = prices).await;
    harness.mode(Mode::Managed).await;
    let body = r#"{"model":"org/x:cost","messages":[],"max_tokens":2}"#;
    assert_eq!(by(&harness.chat(body).await), is("mart"));
    // Credits for the cheaper one cost more.
    harness
        .settings(|settings| {
            let ratio = r#"{"provider":"mart","model":"*","operation":"*","ratio":"3"}"#;
            settings.credit_ratios = vec![serde_json::from_str(ratio).expect("a ratio")];
        })
        .await;
    assert_eq!(by(&harness.chat(body).await), is("stall"));
    // What a workspace has negotiated is not the price of its credits.
    harness
        .policy(|policy| policy.prices = vec![price("mart", "*", r#"{"input":"0","output":"0"}"#)])
        .await;
    assert_eq!(by(&harness.chat(body).await), is("stall"));
}

#[tokio::test]
async fn the_path_of_geminis_formats_may_carry_a_ranking() {
    let harness = Harness::start().await;
    let (_, google) = own(&harness, "google").await;
    let path = "/v1beta/models/google/gemini-x:cost:generateContent";
    let body = r#"{"model":"models/google/gemini-x:cost","contents":[]}"#;
    let answer = harness
        .send(harness.request(Method::POST, path, body))
        .await;
    assert_eq!(by(&answer), is("google"));
    let (head, body) = google.requests().remove(0);
    assert!(
        head.starts_with("POST /base/models/gemini-x:generateContent "),
        "{head}"
    );
    assert_eq!(body, br#"{"model":"models/gemini-x","contents":[]}"#);
}

#[tokio::test]
async fn what_is_denied_stays_denied_with_every_ranking() {
    let Market {
        harness,
        mart,
        stall,
        ..
    } = market().await;
    switch_off(&harness, "stall").await;
    for ranking in EVERY {
        let answer = harness.chat(&call(&format!("org/x:{ranking}"))).await;
        assert_eq!(by(&answer), is("mart"), "{ranking}");
        let refused = harness.chat(&call(&format!("claude-x:{ranking}"))).await;
        assert_eq!(refused.status, 402);
        assert_eq!(refused.code(), "byok_key_missing");
    }
    switch_off(&harness, "mart").await;
    for ranking in EVERY {
        let refused = harness.chat(&call(&format!("org/x:{ranking}"))).await;
        assert_eq!(refused.code(), "model_not_found", "{ranking}");
    }
    assert_eq!((mart.hits(), stall.hits()), (EVERY.len(), 0));
}

#[tokio::test]
async fn a_suffix_that_is_no_ranking_is_a_part_of_the_name() {
    let Market { harness, mart, .. } = market().await;
    for name in ["nobody-knows:quality", "nobody-knows:Cost", "sk-secret:x"] {
        let refused = harness.chat(&call(name)).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "model_not_found")
        );
        let text = String::from_utf8_lossy(&refused.body);
        for ranking in EVERY {
            assert!(text.contains(ranking), "{text}");
        }
        assert!(!text.contains("secret"));
    }
    // Who claims the name is asked for it as it stands.
    assert_eq!(by(&harness.chat(&call("org/x:free")).await), is("mart"));
    let (_, body) = mart.requests().remove(0);
    assert_eq!(body, call("org/x:free").as_bytes());
    let rows = harness.usage().await;
    assert!(rows.iter().all(|row| !row.model_requested.contains("sk-")));
    // A ranked name is recorded where it names a model of ours.
    let refused = harness.chat(&call("claude-tiny:cost")).await;
    assert_eq!(refused.code(), "byok_key_missing");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.model_requested, "claude-tiny:cost");
    assert_eq!(row.model.as_deref(), Some("claude-tiny"));
}

#[tokio::test]
async fn what_a_key_keeps_is_asked_of_that_key_whatever_the_ranking() {
    let Market {
        harness,
        mart,
        stall,
        ..
    } = market().await;
    let kept = |id: &str| format!(r#"{{"id":"{id}","object":"response","output":[]}}"#);
    mart.says(&kept("resp_00000000000000000001"));
    stall.says(&kept("resp_00000000000000000002"));
    let responses = async |model: &str, rest: &str| {
        let body = format!(r#"{{"model":"{model}","input":"hi"{rest}}}"#);
        let request = harness.request(Method::POST, "/v1/responses", &body);
        by(&harness.send(request).await)
    };
    assert_eq!(responses("org/x", "").await, is("mart"));
    assert_eq!(responses("org/x:cost", "").await, is("stall"));
    let goes_on = r#","previous_response_id":"resp_00000000000000000001""#;
    assert_eq!(responses("org/x:cost", goes_on).await, is("mart"));
}

#[tokio::test]
async fn a_listed_name_tells_who_would_serve_first() {
    let market = market().await;
    for (name, provider) in [("org/x", "mart"), ("org/x:cost", "stall")] {
        let path = format!("/v1/models/{name}");
        let listed = market.harness.get(&path).await;
        assert_eq!(listed.status, 200, "{listed:?}");
        assert_eq!(listed.json()["keybearer"]["provider"], provider, "{name}");
    }
}
