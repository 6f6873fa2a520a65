//! The canary's own proof: keys used in every way are nowhere to be found, and a planted one is.

use serde_json::json;
use testkit::provider::Script;
use testkit::provider::wire::chat_error;

use crate::{Fixture, chat, chat_stream};

#[tokio::test]
async fn keys_used_in_every_way_leave_no_trace_at_trace_level() {
    // T67, T68
    let mut fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let plain = fixture.canary.openai_key();
    let session = &fixture.owner.person.session;
    let path = fixture.path("/provider-keys");
    session
        .post(
            &path,
            &json!({"provider": "openai", "label": "plain", "key": plain}),
        )
        .await
        .expect(201);
    // Wrong places: a broken body, an unknown field, a refused probe, an unknown provider, a label.
    let lost = fixture.canary.openai_key();
    session
        .post(
            &path,
            &json!({"provider": "openai", "key": lost, "extra": lost}),
        )
        .await
        .expect(400);
    session
        .post(&path, &json!({"provider": lost, "key": lost}))
        .await
        .expect(400);
    session
        .post(
            &path,
            &json!({"provider": "openai", "label": format!("{lost} "), "key": lost}),
        )
        .await
        .expect(400);
    session
        .post(
            &format!("{path}?key={lost}"),
            &json!({"provider": "nobody", "key": lost}),
        )
        .await
        .expect(400);
    fixture.provider.next(chat_error(
        401,
        "invalid_api_key",
        &format!("Incorrect API key: {lost}"),
    ));
    session
        .post(
            &path,
            &json!({"provider": "openai", "label": "lost", "key": lost}),
        )
        .await
        .expect(422);
    // Calls of every outcome, with the key echoed by the provider in each.
    let call = |body| fixture.owner.key.post("/v1/chat/completions", body);
    let body = chat("gpt-4o");
    for script in [
        Script::json(200, &json!({"echo": "{{key}}"})).header("x-request-id", "{{key}}"),
        chat_error(400, "bad", "{{key}}"),
        chat_error(401, "bad", "{{key}}"),
        chat_error(429, "bad", "{{key}}").header("retry-after", "{{key}}"),
        chat_error(500, "bad", "{{key}}"),
        Script::redirect(302, "http://127.0.0.1/{{key}}"),
        Script::text(200, "text/html", "{{key}}"),
        Script::raw("garbage {{key}}\r\n\r\n"),
        Script::hang_up(),
    ] {
        fixture.provider.next(script);
        call(&body).await;
    }
    // Other endpoints, with answers that are no text, and a key in the query of a path that is passed on.
    let speak = json!({"model": "openai/gpt-4o-mini-tts", "voice": "alloy", "input": "hi"});
    let sound = b"ID3\0\xff{{key}}\0\xff".as_slice();
    let sound = Script::text(200, "audio/mpeg; a={{key}}", sound);
    fixture.provider.next(sound);
    let answer = fixture.owner.key.post("/v1/audio/speech", &speak).await;
    answer.expect(200);
    for (status, media_type) in [(200, "text/html; a={{key}}"), (404, "text/plain")] {
        let page = Script::text(status, media_type, "<p>{{key}}</p>");
        fixture
            .provider
            .next(page.header("x-request-id", "{{key}}"));
        let path = format!("/providers/openai/files/a?limit=2&api_key={lost}");
        fixture.owner.key.get(&path).await.expect(status);
    }
    let path = format!("/providers/{lost}/a");
    fixture.owner.key.get(&path).await.expect(404);
    for piece in [1, 7, 1000] {
        let echo = "data: {\"a\":\"{{key}}\"}\n\ndata: [DONE]\n\n";
        fixture
            .provider
            .next(Script::stream([echo]).pieces_of(piece));
        let stream = fixture
            .owner
            .key
            .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
            .await;
        let body = stream.rest().await.expect("a stream");
        assert!(body.starts_with(b"data: {\"a\":\""));
        assert!(body.ends_with(b"\"}\n\ndata: [DONE]\n\n"));
    }
    fixture.app.usage(&fixture.owner, 10).await;
    fixture.app.terminate().await;
    assert!(
        fixture.app.stderr().contains("TRACE"),
        "the log was not at its most talkative"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_planted_key_is_found() {
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    std::fs::write(fixture.app.data_dir().join("planted"), format!("a {key} b")).expect("written");
    let sweep = fixture.app.sweep(&fixture.canary).await;
    assert!(
        sweep
            .hits()
            .iter()
            .any(|hit| hit.place.ends_with("planted")),
        "a planted key was not found"
    );
    std::fs::remove_file(fixture.app.data_dir().join("planted")).expect("removed");
    fixture.finish().await;
}

#[tokio::test]
async fn exports_reports_and_backups_have_no_key() {
    // T80
    let mut fixture = Fixture::with_cli().await;
    fixture.with_openai_key().await;
    let team = fixture.canary.openai_key();
    fixture.workspace_key("openai", "team", &team).await;
    // The keys that everything is wrapped in are as secret.
    let root = std::fs::read(fixture.app.data_dir().join("root.key")).expect("the root key");
    let hex: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    fixture.canary.register(&hex);
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&root);
    fixture.canary.register(&base64);
    // Usage that has seen the key in every place that a provider can put it.
    for script in [
        Script::json(200, &json!({"model": "{{key}}", "id": "{{key}}"})),
        chat_error(401, "{{key}}", "{{key}}"),
        chat_error(404, "model_not_found", "{{key}}"),
    ] {
        fixture.provider.next(script);
        fixture.chat("gpt-4o").await;
    }
    fixture.app.usage(&fixture.owner, 3).await;
    let commands: [&[&str]; 17] = [
        &["usage", "export"],
        &["usage", "--json"],
        &["usage", "summary", "--json"],
        &["audit", "--json"],
        &["keys", "list", "--json"],
        &["byok", "list", "--json"],
        &["api-key", "list", "--json"],
        &["policy", "show", "--json"],
        &["ai-config", "show", "--json"],
        &["resolve", "openai/gpt-4o", "--json"],
        &["workspace", "show", "--json"],
        &["member", "list", "--json"],
        &["credits", "--json"],
        &["models", "--json"],
        &["whoami", "--json"],
        &["config", "show", "--json"],
        &["config", "validate"],
    ];
    for command in commands {
        let exit = fixture.cli(command).await;
        assert!(
            !exit.stdout.is_empty() || !exit.stderr.is_empty(),
            "{command:?}"
        );
    }
    let session = &fixture.owner.person.session;
    for path in ["/api/v1/admin/health", "/api/v1/admin/settings"] {
        session.get(path).await.expect(200);
    }
    // A copy of the database, made by its own tool while the server runs: the search looks at every file below.
    if fixture.app.engine() == testkit::app::Engine::Sqlite {
        use sqlx::Connection;
        let mut connection = sqlx::SqliteConnection::connect(&fixture.app.database_url())
            .await
            .expect("connects");
        let copy = fixture.app.dir().join("backup.db");
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(copy.to_str().expect("UTF-8"))
            .execute(&mut connection);
        copied.await.expect("copied");
        assert!(copy.metadata().expect("a copy").len() > 10_000);
        connection.close().await.expect("closed");
    }
    fixture.app.terminate().await;
    let doctor = fixture.cli(&["doctor"]).await;
    assert!(!doctor.stdout.is_empty(), "{doctor}");
    fixture.finish().await;
}
