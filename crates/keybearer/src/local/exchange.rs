//! What is said over the control socket, and what the instance does about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// How long a change of keys is waited for by who only looks.
const COMPARE_WITHIN: Duration = Duration::from_secs(2);

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
    /// What it makes of these variables of a shell, as it is now.
    Compare { variables: BTreeMap<String, String> },
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

/// What the instance makes of a shell's variables.
#[derive(Serialize, Deserialize)]
pub(super) struct Compared {
    pub(super) variables: Vec<OneCompared>,
}

/// What it makes of one of them.
#[derive(Serialize, Deserialize)]
pub(super) struct OneCompared {
    pub(super) variable: String,
    pub(super) verdict: Verdict,
    /// Why it is refused or deferred.
    pub(super) why: Option<String>,
}

/// How a variable of a shell relates to the keys of the instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The instance has this value, and it counts.
    InUse,
    /// The instance has another value under this name.
    OtherValue,
    /// The instance has found no key for the provider.
    NotTold,
    /// Another variable comes first.
    WithoutEffect,
    /// The instance has this value, and it was not taken.
    Refused,
    /// The instance has this value and could not store or try it yet; it tries again.
    Deferred,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in_use",
            Self::OtherValue => "other_value",
            Self::NotTold => "not_told",
            Self::WithoutEffect => "without_effect",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
        }
    }
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
    /// What is said first. Provider files are read once, so it holds as long as the instance: whoever only asks for
    /// something to read waits for no change of keys.
    pub(super) names: Names,
    pub(super) rotation: Arc<Mutex<Rotation>>,
}

impl Instance {
    /// Does what is asked, and says as JSON what came of it.
    pub(super) async fn answer(&self, asked: Asked) -> anyhow::Result<Vec<u8>> {
        match asked {
            Asked::Reload(told) => said(self.reload(told).await),
            Asked::ConsoleLink {} => said(self.console_link().await.map_err(|it| why(&it))),
            Asked::NewApiKey { name, scopes } => {
                said(self.new_api_key(&name, scopes).await.map_err(|it| why(&it)))
            }
            Asked::Login {} => said(Ok(self.login())),
            Asked::Compare { variables } => said(self.compare(variables).await),
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

    async fn compare(&self, variables: BTreeMap<String, String>) -> Result<Compared, String> {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name, Secret::from_text(value)));
        // What is compared would be another thing in a moment; whoever only looks does not wait for it.
        let rotation = tokio::time::timeout(COMPARE_WITHIN, self.rotation.lock()).await;
        let rotation = rotation.map_err(|_| "the keys are being changed; ask again".to_owned())?;
        Ok(Compared {
            variables: rotation.compare(&variables.collect()),
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
