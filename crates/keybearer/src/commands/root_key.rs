//! `keybearer root-key rotate`: everything under another root key.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use store::AuditNote;
use vault::Kms;
use vault::kms::local::LocalKms;
use vault::root_key::RootKeySource;

use super::{remark, say};
use crate::config::Loaded;
use crate::output::{Out, Progress, counted};
use crate::{open, sources};

const BATCH: i64 = 500;

/// Re-wraps data keys, the sealing key and, last, the deployment key.
///
/// The order makes an interruption harmless: until the last step the old key still opens the instance, and
/// what is under the new one already is passed over the next time.
pub(crate) async fn rotate(loaded: Loaded, to: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let sources = sources::system();
    let new_key = if to.exists() || to.is_symlink() {
        RootKeySource::File(to.to_owned())
            .load()
            .context("the new root key is refused")?
    } else {
        let made = RootKeySource::create_file(to, &sources.random);
        made.with_context(|| format!("cannot create the new root key {}", to.display()))?
    };
    let new = LocalKms::new(new_key, sources.random.clone());
    let instance = open::open_existing(loaded, &sources).await?;
    if instance.deployment.kms_key == new.key_id() {
        let done = json!({ "kms_key": new.key_id(), "data_keys": 0 });
        let sentence = format!("Everything is under {} already.", new.key_id());
        out.done(&done, &sentence);
        return Ok(ExitCode::SUCCESS);
    }
    let system = instance.store.system();
    let rotator = instance.root.rotator();

    let all = system.data_key_count().await?;
    let mut moved = 0u64;
    let mut progress = Progress::start();
    let mut after = None;
    loop {
        let batch = system.data_keys(after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.id);
        for record in &batch {
            if record.kms_key == new.key_id() {
                continue;
            }
            let rewrapped = rotator.rewrap_data_key(record, &new).await;
            let rewrapped = rewrapped.with_context(|| format!("data key {}", record.id))?;
            system.replace_data_key_wrapping(record, &rewrapped).await?;
            moved += 1;
            let text = format!("{} moved", counted(moved, "data key", "data keys"));
            progress.show_of(moved, all, &text);
        }
    }
    if let Some(record) = system.active_sealing_key().await? {
        let rewrapped = rotator.rewrap_sealing_key(&record, &new).await;
        let rewrapped = rewrapped.with_context(|| format!("sealing key {}", record.kek_id))?;
        system
            .replace_sealing_key_wrapping(&record, &rewrapped)
            .await?;
    }
    let rewrapped = instance
        .root
        .rewrap(&new, &instance.deployment)
        .await
        .context("the deployment key")?;
    let note = AuditNote {
        action: "root_key.rotate",
        provider: None,
        label: None,
        kek_id: None,
        content_sha256: None,
        subject: Some(rewrapped.id.to_string()),
        outcome: "ok",
        request: sources.id()?,
    };
    system
        .replace_deployment(&instance.deployment, &rewrapped, &note, sources.now())
        .await?;
    drop(progress);
    remark(&format!(
        "Moved {} from {} to {}.",
        counted(moved, "data key", "data keys"),
        instance.deployment.kms_key,
        rewrapped.kms_key
    ));
    remark("Start the server with the new key. Keep the old one as long as backups need it.");
    if out.is_json() {
        out.json(&json!({ "kms_key": rewrapped.kms_key, "data_keys": moved }));
    } else {
        say(&rewrapped.kms_key);
    }
    Ok(ExitCode::SUCCESS)
}
