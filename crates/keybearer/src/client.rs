//! The HTTP client of the command line: talks to a running Keybearer, and to nothing else.

mod connection;
mod named;

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, bail};
use control::auth::session::COOKIE_NAME;
use domain::{Secret, WorkspaceId};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, ETAG, HeaderName, HeaderValue, IF_MATCH, SET_COOKIE,
};
use reqwest::{Method, Response, Url, redirect};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::config::WORKSPACE_VARIABLE;
use crate::failure::{Failure, Sort};
use crate::logins::Credential;
use crate::output::{Progress, counted};

use connection::server;
pub(crate) use connection::{Connection, DEFAULT_URL, chosen_url, origin};
pub(crate) use named::NamedWorkspace;

/// The most entries that the server gives at once.
const PART: usize = 100;
const NOTHING_MORE: &str = "the server says that there is more, and gives nothing";
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent in the middle of an answer, which may be a stream without an end.
const SILENCE: Duration = Duration::from_secs(120);
/// How long an operation may take in all.
const TOTAL: Duration = Duration::from_secs(120);

/// A server's API.
pub(crate) struct Api {
    base: Url,
    http: reqwest::Client,
    /// The header that carries the credential, and its value.
    credential: Option<(HeaderName, HeaderValue)>,
    workspace: Option<NamedWorkspace>,
    is_local: bool,
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
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("keybearer/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot prepare the HTTP client")?;
        let credential = connection.credential.as_ref().map(header).transpose()?;
        Ok(Self {
            base,
            http,
            credential,
            workspace: connection.workspace.clone(),
            is_local: connection.is_local,
        })
    }

    /// Logs in; what follows is done as this person. Returns the credential of the session, which lasts until
    /// [`Api::log_out`] or [`control::auth::session::LIFETIME_MS`].
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
        self.begin(path, body).await.map(|(session, _)| session)
    }

    /// Makes the first user. Returns the answer. The session that comes with it is not wanted, and ended.
    pub(crate) async fn set_up(&mut self, body: &Value) -> anyhow::Result<Value> {
        let (_, response) = self.begin("/api/v1/setup", body).await?;
        let answer = self.document(response).await?;
        // Where that fails it ends by itself; what was made is more important.
        let _ = self.log_out().await;
        self.credential = None;
        Ok(answer)
    }

    async fn begin(&mut self, path: &str, body: &Value) -> anyhow::Result<(Secret, Response)> {
        let body = Some(Body::json(body));
        let response = self
            .exchange_within(Some(TOTAL), Method::POST, path, body, None)
            .await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        // Others, such as a load balancer in between, set cookies of their own.
        let cookies = response.headers().get_all(SET_COOKIE);
        let session = cookies
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .find_map(|pair| pair.strip_prefix(COOKIE_NAME)?.strip_prefix('='))
            .context("the server's answer has no session")?;
        let session = Secret::from_text(session.to_owned());
        let credential = Credential::Session(session);
        self.credential = Some(header(&credential)?);
        let (Credential::ApiKey(session) | Credential::Session(session)) = credential;
        Ok((session, response))
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

    /// Whether the server is the local instance of this user.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
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

    /// What the server says of the credential, with the server's address and, of a person, the profile.
    pub(crate) async fn identity(&self) -> anyhow::Result<Value> {
        let mut identity = self.get("/api/v1/whoami").await?;
        identity["server"] = json!(self.address());
        if identity["kind"] == "session" {
            let me = self.get("/api/v1/me").await?;
            identity["user"] = me["user"].clone();
            identity["workspaces"] = me["workspaces"].clone();
            identity["account_id"] = me["user"]["account_id"].clone();
        }
        Ok(identity)
    }

    /// The workspace that commands are about: the environment's, the login's, the API key's own, or a person's only one.
    pub(crate) async fn workspace(&self) -> anyhow::Result<WorkspaceId> {
        if let Some(workspace) = &self.workspace {
            return self.find_workspace(workspace).await;
        }
        if let Some(workspace) = only_workspace(&self.identity().await?)? {
            return Ok(workspace);
        }
        let failure = Failure::new(Sort::Failed, "no workspace was named");
        Err(failure
            .hint(format!("give --workspace ID (or its name) or set {WORKSPACE_VARIABLE}; keybearer workspace list shows them"))
            .into())
    }

    /// Reads a list part by part and gives each part away, until that says `Break`: of a list that may not fit into memory.
    pub(crate) async fn list_parts(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut take: impl FnMut(&[Value]) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let mut after: Option<String> = None;
        let mut count = 0;
        let mut progress = Progress::beside_output();
        loop {
            let answer = self.part(path, query, PART, after.as_deref()).await?;
            let data = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
            count += data.len();
            after = answer["next"].as_str().map(str::to_owned);
            if after.is_some() && data.is_empty() {
                bail!(NOTHING_MORE);
            }
            if take(data).is_break() || after.is_none() {
                return Ok(());
            }
            progress.show(&format!("{} read", counted(count, "entry", "entries")));
        }
    }

    async fn part(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
        after: Option<&str>,
    ) -> anyhow::Result<Value> {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (name, value) in query {
            text.append_pair(name, value);
        }
        text.append_pair("limit", &limit.to_string());
        if let Some(after) = after {
            text.append_pair("after", after);
        }
        self.get_list(&format!("{path}?{}", text.finish())).await
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
            let part = most.saturating_sub(data.len()).clamp(1, PART);
            let mut answer = self.part(path, query, part, after.as_deref()).await?;
            let before = data.len();
            if let Some(part) = answer["data"].as_array_mut() {
                data.append(part);
            }
            after = answer["next"].as_str().map(str::to_owned);
            if after.is_some() && data.len() == before {
                bail!(NOTHING_MORE);
            }
            if after.is_none() || data.len() >= most {
                return Ok(json!({ "data": data, "next": after }));
            }
            progress.show(&format!("{} read", counted(data.len(), "entry", "entries")));
        }
    }

    /// The port in the server's address, or the scheme's.
    pub(crate) fn port(&self) -> Option<u16> {
        self.base.port_or_known_default()
    }

    /// Whether somebody must be asked for the address of the server's host.
    pub(crate) fn host_is_a_name(&self) -> bool {
        matches!(self.base.host(), Some(url::Host::Domain(name)) if name != "localhost")
    }

    /// Whether nobody on the way to the server can read or change what is sent: it is on this machine, or TLS is spoken.
    pub(crate) fn is_confidential(&self) -> bool {
        let here = match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        here || self.base.scheme() == "https"
    }

    /// The host in the server's address.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Reads a list that comes as a whole: its entries are in `data`.
    pub(crate) async fn get_list(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.get(path).await?;
        if answer["data"].is_array() {
            return Ok(answer);
        }
        let message = format!("{} answered without a list", self.address());
        Err(Failure::new(Sort::Unreachable, message)
            .hint(NOT_OURS)
            .into())
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

    /// Reads a document with the tag of its state (`ETag`).
    pub(crate) async fn get_tagged(&self, path: &str) -> anyhow::Result<(Value, String)> {
        let response = self.answer(Method::GET, path, None, None).await?;
        let tag = response.headers().get(ETAG).and_then(|it| it.to_str().ok());
        let Some(tag) = tag.map(str::to_owned) else {
            let message = format!("{} answered without a tag", self.address());
            return Err(Failure::new(Sort::Unreachable, message)
                .hint(NOT_OURS)
                .into());
        };
        Ok((self.document(response).await?, tag))
    }

    /// Changes a document; with a tag only if it is in the state with this tag.
    pub(crate) async fn change(
        &self,
        method: &Method,
        path: &str,
        body: &Value,
        tag: Option<&str>,
    ) -> anyhow::Result<Value> {
        let tag = tag.map(HeaderValue::from_str).transpose();
        let tag = tag.map_err(|_| Failure::usage("the tag is none"))?;
        let response = self.answer(method.clone(), path, Some(body), tag).await?;
        self.document(response).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends a request to the server and returns whatever it answers, which may be a stream. A path that leads to
    /// another server is refused.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> anyhow::Result<Response> {
        self.exchange_within(None, method, path, body, None).await
    }

    async fn exchange_within(
        &self,
        total: Option<Duration>,
        method: Method,
        path: &str,
        body: Option<Body>,
        if_match: Option<HeaderValue>,
    ) -> anyhow::Result<Response> {
        let url = self.base.join(path).context("not a path of the API")?;
        if url.origin() != self.base.origin() {
            let message = format!(
                "{path} leads to another server; the credential is for {} only",
                self.origin()
            );
            return Err(Failure::usage(message).into());
        }
        let mut request = self.http.request(method, url);
        if let Some(total) = total {
            request = request.timeout(total);
        }
        if let Some((name, value)) = &self.credential {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(tag) = if_match {
            request = request.header(IF_MATCH, tag);
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
        let response = self.answer(method, path, body, None).await?;
        self.document(response).await
    }

    /// An answer that is no refusal.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<HeaderValue>,
    ) -> anyhow::Result<Response> {
        let body = body.map(Body::json);
        let response = self
            .exchange_within(Some(TOTAL), method, path, body, if_match)
            .await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(response).await),
        }
    }

    /// The answer as JSON; null if it has no body. Anything else, such as a proxy's page, is no answer of the server.
    pub(crate) async fn document(&self, response: Response) -> anyhow::Result<Value> {
        let bytes = response.bytes().await.map_err(|error| self.cut(error))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        // The parser's own text could repeat what the answer says.
        serde_json::from_slice(&bytes).map_err(|_| {
            let message = format!("{} answered, and not in JSON", self.address());
            Failure::new(Sort::Unreachable, message)
                .hint(NOT_OURS)
                .into()
        })
    }

    /// An answer that is not the one asked for, as an error.
    pub(crate) async fn refusal(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        if status.is_redirection() {
            let message = format!(
                "{} answered with a redirect ({}), which is not followed",
                self.address(),
                status.as_u16()
            );
            let failure = Failure::new(Sort::Unreachable, message);
            return failure.hint(NOT_OURS).into();
        }
        let body = response.json().await.unwrap_or(Value::Null);
        let failure = Failure::refused(status, &body);
        match self.is_local && Failure::needs_log_in(&body) {
            true => failure.hint(OWNER).into(),
            false => failure.into(),
        }
    }

    /// The error of an answer that does not come to its end.
    pub(crate) fn cut(&self, error: reqwest::Error) -> anyhow::Error {
        let error = anyhow::Error::new(error.without_url());
        let message = format!("the answer of {} broke off: {error:#}", self.address());
        Failure::new(Sort::Unreachable, message).into()
    }
}

