//! A gateway with its edge in front, a workspace with keys in a SQLite file, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use domain::access::{Action, ApiScope};
use domain::credential::{self, CredentialKind};
use domain::record::{KeyContext, ProviderKeyRecord};
use domain::{
    AccountId, ApiKeyId, Clock, DeploymentId, KeyOwner, Label, Random, RequestId, Secret,
    SessionId, Sources, Timestamp, UserId, WorkspaceId,
};
use http::{Request, Response};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::{AuditNote, Expect, NewApiKey, NewUser, Principal, Store, UsageRow, WorkspaceScope};
use tokio::net::TcpListener;
use vault::kms::local::LocalKms;
use vault::{HashPurpose, Root, RootKey};
use zeroize::Zeroizing;

use super::provider::Provider;
use super::registry::registry;
use crate::edge::{self, EdgeConfig};
use crate::{Gateway, GatewayConfig, Spool};

pub(super) const KEY: &str = "sk-test-Zk3/9+qW7xYbT2mNcR5vLd8";

const DATABASE: &str = "kb.db";

pub(super) struct Harness {
    pub(super) gateway: Gateway,
    pub(super) store: Store,
    pub(super) provider: Provider,
    pub(super) sources: Sources,
    pub(super) api_key: String,
    pub(super) workspace: WorkspaceId,
    root: Root,
    pub(super) principal: Principal,
    user: UserId,
    pub(super) account: AccountId,
    pub(super) deployment: DeploymentId,
    pub(super) address: SocketAddr,
    now: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

/// Loopback may be dialed.
pub(super) fn config() -> GatewayConfig {
    let mut config = GatewayConfig::default();
    config.addresses.allow = vec!["127.0.0.0/8".parse().expect("a range")];
    config
}

pub(crate) fn sources() -> (Sources, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = Arc::clone(&now);
    let state = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let random = move |bytes: &mut [u8]| {
        for byte in bytes {
            // Splitmix64: distinct is enough for a test.
            let mut x = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (x >> 32) as u8;
        }
        Ok(())
    };
    let sources = Sources {
        clock: Clock::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst))),
        random: Random::new(random),
    };
    (sources, now)
}

impl Harness {
    pub(super) async fn start() -> Self {
        Self::with(config(), EdgeConfig::default()).await
    }

    pub(super) async fn with(config: GatewayConfig, edge: EdgeConfig) -> Self {
        // A test that wants a full queue asks for a queue of one, and then nobody empties it.
        let config_writes = config.limits.waiting_usage_rows > 1;
        let provider = Provider::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(DATABASE);
        let store = Store::open(&format!("sqlite://{}", path.display()))
            .await
            .expect("a store");
        let (sources, now) = sources();
        let root_key = RootKey::from_bytes(Zeroizing::new(std::array::from_fn(|i| i as u8)));
        let kms = LocalKms::new(root_key.expect("a root key"), sources.random.clone());
        let (root, deployment) = Root::create(Arc::new(kms), sources.clone())
            .await
            .expect("a root");
        store
            .system()
            .insert_deployment(&deployment)
            .await
            .expect("stored");
        let (user, account, workspace): (UserId, AccountId, WorkspaceId) =
            (id(&sources), id(&sources), id(&sources));
        let new = NewUser {
            user,
            account,
            workspace,
            email: "a@example.com".to_owned(),
            password_hash: "none".to_owned(),
            instance_admin: true,
        };
        let note = note(&sources);
        store
            .system()
            .create_first_user(&new, &note, sources.now())
            .await
            .expect("a user");
        let session: SessionId = id(&sources);
        let registry = Arc::new(registry(provider.address));
        let gateway = Gateway::new(
            config,
            Spool::open(folder.path()).expect("a spool"),
            store.clone(),
            root.opener(),
            root.hasher(),
            registry,
            sources.clone(),
        )
        .expect("a gateway");
        if config_writes {
            gateway.spawn_jobs();
        }
        let address = serve(edge, gateway.clone(), sources.clone()).await;
        let mut harness = Self {
            gateway,
            store,
            provider,
            sources,
            api_key: String::new(),
            workspace,
            root,
            principal: Principal::Session { user, session },
            user,
            account,
            deployment: deployment.id,
            address,
            now,
            folder,
        };
        harness.api_key = harness.mint(&[ApiScope::InferenceInvoke]).await.1;
        harness
    }

