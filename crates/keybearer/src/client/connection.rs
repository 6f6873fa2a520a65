//! Which server a command talks to, as whom, and about which workspace.

use anyhow::{Context, ensure};
use domain::Secret;
use reqwest::Url;

use super::NamedWorkspace;
use crate::config::{API_KEY_VARIABLE, URL_VARIABLE, WORKSPACE_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::local;
use crate::logins::{Credential, Logins};

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:4356";

/// Where the server is, what to present to it, and which workspace commands are about.
pub(crate) struct Connection {
    /// The server's address, such as `http://127.0.0.1:4356`.
    pub(crate) url: String,
    pub(crate) credential: Option<Credential>,
    pub(crate) workspace: Option<NamedWorkspace>,
    /// Whether it is the local instance of this user, who has no password there.
    pub(crate) is_local: bool,
    /// Whether the environment has an API key that may be another server's, and is not presented for that reason.
    pub(crate) has_strange_key: bool,
}

impl Connection {
    /// What the environment says (`KEYBEARER_URL`, `KEYBEARER_API_KEY`, `KEYBEARER_WORKSPACE`), else the login, else the
    /// local instance that this user runs.
    ///
    /// A credential of the login is presented to the server that was logged in to, and to no other; the environment's
    /// to the server that the environment names, and to no other.
    pub(crate) async fn chosen() -> anyhow::Result<Self> {
        let mut logins = Logins::load()?;
        let environments = variable(API_KEY_VARIABLE);
        let url = match &environments {
            Some(_) => environments_url(&logins)?,
            None => chosen_url(None, &logins),
        };
        let known = logins.servers.remove(&origin(&url)?).unwrap_or_default();
        let (credential, workspace) = match environments {
            // The workspace of another credential would be a guess.
            Some(key) => (Some(Credential::ApiKey(Secret::from_text(key))), None),
            None => (known.credential, known.workspace.map(Into::into)),
        };
        if credential.is_none() {
            let is_named = variable(URL_VARIABLE).is_some() || logins.current.is_some();
            let failure = Failure::new(Sort::NotLoggedIn, format!("not logged in to {url}"));
            let hint = match local::connection().await {
                Some(local) if !is_named || origin(&local.url)? == origin(&url)? => {
                    return Ok(Self {
                        workspace: environments_workspace()?.or(local.workspace),
                        ..local
                    });
                }
                Some(local) => format!(
                    "keybearer login, or set KEYBEARER_API_KEY; your local instance is {}, and KEYBEARER_URL or the login names another server",
                    local.url
                ),
                None => "keybearer login, or set KEYBEARER_API_KEY; a new server: keybearer init; on this machine, for you alone: keybearer".to_owned(),
            };
            return Err(failure.hint(hint).into());
        }
        Ok(Self {
            url,
            credential,
            workspace: environments_workspace()?.or(workspace),
            is_local: false,
            has_strange_key: false,
        })
    }

    /// To the server of [`Self::chosen`], without a credential; where nobody is logged in, to the one that a login would be to.
    /// An API key whose server nothing names says nothing of the address, since it is not sent: it is the login's then.
    pub(crate) async fn without_credential() -> anyhow::Result<Self> {
        if elsewhere(&Logins::load()?)?.is_some() {
            return Ok(Self {
                has_strange_key: true,
                ..Self::anonymous(None)?
            });
        }
        match Self::chosen().await {
            Ok(chosen) => Ok(Self {
                credential: None,
                ..chosen
            }),
            Err(error) if Failure::sort_of(&error) == Sort::NotLoggedIn => Self::anonymous(None),
            Err(error) => Err(error),
        }
    }

    /// Without a credential, for who logs in.
    pub(crate) fn anonymous(url: Option<String>) -> anyhow::Result<Self> {
        let logins = Logins::load()?;
        Ok(Self {
            url: chosen_url(url, &logins),
            credential: None,
            workspace: environments_workspace()?,
            is_local: false,
            has_strange_key: false,
        })
    }
}

/// Where the environment's API key goes: to `KEYBEARER_URL`, or to the default. Never to where somebody logged in.
fn environments_url(logins: &Logins) -> anyhow::Result<String> {
    if let Some(current) = elsewhere(logins)? {
        let message = format!(
            "{API_KEY_VARIABLE} is set without {URL_VARIABLE}, and the login is to {current}, which may not be its server"
        );
        let failure = Failure::new(Sort::Usage, message);
        let hint =
            format!("set {URL_VARIABLE} to the API key's server, or unset {API_KEY_VARIABLE}");
        return Err(failure.hint(hint).into());
    }
    Ok(variable(URL_VARIABLE).unwrap_or_else(|| DEFAULT_URL.to_owned()))
}

/// The server of the login, if the environment has an API key that may be another one's.
fn elsewhere(logins: &Logins) -> anyhow::Result<Option<&str>> {
    if variable(API_KEY_VARIABLE).is_none() || variable(URL_VARIABLE).is_some() {
        return Ok(None);
    }
    let default = origin(DEFAULT_URL)?;
    Ok(logins.current.as_deref().filter(|it| *it != default))
}

/// The server that a command is about: the one given, the environment's, the login's, the default.
pub(crate) fn chosen_url(given: Option<String>, logins: &Logins) -> String {
    given
        .or_else(|| variable(URL_VARIABLE))
        .or_else(|| logins.current.clone())
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

fn environments_workspace() -> anyhow::Result<Option<NamedWorkspace>> {
    let text = variable(WORKSPACE_VARIABLE);
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|why| anyhow::anyhow!("{WORKSPACE_VARIABLE}: {why}"))
}

/// The server's origin, as the file of logins names it: scheme, host and port.
pub(crate) fn origin(url: &str) -> anyhow::Result<String> {
    Ok(server(url)?.origin().ascii_serialization())
}

/// The server's address, if an API key may be sent there.
pub(super) fn server(url: &str) -> anyhow::Result<Url> {
    if !url.contains("://") {
        // Not what it is: it may be anything.
        let failure = Failure::usage("the server's address is not a URL: it has no scheme");
        let hint =
            format!("it begins with https://, or on this machine with http://, as {DEFAULT_URL}");
        return Err(failure.hint(hint).into());
    }
    let url = Url::parse(url).context("the server's address is not a URL")?;
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the server's address must not contain credentials"
    );
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)),
        "{url} is not an https address: an API key would cross the network in plain text"
    );
    // Every path of the API begins at the root; what stands here would be left out without a word.
    ensure!(
        url.path() == "/" && url.query().is_none() && url.fragment().is_none(),
        "the server's address is scheme, host and port only, without {}",
        &url[url::Position::BeforePath..]
    );
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
