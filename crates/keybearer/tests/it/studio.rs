//! Generation runs over the running server: whose key makes which step, what survives, and who may read the result.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use testkit::app::{Auth, Builder, Caller, Engine, Reply, TestApp};
use testkit::provider::wire::{TOKENS, chat, chat_error};
use testkit::provider::{Received, Script, ScriptedProvider};

use crate::{Fixture, builder};

mod payers;
mod places;
mod readers;

const CHAT: &str = "/v1/chat/completions";
const OPENAI_IMAGES: &str = "/v1/images/generations";
const GOOGLE_IMAGES: &str = "/v1beta/openai/images/generations";
/// What a picture costs at Google's, in nano-USD: 4 credits.
const PICTURE: i64 = 40_000_000;
const SCRIPT: &str =
    "# The sea\n\nIt is <b>wide</b>, <script>alert(1)</script> and [deep](javascript:alert(1)).";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

/// An instance with two image models, and a workspace in the mode `auto` that has an own key for OpenAI.
struct Studio {
    fixture: Fixture,
    google: ScriptedProvider,
    own_key: String,
    own_key_id: String,
    google_key: String,
    openai_key: String,
}

impl Studio {
    async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let google = ScriptedProvider::start();
        let fixture =
            Fixture::start_with(|builder| configure(builder).provider("google", &google)).await;
        fixture.priced().await;
        let models = json!([
            {"provider": "google", "model": "painter", "credits_per_image": "4"},
            {"provider": "openai", "model": "gpt-image-9", "credits_per_image": "5"},
        ]);
        fixture.settings(&json!({ "image_models": models })).await;
        fixture.grant(1_000_000_000, json!({})).await.expect(201);
        let google_key = fixture.canary.openai_key();
        fixture.platform_key("google", &google_key).await;
        let openai_key = fixture.canary.openai_key();
        fixture.platform_key("openai", &openai_key).await;
        fixture.mode("auto").await;
        let own_key = fixture.canary.openai_key();
        let stored = fixture.workspace_key("openai", "prod", &own_key).await;
        google.reset().on_path(GOOGLE_IMAGES, picture());
        let script = chat("gpt-4o", SCRIPT, TOKENS);
        fixture.provider.reset().on_path(CHAT, script);
        fixture.provider.on_path(OPENAI_IMAGES, picture());
        Self {
            own_key_id: stored["id"].as_str().expect("an id").to_owned(),
            fixture,
            google,
            own_key,
            google_key,
            openai_key,
        }
    }

    fn session(&self) -> &Caller {
        &self.fixture.owner.person.session
    }

    fn path(&self, id: &str) -> String {
        self.fixture.path(&format!("/runs{id}"))
    }

    async fn create(&self, body: &Value) -> Value {
        create(self.session(), &self.path(""), body).await
    }

    async fn get(&self, id: &str) -> Value {
        let path = self.path(&format!("/{id}"));
        self.session().get(&path).await.expect(200).json()
    }

    /// The run, once it has ended.
    async fn ended(&self, id: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let run = self.get(id).await;
            if !["pending", "running"].contains(&run["status"].as_str().expect("a status")) {
                return run;
            }
            assert!(Instant::now() < deadline, "it does not end: {run}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn made(&self, body: &Value) -> Value {
        let run = self.create(body).await;
        self.ended(&id(&run)).await
    }

    async fn document(&self, id: &str, format: &str) -> Reply {
        let path = self.path(&format!("/{id}/document?format={format}"));
        self.session().get(&path).await
    }

    fn scripts(&self) -> Vec<Received> {
        of_path(&self.fixture.provider, CHAT)
    }

    async fn finish(self) {
        self.fixture.finish().await;
    }
}

async fn create(caller: &Caller, path: &str, body: &Value) -> Value {
    let run = caller.post(path, body).await.expect(202).json();
    assert_eq!(run["status"], "pending", "{run}");
    run
}

fn of_path(provider: &ScriptedProvider, path: &str) -> Vec<Received> {
    let requests = provider.requests().into_iter();
    requests.filter(|it| it.path() == path).collect()
}

fn id(run: &Value) -> String {
    run["id"].as_str().expect("an id").to_owned()
}

fn picture() -> Script {
    let data = json!([{ "b64_json": STANDARD.encode(PNG) }]);
    Script::json(200, &json!({"created": 1_700_000_000, "data": data}))
}

fn both() -> Value {
    json!({"prompt": "The sea.\nBe <i>brief</i>.", "model": "gpt-4o", "output_types": ["script", "image"]})
}

