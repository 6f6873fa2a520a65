//! The HTTP client of the command line: talks to a running Keybearer, and to nothing else.

use std::time::Duration;

use anyhow::{Context, ensure};
use domain::{Secret, WorkspaceId};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, Response, Url, redirect};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::config::{API_KEY_VARIABLE, URL_VARIABLE, WORKSPACE_VARIABLE, variable};
use crate::failure::{Failure, Sort};
use crate::logins::{Credential, Logins};
use crate::output::Progress;

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:4356";
/// The most entries that the server gives at once.
const PART: usize = 100;
/// The cookie of a session; `control::auth::session` sets it.
const COOKIE_NAME: &str = "__Host-keybearer_session";

/// Where the server is, what to present to it, and which workspace commands are about.
pub(crate) struct Connection {
    /// The server's address, such as `http://127.0.0.1:4356`.
    pub(crate) url: String,
    pub(crate) credential: Option<Credential>,
    pub(crate) workspace: Option<WorkspaceId>,
}

impl Connection {
    /// What the environment says (`KEYBEARER_URL`, `KEYBEARER_API_KEY`, `KEYBEARER_WORKSPACE`), else the login.
    ///
    /// A credential of the login is presented to the server that was logged in to, and to no other.
    pub(crate) fn chosen() -> anyhow::Result<Self> {
        let mut logins = Logins::load()?;
        let url = chosen_url(None, &logins);
        let known = logins.servers.remove(&origin(&url)?).unwrap_or_default();
        let (credential, workspace) = match variable(API_KEY_VARIABLE) {
            // The workspace of another credential would be a guess.
            Some(key) => (Some(Credential::ApiKey(Secret::from_text(key))), None),
            None => (known.credential, known.workspace),
        };
        if credential.is_none() {
            let failure = Failure::new(Sort::NotLoggedIn, format!("not logged in to {url}"));
            return Err(failure
                .hint("keybearer login --with-key, or set KEYBEARER_API_KEY; a new server: keybearer init")
                .into());
        }
        Ok(Self {
            url,
            credential,
            workspace: environments_workspace()?.or(workspace),
        })
    }

    /// Without a credential, for who logs in.
    pub(crate) fn anonymous(url: Option<String>) -> anyhow::Result<Self> {
        let logins = Logins::load()?;
        Ok(Self {
            url: chosen_url(url, &logins),
            credential: None,
            workspace: environments_workspace()?,
        })
    }
}

fn chosen_url(given: Option<String>, logins: &Logins) -> String {
    given
        .or_else(|| variable(URL_VARIABLE))
        .or_else(|| logins.current.clone())
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

fn environments_workspace() -> anyhow::Result<Option<WorkspaceId>> {
    let text = variable(WORKSPACE_VARIABLE);
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.context(WORKSPACE_VARIABLE)
}

/// The server's origin, as the file of logins names it: scheme, host and port.
pub(crate) fn origin(url: &str) -> anyhow::Result<String> {
    Ok(server(url)?.origin().ascii_serialization())
}

/// The server's address, if an API key may be sent there.
fn server(url: &str) -> anyhow::Result<Url> {
    let url = Url::parse(url).context("the server's address is not a URL")?;
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the server's address must not contain credentials"
    );
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)),
        "{url} is not an https address: an API key would cross the network in plain text"
    );
    Ok(url)
}

/// A server's API.
pub(crate) struct Api {
    base: Url,
    http: reqwest::Client,
    /// The header that carries the credential, and its value.
    credential: Option<(HeaderName, HeaderValue)>,
    workspace: Option<WorkspaceId>,
}

/// The body of a request, as bytes with their type.
pub(crate) struct Body {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            bytes: value.to_string().into_bytes(),
        }
    }
}

