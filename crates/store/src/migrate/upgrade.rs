//! A database that the first version wrote, opened by this one: every row stays, and every key opens.

mod calls;
mod kept;

use domain::plan::OPERATOR_PLAN;
use domain::policy::{Mode, WorkspacePolicy};
use domain::{AccountId, KeyOwner, NanoUsd, Timestamp, WorkspaceId};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};

use super::{Engine, migrator};
use crate::revision::Affects;
use crate::statement::sql;
use crate::{OpenError, Store, StoreError, data_key, plan, policy, workspace};

use kept::{Kept, hex, text};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const WORKSPACE: KeyOwner = KeyOwner::Workspace(WorkspaceId::from_bytes([1; 16]));
const ACCOUNT: KeyOwner = KeyOwner::Account(AccountId::from_bytes([1; 16]));
const OTHER_WORKSPACE: KeyOwner = KeyOwner::Workspace(WorkspaceId::from_bytes([2; 16]));

#[tokio::test]
async fn a_sqlite_file_of_the_first_version_keeps_its_rows_and_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = Kept::new(folder.path()).await;
    let path = folder.path().join("store.db");
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .connect()
        .await
        .expect("a new file");
    let migrated = first_version(Engine::Sqlite).run(&mut connection).await;
    migrated.expect("the first schema");
    let rows = kept.rows(|bytes| format!("X'{}'", hex(bytes)));
    let written = sqlx::raw_sql(AssertSqlSafe(rows)).execute(&mut connection);
    written.await.expect("its rows");
    connection.close().await.expect("closed");

    let store = Store::open(&url).await.expect("opens and migrates");
    kept.all_there(&store).await;
    let probe = async |statement: String| {
        let mut connection = SqliteConnection::connect(&url).await.expect("connects");
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection);
        done.await.is_ok()
    };
    kept.rules_hold(&store, probe).await;
    store.close().await;
    drop(store);
    let again = Store::open(&url).await.expect("opens again");
    assert_eq!(plan::list(&again).await.expect("lists").len(), 4);
}

#[tokio::test]
async fn a_postgres_database_of_the_first_version_keeps_its_rows_and_keys() {
    let Some(server) = test_server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kept = Kept::new(folder.path()).await;
    let database = format!("keybearer_upgrade_{}", std::process::id());
    administer(&server, format!("CREATE DATABASE {database}")).await;
    let url = beside(&server, &database);
    let mut connection = PgConnection::connect(&url).await.expect("connects");
    let migrated = first_version(Engine::Postgres).run(&mut connection).await;
    migrated.expect("the first schema");
    let rows = kept.rows(|bytes| format!("'\\x{}'::bytea", hex(bytes)));
    let written = sqlx::raw_sql(AssertSqlSafe(rows)).execute(&mut connection);
    written.await.expect("its rows");
    connection.close().await.expect("closed");

    // Two nodes at once.
    let (store, other) = tokio::join!(Store::open(&url), Store::open(&url));
    let (store, other) = (store.expect("opens and migrates"), other.expect("opens"));
    kept.all_there(&store).await;
    kept.all_there(&other).await;
    let probe = async |statement: String| {
        let mut connection = PgConnection::connect(&url).await.expect("connects");
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection);
        done.await.is_ok()
    };
    kept.rules_hold(&store, probe).await;
    store.close().await;
    other.close().await;
    administer(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
}

#[tokio::test]
async fn a_command_beside_the_server_does_not_migrate() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .connect()
        .await
        .expect("a new file");
    let migrated = first_version(Engine::Sqlite).run(&mut connection).await;
    migrated.expect("the first schema");
    connection.close().await.expect("closed");
    let url = format!("sqlite://{}", path.display());
    let refused = Store::open_existing(&url).await.err().expect("refused");
    assert!(
        matches!(refused, OpenError::OlderSchema { found: 1, .. }),
        "{refused}"
    );
}

impl Kept {
    /// Every row is as it was, every key opens, nobody's bill changes, and everybody has a plan.
    async fn all_there(&self, store: &Store) {
        let system = store.system();
        let deployment = system.deployment().await.expect("reads").expect("is there");
        assert_eq!(
            (deployment.id, &deployment.wrapped_key),
            (self.deployment.id, &self.deployment.wrapped_key)
        );
        let data_keys = system.data_keys(None, 100).await.expect("reads");
        assert_eq!(data_keys, self.data_keys);
        let keys = system.provider_keys(None, 100).await.expect("reads");
        assert_eq!(keys, self.keys);
        for key in &keys {
            let under = data_keys.iter().find(|it| it.id == key.data_key);
            let opener = self.root.opener();
            let opened = opener
                .open(&key.envelope, &key.context, under.expect("is there"))
                .await;
            let opened = opened.expect("opens");
            assert!(opened.expose(|bytes| bytes == text(&key.context).as_bytes()));
        }
        for number in [1, 2, 3] {
            let workspace = WorkspaceId::from_bytes([number; 16]);
            let row = policy::get(store, workspace).await.expect("reads");
            let policy = row.expect("is there").policy;
            assert_eq!(
                (policy.mode, policy == WorkspacePolicy::default()),
                (Mode::Byok, true)
            );
            let account = AccountId::from_bytes([number; 16]);
            let row = plan::subscription(store, account).await.expect("reads");
            let row = row.expect("everybody has one");
            // The second admin is the older one.
            let expected = if number == 2 { OPERATOR_PLAN } else { "free" };
            assert_eq!(row.plan.as_str(), expected);
            assert_eq!(
                row.started_at.millis(),
                [30, 20, 10][usize::from(number) - 1]
            );
            let (monthly,): (i64,) = store
                .db()
                .one(sql("SELECT monthly FROM credit_accounts WHERE account_id = $1").bind(account))
                .await
                .expect("has credits");
            let credits = NanoUsd::from_credits(row.terms.monthly_credits);
            assert_eq!(monthly, credits.nanos());
        }
    }

