//! What is said over the control socket, and what the instance does about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use control::ControlState;
use control::api::api_keys::MintedView;
use control::error::Problem;
use control::ops::local::{self, Change, Owner, What};
use domain::access::ApiScope;
use domain::{Secret, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::rotation::{Overridden, Rotation};

/// What the instance says first: the variables that it looks for.
#[derive(Serialize, Deserialize)]
pub(super) struct Names {
    pub(super) names: Vec<String>,
}

/// What somebody asks of the instance.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Asked {
    /// To take these variables.
    Reload(Told),
    /// For a link into the console.
    ConsoleLink {},
    /// For an API key.
    NewApiKey { name: String, scopes: Vec<ApiScope> },
    /// For what the commands of a server need.
    Login {},
}

/// The variables of a shell.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) exact: bool,
    pub(super) variables: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer<T> {
    Done(T),
    /// Why nothing was done.
    Refused(String),
}

/// What a reload changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) changes: Vec<Line>,
    /// Set in the instance and not in the shell.
    pub(super) stay: Vec<String>,
    /// Told, and without effect. An instance of an earlier version does not say it.
    #[serde(default)]
    pub(super) overridden: Vec<Overridden>,
}

/// One change.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) provider: String,
    pub(super) variable: String,
    pub(super) what: String,
    /// Why it was refused.
    pub(super) why: Option<String>,
}

/// A link into the console.
#[derive(Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) url: String,
    /// Until when it is good, if nobody uses it before.
    pub(super) expires_at: String,
}

/// Where the instance is, and its own API key.
#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) url: String,
    pub(super) workspace_id: WorkspaceId,
    pub(super) api_key: String,
}

/// An API key as the API shows a new one, and where it is good.
#[derive(Serialize)]
struct NewApiKey {
    #[serde(flatten)]
    minted: MintedView,
    workspace_id: WorkspaceId,
}

impl From<&Change> for Line {
    fn from(change: &Change) -> Self {
        Self {
            provider: change.provider.to_string(),
            variable: change.variable.clone(),
            what: change.what.as_str().to_owned(),
            why: match &change.what {
                What::Refused(why) | What::Deferred(why) => Some(why.clone()),
                _ => None,
            },
        }
    }
}

/// What answers: the instance behind the socket.
pub(super) struct Instance {
    pub(super) control: ControlState,
    pub(super) owner: Arc<Owner>,
    pub(super) address: SocketAddr,
    pub(super) rotation: Arc<Mutex<Rotation>>,
}

impl Instance {
    /// What is said first.
    pub(super) async fn names(&self) -> Names {
        let rotation = self.rotation.lock().await;
        Names {
            names: rotation.names().map(str::to_owned).collect(),
        }
    }

    /// Does what is asked, and says as JSON what came of it.
    pub(super) async fn answer(&self, asked: Asked) -> anyhow::Result<Vec<u8>> {
        match asked {
            Asked::Reload(told) => said(self.reload(told).await),
            Asked::ConsoleLink {} => said(self.console_link().await.map_err(|it| why(&it))),
            Asked::NewApiKey { name, scopes } => {
                said(self.new_api_key(&name, scopes).await.map_err(|it| why(&it)))
            }
            Asked::Login {} => said(Ok(self.login())),
        }
    }

    async fn reload(&self, told: Told) -> Result<Report, String> {
        let variables = told.variables.into_iter();
        let variables = variables.map(|(name, value)| (name, Secret::from_text(value)));
        let mut rotation = self.rotation.lock().await;
        let taken = rotation.take(variables.collect(), told.exact).await;
        let taken = taken.map_err(|error| format!("{error:#}"))?;
        Ok(Report {
            changes: taken.changes.iter().map(Line::from).collect(),
            stay: taken.stay,
            overridden: taken.overridden,
        })
    }

    async fn console_link(&self) -> Result<Link, Problem> {
        let (token, expires_at) = local::console_link(&self.control).await?;
        let token = text(&token);
        Ok(Link {
            // Behind the `#`: browsers send it to nobody and keep it out of `Referer`.
            url: format!("http://{}/console/enter#token={token}", self.address),
            expires_at: expires_at.to_string(),
        })
    }

    async fn new_api_key(&self, name: &str, scopes: Vec<ApiScope>) -> Result<NewApiKey, Problem> {
        let minted = local::new_api_key(&self.control, &self.owner, name, scopes).await?;
        Ok(NewApiKey {
            minted: minted.into(),
            workspace_id: self.owner.workspace,
        })
    }

    fn login(&self) -> Login {
        Login {
            url: format!("http://{}", self.address),
            workspace_id: self.owner.workspace,
            api_key: text(&self.owner.api_key),
        }
    }
}

fn said<T: Serialize>(done: Result<T, String>) -> anyhow::Result<Vec<u8>> {
    let answer = match done {
        Ok(done) => Answer::Done(done),
        Err(why) => Answer::Refused(why),
    };
    serde_json::to_vec(&answer).context("an answer is plain data")
}

fn why(problem: &Problem) -> String {
    let text = problem.text().trim_end_matches('.');
    format!("{text} ({})", problem.code().as_str())
}

fn text(credential: &Secret) -> String {
    credential.expose(|bytes| String::from_utf8_lossy(bytes).into_owned())
}