    pub(super) fn hasher(&self) -> vault::Hasher {
        self.root.hasher()
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection of somebody else to the database's file.
    pub(super) async fn intruder(&self) -> SqliteConnection {
        let file = SqliteConnectOptions::new().filename(self.folder.path().join(DATABASE));
        file.connect().await.expect("a connection")
    }

    pub(super) fn advance(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub(super) async fn scope(&self, action: Action) -> WorkspaceScope {
        let scope = self
            .store
            .authorize_workspace(&self.principal, self.workspace, action);
        scope.await.expect("the owner may")
    }

    pub(super) fn note(&self) -> AuditNote {
        note(&self.sources)
    }

    /// Mints an API key and returns its id and text.
    pub(super) async fn mint(&self, scopes: &[ApiScope]) -> (ApiKeyId, String) {
        self.mint_until(scopes, None).await
    }

    /// As [`mint`](Self::mint), with an end.
    pub(super) async fn mint_until(
        &self,
        scopes: &[ApiScope],
        expires_at: Option<Timestamp>,
    ) -> (ApiKeyId, String) {
        let secret = credential::write(
            CredentialKind::ApiKey,
            &self.sources.random.bytes().expect("random"),
        );
        let text = secret.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("ASCII"));
        let new = NewApiKey {
            id: id(&self.sources),
            user: self.user,
            name: "test".to_owned(),
            prefix: text[..9].to_owned(),
            hash: self
                .root
                .hasher()
                .hash(HashPurpose::ApiKey, text.as_bytes()),
            scopes: scopes.to_vec(),
            default_model: None,
            expires_at,
        };
        let scope = self.scope(Action::WriteApiKeys).await;
        let within = self.store.within(&scope);
        within
            .create_api_key(&new, &self.note(), self.sources.now())
            .await
            .expect("minted");
        (new.id, text)
    }

    pub(super) async fn revoke(&self, key: ApiKeyId) {
        let scope = self.scope(Action::WriteApiKeys).await;
        let within = self.store.within(&scope);
        within
            .revoke_api_key(key, &self.note(), self.sources.now())
            .await
            .expect("revoked");
    }

    /// A record with an envelope for the scripted provider, not stored.
    pub(super) async fn record(&self, provider: &str, label: &str) -> ProviderKeyRecord {
        let owner = KeyOwner::Workspace(self.workspace);
        self.record_of(owner, provider, label, &self.provider).await
    }

    /// As [`record`](Self::record), for any owner and at any scripted provider.
    pub(super) async fn record_of(
        &self,
        owner: KeyOwner,
        provider: &str,
        label: &str,
        at: &Provider,
    ) -> ProviderKeyRecord {
        let reach = self.reach(owner).await;
        let keys = reach.keys(&self.store);
        let data_key = match keys.data_key().await.expect("read") {
            Some(key) => key,
            None => {
                let new = self
                    .root
                    .rotator()
                    .new_data_key(owner)
                    .await
                    .expect("a data key");
                keys.insert_data_key(&new).await.expect("stored")
            }
        };
        let header = match provider {
            "anthropic" => "x-api-key",
            "brave" => "x-subscription-token",
            _ => "authorization",
        };
        // Google's is that of its OpenAI-compatible endpoint.
        let path = if provider == "google" {
            "/base/openai"
        } else {
            "/base"
        };
        let context = KeyContext {
            owner,
            key: id(&self.sources),
            provider: provider.parse().expect("a provider"),
            base_url: format!("http://{}{path}", at.address),
            auth_header: header.to_owned(),
            version: 1,
        };
        let key = Secret::from_text(KEY.to_owned());
        let accepted = self
            .root
            .intake()
            .accept_plain(key, &context, &data_key)
            .await
            .expect("accepted");
        ProviderKeyRecord {
            context,
            account: (!matches!(owner, KeyOwner::Instance(_))).then_some(self.account),
            label: label.parse::<Label>().expect("a label"),
            data_key: data_key.id,
            envelope: accepted.envelope,
            mask: accepted.mask,
            kek_id: None,
            position: 0,
            level: None,
            fallback: false,
            template: false,
            prices: Vec::new(),
            enabled: true,
            created_at: self.sources.now(),
            updated_at: self.sources.now(),
            last_used_at: None,
            last_failure: None,
            last_released_at: None,
        }
    }

    /// An envelope with `key` for this record.
    pub(super) async fn seal(&self, key: &str, record: &ProviderKeyRecord) -> Vec<u8> {
        let data_key = self.data_key().await;
        let intake = self.root.intake();
        let key = Secret::from_text(key.to_owned());
        let accepted = intake.accept_plain(key, &record.context, &data_key).await;
        accepted.expect("accepted").envelope
    }

    pub(super) async fn put(&self, record: &ProviderKeyRecord) {
        let reach = self.reach(record.context.owner).await;
        let keys = reach.keys(&self.store);
        let note = self.note();
        let put = keys.put(record, Expect::New, &note, self.sources.now());
        put.await.expect("stored");
    }

    /// Gives the workspace a key for this provider.
    pub(super) async fn bring(&self, provider: &str) -> ProviderKeyRecord {
        let record = self.record(provider, "primary").await;
        self.put(&record).await;
        record
    }

    pub(super) async fn stored(&self, record: &ProviderKeyRecord) -> ProviderKeyRecord {
        let scope = self.scope(Action::ReadProviderKeys).await;
        let keys = self.store.within(&scope).provider_keys();
        keys.get(record.context.key)
            .await
            .expect("read")
            .expect("stored")
    }

    pub(super) async fn data_key(&self) -> domain::record::DataKeyRecord {
        let scope = self.scope(Action::WriteProviderKeys).await;
        let keys = self.store.within(&scope).provider_keys();
        keys.data_key().await.expect("read").expect("there is one")
    }

    /// The usage rows, oldest first, after everything that waits is written.
    pub(super) async fn usage(&self) -> Vec<UsageRow> {
        assert!(self.gateway.drain().await);
        let scope = self.scope(Action::ReadUsage).await;
        let page = store::PageRequest {
            limit: 100,
            after: None,
        };
        let within = self.store.within(&scope);
        let rows = within.usage(store::UsageFilter::default(), &page);
        let mut rows = rows.await.expect("read").items;
        rows.sort_by_key(|row| row.request);
        rows
    }
}

async fn serve(config: EdgeConfig, gateway: Gateway, sources: Sources) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = move |request: Request<edge::Inbound>| {
        let gateway = gateway.clone();
        async move {
            match Gateway::endpoint(request.method(), request.uri().path()) {
                Some(endpoint) => gateway.handle(endpoint, request).await,
                None => {
                    let mut response = Response::new(crate::full(Bytes::new()));
                    *response.status_mut() = http::StatusCode::NOT_FOUND;
                    response
                }
            }
        }
    };
    tokio::spawn(edge::serve(
        listener,
        config,
        sources,
        service,
        std::future::pending(),
    ));
    address
}

fn id<I: domain::id::Id>(sources: &Sources) -> I {
    sources.id().expect("random")
}

fn note(sources: &Sources) -> AuditNote {
    AuditNote {
        action: "test",
        provider: None,
        label: None,
        kek_id: None,
        content_sha256: None,
        subject: None,
        outcome: "ok",
        request: id::<RequestId>(sources),
    }
}
