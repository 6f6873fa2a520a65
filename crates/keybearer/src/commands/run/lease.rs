//! A key of the gateway for one program: it can call models and nothing else, and ends soon unless it is renewed.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::credential::{CredentialKind, is_well_formed};
use domain::{ApiKeyId, Secret, WorkspaceId};
use serde_json::json;

use super::keeper;
use crate::client::Api;
use crate::output::tell;

/// How long the end of a program waits for the end of its key.
pub(super) const GIVE_BACK_WITHIN: Duration = Duration::from_secs(10);

/// A key, as long as it is needed.
pub(super) struct Lease<'a> {
    api: &'a Api,
    workspace: WorkspaceId,
    id: ApiKeyId,
    key: Secret,
    pub(super) ends_at: String,
    life: Duration,
}

impl<'a> Lease<'a> {
    /// Mints the key with the caller's own API key, whose end is also its own.
    pub(super) async fn take(
        api: &'a Api,
        workspace: WorkspaceId,
        name: &str,
        life: Duration,
    ) -> anyhow::Result<Self> {
        let body = json!({
            "name": name,
            "scopes": ["inference:invoke"],
            "expires_in_s": life.as_secs(),
        });
        let path = format!("/api/v1/workspaces/{workspace}/api-keys");
        let minted = api.post(&path, &body).await.context(
            "no key for the program (it takes the scopes keys:write and inference:invoke)",
        )?;
        let text = |field: &str| {
            let value = minted[field].as_str().map(str::to_owned);
            value.with_context(|| format!("the server's answer lacks {field}"))
        };
        let key = text("key")?;
        // It goes into an environment, or into what a shell evaluates.
        ensure!(
            is_well_formed(CredentialKind::ApiKey, &key),
            "the server's answer has no API key"
        );
        let id = text("id")?;
        let id = id.parse().context("the server's answer has no id")?;
        keeper::took(workspace, id);
        Ok(Self {
            api,
            workspace,
            id,
            ends_at: text("expires_at")?,
            key: Secret::from_text(key),
            life,
        })
    }

    pub(super) fn key(&self) -> &Secret {
        &self.key
    }

    pub(super) fn id(&self) -> ApiKeyId {
        self.id
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Moves the key's end to a whole life from now.
    pub(super) async fn renew(&self) -> anyhow::Result<()> {
        let body = json!({ "expires_in_s": self.life.as_secs() });
        let path = path(self.workspace, self.id);
        self.api.patch(&path, &body).await.map(drop)
    }

    /// Ends the key. Where the server cannot be reached, it ends by itself.
    pub(super) async fn give_back(self) {
        let path = path(self.workspace, self.id);
        let revoked = tokio::time::timeout(GIVE_BACK_WITHIN, self.api.delete(&path)).await;
        keeper::gave_back(self.id);
        let why = match revoked {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer in time".to_owned(),
        };
        let seconds = self.life.as_secs();
        tell(&format!(
            "the program's key could not be revoked ({why}); it ends by itself within {seconds} seconds"
        ));
    }
}

/// Where a key is in the API.
pub(super) fn path(workspace: WorkspaceId, id: ApiKeyId) -> String {
    format!("/api/v1/workspaces/{workspace}/api-keys/{id}")
}

/// What the key is called in the list of API keys.
pub(super) fn name(command: &str, program: &OsStr) -> String {
    let file = Path::new(program).file_name().unwrap_or(program);
    let file: String = file
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(60)
        .collect();
    format!("keybearer {command} {file}").trim_end().to_owned()
}
