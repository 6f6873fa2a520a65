//! Calls that were written before groups were: they are listed as they were, and later calls join their groups.

use domain::{NanoUsd, RequestId, Timestamp, Usage, WorkspaceId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::{Engine, administer, beside, test_server, versions};
use crate::Store;
use crate::page::PageRequest;
use crate::statement::sql;
use crate::usage::tests::row;
use crate::usage::{self, UsageFilter, UsageRow};

/// The last version whose calls stood alone.
const BEFORE: usize = 9;
const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([3; 16]);

#[tokio::test]
async fn calls_of_an_earlier_sqlite_file_are_listed_as_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .connect()
        .await
        .expect("a new file");
    let migrated = versions(Engine::Sqlite, BEFORE).run(&mut connection).await;
    migrated.expect("the earlier schema");
    let rows = sqlx::raw_sql(AssertSqlSafe(earlier())).execute(&mut connection);
    rows.await.expect("its rows");
    connection.close().await.expect("closed");
    let url = format!("sqlite://{}", path.display());
    are_as_they_were(&Store::open(&url).await.expect("opens and migrates")).await;
}

#[tokio::test]
async fn calls_of_an_earlier_postgres_database_are_listed_as_they_were() {
    let Some(server) = test_server() else { return };
    let database = format!("keybearer_calls_{}", std::process::id());
    administer(&server, format!("CREATE DATABASE {database}")).await;
    let url = beside(&server, &database);
    let mut connection = PgConnection::connect(&url).await.expect("connects");
    let migrated = versions(Engine::Postgres, BEFORE)
        .run(&mut connection)
        .await;
    migrated.expect("the earlier schema");
    let rows = sqlx::raw_sql(AssertSqlSafe(earlier())).execute(&mut connection);
    rows.await.expect("its rows");
    connection.close().await.expect("closed");
    let store = Store::open(&url).await.expect("opens and migrates");
    are_as_they_were(&store).await;
    store.close().await;
    administer(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
}

async fn are_as_they_were(store: &Store) {
    let listed = async || {
        let page = PageRequest::default();
        let page = usage::of_workspace(store, WORKSPACE, &UsageFilter::default(), &page).await;
        page.expect("lists").items
    };
    let groups = async || {
        let (groups,): (i64,) = store
            .db()
            .one(sql("SELECT count(*) FROM usage_groups"))
            .await
            .expect("counts");
        groups
    };
    assert_eq!(listed().await, [refused(3), served(2), served(1)]);
    assert_eq!(groups().await, 2);
    let later = [served(4), refused(5)];
    let written = store.serving().insert_usage(&later).await;
    written.expect("written");
    let all = [refused(5), served(4), refused(3), served(2), served(1)];
    assert_eq!(listed().await, all);
    assert_eq!(groups().await, 2);
}

/// Three calls, as the earlier version wrote them.
fn earlier() -> String {
    let all = [served(1), served(2), refused(3)];
    let rows = all.iter().map(|row| {
        let text = |text: Option<String>| text.map_or("NULL".to_owned(), |text| format!("'{text}'"));
        let number = |number: Option<i64>| number.map_or("NULL".to_owned(), |it| it.to_string());
        let tokens = |of: fn(&Usage) -> u64| number(row.usage.as_ref().map(|it| of(it) as i64));
        format!(
            "('{}', {}, '{}', '{}', '{}', '{}', '{}', '{}', '{}', {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, \
             {}, {}, {}, {}, {}, {}, {}, '{}', {})",
            row.request,
            row.at.millis(),
            row.account,
            row.workspace,
            row.api_key,
            row.user,
            row.wire_format,
            row.operation,
            row.model_requested,
            text(row.provider.as_ref().map(ToString::to_string)),
            text(row.model.clone()),
            text(row.key_source.map(|it| it.as_str().to_owned())),
            text(row.key.map(|it| it.to_string())),
            text(row.key_label.as_ref().map(ToString::to_string)),
            row.status,
            text(row.error_code.clone()),
            i64::from(row.streamed),
            tokens(|it| it.input_tokens),
            tokens(|it| it.cached_input_tokens),
            tokens(|it| it.cache_write_tokens),
            tokens(|it| it.output_tokens),
            tokens(|it| it.reasoning_tokens),
            row.latency_ms,
            number(row.first_byte_ms),
            row.request_bytes,
            row.response_bytes,
            number(row.upstream_status),
            number(row.cost.map(NanoUsd::nanos)),
            text(row.pricing.map(|it| it.as_str().to_owned())),
            text(row.catalog_version.clone()),
            row.charge.nanos(),
            serde_json::to_string(&row.attempts).expect("JSON"),
            i64::from(row.fallback),
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "INSERT INTO usage (request_id, at, account_id, workspace_id, api_key_id, user_id, wire_format, operation,
                            model_requested, provider, model, key_source, provider_key_id, key_label, status,
                            error_code, streamed, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
                            reasoning_tokens, latency_ms, first_byte_ms, request_bytes, response_bytes,
                            upstream_status, cost, pricing, catalog_version, charge, attempts, fallback)
         VALUES {}",
        rows.join(", ")
    )
}

/// A call of which everything is known.
fn served(number: u8) -> UsageRow {
    UsageRow {
        request: RequestId::from_bytes([number; 16]),
        at: Timestamp::from_millis(1_700_000_000_000 + i64::from(number)),
        workspace: WORKSPACE,
        // What was charged must be in the ledger, too.
        charge: NanoUsd::ZERO,
        ..row()
    }
}

/// A call that reached no provider.
fn refused(number: u8) -> UsageRow {
    UsageRow {
        provider: None,
        model: None,
        key_source: None,
        key: None,
        key_label: None,
        status: 402,
        error_code: Some("workspace_key_missing".to_owned()),
        streamed: false,
        usage: None,
        first_byte_ms: None,
        upstream_status: None,
        cost: None,
        pricing: None,
        catalog_version: None,
        attempts: Vec::new(),
        fallback: false,
        ..served(number)
    }
}
