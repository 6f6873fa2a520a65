//! `keybearer doctor`: opens every stored record and says of each whether it opens, and checks the sums of the ledger; or
//! looks at the local instance that runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use domain::record::{DataKeyRecord, ProviderKeyRecord};
use domain::{DataKeyId, ProviderKeyId};
use serde_json::json;
use vault::{OpenError, Opener};

use super::{remark, say};
use crate::config::{self, Loaded};
use crate::failure::{Failure, Sort};
use crate::output::{Out, Progress, counted};
use crate::{local, open, sources};

const BATCH: i64 = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; the environment (`KEYBEARER_*`) wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Look at the local instance of this user, also where a server's database is here.
    #[arg(long, conflicts_with = "config")]
    local: bool,
}

/// Reports on a server, or on the local instance of this user where that is what there is; the exit code is 1 when anything
/// is wrong.
pub(crate) async fn run(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let mut report = Report {
        out,
        lines: 0,
        records: None,
        progress: Progress::beside_output(),
    };
    if !args.local {
        let loaded = config::load(args.config.as_deref())?;
        // What it has open is not to be opened twice.
        if local::runs_in(&loaded.config.data_dir).await {
            let well = local::examine(&loaded.config.data_dir, &mut report).await?;
            return Ok(verdict_of(well));
        }
        if args.config.is_some() || open::is_there(&loaded.config) {
            return records(loaded, report).await;
        }
        let place = loaded.config.data_dir.display().to_string();
        let locals = config::load_local(None);
        if !locals.is_ok_and(|it| open::is_there(&it.config)) {
            let message = format!("there is no database in {place}");
            return Err(Failure::new(Sort::Missing, message)
                .hint("of a server: --config FILE, or its KEYBEARER_* options; on this machine, for you alone: start one with `keybearer`")
                .into());
        }
        remark(&format!(
            "There is no server's database in {place}; this is your local instance."
        ));
    }
    let directory = local::directory()?;
    if local::runs_in(&directory).await {
        let well = local::examine(&directory, &mut report).await?;
        return Ok(verdict_of(well));
    }
    let loaded = config::load_local(None)?;
    if !open::is_there(&loaded.config) {
        let message = format!("no local instance was started in {}", directory.display());
        return Err(Failure::new(Sort::Missing, message)
            .hint("start one with `keybearer`")
            .into());
    }
    report.line("instance", &directory.display().to_string(), "not_running");
    records(loaded, report).await
}

fn verdict_of(well: bool) -> ExitCode {
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Reports on every record of an instance that does not run.
async fn records(loaded: Loaded, mut report: Report) -> anyhow::Result<ExitCode> {
    let sources = sources::system();
    let instance = open::open_existing(loaded, &sources).await?;
    report.line("deployment", &instance.deployment.id.to_string(), "ok");

    let system = instance.store.system();
    let keys = system.data_key_count().await? + system.provider_key_count().await?;
    // The sealing key and the ledger are a line each.
    report.records = Some(report.lines + 2 + keys);
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
        "{} {}, {} {} not.",
        counted(opened, "provider key", "provider keys"),
        if opened == 1 { "opens" } else { "open" },
        counted(broken, "record", "records"),
        if broken == 1 { "does" } else { "do" },
    ));
    if !findings.is_empty() {
        remark("The ledger of credits does not balance; nothing was changed.");
    }
    Ok(verdict_of(broken == 0 && findings.is_empty()))
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

/// What is found, a line for each thing.
pub(crate) struct Report {
    out: Out,
    lines: u64,
    /// How many lines there will be, once that is known.
    records: Option<u64>,
    progress: Progress,
}

impl Report {
    pub(crate) fn line(&mut self, kind: &str, id: &str, verdict: &str) {
        self.line_with(kind, id, verdict, None);
    }

    /// A line with the cause of its verdict, for a program in the line; a person gets it as a remark of the caller's.
    pub(crate) fn line_with(&mut self, kind: &str, id: &str, verdict: &str, why: Option<&str>) {
        if self.out.is_json() {
            let mut line = json!({ "record": kind, "id": id, "verdict": verdict });
            if let Some(why) = why {
                line["why"] = json!(why);
            }
            self.out.json(&line);
        } else {
            say(&format!("{verdict:<18} {kind:<12} {id}"));
        }
        self.lines += 1;
        let text = format!("{} looked at", counted(self.lines, "record", "records"));
        match self.records {
            Some(all) => self.progress.show_of(self.lines, all, &text),
            None => self.progress.show(&text),
        }
    }
}