fn script_only() -> Value {
    json!({"prompt": "The sea.", "model": "gpt-4o"})
}

#[tokio::test]
async fn the_script_is_written_with_the_own_key_and_the_picture_made_with_the_platforms() {
    let studio = Studio::start().await;
    let before = studio.fixture.balance().await[0];
    let run = studio.create(&both()).await;
    let pinned = json!({
        "requested": "gpt-4o", "provider": "openai", "model": "gpt-4o", "key_source": "byok", "key_id": studio.own_key_id,
        "key_label": "prod",
    });
    assert_eq!(run["model"], pinned, "{run}");
    assert_eq!(
        (&run["visibility"], &run["image_count"]),
        (&json!("private"), &json!(1))
    );
    let run = studio.ended(&id(&run)).await;
    assert_eq!(
        (&run["status"], &run["error"]),
        (&json!("succeeded"), &Value::Null),
        "{run}"
    );
    assert_eq!(run["steps"][0]["key_source"], "byok");
    assert_eq!(run["steps"][1]["key_source"], "managed");
    assert_eq!(
        (&run["steps"][1]["provider"], &run["steps"][1]["attempts"]),
        (&json!("google"), &json!(1))
    );

    let [script] = &studio.scripts()[..] else {
        panic!("one call")
    };
    assert_eq!(script.key(), Some(studio.own_key.as_str()));
    assert_eq!(
        script.json()["messages"][1]["content"],
        "The sea.\nBe <i>brief</i>."
    );
    let [image] = &of_path(&studio.google, GOOGLE_IMAGES)[..] else {
        panic!("one call")
    };
    assert_eq!(image.key(), Some(studio.google_key.as_str()));
    assert_eq!(
        (&image.json()["model"], &image.json()["response_format"]),
        (&json!("painter"), &json!("b64_json"))
    );
    assert!(of_path(&studio.fixture.provider, OPENAI_IMAGES).is_empty());

    // Nothing skips the books: each call has its row, and the picture its price.
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 2).await;
    let row = |step: usize| {
        let request = &run["steps"][step]["request_id"];
        let row = rows.iter().find(|row| row["request_id"] == *request);
        row.unwrap_or_else(|| panic!("no row of step {step} in {rows:?}"))
    };
    assert_eq!(
        (&row(0)["key_source"], &row(0)["charge_nano_usd"]),
        (&json!("byok"), &json!(0))
    );
    assert_eq!(
        (&row(1)["key_source"], &row(1)["charge_nano_usd"]),
        (&json!("managed"), &json!(PICTURE))
    );
    assert_eq!(
        (&row(1)["operation"], &row(1)["cost_nano_usd"]),
        (&json!("image_generations"), &json!(PICTURE))
    );
    let after = studio.fixture.balance().await;
    assert_eq!((before - after[0], after[1]), (PICTURE / 1_000, 0));

    let document = studio.document(&id(&run), "json").await.expect(200).json();
    assert_eq!(
        (&document["title"], &document["script"]),
        (&json!("The sea."), &json!(SCRIPT))
    );
    let image = studio
        .session()
        .get(document["images"][0]["path"].as_str().expect("a path"))
        .await;
    assert_eq!(
        (image.header("content-type"), &image.body[..]),
        (Some("image/png"), PNG)
    );
    // The log has neither what was asked nor what was answered.
    let log = studio.fixture.app.stderr();
    for content in ["Be <i>brief", "# The sea", "alert(1)"] {
        assert!(!log.contains(content), "{content} is in the log");
    }
    studio.finish().await;
}

#[tokio::test]
async fn a_picture_gets_three_calls_two_and_four_seconds_apart_and_then_another_model() {
    let studio = Studio::start().await;
    studio
        .google
        .on_path(GOOGLE_IMAGES, chat_error(503, "overloaded", "try later"));
    let run = studio
        .made(&json!({"prompt": "A dot.", "output_types": ["image"]}))
        .await;
    assert_eq!(
        (&run["status"], &run["model"]),
        (&json!("succeeded"), &Value::Null),
        "{run}"
    );
    assert_eq!(
        (&run["steps"][0]["provider"], &run["steps"][0]["attempts"]),
        (&json!("openai"), &json!(4))
    );
    let calls = of_path(&studio.google, GOOGLE_IMAGES);
    assert_eq!(calls.len(), 3);
    let pauses = [calls[1].at - calls[0].at, calls[2].at - calls[1].at];
    for (pause, at_least) in pauses.into_iter().zip([2, 4]) {
        let range = Duration::from_secs(at_least)..Duration::from_secs(at_least + 3);
        assert!(range.contains(&pause), "{pauses:?}");
    }
    let [call] = &of_path(&studio.fixture.provider, OPENAI_IMAGES)[..] else {
        panic!("one call")
    };
    // Never the own key, although there is one for this very provider.
    assert_eq!(call.key(), Some(studio.openai_key.as_str()));
    assert_eq!(call.json().get("response_format"), None);
    // What failed costs nothing.
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 4).await;
    let charges = rows
        .iter()
        .filter_map(|row| row["charge_nano_usd"].as_i64());
    assert_eq!(charges.sum::<i64>(), 50_000_000);
    studio.finish().await;
}

