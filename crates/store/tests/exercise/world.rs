//! A fresh database with a few people in it, on either engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::access::{Action, ApiScope, Role};
use domain::id::Id;
use domain::policy::WorkspacePolicy;
use domain::record::{DataKeyRecord, KeyContext, ProviderKeyRecord};
use domain::{
    AccountId, ApiKeyId, DataKeyId, InvitationId, KeyOwner, ProviderKeyId, RequestId, SessionId,
    Timestamp, UserId, WorkspaceId,
};
use sqlx::{Connection, PgConnection, SqliteConnection};
use store::{
    AcceptBy, AccountScope, AuditNote, Expect, InstanceScope, NewApiKey, NewInvitation, NewSession,
    NewUser, NewWorkspace, Principal, ProviderKeys, Store, StoreError, UserScope, WorkspaceScope,
};

/// The moment at which every test begins.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Makes two tests, one for each engine, of each named rule.
macro_rules! on_both_engines {
    ($($rule:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                let world = crate::world::World::sqlite().await;
                world.run(super::$rule).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                if let Some(world) = crate::world::World::postgres().await {
                    world.run(super::$rule).await;
                }
            }
        )*}
    };
}
pub(crate) use on_both_engines;

/// One fresh database and an open store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) url: Arc<str>,
    place: Arc<Place>,
    count: Arc<AtomicU64>,
}

enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { server: String, database: String },
}

/// A person with an own account and a "Personal" workspace.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) account: AccountId,
    pub(crate) workspace: WorkspaceId,
}

