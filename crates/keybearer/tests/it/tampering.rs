//! What somebody who can write the database cannot do.

use domain::ProviderKeyId;
use testkit::app::{Engine, TestApp};

use crate::{Fixture, chat};

/// Runs a statement on the app's database, behind its back.
pub(crate) async fn sql(app: &TestApp, statement: &str) -> Result<u64, sqlx::Error> {
    let url = app.database_url();
    match app.engine() {
        Engine::Sqlite => {
            let pool = sqlx::SqlitePool::connect(&url).await?;
            let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
                .execute(&pool)
                .await;
            pool.close().await;
            done.map(|done| done.rows_affected())
        }
        Engine::Postgres => {
            let pool = sqlx::PgPool::connect(&url).await?;
            let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
                .execute(&pool)
                .await;
            pool.close().await;
            done.map(|done| done.rows_affected())
        }
    }
}

async fn edit(app: &TestApp, statement: &str) {
    let rows = sql(app, statement)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    assert!(rows > 0, "{statement} touched nothing");
}

#[tokio::test]
async fn an_edited_record_fails_closed_and_nothing_is_sent() {
    // T4, T5, T7
    for statement in [
        "UPDATE provider_keys SET base_url = 'http://127.0.0.1:1/v1'",
        "UPDATE provider_keys SET auth_header = 'x-api-key'",
        "UPDATE provider_keys SET version = version + 1",
        "UPDATE provider_keys SET provider = 'anthropic'",
        // The other key, whole, must not stand in: it is disabled with the same stroke.
        "UPDATE provider_keys SET envelope = (SELECT envelope FROM provider_keys WHERE label = 'other'), \
         enabled = CASE WHEN label = 'team' THEN 1 ELSE 0 END",
    ] {
        let mut fixture = Fixture::start().await;
        fixture
            .workspace_key("openai", "team", &fixture.canary.openai_key())
            .await;
        fixture
            .workspace_key("openai", "other", &fixture.canary.openai_key())
            .await;
        let seen = fixture.provider.requests().len();
        edit(&fixture.app, statement).await;
        // Whatever the process remembers is gone; the database is all there is.
        fixture.app.restart().await;
        let model = if statement.contains("anthropic") {
            "claude-haiku-4-5"
        } else {
            "gpt-4o"
        };
        let reply = if model == "gpt-4o" {
            fixture
                .owner
                .key
                .post("/v1/chat/completions", &chat(model))
                .await
        } else {
            fixture
                .owner
                .key
                .post("/v1/messages", &crate::message(model, false))
                .await
        };
        assert_eq!(
            reply.code().as_deref(),
            Some("key_unreadable"),
            "{statement}: {}",
            reply.text()
        );
        assert_eq!(reply.status, 503);
        assert_eq!(
            fixture.provider.requests().len(),
            seen,
            "{statement}: something was sent"
        );
        fixture.finish().await;
    }
}

#[tokio::test]
async fn records_and_data_keys_do_not_move_between_workspaces() {
    // T4, T6
    let mut fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let other = session
        .post("/api/v1/workspaces", &serde_json::json!({"name": "Other"}))
        .await
        .expect(201)
        .json();
    let other = other["id"].as_str().expect("an id").to_owned();
    let caller = fixture
        .app
        .api_key(session, &other, &["inference:invoke"])
        .await;
    fixture
        .workspace_key("openai", "primary", &fixture.canary.openai_key())
        .await;
    let seen = fixture.provider.requests().len();
    // The record and its data key together, as somebody thorough would do it.
    let mine = &fixture.owner.workspace;
    let constraint = match fixture.app.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF",
        Engine::Postgres => "SET session_replication_role = replica",
    };
    let statements = [
        format!(
            "UPDATE data_keys SET owner_id = '{other}', workspace_id = '{other}' WHERE owner_id = '{mine}'"
        ),
        format!(
            "UPDATE provider_keys SET owner_id = '{other}', workspace_id = '{other}' WHERE owner_id = '{mine}'"
        ),
    ];
    match fixture.app.engine() {
        Engine::Sqlite => {
            let mut connection = sqlx::SqlitePool::connect(&fixture.app.database_url())
                .await
                .expect("the database opens")
                .acquire()
                .await
                .expect("a connection");
            for statement in std::iter::once(constraint.to_owned()).chain(statements) {
                let done = sqlx::query(sqlx::AssertSqlSafe(statement))
                    .execute(&mut *connection)
                    .await;
                done.expect("the edit works");
            }
        }
        Engine::Postgres => {
            let pool = sqlx::PgPool::connect(&fixture.app.database_url())
                .await
                .expect("the database opens");
            let mut connection = pool.acquire().await.expect("a connection");
            for statement in std::iter::once(constraint.to_owned()).chain(statements) {
                let done = sqlx::query(sqlx::AssertSqlSafe(statement))
                    .execute(&mut *connection)
                    .await;
                done.expect("the edit works");
            }
        }
    }
    fixture.app.restart().await;
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect_error(503, "key_unreadable");
    assert_eq!(fixture.provider.requests().len(), seen);
    fixture.finish().await;
}

#[tokio::test]
async fn the_audit_table_refuses_update_and_delete() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    for statement in ["UPDATE audit SET action = 'nothing'", "DELETE FROM audit"] {
        assert!(sql(&fixture.app, statement).await.is_err(), "{statement}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_doctor_names_every_record_that_does_not_open() {
    let mut fixture = Fixture::start().await;
    fixture
        .workspace_key("openai", "good", &fixture.canary.openai_key())
        .await;
    let bad = fixture
        .workspace_key("openai", "bad", &fixture.canary.openai_key())
        .await;
    let bad: ProviderKeyId = bad["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a provider key's id");
    fixture.app.terminate().await;
    let healthy = fixture.app.run(&["doctor"]).await;
    assert!(healthy.status.success(), "{healthy}");
    assert!(
        healthy.says("2 provider keys open, 0 records do not"),
        "{healthy}"
    );
    edit(
        &fixture.app,
        &format!("UPDATE provider_keys SET base_url = 'https://evil.example' WHERE id = '{bad}'"),
    )
    .await;
    let sick = fixture.app.run(&["doctor", "--json"]).await;
    assert_eq!(sick.status.code(), Some(1), "{sick}");
    let line = sick
        .stdout
        .lines()
        .find(|line| line.contains(&bad.to_string()))
        .expect("a line for the record");
    assert!(line.contains("integrity_failure"), "{line}");
    assert_eq!(
        sick.stdout.matches("integrity_failure").count(),
        1,
        "{sick}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_removed_key_leaves_nothing_in_the_files() {
    // T15: neither the key (the canary) nor its ciphertext.
    let fixture = Fixture::start().await;
    let stored = fixture
        .workspace_key("openai", "primary", &fixture.canary.openai_key())
        .await;
    let path = fixture.path(&format!(
        "/provider-keys/{}",
        stored["id"].as_str().expect("an id")
    ));
    fixture.owner.person.session.delete(&path).await.expect(200);
    fixture.owner.person.session.delete(&path).await.expect(404);
    let list = fixture
        .owner
        .person
        .session
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200)
        .json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(0));
    fixture.finish().await;
}