#[tokio::test]
async fn one_output_that_fails_fails_the_run_and_another_try_keeps_what_succeeded() {
    let studio = Studio::start().await;
    let refusal = chat_error(400, "content_policy_violation", "not this");
    studio.google.on_path(GOOGLE_IMAGES, refusal);
    let run = studio.made(&both()).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("upstream_rejected")),
        "{run}"
    );
    assert_eq!(
        (&run["error"]["step"], &run["steps"][0]["status"]),
        (&json!(1), &json!("succeeded"))
    );
    // A provider that refuses the request itself is not asked again, and no other is.
    assert_eq!(of_path(&studio.google, GOOGLE_IMAGES).len(), 1);
    assert!(of_path(&studio.fixture.provider, OPENAI_IMAGES).is_empty());
    let id = id(&run);
    for format in ["json", "markdown", "html"] {
        studio
            .document(&id, format)
            .await
            .expect_error(409, "run_not_done");
    }
    studio.google.on_path(GOOGLE_IMAGES, picture());
    let retry = studio.path(&format!("/{id}/retry"));
    let run = studio
        .session()
        .post(&retry, &json!({}))
        .await
        .expect(202)
        .json();
    assert_eq!(
        (&run["status"], &run["retries"], &run["error"]),
        (&json!("pending"), &json!(1), &Value::Null)
    );
    let run = studio.ended(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(studio.scripts().len(), 1, "the script was kept");
    studio
        .session()
        .post(&retry, &json!({}))
        .await
        .expect_error(409, "conflict");
    studio.finish().await;
}

#[tokio::test]
async fn a_key_that_is_gone_fails_the_next_step_and_nothing_stands_in_for_it() {
    let studio = Studio::start().await;
    studio
        .fixture
        .provider
        .on_path(CHAT, chat_error(400, "bad", "no"));
    let run = studio.made(&script_only()).await;
    assert_eq!(run["status"], "failed", "{run}");
    studio
        .fixture
        .provider
        .on_path(CHAT, chat("gpt-4o", SCRIPT, TOKENS));
    let keys = studio
        .fixture
        .path(&format!("/provider-keys/{}", studio.own_key_id));
    let retry = studio.path(&format!("/{}/retry", id(&run)));
    let calls = studio.scripts().len();
    for (change, code, says) in [
        (
            Some(json!({"enabled": false})),
            "byok_key_disabled",
            "disabled",
        ),
        (
            None,
            "byok_key_revoked",
            "the own key for openai that the run was made for was removed",
        ),
    ] {
        match change {
            Some(change) => studio.session().patch(&keys, &change).await.expect(200),
            None => studio.session().delete(&keys).await.expect(200),
        };
        studio.session().post(&retry, &json!({})).await.expect(202);
        let run = studio.ended(&id(&run)).await;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{run}"
        );
        let message = run["error"]["message"].as_str().expect("a text");
        assert!(message.contains(says), "{message}");
        assert_eq!(run["model"]["key_source"], "byok", "it stays pinned");
    }
    assert_eq!(
        studio.scripts().len(),
        calls,
        "the mode is auto, and credits did not step in"
    );
    // A new run is made for what serves now.
    let run = studio.made(&script_only()).await;
    assert_eq!(
        (&run["status"], &run["model"]["key_source"]),
        (&json!("succeeded"), &json!("managed")),
        "{run}"
    );
    assert_eq!(
        studio.scripts().last().and_then(Received::key),
        Some(studio.openai_key.as_str())
    );
    studio.finish().await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_gives_its_call_up() {
    let studio = Studio::start().await;
    studio.fixture.provider.on_path(CHAT, Script::silence());
    let run = studio.create(&script_only()).await;
    let id = id(&run);
    studio
        .fixture
        .provider
        .wait_until("the call", |it| !of_path(it, CHAT).is_empty())
        .await;
    let cancel = studio.path(&format!("/{id}/cancel"));
    let cancelled = studio
        .session()
        .post(&cancel, &json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&cancelled["status"], cancelled["ended_at"].is_string()),
        (&json!("cancelled"), true)
    );
    studio
        .fixture
        .provider
        .wait_until("the end of the call", |it| it.left_early() == 1)
        .await;
    studio
        .session()
        .post(&cancel, &json!({}))
        .await
        .expect_error(409, "conflict");
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 1).await;
    assert_eq!(rows[0]["error_code"], "client_closed", "{rows:?}");
    assert_eq!(studio.get(&id).await["status"], "cancelled");
    studio.finish().await;
}