    /// What the tables refuse, and what goes with what, is as it was; `run` says whether a statement went through.
    async fn rules_hold(&self, store: &Store, run: impl AsyncFn(String) -> bool) {
        let key = &self.keys[0];
        let copy = |id: &str, owner: &str, account: &str, instance: &str, data_key: &str| {
            format!(
                "INSERT INTO provider_keys (id, owner_id, account_id, instance_id, provider, label, base_url,
                                            auth_header, version, data_key_id, envelope, mask, position,
                                            enabled, created_at, updated_at)
                 SELECT '{id}', '{owner}', {account}, {instance}, provider, '{id}', base_url, auth_header,
                        version, '{data_key}', envelope, mask, position, enabled, created_at, updated_at
                 FROM provider_keys WHERE id = '{}'",
                key.context.key
            )
        };
        let account = AccountId::from_bytes([1; 16]).to_string();
        let instance = self.deployment.id.to_string();
        let quoted = |id: &str| format!("'{id}'");
        let data_key = |owner: KeyOwner| {
            let found = self.data_keys.iter().find(|it| it.owner == owner);
            found.expect("is there").id.to_string()
        };
        let (of_account, of_workspace) = (data_key(ACCOUNT), data_key(WORKSPACE));
        for (owner, account, instance, data_key) in [
            // The data key of another owner, of nobody, and an owner who is another.
            (&account, quoted(&account), "NULL".to_owned(), &of_workspace),
            (&account, quoted(&account), "NULL".to_owned(), &instance),
            (&instance, quoted(&account), "NULL".to_owned(), &of_account),
            (&account, quoted(&account), quoted(&instance), &of_account),
            (&account, "NULL".to_owned(), "NULL".to_owned(), &of_account),
        ] {
            assert!(
                !run(copy("pk_x", owner, &account, &instance, data_key)).await,
                "{owner} {account} {instance}"
            );
        }
        let fits = copy("pk_x", &account, &quoted(&account), "NULL", &of_account);
        assert!(run(fits).await);
        assert!(run("DELETE FROM provider_keys WHERE id = 'pk_x'".to_owned()).await);

        let record = self
            .root
            .rotator()
            .new_data_key(KeyOwner::Instance(self.deployment.id))
            .await;
        let mut writing = store.writing().await.expect("begins");
        let record = record.expect("a data key");
        data_key::insert(&mut writing.tx, &record)
            .await
            .expect("stored");
        writing
            .commit_unaudited(Affects::Nothing)
            .await
            .expect("commits");
        assert_eq!(data_key::of_instance(store).await.expect("reads"), [record]);

        // A workspace's keys go with it, and an owner's with their data key.
        let count = async || {
            let counted: Result<(i64, i64), StoreError> = store
                .db()
                .one(sql(
                    "SELECT (SELECT count(*) FROM provider_keys), (SELECT count(*) FROM data_keys)",
                ))
                .await;
            counted.expect("counts")
        };
        assert_eq!(count().await, (6, 4));
        let mut tx = store.db().begin().await.expect("begins");
        workspace::delete(&mut tx, WorkspaceId::from_bytes([1; 16]))
            .await
            .expect("deleted");
        tx.commit().await.expect("commits");
        assert_eq!(count().await, (4, 3));
        let mut tx = store.db().begin().await.expect("begins");
        let deleted = tx
            .run(sql("DELETE FROM data_keys WHERE owner_id = $1").bind(ACCOUNT))
            .await;
        assert_eq!(deleted.expect("deleted"), 1);
        tx.commit().await.expect("commits");
        assert_eq!(count().await, (2, 2));
    }
}

fn first_version(engine: Engine) -> Migrator {
    versions(engine, 1)
}

/// The first so many versions.
fn versions(engine: Engine, count: usize) -> Migrator {
    Migrator::with_migrations(migrator(engine).iter().take(count).cloned().collect())
}

/// The URL of another database of the same server.
pub(crate) fn beside(server: &str, database: &str) -> String {
    let (front, query) = server.split_once('?').unwrap_or((server, ""));
    let start = front.find("://").map_or(0, |at| at + 3);
    let end = front[start..]
        .find('/')
        .map_or(front.len(), |at| start + at);
    format!("{}/{database}?{query}", &front[..end])
}

pub(crate) async fn administer(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server).await.expect("the server");
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection);
    done.await.expect("the server obeys");
    connection.close().await.expect("the server lets go");
}

/// The server to test with; `None` where there is none and need not be.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other way to hear of its server"
)]
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(crate) fn test_server() -> Option<String> {
    if let Ok(server) = std::env::var("KEYBEARER_TEST_POSTGRES_URL") {
        return Some(server);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "KEYBEARER_TEST_POSTGRES_URL must be set where CI is"
    );
    eprintln!("skipped on PostgreSQL: KEYBEARER_TEST_POSTGRES_URL is not set");
    None
}
