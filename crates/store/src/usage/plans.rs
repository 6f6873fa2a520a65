//! Lists and sums stay fast with millions of calls because of how the engines read them: by an index, or from the days.
//! So the plans are looked at, not the clock.

use domain::policy::KeySource;
use domain::{AccountId, ApiKeyId, ProviderKeyId, RequestId, Timestamp, UserId, WorkspaceId};

use super::sums::{SumsRequest, UsageDimension, Whose};
use super::{StatusFilter, UsageFilter};
use crate::Store;
use crate::db::Db;
use crate::migrate::upgrade::{administer, beside, test_server};
use crate::page::PageRequest;
use crate::statement::{Statement, sql};

const WORKSPACE: WorkspaceId = WorkspaceId::from_bytes([1; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([2; 16]);
const DAY_MS: i64 = 86_400_000;
const CALLS: i64 = 40_000;
const GROUPS: i64 = 8_000;

#[tokio::test]
async fn lists_and_sums_are_read_by_index_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/a.db", folder.path().display());
    let store = Store::open(&url).await.expect("opens");
    are_read_by_index(&store).await;
}

#[tokio::test]
async fn lists_and_sums_are_read_by_index_on_postgres() {
    let Some(server) = test_server() else { return };
    let database = format!("keybearer_plans_{}", std::process::id());
    administer(&server, format!("CREATE DATABASE {database}")).await;
    let store = Store::open(&beside(&server, &database))
        .await
        .expect("opens");
    are_read_by_index(&store).await;
    store.close().await;
    administer(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
}

async fn are_read_by_index(store: &Store) {
    fill(store).await;
    let page = PageRequest::default();
    let all = UsageFilter {
        from: Some(Timestamp::from_millis(0)),
        to: Some(Timestamp::from_millis(400 * DAY_MS)),
        ..UsageFilter::default()
    };
    let by = |change: fn(&mut UsageFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        filter
    };
    let mut wrong = Vec::new();
    for (filter, index) in [
        (all.clone(), "usage_by_workspace"),
        (by(|it| it.model = Some("m-7".to_owned())), "usage_by_group"),
        (
            by(|it| it.provider = Some("p7".parse().expect("an id"))),
            "usage_by_group",
        ),
        (
            by(|it| it.provider_key = Some(ProviderKeyId::from_bytes([9; 16]))),
            "usage_by_group",
        ),
        (
            by(|it| it.api_key = Some(ApiKeyId::from_bytes([9; 16]))),
            "usage_by_group",
        ),
        (
            by(|it| it.user = Some(UserId::from_bytes([9; 16]))),
            "usage_by_group",
        ),
        (
            by(|it| it.key_source = Some(KeySource::Managed)),
            "usage_by_group",
        ),
        (
            by(|it| it.status = Some(StatusFilter::Failed)),
            "usage_of_failures",
        ),
        (
            by(|it| it.status = Some(StatusFilter::Exactly(429))),
            "usage_of_failures",
        ),
        (
            by(|it| {
                it.status = Some(StatusFilter::Failed);
                it.model = Some("m-7".to_owned());
            }),
            match store.db() {
                Db::Sqlite { .. } => "usage_of_failures",
                // It counts, and takes what reads less.
                Db::Postgres(_) => "usage_by_group",
            },
        ),
    ] {
        let request = RequestId::from_bytes([9; 16]).to_string();
        let statement = filter.statement(WORKSPACE, (400 * DAY_MS, &request), page.rows());
        let plan = explain(store, statement).await;
        // A name ends where it ends: `usage_by_provider` is the beginning of another.
        let is_used = plan
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|word| word == index);
        let is_scanned = ["SCAN usage", "SCAN u", "SCAN c", "SCAN g", "Seq Scan"]
            .iter()
            .any(|scan| plan.contains(scan));
        if !is_used || is_scanned {
            wrong.push(format!("not by {index}: {plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let request = SumsRequest {
        from_day: 200,
        to_day: 229,
        by: vec![UsageDimension::Day, UsageDimension::Model],
        ..SumsRequest::default()
    };
    for (whose, indexes) in [
        (
            Whose::Workspace(WORKSPACE),
            ["usage_days_pkey", "sqlite_autoindex_usage_days_1"],
        ),
        (Whose::Account(ACCOUNT), ["usage_days_by_account"; 2]),
        (Whose::Instance, ["usage_days_by_day"; 2]),
    ] {
        let plan = explain(store, request.statement(whose, &request.by)).await;
        assert!(indexes.iter().any(|it| plan.contains(it)), "{plan}");
        // Not one call is read.
        for read in [" usage ", "usage_by", "Seq Scan on usage"] {
            assert!(!plan.contains(read), "{read}: {plan}");
        }
    }
}

/// Calls of 400 days in which this workspace has one of four, and everything that lists are narrowed down by is rare.
async fn fill(store: &Store) {
    let spread = |id: String, places: i64| {
        format!("CASE WHEN i % {places} = 7 THEN '{id}' ELSE 'other' || (i % {places}) END")
    };
    let groups = format!(
        "INSERT INTO usage_groups (id, account_id, workspace_id, api_key_id, user_id, wire_format, operation,
                                   model_requested, provider, model, key_source, provider_key_id)
         WITH RECURSIVE n (i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {GROUPS} - 1)
         SELECT i,
                CASE WHEN i % 4 = 0 THEN '{ACCOUNT}' ELSE 'acc_' || (i % 50) END,
                CASE WHEN i % 4 = 0 THEN '{WORKSPACE}' ELSE 'ws_' || (i % 100) END,
                {}, {}, 'f', 'o', 'm', 'p' || (i % 90), 'm-' || (i % 80),
                CASE WHEN i % 60 = 0 THEN 'managed' ELSE 'byok' END, {}
         FROM n",
        spread(ApiKeyId::from_bytes([9; 16]).to_string(), 97),
        spread(UserId::from_bytes([9; 16]).to_string(), 91),
        spread(ProviderKeyId::from_bytes([9; 16]).to_string(), 83),
    );
    let calls = format!(
        "INSERT INTO usage (request_id, at, workspace_id, group_id, status, streamed, latency_ms, request_bytes,
                            response_bytes, charge, attempts, fallback)
         WITH RECURSIVE n (i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {CALLS})
         SELECT 'req_' || i, i * {DAY_MS} / 100, g.workspace_id, g.id, CASE WHEN i % 50 = 0 THEN 429 ELSE 200 END, 0,
                1, 1, 1, 0, '[]', 0
         FROM n JOIN usage_groups g ON g.id = i % {GROUPS}"
    );
    let days = "INSERT INTO usage_days
         SELECT u.workspace_id, at / 86400000, provider, model, key_source, provider_key_id, api_key_id, user_id,
                account_id, count(*), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
         FROM usage u JOIN usage_groups g ON g.id = u.group_id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9";
    let mut tx = store.db().begin().await.expect("begins");
    tx.run(sql(leaked(groups))).await.expect("groups");
    tx.run(sql(leaked(calls))).await.expect("calls");
    tx.run(sql(days)).await.expect("days");
    tx.commit().await.expect("commits");
    if let Db::Postgres(pool) = store.db() {
        sqlx::query("ANALYZE").execute(pool).await.expect("counts");
    }
}

async fn explain(store: &Store, statement: Statement) -> String {
    match store.db() {
        Db::Sqlite { .. } => {
            let text = leaked(format!("EXPLAIN QUERY PLAN {}", statement.sqlite));
            let rows: Vec<(i64, i64, i64, String)> = store
                .db()
                .all(Statement {
                    text,
                    sqlite: text,
                    args: statement.args,
                })
                .await
                .expect("explains");
            let lines: Vec<String> = rows.into_iter().map(|row| row.3).collect();
            lines.join("\n")
        }
        Db::Postgres(_) => {
            let text = leaked(format!("EXPLAIN {}", statement.text));
            let rows: Vec<(String,)> = store
                .db()
                .all(Statement {
                    text,
                    sqlite: text,
                    args: statement.args,
                })
                .await
                .expect("explains");
            let lines: Vec<String> = rows.into_iter().map(|row| row.0).collect();
            lines.join("\n")
        }
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
