//! Rows as the first version wrote them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::key::FailureKind;
use domain::record::{DataKeyRecord, DeploymentRecord, KeyContext, ProviderKeyRecord};
use domain::{
    AccountId, Clock, KeyOwner, ProviderKeyId, Random, Secret, Sources, Timestamp, UserId,
    WorkspaceId,
};
use vault::kms::local::LocalKms;
use vault::{Root, RootKeySource};

use super::{ACCOUNT, NOW, OTHER_WORKSPACE, WORKSPACE};

/// What the first version kept, as this one reads it.
pub(super) struct Kept {
    pub(super) root: Root,
    pub(super) deployment: DeploymentRecord,
    pub(super) data_keys: Vec<DataKeyRecord>,
    pub(super) keys: Vec<ProviderKeyRecord>,
}

impl Kept {
    /// Keys of two workspaces and an account, sealed as the first version sealed them.
    pub(super) async fn new(folder: &Path) -> Self {
        let random = random();
        let root_key = RootKeySource::create_file(&folder.join("root-key"), &random);
        let kms = LocalKms::new(root_key.expect("a root key"), random.clone());
        let sources = Sources {
            clock: Clock::new(|| NOW),
            random,
        };
        let made = Root::create(Arc::new(kms), sources).await;
        let (root, deployment) = made.expect("a deployment");
        let mut data_keys = Vec::new();
        let mut keys = Vec::new();
        for (number, (owner, of)) in [(WORKSPACE, 1), (ACCOUNT, 1), (OTHER_WORKSPACE, 2)]
            .into_iter()
            .enumerate()
        {
            let data_key = root
                .rotator()
                .new_data_key(owner)
                .await
                .expect("a data key");
            for (label, disabled) in [("primary", false), ("spare", true)] {
                let context = KeyContext {
                    owner,
                    key: ProviderKeyId::from_bytes([10 * number as u8 + u8::from(disabled); 16]),
                    provider: "openai".parse().expect("a provider id"),
                    base_url: "https://api.openai.com/v1".to_owned(),
                    auth_header: "authorization".to_owned(),
                    version: 3,
                };
                let key = Secret::from_text(text(&context));
                let accepted = root.intake().accept_plain(key, &context, &data_key).await;
                let accepted = accepted.expect("a key");
                keys.push(ProviderKeyRecord {
                    context,
                    account: Some(AccountId::from_bytes([of; 16])),
                    label: label.parse().expect("a label"),
                    data_key: data_key.id,
                    envelope: accepted.envelope,
                    mask: accepted.mask,
                    kek_id: disabled.then(|| "00ff".to_owned()),
                    position: 7,
                    level: None,
                    fallback: false,
                    template: false,
                    prices: Vec::new(),
                    enabled: !disabled,
                    created_at: NOW,
                    updated_at: NOW.plus_millis(1),
                    last_used_at: disabled.then_some(NOW.plus_millis(2)),
                    last_failure: disabled
                        .then_some((NOW.plus_millis(3), FailureKind::RateLimited)),
                    last_released_at: None,
                });
            }
            data_keys.push(data_key);
        }
        keys.sort_by_key(|key| key.context.key.to_string());
        data_keys.sort_by_key(|key| key.id.to_string());
        Self {
            root,
            deployment,
            data_keys,
            keys,
        }
    }

    /// The rows as the first version wrote them. The first admin is not the first by id.
    pub(super) fn rows(&self, blob: impl Fn(&[u8]) -> String) -> String {
        let mut rows = String::new();
        let mut add = |statement: String| {
            rows.push_str(&statement);
            rows.push_str(";\n");
        };
        let deployment = &self.deployment;
        add(format!(
            "INSERT INTO deployment VALUES (1, '{}', '{}', {}, 1)",
            deployment.id,
            deployment.kms_key,
            blob(&deployment.wrapped_key)
        ));
        for (number, admin, created_at) in [(1, 1, 30), (2, 1, 20), (3, 0, 10)] {
            let user = UserId::from_bytes([number; 16]);
            let account = AccountId::from_bytes([number; 16]);
            let workspace = WorkspaceId::from_bytes([number; 16]);
            add(format!(
                "INSERT INTO users VALUES ('{user}', '{number}@x.test', 'h', {admin}, 0, {created_at}, 5)"
            ));
            add(format!(
                "INSERT INTO accounts VALUES ('{account}', '{user}', 'a{number}', {created_at})"
            ));
            add(format!(
                "INSERT INTO workspaces VALUES ('{workspace}', '{account}', 'w{number}', 1, 2)"
            ));
            add(format!(
                "INSERT INTO members VALUES ('{workspace}', '{user}', 'owner', 1)"
            ));
        }
        for key in &self.data_keys {
            let (workspace, account) = columns(key.owner);
            add(format!(
                "INSERT INTO data_keys VALUES ('{}', '{}', {workspace}, {account}, '{}', {}, 1, {})",
                key.id,
                key.owner,
                key.kms_key,
                blob(&key.wrapped),
                key.created_at.millis()
            ));
        }
        for key in &self.keys {
            let context = &key.context;
            let (workspace, _) = columns(context.owner);
            let optional =
                |text: Option<String>| text.map_or("NULL".to_owned(), |it| format!("'{it}'"));
            let moment =
                |at: Option<Timestamp>| at.map_or("NULL".to_owned(), |at| at.millis().to_string());
            add(format!(
                "INSERT INTO provider_keys VALUES ('{}', '{}', {workspace}, '{}', '{}', '{}', '{}', '{}', {},
                                                   '{}', {}, '{}', {}, {}, {}, {}, {}, {}, {}, {})",
                context.key,
                context.owner,
                key.account.expect("no platform key yet"),
                context.provider,
                key.label,
                context.base_url,
                context.auth_header,
                context.version,
                key.data_key,
                blob(&key.envelope),
                key.mask,
                optional(key.kek_id.clone()),
                key.position,
                i64::from(key.enabled),
                key.created_at.millis(),
                key.updated_at.millis(),
                moment(key.last_used_at),
                moment(key.last_failure.map(|(at, _)| at)),
                optional(key.last_failure.map(|(_, kind)| kind.as_str().to_owned())),
            ));
        }
        rows
    }
}

/// The key of the row.
pub(super) fn text(context: &KeyContext) -> String {
    format!("sk-{}-{}", context.owner, context.key)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The columns `workspace_id` and `account_id` of a data key.
fn columns(owner: KeyOwner) -> (String, String) {
    match owner {
        KeyOwner::Workspace(id) => (format!("'{id}'"), "NULL".to_owned()),
        KeyOwner::Account(id) => ("NULL".to_owned(), format!("'{id}'")),
        KeyOwner::Instance(_) => panic!("the first version had no platform keys"),
    }
}

fn random() -> Random {
    let drawn = AtomicU64::new(1);
    Random::new(move |buffer| {
        for byte in buffer {
            let next = drawn.fetch_add(1, Ordering::Relaxed);
            *byte = (next.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).to_le_bytes()[0];
        }
        Ok(())
    })
}