#[tokio::test]
async fn a_run_whose_process_was_killed_goes_on_and_ends_once() {
    let mut studio = Studio::start().await;
    studio.google.next(picture().delay(Duration::from_secs(30)));
    let run = studio.create(&both()).await;
    studio
        .google
        .wait_until("the picture's call", |it| !it.requests().is_empty())
        .await;
    studio.fixture.app.kill9();
    studio.fixture.app.restart().await;
    let run = studio.ended(&id(&run)).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(studio.scripts().len(), 1, "what was kept is not made again");
    assert_eq!(
        of_path(&studio.google, GOOGLE_IMAGES).len(),
        2,
        "what was not is"
    );
    let document = studio.document(&id(&run), "json").await.expect(200).json();
    assert_eq!(document["images"].as_array().map(Vec::len), Some(1));
    // The picture that nobody got is not paid for. Where others may have the database, its row waits for a lease's end.
    let deadline = Instant::now() + Duration::from_secs(60);
    let path = studio.fixture.path("/usage");
    let rows = loop {
        let usage = studio.session().get(&path).await.expect(200).json();
        let rows = usage["data"].as_array().expect("a list").clone();
        if rows.len() == 3 {
            break rows;
        }
        assert!(Instant::now() < deadline, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let charges = rows
        .iter()
        .filter_map(|row| row["charge_nano_usd"].as_i64());
    assert_eq!(charges.sum::<i64>(), PICTURE, "{rows:?}");
    studio.finish().await;
}

#[tokio::test]
async fn a_process_that_is_told_to_end_lets_go_of_its_runs() {
    let mut studio = Studio::start().await;
    studio
        .fixture
        .provider
        .next(chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(1)));
    let run = studio.create(&both()).await;
    studio
        .fixture
        .provider
        .wait_until("the call", |it| !of_path(it, CHAT).is_empty())
        .await;
    studio.fixture.app.terminate().await;
    assert_eq!(
        (studio.scripts().len(), studio.google.requests().len()),
        (1, 0)
    );
    studio.fixture.app.restart().await;
    let run = studio.ended(&id(&run)).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(
        studio.scripts().len(),
        1,
        "the step in hand was ended and kept"
    );
    studio.finish().await;
}

#[tokio::test]
async fn two_processes_make_no_step_twice_and_one_takes_over_from_a_dead_one() {
    if !Engine::Postgres.is_available() {
        return;
    }
    let mut studio = Studio::start_with(|builder| builder.engine(Engine::Postgres)).await;
    let other = replica(&studio).await;
    studio.fixture.provider.on_path(
        CHAT,
        chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_millis(300)),
    );
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(id(&studio.create(&script_only()).await));
    }
    for run in &runs {
        assert_eq!(studio.ended(run).await["status"], "succeeded");
    }
    assert_eq!(studio.scripts().len(), runs.len());
    // Both die in the middle of a step, so whoever has it is dead; a third goes on.
    studio
        .fixture
        .provider
        .next(chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(30)));
    let run = studio.create(&script_only()).await;
    studio
        .fixture
        .provider
        .wait_until("the call", |it| of_path(it, CHAT).len() == runs.len() + 1)
        .await;
    studio.fixture.app.kill9();
    drop(other);
    let third = replica(&studio).await;
    studio.fixture.app.restart().await;
    let run = studio.ended(&id(&run)).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(studio.scripts().len(), runs.len() + 2);
    drop(third);
    studio.finish().await;
}

/// A second process on the studio's database and root key.
async fn replica(studio: &Studio) -> TestApp {
    let app = &studio.fixture.app;
    let root_key = app.data_dir().join("root.key");
    builder()
        .provider("openai", &studio.fixture.provider)
        .provider("anthropic", &studio.fixture.provider)
        .provider("google", &studio.google)
        .env("KEYBEARER_DATABASE_URL", &app.database_url())
        .env("KEYBEARER_ROOT_KEY_FILE", root_key.to_str().expect("UTF-8"))
        .start()
        .await
}

