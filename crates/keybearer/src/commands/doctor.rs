//! `keybearer doctor`: opens every stored record and says of each whether it opens, and checks the sums of the ledger.

use std::collections::HashMap;
use std::process::ExitCode;

use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{DataKeyId, ProviderKeyId};
use serde_json::json;
use vault::{OpenError, Opener};

use super::{remark, say};
use crate::config::Loaded;
use crate::output::{Out, Progress};
use crate::{open, sources};

const BATCH: i64 = 500;

/// Reports on every record; the exit code is 1 when any does not open.
pub(crate) async fn run(loaded: Loaded, out: Out) -> anyhow::Result<ExitCode> {
    let sources = sources::system();
    let instance = open::open_existing(loaded, &sources).await?;
    let mut report = Report {
        out,
        lines: 0,
        progress: Progress::beside_output(),
    };
    report.line("deployment", &instance.deployment.id.to_string(), "ok");

    let system = instance.store.system();
    let mut broken = 0u64;
    let rotator = instance.root.rotator();
    match system.active_sealing_key().await? {
        None => report.line("sealing_key", "none", "absent"),
        Some(record) => {
            let verdict = verdict(rotator.check_sealing_key(&record).await);
            broken += u64::from(verdict != "ok");
            report.line("sealing_key", &record.kek_id, verdict);
        }
    }

    let mut data_keys: HashMap<DataKeyId, DataKeyRecord> = HashMap::new();
    let mut after = None;
    loop {
        let batch = system.data_keys(after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.id);
        for record in batch {
            let verdict = verdict(rotator.check_data_key(&record).await);
            broken += u64::from(verdict != "ok");
            report.line("data_key", &record.id.to_string(), verdict);
            data_keys.insert(record.id, record);
        }
    }

    let opener = instance.root.opener();
    let mut opened = 0u64;
    let mut after: Option<ProviderKeyId> = None;
    loop {
        let batch = system.provider_keys(after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.context.key);
        for record in &batch {
            let verdict = check(&opener, record, data_keys.get(&record.data_key)).await;
            if verdict == "ok" {
                opened += 1
            } else {
                broken += 1
            }
            report.line("provider_key", &record.context.key.to_string(), verdict);
        }
    }
    let findings = system.check_ledger().await?;
    if findings.is_empty() {
        report.line("ledger", "all accounts", "ok");
    }
    for finding in &findings {
        report.line("ledger", finding, "out_of_balance");
    }
    drop(report);
    remark(&format!(
        "{opened} provider keys open, {broken} records do not."
    ));
    if !findings.is_empty() {
        remark("The ledger of credits does not balance; nothing was changed.");
    }
    Ok(if broken == 0 && findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check(
    opener: &Opener,
    record: &ProviderKeyRecord,
    data_key: Option<&DataKeyRecord>,
) -> &'static str {
    match data_key {
        None => "data_key_missing",
        Some(data_key) => verdict(
            opener
                .open(&record.envelope, &record.context, data_key)
                .await
                .map(drop),
        ),
    }
}

fn verdict(result: Result<(), OpenError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(OpenError::Integrity) => "integrity_failure",
        Err(OpenError::Kms(_)) => "kms_unavailable",
    }
}

struct Report {
    out: Out,
    lines: u64,
    progress: Progress,
}

impl Report {
    fn line(&mut self, kind: &str, id: &str, verdict: &str) {
        if self.out.is_json() {
            let line = json!({ "record": kind, "id": id, "verdict": verdict });
            self.out.json(&line);
        } else {
            say(&format!("{verdict:<18} {kind:<12} {id}"));
        }
        self.lines += 1;
        let text = format!("{} records looked at", self.lines);
        self.progress.show(&text);
    }
}
