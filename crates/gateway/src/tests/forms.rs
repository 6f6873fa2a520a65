//! Forms: a file and fields pass byte for byte, routed by the field `model`.

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::client::Answer;
use super::harness::Harness;
use super::payer::{managed, priced};
use super::provider::Provider;
use crate::edge::EdgeConfig;

const PATHS: [(&str, &str); 4] = [
    ("/v1/audio/transcriptions", "transcriptions"),
    ("/v1/audio/translations", "translations"),
    ("/v1/images/edits", "image_edits"),
    ("/v1/images/variations", "image_variations"),
];

fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn file(bytes: &[u8]) -> Vec<u8> {
    field("file\"; filename=\"a.mp3", bytes)
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], b"--b0--\r\n"].concat()
}

fn request(harness: &Harness, path: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = harness.request(Method::POST, path, "");
    let media_type = HeaderValue::from_static("multipart/form-data; boundary=b0");
    request.headers_mut().insert("content-type", media_type);
    *request.body_mut() = Full::new(Bytes::copy_from_slice(body));
    request
}

async fn send(harness: &Harness, path: &str, body: &[u8]) -> Answer {
    harness.send(request(harness, path, body)).await
}

async fn listener() -> (Harness, Provider) {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.says(r#"{"text":"hi"}"#);
    (harness, provider)
}

fn sound() -> Vec<u8> {
    (0..=255).cycle().take(100_000).collect()
}

#[tokio::test]
async fn a_form_passes_byte_for_byte_wherever_its_model_stands() {
    let (harness, provider) = listener().await;
    let (model, file) = (field("model", b"gpt-x"), file(&sound()));
    for (path, operation) in PATHS {
        for parts in [[model.clone(), file.clone()], [file.clone(), model.clone()]] {
            let body = form(&parts);
            assert_eq!(send(&harness, path, &body).await.status, 200, "{path}");
            let (head, passed) = provider.requests().pop().expect("a request");
            let line = format!("POST /base{} HTTP/1.1\r\n", &path["/v1".len()..]);
            assert!(head.starts_with(&line), "{head}");
            let media_type = "\r\ncontent-type: multipart/form-data; boundary=b0\r\n";
            assert!(head.contains(media_type), "{head}");
            assert!(passed == body, "the form was changed");
            let row = harness.usage().await.pop().expect("a row");
            assert_eq!((row.operation.as_str(), row.status), (operation, 200));
            assert_eq!(row.request_bytes, body.len() as i64);
        }
    }
}

#[tokio::test]
async fn a_list_of_models_is_refused_wherever_it_stands() {
    let (harness, provider) = listener().await;
    let (model, list) = (field("model", b"gpt-x"), field("models[]", b"gpt-y"));
    for parts in [
        vec![model.clone(), field("models", br#"["gpt-y"]"#)],
        vec![list.clone(), list.clone(), model.clone()],
        // In what flows behind the beginning, too.
        vec![model.clone(), file(&sound()), list.clone()],
    ] {
        let answer = send(&harness, PATHS[0].0, &form(&parts)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request")
        );
        let error = &answer.json()["error"];
        assert_eq!(error["field"], "models");
        assert!(
            error["hint"]
                .as_str()
                .is_some_and(|it| it.contains("`model`")),
            "{error}"
        );
    }
    assert!(
        provider
            .requests()
            .iter()
            .all(|(_, body)| !body.ends_with(b"--b0--\r\n"))
    );
}

#[tokio::test]
async fn only_the_models_name_changes() {
    let (harness, provider) = listener().await;
    let parts = |model: &[u8]| form(&[field("language", b"en"), field("model", model), file(b"x")]);
    let answer = send(
        &harness,
        "/v1/audio/transcriptions",
        &parts(b"openai/gpt-x"),
    )
    .await;
    assert_eq!(answer.header("x-keybearer-model"), "gpt-x");
    let (_, passed) = provider.requests().pop().expect("a request");
    assert!(passed == parts(b"gpt-x"));
}

#[tokio::test]
async fn a_form_is_sent_again_with_another_key() {
    let (harness, first) = listener().await;
    let (_, second) = harness.own("two", |record| record.position = 1).await;
    first.fails(429);
    second.says(r#"{"text":"hi"}"#);
    let body = form(&[file(&sound()), field("model", b"gpt-x")]);
    let answer = send(&harness, "/v1/audio/transcriptions", &body).await;
    assert_eq!(answer.header("x-keybearer-key-label"), "two");
    for provider in [&first, &second] {
        let (_, passed) = provider.requests().pop().expect("a request");
        assert!(passed == body, "the form was changed");
    }
}

#[tokio::test]
async fn a_transcript_may_be_plain_text_and_a_report_in_tokens_is_metered() {
    let (harness, provider) = listener().await;
    let body = form(&[field("model", b"gpt-x"), file(b"x")]);
    for media_type in [
        "text/plain; charset=utf-8",
        "text/vtt",
        "application/x-subrip",
    ] {
        provider.answers(200, &[("content-type", media_type)], b"said");
        let answer = send(&harness, "/v1/audio/transcriptions", &body).await;
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"said"[..]));
    }
    provider.answers(200, &[("content-type", "text/html")], b"said");
    let answer = send(&harness, "/v1/audio/transcriptions", &body).await;
    assert_eq!(answer.code(), "upstream_invalid_response");
    provider.says(r#"{"text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}}"#);
    send(&harness, "/v1/audio/transcriptions", &body).await;
    let row = harness.usage().await.pop().expect("a row");
    let usage = row.usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.output_tokens), (14, 45));
}

#[tokio::test]
async fn a_form_that_is_none_or_names_no_model_is_refused_and_metered_once() {
    let (harness, provider) = listener().await;
    let path = "/v1/audio/transcriptions";
    let model = field("model", b"gpt-x");
    for (body, error_field) in [
        (form(&[file(b"x")]), Some("model")),
        (
            form(&[model.clone(), model.clone(), file(b"x")]),
            Some("model"),
        ),
        (form(std::slice::from_ref(&model))[..20].to_vec(), None),
        (br#"{"model":"gpt-x"}"#.to_vec(), None),
    ] {
        let answer = send(&harness, path, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request")
        );
        assert_eq!(answer.json()["error"]["field"].as_str(), error_field);
    }
    // What a path does not take is not read.
    let json = harness.request(Method::POST, path, r#"{"model":"gpt-x"}"#);
    assert_eq!(harness.send(json).await.status, 415);
    let answer = send(&harness, "/v1/chat/completions", &form(&[model])).await;
    assert_eq!(answer.status, 415);
    assert_eq!(provider.hits(), 0);
    assert_eq!(harness.usage().await.len(), 6);
}

#[tokio::test]
async fn a_form_shares_the_memory_for_bodies_and_their_limit() {
    let mut config = super::harness::config();
    config.limits.body_bytes = 50_000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    let body = form(&[field("model", b"gpt-x"), file(&sound())]);
    let answer = send(&harness, "/v1/audio/transcriptions", &body).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
    let mut config = super::harness::config();
    config.limits.all_bodies_bytes = 50_000;
    let harness = Harness::with(config, EdgeConfig::default()).await;
    harness.bring("openai").await;
    let answer = send(&harness, "/v1/audio/transcriptions", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
}

#[tokio::test]
async fn edits_are_taken_as_json_too_and_credits_pay_for_no_form() {
    let (harness, provider) = listener().await;
    let edit = r#"{"model":"openai/gpt-x","prompt":"a","images":[]}"#;
    let json = harness.request(Method::POST, "/v1/images/edits", edit);
    assert_eq!(harness.send(json).await.status, 200);
    let (_, passed) = provider.requests().pop().expect("a request");
    assert_eq!(passed, edit.replace("openai/", "").as_bytes());
    let (harness, openai, _) = managed().await;
    let body = form(&[field("model", b"gpt-x"), file(b"x")]);
    for (path, _) in PATHS {
        assert_eq!(send(&harness, path, &body).await.code(), "byok_required");
    }
    assert_eq!(openai.hits(), 0);
}

#[tokio::test]
async fn forms_made_to_hurt_are_refused_before_anything_is_sent_and_paths_in_them_are_bytes() {
    // T124
    let (harness, provider) = listener().await;
    let path = "/v1/audio/transcriptions";
    let model = field("model", b"gpt-x");
    let many = |count: usize| field("a", b"").repeat(count);
    let long = field(&"n".repeat(1 << 20), b"x");
    let no_end = [&model[..], &file(b"x")].concat();
    for (what, body) in [
        ("ten thousand parts", form(&[model.clone(), many(10_000)])),
        (
            "the model behind them",
            form(&[many(10_000), model.clone()]),
        ),
        ("a name of a megabyte", form(&[long.clone(), model.clone()])),
        ("one behind the model", form(&[model.clone(), long])),
        ("no end", no_end),
    ] {
        let answer = send(&harness, path, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{what}"
        );
    }
    assert_eq!(provider.hits(), 0);
    // A name that would lead elsewhere on a disk, and a form within the form, are somebody else's business: nothing is
    // written here.
    let inner = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother\r\n--b1--";
    let nested = format!(
        "--b0\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n{inner}\r\n"
    );
    let away = field("file\"; filename=\"../../../etc/cron.d/x", b"* * * * *");
    let body = form(&[model, away, nested.into_bytes()]);
    let before = files(harness.folder());
    assert_eq!(send(&harness, path, &body).await.status, 200);
    let (_, passed) = provider.requests().pop().expect("a request");
    assert!(passed == body, "the form was changed");
    assert_eq!(files(harness.folder()), before);
}

/// The files of the instance, but for those that its database comes and goes with.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.to_string_lossy();
        !(name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("-journal"))
    });
    files.sort();
    files
}