#[tokio::test]
async fn who_may_read_a_run_is_its_makers_to_say() {
    let studio = Studio::start().await;
    let run = studio.made(&both()).await;
    let id = id(&run);
    let path = studio.path(&format!("/{id}"));
    let member = studio
        .fixture
        .app
        .member(&studio.fixture.owner)
        .await
        .session;
    let admin = studio
        .fixture
        .app
        .admin(&studio.fixture.owner)
        .await
        .session;
    let share = |visibility: &str| {
        let body = json!({ "visibility": visibility });
        let (session, path) = (studio.session().clone(), path.clone());
        async move { session.patch(&path, &body).await.expect(200).json() }
    };
    // Private: not even an admin knows of it.
    for caller in [&member, &admin] {
        caller.get(&path).await.expect_error(404, "not_found");
        caller
            .get(&format!("{path}/document"))
            .await
            .expect_error(404, "not_found");
        caller
            .get(&format!("{path}/images/1"))
            .await
            .expect_error(404, "not_found");
        caller
            .get(&format!("{path}/events"))
            .await
            .expect_error(404, "not_found");
        caller.delete(&path).await.expect_error(404, "not_found");
        let listed = caller.get(&studio.path("")).await.expect(200).json();
        assert_eq!(listed["data"], json!([]));
    }
    share("workspace").await;
    member.get(&format!("{path}/document")).await.expect(200);
    let listed = member.get(&studio.path("")).await.expect(200).json();
    assert_eq!(listed["data"][0]["id"], id.as_str());
    let link = json!({"visibility": "link"});
    member
        .patch(&path, &link)
        .await
        .expect_error(403, "permission_denied");
    member
        .delete(&path)
        .await
        .expect_error(403, "permission_denied");
    // A link works for anybody, until another takes its place.
    let anybody = studio.fixture.app.anonymous();
    let first = share("link").await["link_path"]
        .as_str()
        .expect("a link")
        .to_owned();
    let page = anybody.get(&first).await.expect(200);
    assert_eq!(studio.get(&id).await.get("link_path"), None, "shown once");
    let policy = page
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    // Its pictures are of one origin with it, and nothing runs but the one script that the policy names by its hash.
    assert!(
        policy.ends_with("sandbox allow-same-origin allow-popups allow-scripts"),
        "{policy}"
    );
    let scripts = policy.split("; ").find(|it| it.starts_with("script-src"));
    let scripts = scripts.expect("the script is named");
    assert!(
        scripts.starts_with("script-src 'sha256-") && scripts.split(' ').count() == 2,
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-robots-tag"), Some("noindex, nofollow"));
    let text = page.text();
    for wrong in ["<b>", "<i>", "javascript:"] {
        assert!(!text.contains(wrong), "{wrong} in {text}");
    }
    assert_eq!(text.matches("<script").count(), 1, "{text}");
    assert!(
        text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{text}"
    );
    let image = format!("{first}/images/1");
    assert!(text.contains(&format!("src=\"{image}\"")), "{text}");
    let picture = anybody.get(&image).await.expect(200);
    assert_eq!(
        (picture.header("content-type"), &picture.body[..]),
        (Some("image/png"), PNG)
    );
    anybody
        .get(&format!("{first}/images/2"))
        .await
        .expect_error(404, "not_found");
    let second = share("link").await["link_path"]
        .as_str()
        .expect("a link")
        .to_owned();
    anybody.get(&first).await.expect_error(404, "not_found");
    anybody.get(&second).await.expect(200);
    share("private").await;
    for gone in [&second, "/share/kbl_", "/share/x"] {
        anybody.get(gone).await.expect_error(404, "not_found");
        anybody
            .get(&format!("{gone}/images/1"))
            .await
            .expect_error(404, "not_found");
    }
    share("workspace").await;
    admin.delete(&path).await.expect(204);
    studio
        .session()
        .get(&path)
        .await
        .expect_error(404, "not_found");
    // Another workspace knows nothing of any of it.
    let outsider = studio
        .fixture
        .app
        .outsider(&studio.fixture.owner)
        .await
        .session;
    outsider
        .get(&studio.path(""))
        .await
        .expect_error(404, "not_found");
    studio.finish().await;
}

#[tokio::test]
async fn an_export_is_one_file_in_which_nothing_runs() {
    let studio = Studio::start().await;
    let run = studio.made(&both()).await;
    let page = studio.document(&id(&run), "html").await.expect(200);
    assert!(
        page.header("content-disposition")
            .is_some_and(|it| it.starts_with("attachment"))
    );
    let picture = format!("data:image/png;base64,{}", STANDARD.encode(PNG));
    let text = page.text();
    assert!(
        text.contains(&picture) && text.contains("<h1>The sea</h1>"),
        "{text}"
    );
    assert!(
        !text.contains("<script") && !text.contains("http://"),
        "{text}"
    );
    let markdown = studio.document(&id(&run), "markdown").await.expect(200);
    assert_eq!(
        markdown.header("content-type"),
        Some("text/markdown; charset=utf-8")
    );
    let text = markdown.text();
    assert!(
        text.starts_with(
            "# The sea\n\nIt is \\<b>wide\\</b>, \\<script>alert(1)\\</script> and \\[deep]"
        ) && text.contains("![Picture 1][picture-1]"),
        "{text}"
    );
    assert!(text.contains(&format!("[picture-1]: {picture}")), "{text}");
    studio
        .document(&id(&run), "pdf")
        .await
        .expect_error(400, "invalid_request");
    studio.finish().await;
}

#[tokio::test]
async fn a_run_is_followed_live_until_it_ends() {
    let studio = Studio::start().await;
    studio.fixture.provider.on_path(
        CHAT,
        chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(2)),
    );
    let run = studio.create(&both()).await;
    let path = studio.path(&format!("/{}/events", id(&run)));
    let stream = studio.session().get(&path).await.expect(200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let text = stream.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let runs: Vec<Value> = data
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    assert!(runs.len() >= 2, "{text}");
    assert!(
        runs.iter()
            .any(|run| run["steps"][0]["status"] == "running"),
        "{text}"
    );
    let last = runs.last().expect("one");
    assert_eq!(last["status"], "succeeded", "{text}");
    assert_eq!(
        *last,
        studio.get(&id(&run)).await,
        "the same as when it is asked for"
    );
    let versions: Vec<i64> = runs
        .iter()
        .filter_map(|run| run["version"].as_i64())
        .collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert!(
        text.contains(&format!("event: run\nid: {}\n", versions[0])),
        "{text}"
    );
    studio.finish().await;
}

#[tokio::test]
async fn a_run_that_nothing_would_serve_is_refused_before_it_is_made() {
    let studio = Studio::start().await;
    let path = studio.path("");
    let refused = async |body: &Value, code: &str| {
        let reply = studio.session().post(&path, body).await;
        let problem = reply.expect_error(409, "run_not_servable").json();
        assert_eq!(problem["details"]["code"], code, "{problem}");
    };
    let unknown = json!({"prompt": "A", "model": "nobody/nothing"});
    refused(&unknown, "model_not_found").await;
    let image = json!({"prompt": "A", "output_types": ["image"]});
    studio.fixture.mode("byok").await;
    refused(&image, "byok_required").await;
    studio.fixture.mode("auto").await;
    studio.fixture.policy(&json!({"byok": "required"})).await;
    refused(&image, "byok_required").await;
    studio.fixture.policy(&json!({"byok": "optional"})).await;
    studio.fixture.settings(&json!({"image_models": []})).await;
    refused(&image, "images_not_configured").await;
    for (body, field) in [
        (json!({"prompt": " "}), "prompt"),
        (json!({"prompt": "x".repeat(8_001)}), "prompt"),
        (json!({"prompt": "a\u{0}b"}), "prompt"),
        (json!({"prompt": "A", "output_types": []}), "output_types"),
        (
            json!({"prompt": "A", "output_types": ["script", "script"]}),
            "output_types",
        ),
        (json!({"prompt": "A", "image_count": 2}), "image_count"),
        (
            json!({"prompt": "A", "output_types": ["image"], "image_count": 5}),
            "image_count",
        ),
    ] {
        let problem = studio.session().post(&path, &body).await;
        let problem = problem.expect_error(400, "invalid_request").json();
        assert_eq!(problem["details"]["field"], field, "{problem}");
    }
    // Neither scope is enough for an API key without the other.
    for scopes in [&["runs:write"][..], &["inference:invoke"]] {
        let key = studio
            .fixture
            .app
            .api_key(studio.session(), &studio.fixture.owner.workspace, scopes)
            .await;
        key.post(&path, &script_only())
            .await
            .expect_error(403, "permission_denied");
    }
    let listed = studio.session().get(&path).await.expect(200).json();
    assert_eq!(listed["data"], json!([]));
    // Twenty wait at once, no more.
    studio.fixture.provider.on_path(CHAT, Script::silence());
    for _ in 0..20 {
        studio.create(&script_only()).await;
    }
    studio
        .session()
        .post(&path, &script_only())
        .await
        .expect_error(409, "conflict");
    studio.finish().await;
}

#[tokio::test]
async fn an_api_keys_run_is_made_for_it_and_fails_once_it_is_revoked() {
    let studio = Studio::start().await;
    let path = studio.fixture.path("/api-keys");
    let body = json!({"name": "job", "scopes": ["runs:write", "runs:read", "inference:invoke"]});
    let minted = studio.session().post(&path, &body).await.expect(201).json();
    let key = minted["key"].as_str().expect("the key").to_owned();
    let caller = studio.fixture.app.caller("the job", Auth::Bearer(key));
    let run = create(&caller, &studio.path(""), &script_only()).await;
    assert_eq!(studio.ended(&id(&run)).await["status"], "succeeded");
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 1).await;
    assert_eq!(rows[0]["api_key_id"], minted["id"]);
    studio
        .fixture
        .provider
        .on_path(CHAT, chat_error(400, "bad", "no"));
    let run = create(&caller, &studio.path(""), &script_only()).await;
    assert_eq!(studio.ended(&id(&run)).await["status"], "failed");
    let key = format!("{path}/{}", minted["id"].as_str().expect("an id"));
    studio.session().delete(&key).await.expect(204);
    let retry = studio.path(&format!("/{}/retry", id(&run)));
    studio.session().post(&retry, &json!({})).await.expect(202);
    let run = studio.ended(&id(&run)).await;
    assert_eq!(run["error"]["code"], "api_key_invalid", "{run}");
    let message = run["error"]["message"].as_str().expect("a text");
    assert!(message.contains("revoked"), "{message}");
    // A person's own runs stand on a key of their own. Nobody asked for it: it is in no list, and is revoked under its id.
    studio.create(&script_only()).await;
    let keys = studio.session().get(&path).await.expect(200).json();
    let mut names = keys["data"].as_array().expect("a list").iter();
    assert!(names.all(|key| key["name"] != "Studio"), "{keys}");
    let made = studio.fixture.path("/audit?action=api_key.create");
    let made = studio.session().get(&made).await.expect(200).json();
    let id = made["data"][0]["subject"].as_str().expect("an id");
    assert_ne!(minted["id"], id);
    let key = format!("{path}/{id}");
    studio.session().delete(&key).await.expect(204);
    studio.finish().await;
}

