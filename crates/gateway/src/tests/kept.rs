//! What a provider keeps is found again: a call that names it goes to the key that made it, and to no other.

use domain::KeyOwner;
use domain::access::Action;
use domain::record::ProviderKeyRecord;
use http::Method;

use super::client::Answer;
use super::harness::Harness;
use super::payer::STREAM;
use super::provider::{Provider, Step, chunk};

const RESPONSES: &str = "/v1/responses";

/// Two keys that share the load, and a third behind them.
async fn pool(harness: &Harness) -> [(ProviderKeyRecord, Provider); 3] {
    let shared = |key: &mut ProviderKeyRecord| key.level = Some(1);
    [
        harness.own("one", shared).await,
        harness.own("two", shared).await,
        harness.own("three", |key| key.level = Some(2)).await,
    ]
}

async fn respond(harness: &Harness, fields: &str) -> Answer {
    let call = format!(r#"{{"model":"gpt-x","input":"hi"{fields}}}"#);
    harness
        .send(harness.request(Method::POST, RESPONSES, &call))
        .await
}

async fn ask(harness: &Harness, method: Method, path: &str) -> Answer {
    let mut request = harness.request(method, path, "");
    request.headers_mut().remove("content-type");
    harness.send(request).await
}

fn label(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-keybearer-key-label")
}

#[tokio::test]
async fn a_conversation_stays_with_the_key_that_made_its_last_response() {
    let harness = Harness::start().await;
    let [one, two, _] = pool(&harness).await;
    one.1.says(r#"{"id":"resp_one","output":[]}"#);
    two.1.says(r#"{"id":"resp_two","output":[]}"#);
    // By turns.
    assert_eq!(label(&respond(&harness, "").await), "one");
    assert_eq!(label(&respond(&harness, "").await), "two");
    for _ in 0..3 {
        let goes_on = respond(&harness, r#","previous_response_id":"resp_two""#).await;
        assert_eq!(label(&goes_on), "two");
        let got = ask(&harness, Method::GET, "/v1/responses/resp_one").await;
        assert_eq!(label(&got), "one");
        let items = ask(&harness, Method::GET, "/v1/responses/resp_two/input_items").await;
        assert_eq!(label(&items), "two");
    }
    // One of which nobody knows goes as if it were not named.
    let mut labels = Vec::new();
    for _ in 0..2 {
        let answer = respond(&harness, r#","previous_response_id":"resp_other""#).await;
        labels.push(label(&answer).to_owned());
    }
    labels.sort();
    assert_eq!(labels, ["one", "two"]);
}

#[tokio::test]
async fn a_key_that_fails_is_not_replaced_for_what_it_keeps() {
    let harness = Harness::start().await;
    let [one, two, three] = pool(&harness).await;
    one.1.says(r#"{"id":"resp_one"}"#);
    assert_eq!(label(&respond(&harness, "").await), "one");
    one.1
        .answers(429, &[("content-type", "application/json")], b"{}");
    let hits = two.1.hits() + three.1.hits();
    let refused = respond(&harness, r#","previous_response_id":"resp_one""#).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    // It sleeps by now, and is asked all the same.
    one.1.says(r#"{"id":"resp_next"}"#);
    let got = ask(&harness, Method::GET, "/v1/responses/resp_one").await;
    assert_eq!(label(&got), "one");
    assert_eq!(two.1.hits() + three.1.hits(), hits);
}

#[tokio::test]
async fn a_streamed_response_is_known_before_its_end_and_one_that_is_not_kept_never() {
    let harness = Harness::start().await;
    let [one, two, _] = pool(&harness).await;
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\"}}\n\n";
    let completed = "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_s\"}}\n\n";
    one.1.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk(created)),
        Step::Send(chunk(completed)),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    two.1.says(r#"{"id":"resp_t"}"#);
    assert_eq!(label(&respond(&harness, r#","stream":true"#).await), "one");
    assert_eq!(label(&respond(&harness, r#","store":false"#).await), "two");
    one.1.says("{}");
    two.1.says("{}");
    for _ in 0..3 {
        let goes_on = respond(&harness, r#","previous_response_id":"resp_s""#).await;
        assert_eq!(label(&goes_on), "one");
    }
    let by_turns = async |id: &str| {
        let mut labels = Vec::new();
        for _ in 0..2 {
            let field = format!(r#","previous_response_id":"{id}""#);
            labels.push(label(&respond(&harness, &field).await).to_owned());
        }
        labels.sort();
        labels
    };
    assert_eq!(by_turns("resp_t").await, ["one", "two"]);
}

#[tokio::test]
async fn a_file_its_batch_and_the_results_stay_with_one_key() {
    let harness = Harness::start().await;
    let (_, one) = harness.own("one", |_| {}).await;
    let (_, two) = harness.own("two", |key| key.position = 1).await;
    // The first sleeps while the file is made.
    one.fails(503);
    two.says(r#"{"id":"file-1"}"#);
    assert_eq!(label(&respond(&harness, "").await), "two");
    one.says(r#"{"id":"other"}"#);
    let upload = harness.request(Method::POST, "/v1/files", "a file");
    assert_eq!(label(&harness.send(upload).await), "two");
    harness.advance(3_600_000);
    let made = async |path: &str, body: &str| {
        let answer = harness
            .send(harness.request(Method::POST, path, body))
            .await;
        label(&answer).to_owned()
    };
    two.says(r#"{"id":"batch_1","errors":{"data":[{"id":"x"}]},"output_file_id":null}"#);
    assert_eq!(
        made("/v1/batches", r#"{"input_file_id":"file-1"}"#).await,
        "two"
    );
    // A file of which nobody knows goes the usual way.
    one.says(r#"{"id":"batch_2"}"#);
    assert_eq!(
        made("/v1/batches", r#"{"input_file_id":"file-nobody-knows"}"#).await,
        "one"
    );
    two.says(r#"{"id":"batch_1","output_file_id":"file-out"}"#);
    let got = ask(&harness, Method::GET, "/v1/batches/batch_1").await;
    assert_eq!(label(&got), "two");
    two.says(r#"{"id":"line-1"}"#);
    let content = ask(&harness, Method::GET, "/v1/files/file-out/content").await;
    assert_eq!(label(&content), "two");
    // What stands in a file is no object.
    let other = ask(&harness, Method::GET, "/v1/files/line-1").await;
    assert_eq!(label(&other), "one");
    // By the provider's own path, too.
    let own = ask(&harness, Method::GET, "/providers/openai/files/file-out").await;
    assert_eq!(label(&own), "two");
}

#[tokio::test]
async fn a_key_that_is_gone_is_told_and_no_other_is_asked() {
    let harness = Harness::start().await;
    let [one, two, three] = pool(&harness).await;
    one.1.says(r#"{"id":"resp_one"}"#);
    assert_eq!(label(&respond(&harness, "").await), "one");
    let scope = harness.scope(Action::WriteProviderKeys).await;
    let keys = harness.store.within(&scope).provider_keys();
    let (note, now) = (harness.note(), harness.sources.now());
    let removed = keys.remove(one.0.context.key, &note, now);
    assert!(removed.await.expect("removed"));
    for answer in [
        respond(&harness, r#","previous_response_id":"resp_one""#).await,
        ask(&harness, Method::GET, "/v1/responses/resp_one").await,
    ] {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "object_key_unavailable")
        );
        assert_eq!(answer.json()["error"]["providers"][0], "openai");
        assert!(!format!("{answer:?}").contains("\"one\""), "{answer:?}");
    }
    assert_eq!((two.1.hits(), three.1.hits()), (0, 0));
    // Without the id the others serve.
    assert_eq!(label(&respond(&harness, "").await), "two");
}

#[tokio::test]
async fn a_response_made_with_the_accounts_key_is_found_by_its_workspace() {
    let harness = Harness::start().await;
    let owner = KeyOwner::Account(harness.account);
    let upstream = Provider::start().await;
    upstream.says(r#"{"id":"resp_a"}"#);
    let record = harness
        .record_of(owner, "openai", "shared", &upstream)
        .await;
    harness.put(&record).await;
    assert_eq!(respond(&harness, "").await.status, 200);
    let got = ask(&harness, Method::GET, "/v1/responses/resp_a").await;
    assert_eq!(got.status, 200, "{got:?}");
    // What others may have made under that key is not asked for.
    let refused = ask(&harness, Method::GET, "/v1/responses/resp_of_others").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "workspace_key_missing")
    );
}