impl Api {
    /// Prepares to talk to the server; sends nothing yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one client: no redirects, no proxy from the environment"
    )]
    pub(crate) fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let base = server(&connection.url)?;
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(Duration::from_secs(120))
            .user_agent(concat!("keybearer/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot prepare the HTTP client")?;
        let credential = connection.credential.as_ref().map(header).transpose()?;
        Ok(Self {
            base,
            http,
            credential,
            workspace: connection.workspace,
        })
    }

    /// Logs in; what follows is done as this person. Returns the credential of the session, which lasts until
    /// [`Api::log_out`] or 14 days.
    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> anyhow::Result<Secret> {
        let body = json!({ "email": email, "password": password });
        self.begin_session("/api/v1/sessions", &body).await
    }

    /// Calls an operation that begins a session, and goes on with it. Returns its credential.
    pub(crate) async fn begin_session(
        &mut self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Secret> {
        let body = Some(Body::json(body));
        let response = self.exchange(Method::POST, path, body).await?;
        let cookie = response.headers().get(SET_COOKIE).cloned();
        let status = response.status();
        if !status.is_success() {
            let body = response.json().await.unwrap_or(Value::Null);
            return Err(Failure::refused(status, &body).into());
        }
        let cookie = cookie.context("the server's answer has no session")?;
        let session = cookie
            .to_str()
            .ok()
            .and_then(|text| text.split(';').next())
            .and_then(|pair| pair.strip_prefix(COOKIE_NAME)?.strip_prefix('='))
            .context("the server's answer has no session of ours")?;
        let session = Secret::from_text(session.to_owned());
        let credential = Credential::Session(session);
        self.credential = Some(header(&credential)?);
        let (Credential::ApiKey(session) | Credential::Session(session)) = credential;
        Ok(session)
    }

    /// Ends the session that [`Api::log_in`] began.
    pub(crate) async fn log_out(&self) -> anyhow::Result<()> {
        self.delete("/api/v1/sessions/current").await.map(drop)
    }

    /// Whether an API key is presented, which the data plane takes, and not a session.
    pub(crate) fn has_api_key(&self) -> bool {
        let name = self.credential.as_ref().map(|(name, _)| name);
        name == Some(&AUTHORIZATION)
    }

    /// Whether this API key is what is presented.
    pub(crate) fn presents(&self, key: &Secret) -> bool {
        let presented = self.credential.as_ref().map(|(_, value)| value.as_bytes());
        let presented = presented.and_then(|value| value.strip_prefix(b"Bearer "));
        presented.is_some_and(|value| key.expose(|key| key == value))
    }

    /// The server's address without a trailing slash.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Scheme, host and port of the server.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// The workspace that commands are about: the environment's, the login's, or the API key's own.
    pub(crate) async fn workspace(&self) -> anyhow::Result<WorkspaceId> {
        if let Some(workspace) = self.workspace {
            return Ok(workspace);
        }
        let identity = self.get("/api/v1/whoami").await?;
        if let Some(workspace) = identity["workspace_id"].as_str() {
            return workspace.parse().context("the server's answer");
        }
        let failure = Failure::new(Sort::Failed, "no workspace was named");
        Err(failure
            .hint(format!("give --workspace ID or set {WORKSPACE_VARIABLE}; keybearer workspace list shows them"))
            .into())
    }

    /// Reads a list part by part, at most `most` entries; `next` of the result is there if the server has more.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
    ) -> anyhow::Result<Value> {
        let mut data = Vec::new();
        let mut after: Option<String> = None;
        let mut progress = Progress::start();
        loop {
            let mut text = form_urlencoded::Serializer::new(String::new());
            for (name, value) in query {
                text.append_pair(name, value);
            }
            let part = most.saturating_sub(data.len()).clamp(1, PART);
            text.append_pair("limit", &part.to_string());
            if let Some(after) = &after {
                text.append_pair("after", after);
            }
            let mut answer = self.get(&format!("{path}?{}", text.finish())).await?;
            if let Some(part) = answer["data"].as_array_mut() {
                data.append(part);
            }
            after = answer["next"].as_str().map(str::to_owned);
            if after.is_none() || data.len() >= most {
                return Ok(json!({ "data": data, "next": after }));
            }
            progress.show(&format!("{} entries read", data.len()));
        }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends a request to the server and returns whatever it answers. A path that leads to another server is refused.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> anyhow::Result<Response> {
        let url = self.base.join(path).context("not a path of the API")?;
        ensure!(
            url.origin() == self.base.origin(),
            "{path} leads to another server; the credential is for {} only",
            self.origin()
        );
        let mut request = self.http.request(method, url);
        if let Some((name, value)) = &self.credential {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, body.content_type)
                .body(body.bytes);
        }
        let response = request.send().await;
        response.map_err(|error| {
            // The error's own text would repeat the URL; the address is enough.
            let error = anyhow::Error::new(error.without_url());
            let message = format!("no answer from {}: {error:#}", self.address());
            let failure = Failure::new(Sort::Unreachable, message);
            failure
                .hint("is the server running there? KEYBEARER_URL or keybearer login --url name another")
                .into()
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let response = self.exchange(method, path, body.map(Body::json)).await?;
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            Ok(body)
        } else {
            Err(Failure::refused(status, &body).into())
        }
    }
}

/// The header that carries a credential, marked as one that is never shown.
fn header(credential: &Credential) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, prefix, secret) = match credential {
        Credential::ApiKey(key) => (AUTHORIZATION, "Bearer ".to_owned(), key),
        Credential::Session(session) => (COOKIE, format!("{COOKIE_NAME}="), session),
    };
    let bytes = secret.expose(|secret| [prefix.as_bytes(), secret].concat());
    let mut value = HeaderValue::from_bytes(&bytes)
        .ok()
        .context("the credential is malformed")?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