#[tokio::test]
async fn runs_go_with_their_workspace_and_every_change_is_audited() {
    let studio = Studio::start().await;
    let run = studio.made(&script_only()).await;
    let path = studio.path(&format!("/{}", id(&run)));
    let link = json!({"visibility": "link"});
    let shared = studio
        .session()
        .patch(&path, &link)
        .await
        .expect(200)
        .json();
    let audit = studio
        .session()
        .get(&studio.fixture.path("/audit"))
        .await
        .expect(200)
        .json();
    let rows = audit["data"].as_array().expect("a list");
    for action in ["run.create", "run.share"] {
        let row = rows.iter().find(|row| row["action"] == action);
        assert_eq!(row.expect("a row")["subject"], run["id"], "{action}");
    }
    assert!(!audit.to_string().contains("The sea"));
    let workspace = studio.fixture.path("");
    studio
        .session()
        .send(Method::DELETE, &workspace, &[], None)
        .await
        .expect(204);
    let link = shared["link_path"].as_str().expect("a link");
    studio
        .fixture
        .app
        .anonymous()
        .get(link)
        .await
        .expect_error(404, "not_found");
    studio.finish().await;
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let fixture = Fixture::logged_in_as_owner().await;
    fixture.priced().await;
    fixture
        .workspace_key("openai", "prod", &fixture.canary.openai_key())
        .await;
    fixture.mode("byok").await;
    fixture
        .provider
        .reset()
        .on_path(CHAT, chat("gpt-4o", SCRIPT, TOKENS));
    let create = ["generation", "create", "The sea.", "--model", "gpt-4o"];
    let run = fixture.cli_json(&[&create[..], &["--wait"]].concat()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let id = id(&run);
    let exit = fixture
        .cli(&[&create[..], &["--visibility", "link"]].concat())
        .await;
    assert!(
        exit.stdout.starts_with("run_") && exit.stdout.contains("/share/kbl_"),
        "{exit}"
    );
    let listed = fixture.cli_json(&["generation", "list"]).await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "{listed}");
    let exit = fixture.cli(&["generation", "follow", &id]).await;
    assert!(exit.stdout.contains("script: succeeded"), "{exit}");
    let exit = fixture.cli(&["generation", "options"]).await;
    assert!(exit.says("images_not_configured"), "{exit}");
    let exit = fixture.cli(&["generation", "show", &id]).await;
    assert!(exit.says("openai") && exit.says("succeeded"), "{exit}");
    let exit = fixture.cli(&["generation", "export", &id]).await;
    assert!(exit.stdout.starts_with("# The sea"), "{exit}");
    let file = fixture.app.dir().join("run.html");
    let file = file.to_str().expect("UTF-8");
    fixture
        .cli(&[
            "generation",
            "export",
            &id,
            "--format",
            "html",
            "--to",
            file,
        ])
        .await;
    assert!(
        std::fs::read_to_string(file)
            .expect("a file")
            .contains("<h1>The sea</h1>")
    );
    let exit = fixture.cli(&["generation", "share", &id, "link"]).await;
    assert!(exit.stdout.contains("/share/kbl_"), "{exit}");
    fixture
        .cli_fails(&["generation", "cancel", &id], "ended already")
        .await;
    fixture
        .cli_fails(&["generation", "retry", &id], "failed or was cancelled")
        .await;
    fixture.cli(&["generation", "delete", &id, "--yes"]).await;
    fixture.cli_ends(&["generation", "show", &id], 6).await;
    fixture.provider.on_path(CHAT, chat_error(400, "bad", "no"));
    fixture
        .cli_fails(&[&create[..], &["--wait"]].concat(), "another prompt")
        .await;
    let failed = fixture
        .cli_json(&["generation", "list", "--limit", "1"])
        .await;
    let failed = failed["data"][0]["id"].as_str().expect("an id").to_owned();
    fixture
        .cli_fails(&["generation", "follow", &failed], "the run failed")
        .await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_and_tried_again_at_once_is_made_once() {
    let studio = Studio::start().await;
    let slow = || chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(3));
    studio.fixture.provider.on_path(CHAT, slow());
    let run = studio.create(&script_only()).await;
    let id = id(&run);
    studio
        .fixture
        .provider
        .wait_until("the call", |it| !of_path(it, CHAT).is_empty())
        .await;
    for (what, status) in [("cancel", 200), ("retry", 202)] {
        let path = studio.path(&format!("/{id}/{what}"));
        studio
            .session()
            .post(&path, &json!({}))
            .await
            .expect(status);
    }
    assert_eq!(studio.ended(&id).await["status"], "succeeded");
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 2).await;
    let served = rows.iter().filter(|row| row["status"] == 200).count();
    assert_eq!((served, rows.len()), (1, 2), "{rows:?}");
    studio.finish().await;
}