impl Person {
    pub(crate) fn principal(&self) -> Principal {
        Principal::Session {
            user: self.user,
            session: SessionId::from_bytes(*self.user.bytes()),
        }
    }
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/store.db", folder.path().display());
        Self::open(url, Place::Sqlite(folder)).await
    }

    /// `None`, and a word about it, where there is no server to test with.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = test_server()?;
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = format!("keybearer_store_{}_{number}", std::process::id());
        administer(&server, format!("CREATE DATABASE {database}")).await;
        let (front, back) = match server.split_once('?') {
            Some((front, query)) => (front, format!("?{query}")),
            None => (server.as_str(), String::new()),
        };
        let authority_end = front.find("://").map_or(0, |at| at + 3);
        let host_end = front[authority_end..]
            .find('/')
            .map_or(front.len(), |at| authority_end + at);
        let url = format!("{}/{database}{back}", &front[..host_end]);
        Some(Self::open(url, Place::Postgres { server, database }).await)
    }

    /// Runs a test, then drops the database however the test ended.
    pub(crate) async fn run<F>(self, rule: impl FnOnce(World) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        // Local, because the rules use async closures, whose futures cannot be proved `Send`.
        let rule = rule(self.clone());
        let local = tokio::task::LocalSet::new();
        let outcome = local
            .run_until(async { tokio::task::spawn_local(rule).await })
            .await;
        self.store.close().await;
        if let Place::Postgres { server, database } = &*self.place {
            administer(server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(*self.place, Place::Sqlite(_))
    }

    /// The folder of a SQLite database.
    pub(crate) fn folder(&self) -> &std::path::Path {
        match &*self.place {
            Place::Sqlite(folder) => folder.path(),
            Place::Postgres { .. } => panic!("PostgreSQL has no folder here"),
        }
    }

    /// Another node on the same database; SQLite has one process, so there it is the same store.
    pub(crate) async fn other_node(&self) -> Store {
        match &*self.place {
            Place::Sqlite(_) => self.store.clone(),
            Place::Postgres { .. } => Store::open(&self.url).await.expect("a second node opens"),
        }
    }

    /// Runs SQL past the store.
    pub(crate) async fn raw(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sqlx::raw_sql(statement).execute(&mut connection).await?;
            connection.close().await
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(statement).execute(&mut connection).await?;
            connection.close().await
        }
    }

    /// Begins a change past the store and leaves it open until the connection is dropped.
    pub(crate) async fn hang(&self) -> Box<dyn std::any::Any> {
        const HANG: &str = "UPDATE revision SET revision = revision";
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url)
                .await
                .expect("connects");
            sqlx::raw_sql("BEGIN IMMEDIATE")
                .execute(&mut connection)
                .await
                .expect("begun");
            sqlx::raw_sql(HANG)
                .execute(&mut connection)
                .await
                .expect("held");
            Box::new(connection)
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("connects");
            sqlx::raw_sql("BEGIN")
                .execute(&mut connection)
                .await
                .expect("begun");
            sqlx::raw_sql(HANG)
                .execute(&mut connection)
                .await
                .expect("held");
            Box::new(connection)
        }
    }

    /// Asks for one number past the store.
    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        let row: (i64,) = if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url)
                .await
                .expect("connects");
            sqlx::query_as(statement).fetch_one(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("connects");
            sqlx::query_as(statement).fetch_one(&mut connection).await
        }
        .expect("a number");
        row.0
    }

    /// How much there is of everything; equal before and after what must leave no trace.
    pub(crate) async fn traces(&self) -> Vec<i64> {
        let mut traces = Vec::new();
        for statement in [
            "SELECT revision FROM revision",
            "SELECT audit_sequence FROM revision",
            "SELECT count(*) FROM changes",
            "SELECT count(*) FROM audit",
            "SELECT count(*) FROM users",
            "SELECT count(*) FROM accounts",
            "SELECT count(*) FROM workspaces",
            "SELECT count(*) FROM members",
            "SELECT count(*) FROM invitations",
            "SELECT count(*) FROM invitations WHERE accepted_at IS NOT NULL",
            "SELECT count(*) FROM api_keys",
            "SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL",
            "SELECT count(*) FROM sessions",
            "SELECT count(*) FROM device_logins",
            "SELECT count(*) FROM password_links",
            "SELECT count(*) FROM users WHERE instance_admin = 1",
            "SELECT count(*) FROM device_logins WHERE session_id IS NOT NULL",
            "SELECT count(*) FROM data_keys",
            "SELECT count(*) FROM provider_keys",
            "SELECT CAST(COALESCE(sum(version), 0) AS BIGINT) FROM provider_keys",
            "SELECT count(*) FROM seen_boxes",
            "SELECT count(*) FROM sealing_keys",
            "SELECT count(*) FROM sealing_keys WHERE active = 1",
            "SELECT count(*) FROM usage",
            "SELECT count(*) FROM subscriptions",
            "SELECT count(*) FROM plans",
            "SELECT count(*) FROM removed_provider_keys",
            "SELECT count(*) FROM account_defaults",
            "SELECT count(*) FROM credit_accounts",
            "SELECT CAST(COALESCE(sum(monthly), 0) AS BIGINT) FROM credit_accounts",
        ] {
            traces.push(self.number(statement).await);
        }
        traces
    }

    /// A fresh id; later ones are greater.
    pub(crate) fn id<I: Id>(&self) -> I {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        I::from_parts(NOW, random)
    }

    /// A fresh 32 bytes, for hashes.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        hash
    }

    pub(crate) fn note(&self, action: &'static str) -> AuditNote {
        AuditNote {
            action,
            provider: None,
            label: None,
            kek_id: None,
            content_sha256: None,
            subject: None,
            outcome: "ok",
            request: self.id::<RequestId>(),
        }
    }

    pub(crate) fn new_user(&self, email: &str) -> NewUser {
        NewUser {
            user: self.id(),
            account: self.id(),
            workspace: self.id(),
            email: email.to_owned(),
            password_hash: format!("hash of {email}"),
            instance_admin: false,
        }
    }

    /// The first person, an instance admin.
    pub(crate) async fn first(&self) -> Person {
        let new = NewUser {
            instance_admin: true,
            ..self.new_user("first@example.com")
        };
        let note = self.note("setup");
        let system = self.store.system();
        system
            .create_first_user(&new, &note, NOW)
            .await
            .expect("the first user");
        person(&new)
    }

    /// Another person, added by the first.
    pub(crate) async fn person(&self, first: &Person, email: &str) -> Person {
        let scope = self.instance(first).await;
        let new = self.new_user(email);
        let note = self.note("user.create");
        let system = self.store.system();
        system
            .create_user(&scope, &new, &note, NOW)
            .await
            .expect("another user");
        person(&new)
    }

    /// A workspace to add, with the policy of one that nobody decided anything for.
    pub(crate) fn workspace(&self, id: WorkspaceId, name: &str) -> NewWorkspace {
        NewWorkspace {
            id,
            name: name.to_owned(),
            policy: WorkspacePolicy::default(),
        }
    }

    /// Makes `whom` a member of the workspace of `owner`.
    pub(crate) async fn join(&self, owner: &Person, whom: &Person, email: &str, role: Role) {
        let scope = self.scope(owner, Action::WriteMembers).await;
        let new = NewInvitation {
            id: self.id::<InvitationId>(),
            email: email.to_owned(),
            role,
            hash: self.hash(),
            expires_at: NOW.plus_millis(1000),
        };
        self.store
            .within(&scope)
            .create_invitation(&new, &self.note("invitation.create"), NOW)
            .await
            .expect("an invitation");
        let by = AcceptBy::Existing(whom.user);
        let note = self.note("invitation.accept");
        let system = self.store.system();
        system
            .accept_invitation(&new.hash, &by, &note, NOW)
            .await
            .expect("accepted");
    }

    /// A scope for a person's own workspace.
    pub(crate) async fn scope(&self, person: &Person, action: Action) -> WorkspaceScope {
        self.store
            .authorize_workspace(&person.principal(), person.workspace, action)
            .await
            .expect("the owner may")
    }

    pub(crate) async fn account(&self, person: &Person) -> AccountScope {
        self.store
            .authorize_account(
                &person.principal(),
                person.account,
                Action::WriteAccountProviderKeys,
            )
            .await
            .expect("the owner may")
    }

    pub(crate) async fn own(&self, person: &Person) -> UserScope {
        self.store
            .authorize_user(&person.principal(), Action::UseOwnUser)
            .await
            .expect("a logged-in person may")
    }

    /// As [`World::own`], with a log-in that the store knows.
    pub(crate) async fn logged_in(&self, person: &Person, life_ms: i64) -> UserScope {
        let new = NewSession {
            id: self.id(),
            hash: self.hash(),
            user: person.user,
            expires_at: NOW.plus_millis(life_ms),
            user_agent: "a program".to_owned(),
        };
        let note = self.note("session.create");
        let system = self.store.system();
        system
            .create_session(&new, &note, NOW)
            .await
            .expect("logged in");
        let principal = Principal::Session {
            user: person.user,
            session: new.id,
        };
        let scope = self.store.authorize_user(&principal, Action::UseOwnUser);
        scope.await.expect("a user")
    }

    /// Deletes a person's account by a log-in, as somebody who knows the password.
    pub(crate) async fn leave(
        &self,
        scope: &UserScope,
        note: &AuditNote,
    ) -> Result<(), StoreError> {
        let own = self.store.own(scope);
        let hash = own.password_hash().await.expect("reads");
        own.delete_account(&hash, note, NOW).await
    }

    pub(crate) async fn instance(&self, person: &Person) -> InstanceScope {
        self.store
            .authorize_instance(&person.principal(), Action::ManageUsers)
            .await
            .expect("an instance admin may")
    }

    /// Mints an API key in the workspace of `scope` and returns its id and hash.
    pub(crate) async fn api_key(
        &self,
        scope: &WorkspaceScope,
        user: UserId,
        scopes: &[ApiScope],
    ) -> (ApiKeyId, [u8; 32]) {
        let new = NewApiKey {
            id: self.id(),
            user,
            name: "ci".to_owned(),
            prefix: "kb_123456".to_owned(),
            hash: self.hash(),
            scopes: scopes.to_vec(),
            default_model: None,
            expires_at: None,
        };
        self.store
            .within(scope)
            .create_api_key(&new, &self.note("api_key.create"), NOW)
            .await
            .expect("an API key");
        (new.id, new.hash)
    }

    /// Stores the data key of these provider keys' owner.
    pub(crate) async fn data_key(&self, keys: &ProviderKeys<'_>) -> DataKeyId {
        let record = DataKeyRecord {
            id: self.id(),
            owner: keys.owner(),
            kms_key: "local".to_owned(),
            wrapped: vec![1, 2, 3],
            created_at: NOW,
        };
        keys.insert_data_key(&record).await.expect("a data key").id
    }

    /// A record that can be put as new.
    pub(crate) fn record(
        &self,
        owner: KeyOwner,
        account: Option<AccountId>,
        data_key: DataKeyId,
        label: &str,
    ) -> ProviderKeyRecord {
        ProviderKeyRecord {
            context: KeyContext {
                owner,
                key: self.id::<ProviderKeyId>(),
                provider: "openai".parse().expect("a provider id"),
                base_url: "https://api.openai.com/v1".to_owned(),
                auth_header: "authorization".to_owned(),
                version: 1,
            },
            account,
            label: label.parse().expect("a label"),
            data_key,
            envelope: format!("envelope of {label}").into_bytes(),
            mask: "sk-a...bCdE".to_owned(),
            kek_id: Some("00ff".to_owned()),
            position: 0,
            level: None,
            fallback: false,
            template: false,
            prices: Vec::new(),
            enabled: true,
            created_at: NOW,
            updated_at: NOW,
            last_used_at: None,
            last_failure: None,
            last_released_at: None,
        }
    }

    /// Puts a new key and returns its record.
    pub(crate) async fn put(&self, keys: &ProviderKeys<'_>, label: &str) -> ProviderKeyRecord {
        let data_key = self.data_key(keys).await;
        let record = self.record(keys.owner(), keys.account(), data_key, label);
        let note = self.note("provider_key.create");
        keys.put(&record, Expect::New, &note, NOW)
            .await
            .expect("a provider key");
        record
    }

    async fn open(url: String, place: Place) -> Self {
        let store = Store::open(&url).await.expect("the database opens");
        Self {
            store,
            url: url.into(),
            place: Arc::new(place),
            count: Arc::new(AtomicU64::new(1)),
        }
    }
}

fn person(new: &NewUser) -> Person {
    Person {
        user: new.user,
        account: new.account,
        workspace: new.workspace,
    }
}

async fn administer(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server).await.expect("the server");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("the server obeys");
    connection.close().await.expect("the server lets go");
}

/// The server to test with; `None` where there is none and need not be.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other way to hear of its server"
)]
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn test_server() -> Option<String> {
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
