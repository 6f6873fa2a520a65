//! `keybearer generation`: generation runs, which make documents of prompts.

use std::io::{Read, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use domain::RunId;
use domain::run::{OutputType, Visibility};
use http::Method;
use serde_json::{Value, json};

use super::confirm;
use super::workspace::Which;
use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{Column, Out, Progress, counted, remark, say};

mod follow;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Start a run, and print its id. The prompt is read from standard input if it is `-`.
    Create {
        /// What is to be made, at most 8000 characters.
        prompt: String,
        /// The model of the script; without one the default serves.
        #[arg(long)]
        model: Option<String>,
        /// What to make: `script` or `image`; can be repeated.
        #[arg(long, value_name = "TYPE", default_value = "script")]
        output: Vec<OutputType>,
        /// How many pictures, 1 to 4.
        #[arg(long, value_name = "COUNT")]
        images: Option<u8>,
        /// Who may read it: `private`, `workspace` or `link`.
        #[arg(long, default_value = "private")]
        visibility: Visibility,
        /// Wait for the end, and fail if the run does.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        which: Which,
    },
    /// List the runs that one may read, newest first.
    List {
        /// The most to show.
        #[arg(long, default_value_t = 25)]
        limit: usize,
        #[command(flatten)]
        which: Which,
    },
    /// Show a run with its steps.
    Show {
        /// The run's id.
        id: RunId,
        #[command(flatten)]
        which: Which,
    },
    /// Follow a run live until it ends: a line for each step that changes. Fails if the run does.
    Follow {
        /// The run's id.
        id: RunId,
        #[command(flatten)]
        which: Which,
    },
    /// Show whether runs can have pictures now, by which models and for how many credits; and if not, why.
    Options {
        #[command(flatten)]
        which: Which,
    },
    /// Stop a run that has not ended.
    Cancel {
        /// The run's id.
        id: RunId,
        #[command(flatten)]
        which: Which,
    },
    /// Let a run that failed or was cancelled go on where it stopped.
    Retry {
        /// The run's id.
        id: RunId,
        /// Wait for the end, and fail if the run does.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Change who may read a run. With `link` the new link is printed, this once; one that was given out before ends.
    Share {
        /// The run's id.
        id: RunId,
        /// `private`, `workspace` or `link`.
        visibility: Visibility,
        #[command(flatten)]
        which: Which,
    },
    /// Print what a run made, or keep it in a file.
    Export {
        /// The run's id.
        id: RunId,
        /// `markdown`, `html` or `json`. Unless given `markdown`, and with --json, where nothing else is printed, `json`.
        #[arg(long, value_name = "FORMAT", value_parser = ["markdown", "html", "json"])]
        format: Option<String>,
        /// The file; it must not exist.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
    /// Delete a run with everything in it. Asks.
    Delete {
        /// The run's id.
        id: RunId,
        #[command(flatten)]
        which: Which,
        /// Delete without asking.
        #[arg(long)]
        yes: bool,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("OUTPUTS", "/output_types"),
    ("PROVIDER", "/model/provider"),
    ("MODEL", "/model/model"),
    ("PAID BY", "/model/key_source"),
    ("VISIBILITY", "/visibility"),
    ("CREATED", "/created_at"),
];
const STEP_COLUMNS: &[Column] = &[
    ("STEP", "/output_type"),
    ("STATUS", "/status"),
    ("PROVIDER", "/provider"),
    ("MODEL", "/model"),
    ("PAID BY", "/key_source"),
    ("CALLS", "/attempts"),
    ("REQUEST", "/request_id"),
];
const PAINTER_COLUMNS: &[Column] = &[
    ("PROVIDER", "/provider"),
    ("MODEL", "/model"),
    ("NANO-USD", "/charge_nano_usd"),
];
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create {
            prompt,
            model,
            output,
            images,
            visibility,
            wait,
            which,
        } => {
            let path = which.path(api, "/runs").await?;
            let body = json!({
                "prompt": text(prompt)?, "model": model, "output_types": output, "image_count": images,
                "visibility": visibility,
            });
            let made = api.post(&path, &body).await?;
            let id = made["id"].as_str();
            let id = id.context("the server's answer lacks the id")?.to_owned();
            if !out.is_json() {
                say(&id);
                show_link(api, &made);
            }
            if wait {
                let ended = until_it_ends(api, &format!("{path}/{id}")).await?;
                return finished(ended, out);
            }
            if out.is_json() {
                out.json(&made);
            }
        }
        Command::List { limit, which } => {
            let path = which.path(api, "/runs").await?;
            out.list(&api.list(&path, &[], limit).await?, COLUMNS);
        }
        Command::Show { id, which } => {
            let run = api.get(&of(api, &which, id, "").await?).await?;
            show(&run, out);
        }
        Command::Follow { id, which } => {
            let path = of(api, &which, id, "").await?;
            return finished(follow::until_it_ends(api, &path, out).await?, out);
        }
        Command::Options { which } => {
            let options = api.get(&which.path(api, "/run-options").await?).await?;
            match out.is_json() {
                true => out.json(&options),
                false => show_pictures(&options["pictures"], out),
            }
        }
        Command::Cancel { id, which } => {
            let path = of(api, &which, id, "/cancel").await?;
            let run = api.post(&path, &json!({})).await?;
            out.done(&run, "The run is cancelled.");
        }
        Command::Retry { id, wait, which } => {
            let path = of(api, &which, id, "").await?;
            let run = api.post(&format!("{path}/retry"), &json!({})).await?;
            if wait {
                return finished(until_it_ends(api, &path).await?, out);
            }
            out.done(&run, "The run goes on.");
        }
        Command::Share {
            id,
            visibility,
            which,
        } => {
            let path = of(api, &which, id, "").await?;
            let run = api
                .patch(&path, &json!({ "visibility": visibility }))
                .await?;
            match out.is_json() {
                true => out.json(&run),
                false => show_link(api, &run),
            }
            remark(&format!("The run's visibility is {visibility} now."));
        }
        Command::Export {
            id,
            format,
            to,
            which,
        } => {
            let format = chosen_format(format, to.is_some(), out)?;
            let path = of(api, &which, id, &format!("/document?format={format}")).await?;
            return export(api, &path, to, out).await;
        }
        Command::Delete { id, which, yes } => {
            let path = of(api, &which, id, "").await?;
            confirm(&format!("Delete {id} with everything in it?"), yes)?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), &format!("Deleted {id}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn of(api: &Api, which: &Which, id: RunId, below: &str) -> anyhow::Result<String> {
    which.path(api, &format!("/runs/{id}{below}")).await
}

fn text(prompt: String) -> anyhow::Result<String> {
    if prompt != "-" {
        return Ok(prompt);
    }
    let mut text = String::new();
    let read = stdin().read_to_string(&mut text);
    read.context("cannot read the prompt from standard input")?;
    Ok(text)
}

fn show_link(api: &Api, run: &Value) {
    if let Some(path) = run["link_path"].as_str() {
        say(&format!("{}{path}", api.origin()));
        remark("The link is shown once; whoever has it reads the document.");
    }
}

fn show(run: &Value, out: Out) {
    if out.is_json() {
        return out.json(run);
    }
    out.facts(run, COLUMNS);
    out.facts(
        run,
        &[
            ("KEY", "/model/key_label"),
            ("ERROR", "/error/code"),
            ("MESSAGE", "/error/message"),
            ("HINT", "/error/hint"),
        ],
    );
    out.list(&json!({ "data": run["steps"] }), STEP_COLUMNS);
}

fn show_pictures(pictures: &Value, out: Out) {
    if pictures["available"] == true {
        return out.list(&json!({ "data": pictures["models"] }), PAINTER_COLUMNS);
    }
    let text = |field: &str| pictures[field].as_str().unwrap_or_default();
    say(&format!(
        "No pictures: {} ({}).",
        text("reason"),
        text("code")
    ));
    remark(text("hint"));
}

async fn until_it_ends(api: &Api, path: &str) -> anyhow::Result<Value> {
    let mut progress = Progress::start();
    loop {
        let run = api.get(path).await?;
        let status = match run["status"].as_str() {
            Some(status @ ("pending" | "running")) => status,
            _ => return Ok(run),
        };
        let steps = run["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let done = steps.iter().filter(|it| it["status"] == "succeeded");
        let (done, all) = (done.count() as u64, steps.len() as u64);
        let text = format!("{status}, {done} of {} done", counted(all, "step", "steps"));
        progress.wait_at(LOOK_EVERY, (done, all), &text).await;
    }
}

fn finished(run: Value, out: Out) -> anyhow::Result<ExitCode> {
    if run["status"] == "succeeded" {
        match out.is_json() {
            true => out.json(&run),
            false => remark("The run succeeded."),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let message = match run["error"]["message"].as_str() {
        Some(message) => format!("the run failed: {message}"),
        None => format!(
            "the run is {}",
            run["status"].as_str().unwrap_or("not known")
        ),
    };
    let steps = "keybearer generation show ID has the steps; keybearer generation retry ID goes on";
    let hint = match run["error"]["hint"].as_str() {
        Some(hint) => format!("{hint}; {steps}"),
        None => steps.to_owned(),
    };
    Err(Failure::new(Sort::Failed, message).hint(&hint).into())
}

/// The format of a document: what is printed with `--json` is JSON.
fn chosen_format(given: Option<String>, to_file: bool, out: Out) -> anyhow::Result<String> {
    let must_be_json = out.is_json() && !to_file;
    match given {
        None if must_be_json => Ok("json".to_owned()),
        None => Ok("markdown".to_owned()),
        Some(format) if must_be_json && format != "json" => {
            let message = format!("--format {format} is no JSON, which --json prints");
            Err(Failure::usage(message)
                .hint("give --to FILE, or leave one of the two out")
                .into())
        }
        Some(format) => Ok(format),
    }
}

async fn export(api: &Api, path: &str, to: Option<PathBuf>, out: Out) -> anyhow::Result<ExitCode> {
    let response = api.exchange(Method::GET, path, None).await?;
    if !response.status().is_success() {
        return Err(api.refusal(response).await);
    }
    if let Some(to) = to {
        let bytes = keep(api, response, &to).await?;
        let done = json!({ "file": to, "bytes": bytes });
        out.done(&done, &format!("Kept in {}.", to.display()));
        return Ok(ExitCode::SUCCESS);
    }
    if out.is_json() {
        out.json(&api.document(response).await?);
        return Ok(ExitCode::SUCCESS);
    }
    super::api::print(api, response, out).await?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps an answer in a file that is not there yet, whole or not at all, and says how long it is.
async fn keep(api: &Api, mut response: reqwest::Response, to: &Path) -> anyhow::Result<u64> {
    let file = std::fs::File::create_new(to);
    let mut file = file.with_context(|| format!("cannot make {}", to.display()))?;
    let mut progress = Progress::start();
    progress.expect_bytes(response.content_length());
    let kept = async {
        while let Some(piece) = response.chunk().await.map_err(|error| api.cut(error))? {
            file.write_all(&piece).context("cannot write the file")?;
            progress.read(&piece);
        }
        Ok(progress.read_bytes())
    };
    let kept = kept.await;
    if kept.is_err() {
        // Half a document would pass for one.
        let _ = std::fs::remove_file(to);
    }
    kept
}
