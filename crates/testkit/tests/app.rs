//! `TestApp` starts, kills, restarts and searches what it started. The binary here is a shell script.

use testkit::app::{Engine, TestApp};
use testkit::canary::{Canary, Form};

fn stand_in() -> testkit::app::Builder {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in.sh");
    TestApp::builder(path).engine(Engine::Sqlite)
}

#[tokio::test]
async fn an_instance_starts_restarts_and_ends() {
    let mut app = stand_in().start().await;
    assert_eq!(app.url(), "http://127.0.0.1:9");
    let first = app.pid();
    assert_eq!(app.setup_token(), format!("kbsetup_{first}"));

    app.kill9();
    assert!(!app.is_running());
    app.restart().await;
    assert_ne!(app.pid(), first);
    assert_eq!(app.setup_token(), format!("kbsetup_{}", app.pid()));
    assert!(app.terminate().await.success());

    let exit = app.run(&["doctor", "--json"]).await;
    assert_eq!(
        (exit.status.code(), exit.stdout.as_str()),
        (Some(4), "ran doctor --json\n")
    );
}

#[tokio::test]
async fn a_refusal_to_start_is_told_with_its_words() {
    let exit = stand_in()
        .env("FAIL", "1")
        .try_start()
        .await
        .err()
        .expect("refuses");
    assert_eq!(exit.status.code(), Some(3));
    assert!(exit.says("wrong root key"), "{exit}");
}

#[tokio::test]
async fn a_dropped_instance_leaves_no_process_and_no_files() {
    let app = stand_in().start().await;
    let (pid, dir) = (app.pid(), app.dir().to_owned());
    drop(app);
    assert!(!dir.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

// T71: the search over an instance finds a key in its files and in its environment.
#[tokio::test]
async fn a_leak_into_the_data_or_the_environment_is_found() {
    let canary = Canary::new();
    let key = canary.openai_key();
    let app = stand_in().env("LEAK", &key).start().await;
    let sweep = app.sweep(&canary).await;
    let places: Vec<_> = sweep.hits().iter().map(|hit| hit.place.as_str()).collect();
    assert!(sweep.hits().iter().all(|hit| hit.form == Form::Raw));
    assert!(
        places
            .iter()
            .any(|place| place.ends_with("/data/keybearer.db-wal")),
        "{places:?}"
    );
    assert!(
        places.iter().any(|place| place.ends_with("/environ")),
        "{places:?}"
    );

    let clean = Canary::new();
    clean.openai_key();
    app.assert_no_leak(&clean).await;
}

/// PostgreSQL's own files and rows are searched as well, where the run has a server.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test run says whether there is a server"
)]
async fn a_leak_into_postgresql_is_found_in_rows_and_files() {
    if std::env::var_os("KEYBEARER_TEST_POSTGRES_URL").is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI runs under scripts/with_postgres.py"
        );
        return;
    }
    let canary = Canary::new();
    let key = canary.openai_key();
    let app = stand_in().engine(Engine::Postgres).start().await;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&app.database_url())
        .await
        .expect("connects");
    for statement in [
        "CREATE TABLE t (secret BYTEA)",
        "INSERT INTO t VALUES (CAST($1 AS BYTEA))",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") {
            query.bind(key.as_bytes())
        } else {
            query
        };
        query.execute(&mut connection).await.expect("runs");
    }
    let sweep = app.sweep(&canary).await;
    let found = |part: &str, form: Form| {
        sweep
            .hits()
            .iter()
            .any(|hit| hit.place.contains(part) && hit.form == form)
    };
    assert!(found("table t", Form::Hex), "{:?}", sweep.hits());
    if testkit::canary::postgres_data().is_some() {
        assert!(
            found("/base/", Form::Raw) && found("/pg_wal/", Form::Raw),
            "{:?}",
            sweep.hits()
        );
    }
}
