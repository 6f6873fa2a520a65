//! `kill -9` while the database takes nothing: what clients got is metered, and once.

use std::time::Duration;

use sqlx::{Connection, PgConnection, SqliteConnection};
use testkit::app::{Engine, TestApp};
use testkit::provider::wire::{TEXT, TOKENS, chat as answer};

use crate::Fixture;
use crate::who_pays::COST;

/// Keeps everybody from writing usage until it is dropped.
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    pub(crate) async fn take(app: &TestApp) -> Self {
        let url = app.database_url();
        match app.engine() {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&url).await.expect("connects");
                let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut connection);
                lock.await.expect("locked");
                Self::Sqlite(connection)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&url).await.expect("connects");
                for statement in ["BEGIN", "LOCK TABLE usage IN EXCLUSIVE MODE"] {
                    let lock = sqlx::query(statement).execute(&mut connection);
                    lock.await.expect("locked");
                }
                Self::Postgres(connection)
            }
        }
    }

    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
        .expect("unlocked");
    }
}

#[tokio::test]
async fn calls_that_ended_before_kill_9_are_metered_once() {
    const CALLS: usize = 30;
    let mut fixture = Fixture::start_with(|builder| builder.env("KEYBEARER_LOG", "info")).await;
    fixture.with_openai_key().await;
    for _ in 0..5 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    fixture.app.usage(&fixture.owner, 5).await;
    let lock = Lock::take(&fixture.app).await;
    let mut ids = Vec::new();
    for _ in 0..CALLS {
        let reply = fixture.chat("gpt-4o").await.expect(200);
        let id = reply.header("x-keybearer-request-id").expect("an id");
        ids.push(id.to_owned());
    }
    fixture.app.kill9();
    lock.release().await;
    fixture.app.restart().await;
    let rows = fixture.app.usage(&fixture.owner, 5 + CALLS).await;
    assert_eq!(rows.len(), 5 + CALLS);
    for id in &ids {
        let row = rows.iter().find(|row| row["request_id"] == **id);
        let row = row.unwrap_or_else(|| panic!("{id} is missing"));
        assert_eq!(row["status"], 200, "{row}");
        assert_eq!(row["usage"]["output_tokens"], TOKENS.output, "{row}");
    }
    let said = format!("wrote the usage of {CALLS} calls");
    assert!(
        fixture.app.stderr().contains(&said),
        "{}",
        fixture.app.stderr()
    );
    // Nothing of it is written a second time, after an end of either kind.
    for round in 0..2 {
        if round == 0 {
            fixture.app.terminate().await;
        }
        fixture.app.restart().await;
        let rows = fixture.app.usage(&fixture.owner, 5 + CALLS).await;
        assert_eq!(rows.len(), 5 + CALLS);
    }
    fixture.finish().await;
}

#[tokio::test]
async fn a_managed_call_that_ended_before_kill_9_costs_what_it_cost() {
    let mut fixture = Fixture::managed_with(100_000_000).await;
    let slow = answer("gpt-4o", TEXT, TOKENS).delay(Duration::from_millis(1_500));
    fixture.provider.next(slow);
    let seen = fixture.provider.requests().len();
    let key = fixture.owner.key.clone();
    let call = tokio::spawn(async move {
        key.post("/v1/chat/completions", &crate::chat("gpt-4o"))
            .await
    });
    // Its credits are held, and when it ends nothing can be written.
    fixture.provider.wait_for_requests(seen + 1).await;
    let lock = Lock::take(&fixture.app).await;
    let reply = call.await.expect("no panic");
    assert_eq!(reply.status, 200, "{}", reply.text());
    fixture.app.kill9();
    lock.release().await;
    fixture.app.restart().await;
    let row = fixture.app.usage(&fixture.owner, 1).await.remove(0);
    assert_eq!(
        (&row["status"], &row["pricing"]),
        (&200.into(), &"priced".into()),
        "{row}"
    );
    let left = (100_000_000 - COST) / 1_000;
    assert_eq!(fixture.balance().await, [left, 0, left]);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn a_disk_that_takes_no_usage_stops_new_calls_and_not_the_process() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let folder = fixture.app.data_dir().join("usage-spool/0");
    let away = fixture.app.data_dir().join("usage-spool/away");
    std::fs::rename(&folder, &away).expect("moved");
    // The first to notice ends well: its row is in memory.
    fixture.chat("gpt-4o").await.expect(200);
    let seen = fixture.provider.requests().len();
    let reply = fixture.chat("gpt-4o").await.expect(503);
    assert_eq!(reply.json()["error"]["code"], "usage_unavailable");
    assert_eq!(fixture.provider.requests().len(), seen);
    std::fs::rename(&away, &folder).expect("moved back");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    fixture.chat("gpt-4o").await.expect(200);
    let rows = fixture.app.usage(&fixture.owner, 2).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    fixture.finish().await;
}