#[tokio::test]
async fn who_may_call_no_models_has_none_called_and_a_stream_ends_with_the_right_to_it() {
    let studio = Studio::start().await;
    let path = studio.fixture.path("/api-keys");
    let body = json!({"name": "follower", "scopes": ["runs:read", "runs:write"]});
    let minted = studio.session().post(&path, &body).await.expect(201).json();
    let key = minted["key"].as_str().expect("the key").to_owned();
    let caller = studio.fixture.app.caller("the follower", Auth::Bearer(key));
    let slow = chat("gpt-4o", SCRIPT, TOKENS).delay(Duration::from_secs(20));
    studio.fixture.provider.on_path(CHAT, slow);
    let run = studio.create(&script_only()).await;
    let events = studio.path(&format!("/{}/events", id(&run)));
    let followed = async { caller.get(&events).await.expect(200).text().to_owned() };
    let revoked = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let key = format!("{path}/{}", minted["id"].as_str().expect("an id"));
        let retry = studio.path(&format!("/{}/retry", id(&run)));
        let cancel = studio.path(&format!("/{}/cancel", id(&run)));
        let refused = caller.post(&retry, &json!({})).await;
        refused.expect_error(403, "permission_denied");
        studio.session().delete(&key).await.expect(204);
        cancel
    };
    let ((text, cancel), late) = (tokio::join!(followed, revoked), studio.get(&id(&run)).await);
    assert!(text.contains("event: run"), "{text}");
    assert_eq!(late["status"], "running", "the stream ended before the run");
    studio.session().post(&cancel, &json!({})).await.expect(200);
    studio.finish().await;
}
