//! What a provider keeps is found again: a call that names it goes to the key that made it, and to no other.

use std::time::{Duration, Instant};

use domain::KeyOwner;
use domain::access::{Action, ApiScope};
use domain::record::ProviderKeyRecord;
use http::Method;

use super::client::Answer;
use super::harness::Harness;
use super::payer::STREAM;
use super::provider::{Provider, Step, chunk};
use super::usage_row;

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

/// Goes on from these items.
async fn go_on(harness: &Harness, input: &str) -> Answer {
    let call = format!(r#"{{"model":"gpt-x","input":[{input}]}}"#);
    harness
        .send(harness.request(Method::POST, RESPONSES, &call))
        .await
}

#[tokio::test]
async fn items_that_are_named_are_asked_of_the_key_that_made_them() {
    let harness = Harness::start().await;
    let [one, two, _] = pool(&harness).await;
    one.1.says(r#"{"id":"resp_one","instructions":"x","output":[{"type":"reasoning","id":"rs_1"},{"id":"msg_1"}]}"#);
    two.1.script(vec![
        Step::Send(STREAM.into()),
        Step::Send(chunk("data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_two\",\"output\":[]}}\n\n")),
        Step::Send(chunk("data: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"msg_2\"}}\n\n")),
        Step::Send(chunk("data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_two\"}}\n\n")),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    assert_eq!(label(&respond(&harness, "").await), "one");
    assert_eq!(label(&respond(&harness, r#","stream":true"#).await), "two");
    one.1.says("{}");
    two.1.says("{}");
    for _ in 0..3 {
        for (input, by) in [
            (r#"{"type":"item_reference","id":"msg_1"}"#, "one"),
            (r#"{"id":"msg_2"}"#, "two"),
            (r#"{"type":"reasoning","id":"rs_1","summary":[]}"#, "one"),
        ] {
            assert_eq!(label(&go_on(&harness, input).await), by, "{input}");
        }
    }
    let both = r#"{"type":"item_reference","id":"msg_1"},{"type":"item_reference","id":"msg_2"}"#;
    assert_eq!(go_on(&harness, both).await.code(), "object_keys_differ");
    // A background response has its items when it is asked for.
    two.1.says(r#"{"id":"resp_two","output":[{"id":"msg_3"}]}"#);
    let got = ask(&harness, Method::GET, "/v1/responses/resp_two").await;
    assert_eq!(label(&got), "two");
    for _ in 0..2 {
        let goes_on = go_on(&harness, r#"{"type":"item_reference","id":"msg_3"}"#).await;
        assert_eq!(label(&goes_on), "two");
    }
}

#[tokio::test]
async fn items_and_prompts_of_which_nobody_knows_are_asked_of_own_keys_alone() {
    let harness = Harness::start().await;
    let upstream = Provider::start().await;
    upstream.says(r#"{"id":"resp_a","output":[{"id":"msg_a"}]}"#);
    let owner = KeyOwner::Account(harness.account);
    let record = harness
        .record_of(owner, "openai", "shared", &upstream)
        .await;
    harness.put(&record).await;
    assert_eq!(respond(&harness, "").await.status, 200);
    let known = go_on(&harness, r#"{"type":"item_reference","id":"msg_a"}"#).await;
    assert_eq!(known.status, 200, "{known:?}");
    let hits = upstream.hits();
    let stored = r#","prompt":{"id":"pmpt_1","version":"1"}"#;
    for refused in [
        go_on(&harness, r#"{"type":"item_reference","id":"msg_b"}"#).await,
        go_on(
            &harness,
            r#"{"type":"item_reference","id":"msg_a"},{"id":"msg_b"}"#,
        )
        .await,
        respond(&harness, stored).await,
    ] {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "object_key_unavailable")
        );
    }
    assert_eq!(upstream.hits(), hits);
    let (_, own) = harness.own_at("openai", "own", |_| {}).await;
    assert_eq!(label(&respond(&harness, stored).await), "own");
    assert_eq!((own.hits(), upstream.hits()), (1, hits));
}

#[tokio::test]
async fn what_another_process_is_about_to_write_is_waited_for_once() {
    let harness = Harness::start().await;
    let (record, _) = harness.own_at("openai", "one", |_| {}).await;
    let makers = crate::kept::Makers::new(true);
    let of_all = async |ids: &[&str], matters: bool| {
        let begun = Instant::now();
        let found = makers.of_all(&harness.store, harness.workspace, ids, matters);
        let found = found.await.expect("the store is there");
        let known: Vec<bool> = found.iter().map(Option::is_some).collect();
        (known, begun.elapsed())
    };
    let soon = Duration::from_millis(90);
    let noted = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        made(&harness, &record, &["file-1"]).await;
    };
    let (found, ()) = tokio::join!(of_all(&["file-1"], true), noted);
    assert_eq!(found.0, [true]);
    // What does not come is not waited for again, nor what decides nothing.
    let (known, took) = of_all(&["file-1", "file-2"], true).await;
    assert_eq!(known, [true, false]);
    assert!(took >= Duration::from_millis(400), "{took:?}");
    for (ids, matters) in [(["file-2"], true), (["file-3"], false)] {
        let (known, took) = of_all(&ids, matters).await;
        assert_eq!(known, [false]);
        assert!(took < soon, "{took:?}");
    }
    // It is looked up all the same.
    made(&harness, &record, &["file-2"]).await;
    assert_eq!(of_all(&["file-2"], true).await.0, [true]);
    // A process that has the store for itself waits for nothing.
    let alone = crate::kept::Makers::new(false);
    let begun = Instant::now();
    let found = alone.of_all(&harness.store, harness.workspace, &["file-4"], true);
    assert_eq!(found.await.expect("the store is there"), [None]);
    assert!(begun.elapsed() < soon);
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
    // What others may have made under that key is not asked for, whatever else the request names.
    let refused = ask(&harness, Method::GET, "/v1/responses/resp_of_others").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "workspace_key_missing")
    );
    let hits = upstream.hits();
    for (path, body) in [
        (
            "/v1/vector_stores/vs_of_others/search",
            r#"{"file_id":"resp_a"}"#,
        ),
        ("/v1/batches", r#"{"input_file_id":"resp_a"}"#),
        ("/v1/conversations", r#"{"items":[{"file_id":"resp_a"}]}"#),
    ] {
        let request = harness.request(Method::POST, path, body);
        let refused = harness.send(request).await;
        assert_eq!(refused.code(), "workspace_key_missing", "{path}");
    }
    assert_eq!(upstream.hits(), hits);
}

/// Makes another workspace of the account, and calls from there from now on.
async fn move_to_another_workspace(harness: &mut Harness) {
    let user = harness
        .store
        .authorize_user(&harness.principal, Action::UseOwnUser);
    let user = user.await.expect("a person");
    let new = store::NewWorkspace {
        id: harness.sources.id().expect("random"),
        name: "another".to_owned(),
        policy: domain::policy::WorkspacePolicy::default(),
    };
    let (note, now) = (harness.note(), harness.sources.now());
    let own = harness.store.own(&user);
    let made = own.create_workspace(&new, &[], None, &note, now);
    made.await.expect("another workspace");
    harness.workspace = new.id;
    harness.api_key = harness.mint(&[ApiScope::InferenceInvoke]).await.1;
}

#[tokio::test]
async fn a_shared_key_finds_nothing_that_another_workspace_made() {
    let mut harness = Harness::start().await;
    let upstream = Provider::start().await;
    upstream.says(r#"{"id":"resp_a"}"#);
    let owner = KeyOwner::Account(harness.account);
    let record = harness
        .record_of(owner, "openai", "shared", &upstream)
        .await;
    harness.put(&record).await;
    assert_eq!(respond(&harness, "").await.status, 200);
    upstream.says("{}");
    let goes_on = respond(&harness, r#","previous_response_id":"resp_a""#).await;
    assert_eq!(goes_on.status, 200, "{goes_on:?}");

    move_to_another_workspace(&mut harness).await;
    upstream.says(r#"{"id":"resp_b"}"#);
    assert_eq!(respond(&harness, "").await.status, 200);
    upstream.says("{}");
    let many: Vec<String> = (0..llm::head::MAX_NAMED + 8)
        .map(|_| r#"{"file_id":"resp_b"}"#.to_owned())
        .collect();
    let with_own = format!(
        r#","previous_response_id":"resp_b","x":[{}]"#,
        many.join(",")
    );
    assert_eq!(respond(&harness, &with_own).await.status, 200);
    let hits = upstream.hits();
    let many: Vec<String> = (1..llm::head::MAX_NAMED)
        .map(|n| format!(r#""file-{n}""#))
        .collect();
    for fields in [
        r#","previous_response_id":"resp_a""#.to_owned(),
        r#","conversation":"resp_a""#.to_owned(),
        r#","tools":[{"type":"code_interpreter","container":"resp_a"}]"#.to_owned(),
        // Beside what is one's own, and behind more than is looked at.
        r#","previous_response_id":"resp_a","x":{"file_id":"resp_b"}"#.to_owned(),
        format!(
            r#","x":{{"file_ids":["resp_b",{}]}},"previous_response_id":"resp_a""#,
            many.join(",")
        ),
    ] {
        let refused = respond(&harness, &fields).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "object_key_unavailable"),
            "{fields}"
        );
        assert_eq!(refused.json()["error"]["providers"][0], "openai");
    }
    let long = format!(r#"{{"x":"{}","file_id":"resp_a"}}"#, "x".repeat(70_000));
    let behind_blanks = format!(r#"{}{{"file_id":"resp_a"}}"#, " ".repeat(70_000));
    for (path, body) in [
        (
            "/providers/openai/responses",
            r#"{"model":"gpt-x","input":"hi","previous_response_id":"resp_a"}"#,
        ),
        // What the path names is one's own, what the body names is not.
        ("/v1/vector_stores/resp_b/files", r#"{"file_id":"resp_a"}"#),
        ("/v1/vector_stores/resp_b/files", &long),
        ("/v1/vector_stores/resp_b/files", &behind_blanks),
        (
            "/v1/vector_stores/resp_b/files",
            r#"{"x":NaN,"file_id":"resp_a"}"#,
        ),
        (
            "/v1/vector_stores/resp_b/files",
            "\u{feff}{\"file_id\":\"resp_a\"}",
        ),
        (
            "/v1/containers/resp_b/files",
            "--b\r\ncontent-disposition: form-data; name=\"file_id\"\r\n\r\nresp_a\r\n--b--\r\n",
        ),
    ] {
        for media_type in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=b",
        ] {
            let mut request = harness.request(Method::POST, path, body);
            let media_type = http::HeaderValue::from_static(media_type);
            if path.starts_with("/v1") {
                request.headers_mut().insert("content-type", media_type);
            }
            let refused = harness.send(request).await;
            assert_eq!(refused.code(), "object_key_unavailable", "{path}");
        }
    }
    assert_eq!(upstream.hits(), hits);

    // A key of the workspace's own asks for what was made elsewhere with it.
    let (_, second) = harness.own_at("openai", "own", |_| {}).await;
    let asked = respond(&harness, r#","previous_response_id":"resp_a""#).await;
    assert_eq!(label(&asked), "own");
    assert_eq!((second.hits(), upstream.hits()), (1, hits));
}

/// Notes that these were made with this key, as another process of the instance would.
async fn made(harness: &Harness, record: &ProviderKeyRecord, ids: &[&str]) {
    let row = store::UsageRow {
        workspace: harness.workspace,
        provider: Some(record.context.provider.clone()),
        key: Some(record.context.key),
        made: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..usage_row(harness.sources.id().expect("random"))
    };
    let serving = harness.store.serving();
    serving.insert_usage(&[row]).await.expect("noted");
}

#[tokio::test]
async fn a_prompt_that_names_a_file_goes_to_the_key_that_made_it_in_every_format() {
    for provider in ["openai", "anthropic", "google"] {
        let harness = Harness::start().await;
        harness.own_at(provider, "one", |_| {}).await;
        let (two, upstream) = harness
            .own_at(provider, "two", |key| key.position = 1)
            .await;
        made(&harness, &two, &["file-1", "vs_1", "conv_1", "cntr_1"]).await;
        let events = match provider {
            "google" => "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
            "anthropic" => {
                "data: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
            }
            _ => "data: {\"type\":\"response.completed\"}\n\ndata: [DONE]\n\n",
        };
        let stream = vec![
            Step::Send(STREAM.into()),
            Step::Send(chunk(events)),
            Step::Send(b"0\r\n\r\n".to_vec()),
        ];
        let gemini = "/v1beta/models/gemini-x:generateContent";
        let gemini_stream = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
        let chat = "/v1/chat/completions";
        let cases: &[(&str, &str)] = match provider {
            "openai" => &[
                (
                    chat,
                    r#""model":"gpt-x","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"FILE"}}]}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":[{"role":"user","content":[{"type":"input_file","file_id":"FILE"}]}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":[{"role":"user","content":[{"type":"input_image","file_id":"FILE"}]}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":"hi","tools":[{"type":"file_search","vector_store_ids":["VS"]}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":"hi","tools":[{"type":"code_interpreter","container":"CNTR"}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":"hi","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["FILE"]}}]"#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":"hi","conversation":"CONV""#,
                ),
                (
                    RESPONSES,
                    r#""model":"gpt-x","input":"hi","conversation":{"id":"CONV"}"#,
                ),
            ],
            "anthropic" => &[
                (
                    "/v1/messages",
                    r#""model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"FILE"}}]}]"#,
                ),
                (
                    "/v1/messages?beta=true",
                    r#""model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"FILE"}]}]"#,
                ),
                (
                    "/v1/messages/count_tokens",
                    r#""model":"claude-x","messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"FILE"}}]}]"#,
                ),
            ],
            _ => &[
                (
                    gemini,
                    r#""contents":[{"parts":[{"fileData":{"mimeType":"a/b","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/FILE"}}]}]"#,
                ),
                (
                    gemini_stream,
                    r#""contents":[{"parts":[{"file_data":{"mime_type":"a/b","file_uri":"https://generativelanguage.googleapis.com/v1beta/files/FILE"}}]}]"#,
                ),
            ],
        };
        for (path, fields) in cases {
            let body = |file: &str, rest: &str| {
                let mut body = fields.to_string();
                for (name, prefix) in [
                    ("FILE", "file-"),
                    ("VS", "vs_"),
                    ("CNTR", "cntr_"),
                    ("CONV", "conv_"),
                ] {
                    body = body.replace(name, &format!("{prefix}{file}"));
                }
                format!("{{{body}{rest}}}")
            };
            let is_stream = path.contains("stream");
            let ask = async |body: String| {
                let answer = harness
                    .send(harness.request(Method::POST, path, &body))
                    .await;
                label(&answer).to_owned()
            };
            if !is_stream {
                assert_eq!(ask(body("1", "")).await, "two", "{path} {fields}");
                // One of which nobody knows goes as if it were not named.
                assert_eq!(ask(body("other", "")).await, "one", "{path} {fields}");
            }
            if !path.contains("count_tokens") && *path != gemini {
                upstream.script(stream.clone());
                let rest = if is_stream { "" } else { r#","stream":true"# };
                assert_eq!(ask(body("1", rest)).await, "two", "{path} {fields}");
                upstream.says("{}");
            }
        }
    }
}

#[tokio::test]
async fn what_different_keys_made_no_call_can_name_together() {
    let harness = Harness::start().await;
    let (one, first) = harness.own_at("openai", "one", |_| {}).await;
    let (two, second) = harness
        .own_at("openai", "two", |key| key.position = 1)
        .await;
    let (three, third) = harness.own_at("anthropic", "three", |_| {}).await;
    made(&harness, &one, &["file-1", "resp_1"]).await;
    made(&harness, &two, &["file-2", "vs_2"]).await;
    made(&harness, &three, &["file_3"]).await;
    let with = async |fields: &str| respond(&harness, fields).await;
    let files = r#","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1","file-2"]}}]"#;
    let goes_on = r#","previous_response_id":"resp_1","tools":[{"type":"file_search","vector_store_ids":["vs_2"]}]"#;
    for fields in [files, goes_on] {
        let refused = with(fields).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "object_keys_differ"),
            "{fields}"
        );
        assert_eq!(
            refused.json()["error"]["providers"],
            serde_json::json!(["openai"])
        );
    }
    let both = r#","x":[{"file_id":"file-1"},{"file_id":"file_3"}]"#;
    let refused = with(both).await;
    assert_eq!(refused.code(), "object_keys_differ");
    let providers = serde_json::json!(["openai", "anthropic"]);
    assert_eq!(refused.json()["error"]["providers"], providers);
    // Another provider's key cannot serve the model.
    let refused = with(r#","x":{"file_id":"file_3"}"#).await;
    assert_eq!(refused.code(), "object_key_unavailable");
    assert_eq!(first.hits() + second.hits() + third.hits(), 0);
    // What is named twice, or beside what nobody knows, is one key's.
    let twice = r#","x":[{"file_id":"file-2"},{"file_id":"file-2"},{"file_id":"file-unknown"}]"#;
    assert_eq!(label(&with(twice).await), "two");
    // Each refusal is a row of usage.
    let rows = harness.usage().await;
    let codes = rows.iter().filter_map(|row| row.error_code.as_deref());
    assert_eq!(
        codes.filter(|code| *code == "object_keys_differ").count(),
        3
    );
}

#[tokio::test]
async fn a_file_whose_key_is_gone_is_told_and_other_models_do_not_stand_in() {
    let harness = Harness::start().await;
    let (one, _) = harness.own_at("openai", "one", |_| {}).await;
    let (two, second) = harness
        .own_at("openai", "two", |key| key.position = 1)
        .await;
    let (_, third) = harness.own_at("anthropic", "three", |_| {}).await;
    made(&harness, &one, &["file-1"]).await;
    made(&harness, &two, &["file-2"]).await;
    second.fails(500);
    let chat = |file: &str| {
        format!(
            r#"{{"model":"gpt-x","models":["claude-x"],"messages":[{{"role":"user","content":[{{"type":"file","file":{{"file_id":"{file}"}}}}]}}]}}"#
        )
    };
    // The key that has the file fails: neither another key nor another model is asked.
    let failed = harness.chat(&chat("file-2")).await;
    assert_eq!(failed.status, 502, "{failed:?}");
    assert_eq!(third.hits(), 0);
    let scope = harness.scope(Action::WriteProviderKeys).await;
    let keys = harness.store.within(&scope).provider_keys();
    let (note, now) = (harness.note(), harness.sources.now());
    let removed = keys.remove(one.context.key, &note, now).await;
    assert!(removed.expect("removed"));
    let refused = harness.chat(&chat("file-1")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "object_key_unavailable")
    );
    assert_eq!(third.hits(), 0);
}

#[tokio::test]
async fn stores_of_vectors_and_conversations_stay_with_the_key_that_made_them() {
    let harness = Harness::start().await;
    let (_, one) = harness.own_at("openai", "one", |_| {}).await;
    let (two, upstream) = harness
        .own_at("openai", "two", |key| key.position = 1)
        .await;
    made(&harness, &two, &["file-2"]).await;
    let post = async |path: &str, body: &str| {
        let answer = harness
            .send(harness.request(Method::POST, path, body))
            .await;
        label(&answer).to_owned()
    };
    // A store of that file is made with the key that has the file, and is found there.
    upstream.says(r#"{"id":"vs_2","object":"vector_store","name":"files/x"}"#);
    one.says(r#"{"id":"vs_1"}"#);
    let stores = "/v1/vector_stores";
    assert_eq!(post(stores, r#"{"file_ids":["file-2"]}"#).await, "two");
    assert_eq!(
        post(stores, r#"{"file_ids":["file-unknown"]}"#).await,
        "one"
    );
    for (path, by) in [("vs_2", "two"), ("vs_1", "one"), ("vs_0", "one")] {
        let got = ask(&harness, Method::GET, &format!("{stores}/{path}")).await;
        assert_eq!(label(&got), by);
        let search = format!("{stores}/{path}/search");
        assert_eq!(post(&search, r#"{"query":"x"}"#).await, by);
    }
    // A file goes into the store of its own key only.
    let refused = harness.request(
        Method::POST,
        "/v1/vector_stores/vs_1/files",
        r#"{"file_id":"file-2"}"#,
    );
    assert_eq!(harness.send(refused).await.code(), "object_keys_differ");
    assert_eq!(
        post("/v1/vector_stores/vs_2/files", r#"{"file_id":"file-2"}"#).await,
        "two"
    );
    let search = r#","tools":[{"type":"file_search","vector_store_ids":["vs_2"]}]"#;
    assert_eq!(label(&respond(&harness, search).await), "two");
    upstream.says(r#"{"id":"conv_2"}"#);
    let items =
        r#"{"items":[{"type":"message","content":[{"type":"input_file","file_id":"file-2"}]}]}"#;
    assert_eq!(post("/v1/conversations", items).await, "two");
    let goes_on = r#","conversation":"conv_2""#;
    assert_eq!(label(&respond(&harness, goes_on).await), "two");
    let got = ask(&harness, Method::GET, "/v1/conversations/conv_2/items").await;
    assert_eq!(label(&got), "two");
    upstream.says(r#"{"id":"cntr_2"}"#);
    let container = r#"{"name":"x","file_ids":["file-2"]}"#;
    assert_eq!(post("/v1/containers", container).await, "two");
    let got = ask(
        &harness,
        Method::GET,
        "/v1/containers/cntr_2/files/f/content",
    )
    .await;
    assert_eq!(label(&got), "two");
}
