//! The commands that ask something of a running local instance, over its control socket.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use domain::Secret;
use domain::access::ApiScope;
use llm::provider::prefixed_key_variable;
use serde_json::{Value, json};

use super::exchange::{Asked, Line, Link, Login, Report, Told};
use super::{files, socket};
use crate::browser::Browser;
use crate::client::Connection;
use crate::commands::api_key;
use crate::config;
use crate::logins::Credential;
use crate::output::{Out, remark, say};

/// Which instance is asked.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// The configuration file of the instance, if it has one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Which {
    fn directory(&self) -> anyhow::Result<PathBuf> {
        Ok(config::load_local(self.config.as_deref())?.config.data_dir)
    }
}

/// How commands reach the local instance that this user runs; `None`: none answers.
pub(crate) async fn connection() -> Option<Connection> {
    connection_in(&directory().ok()?).await.ok()
}

/// The directory of the local instance that this user runs, or would.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    Ok(config::load_local(None)?.config.data_dir)
}

/// How commands reach the instance with this data directory.
pub(super) async fn connection_in(directory: &Path) -> anyhow::Result<Connection> {
    let login: Login = socket::ask(directory, |_| Asked::Login {}).await?;
    Ok(Connection {
        url: login.url,
        credential: Some(Credential::ApiKey(Secret::from_text(login.api_key))),
        workspace: Some(login.workspace_id.into()),
        is_local: true,
        has_strange_key: false,
    })
}

#[derive(clap::Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    which: Which,
    /// Let the instance forget the variables that this shell does not have.
    #[arg(long)]
    exact: bool,
}

#[derive(clap::Args)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    which: Which,
    /// Print the link and leave the browser alone.
    #[arg(long)]
    no_open: bool,
}

#[derive(clap::Args)]
pub(crate) struct NewApiKeyArgs {
    /// What to call it.
    #[arg(default_value = "personal")]
    name: String,
    /// What it may do; can be repeated.
    #[arg(long, value_name = "SCOPE", default_value = "inference:invoke")]
    scope: Vec<ApiScope>,
    #[command(flatten)]
    which: Which,
}

/// Tells the running local instance what the recognised variables of this shell are now.
pub(crate) async fn reload(args: ReloadArgs, out: Out) -> anyhow::Result<ExitCode> {
    let exact = args.exact;
    let mut sent = BTreeSet::new();
    let report: Report = socket::ask(&args.which.directory()?, |names| {
        remark_strangers(names);
        let have = config::secrets(names.iter().map(String::as_str));
        let variables = have.into_iter().map(|(name, value)| {
            let text = value.expose(|it| String::from_utf8_lossy(it).into_owned());
            sent.insert(name.clone());
            (name, text)
        });
        Asked::Reload(Told {
            exact,
            variables: variables.collect(),
        })
    })
    .await?;
    // What another shell told, or the start found, is no failure of this one.
    let refused = |line: &Line| line.why.is_some() && sent.contains(&line.variable);
    let refused = report.changes.iter().any(refused);
    if out.is_json() {
        out.json(&json!(report));
    } else {
        show(&report);
    }
    Ok(match refused {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Says which variables of this shell look as if they held a key for the instance, which looks for `names` only.
fn remark_strangers(names: &[String]) {
    let set = config::environment().filter_map(|(name, _)| name.into_string().ok());
    for name in set.filter(|name| prefixed_key_variable(name).is_some() && !names.contains(name)) {
        remark(&format!(
            "{name} is not sent: it names no provider that takes a key"
        ));
    }
}

fn show(report: &Report) {
    for line in &report.changes {
        let why = line.why.as_ref().map(|why| format!(": {why}"));
        let why = why.unwrap_or_default();
        let (provider, what, variable) = (&line.provider, &line.what, &line.variable);
        say(&format!("{provider:<12} {what:<9} {variable}{why}"));
    }
    if report.changes.is_empty() {
        say("no provider key was found");
    }
    for line in &report.overridden {
        let variable = &line.variable;
        let why = match (line.in_env_file, &line.by == variable) {
            (true, true) => "the env file sets it, too".to_owned(),
            (true, false) => format!("the env file sets {}, which comes first", line.by),
            (false, _) => format!("{} is set there and comes first", line.by),
        };
        say(&format!("without effect: {variable}, since {why}"));
    }
    if !report.stay.is_empty() {
        let names = report.stay.join(", ");
        say(&format!(
            "kept, though this shell has none (--exact lets them go): {names}"
        ));
    }
}

/// Prints a link into the console of the running local instance and, for a person, opens it.
pub(crate) async fn console(args: ConsoleArgs, out: Out) -> anyhow::Result<ExitCode> {
    let directory = args.which.directory()?;
    if !socket::answers(&directory).await {
        let url = Connection::anonymous(None)?.url;
        let url = url.trim_end_matches('/');
        return Err(socket::nobody(&directory)
            .hint(format!(
                "start one with `keybearer`; into the console of `keybearer serve` people log in with e-mail and \
                 password, such as at {url}/console/"
            ))
            .into());
    }
    let link: Link = socket::ask(&directory, |_| Asked::ConsoleLink {}).await?;
    if out.is_json() {
        out.json(&json!({ "url": link.url, "expires_at": link.expires_at }));
        return Ok(ExitCode::SUCCESS);
    }
    say(&link.url);
    let open = out.is_terminal() && !args.no_open;
    let opened = open && open_in_browser(&directory, &link.url).await;
    remark(match opened {
        true => "It was opened in the browser; it is good once, for five minutes.",
        false => "Open it in a browser of this machine; it is good once, for five minutes.",
    });
    Ok(ExitCode::SUCCESS)
}

/// Opens a page by way of an owner-only file: everybody on the machine can read a command line. False where nothing
/// could open it.
async fn open_in_browser(directory: &Path, url: &str) -> bool {
    let Some(browser) = Browser::here() else {
        return false;
    };
    let file = directory.join(PAGE);
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Keybearer</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={url}\"><p><a href=\"{url}\">Open the console</a>\n"
    );
    if files::write(&file, page.as_bytes()).is_err() {
        return false;
    }
    match file.to_str() {
        Some(file) => browser.open(file).await,
        None => false,
    }
}

/// The file that leads a browser to the console, in the data directory; its link is dead after five minutes.
pub(super) const PAGE: &str = "console.html";

/// Has the running local instance mint an API key for its owner, and prints it.
pub(crate) async fn new_api_key(args: NewApiKeyArgs, out: Out) -> anyhow::Result<ExitCode> {
    let directory = args.which.directory()?;
    let (name, scopes) = (args.name, args.scope);
    let key: Value = socket::ask(&directory, |_| Asked::NewApiKey { name, scopes }).await?;
    api_key::print(&key, out)?;
    Ok(ExitCode::SUCCESS)
}