/// What to do about what takes a person, in a local instance.
const OWNER: &str = "in the console you are the owner in person: keybearer console";

/// What to do about a credential that no header can carry.
const MALFORMED: &str =
    "set KEYBEARER_API_KEY to the API key alone; without the variable: keybearer login";

/// What to do where something else answers.
const NOT_OURS: &str =
    "does KEYBEARER_URL, or the login, name a Keybearer? a proxy in between may have answered";

/// The workspace of an identity: the API key's, or the only one that a person has.
pub(crate) fn only_workspace(identity: &Value) -> anyhow::Result<Option<WorkspaceId>> {
    let of_person = match identity["workspaces"].as_array().map(Vec::as_slice) {
        Some([only]) => only["id"].as_str(),
        _ => None,
    };
    let id = identity["workspace_id"].as_str().or(of_person);
    id.map(str::parse)
        .transpose()
        .context("the server's answer")
}

/// The header that carries a credential, marked as one that is never shown.
fn header(credential: &Credential) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, prefix, secret) = match credential {
        Credential::ApiKey(key) => (AUTHORIZATION, "Bearer ".to_owned(), key),
        Credential::Session(session) => (COOKIE, format!("{COOKIE_NAME}="), session),
    };
    let bytes = secret.expose(|secret| [prefix.as_bytes(), secret].concat());
    let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| {
        let message = "the credential has a control character, such as a line's end";
        Failure::new(Sort::NotLoggedIn, message).hint(MALFORMED)
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}
