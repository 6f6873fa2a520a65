//! The HTTP client of the command line: talks to a running Keybearer, and to nothing else.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use domain::Secret;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Method, StatusCode, Url, redirect};
use serde_json::Value;

use crate::config::{API_KEY_VARIABLE, URL_VARIABLE, variable};

/// Where the server is and what to present to it.
pub(crate) struct Connection {
    /// The server's address, such as `http://127.0.0.1:4356`.
    pub(crate) url: String,
    /// An API key, if one is needed.
    pub(crate) api_key: Option<Secret>,
}

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:4356";

impl Connection {
    /// From `KEYBEARER_URL` and `KEYBEARER_API_KEY`.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let Some(api_key) = variable(API_KEY_VARIABLE) else {
            bail!("KEYBEARER_API_KEY is not set; `keybearer init` prints it, the API mints more")
        };
        Ok(Self {
            api_key: Some(Secret::from_text(api_key)),
            ..Self::anonymous()
        })
    }

    /// From `KEYBEARER_URL`, for who logs in.
    pub(crate) fn anonymous() -> Self {
        Self {
            url: variable(URL_VARIABLE).unwrap_or_else(|| DEFAULT_URL.to_owned()),
            api_key: None,
        }
    }
}

/// A server's API.
pub(crate) struct Api {
    base: Url,
    http: reqwest::Client,
    /// The header that carries the credential, and its value.
    credential: Option<(HeaderName, HeaderValue)>,
}

impl Api {
    /// Prepares to talk to the server; sends nothing yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one client: no redirects, no proxy from the environment"
    )]
    pub(crate) fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let base = Url::parse(&connection.url).context("KEYBEARER_URL is not a URL")?;
        ensure!(
            base.scheme() == "https" || (base.scheme() == "http" && is_loopback(&base)),
            "{} is not an https address: an API key would cross the network in plain text",
            connection.url
        );
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(Duration::from_secs(120))
            .user_agent(concat!("keybearer/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot prepare the HTTP client")?;
        let credential = match &connection.api_key {
            None => None,
            Some(key) => {
                let bytes = key.expose(|key| [b"Bearer ", key].concat());
                let value = sensitive(&bytes).context("the API key is malformed")?;
                Some((AUTHORIZATION, value))
            }
        };
        Ok(Self {
            base,
            http,
            credential,
        })
    }

    /// Logs in; what follows is done as this person, until [`Api::log_out`].
    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> anyhow::Result<()> {
        let body = serde_json::json!({ "email": email, "password": password });
        let response = self
            .request(Method::POST, "/api/v1/sessions", Some(&body))
            .await?;
        let cookie = response.headers().get(SET_COOKIE).cloned();
        let status = response.status();
        if !status.is_success() {
            return Err(problem(
                status,
                &response.json().await.unwrap_or(Value::Null),
            ));
        }
        let cookie = cookie.context("the server's answer has no session")?;
        let pair = cookie.as_bytes().split(|byte| *byte == b';').next();
        let value = sensitive(pair.unwrap_or_default()).context("the server's session")?;
        self.credential = Some((COOKIE, value));
        Ok(())
    }

    /// Ends the session that [`Api::log_in`] began.
    pub(crate) async fn log_out(&self) -> anyhow::Result<()> {
        self.delete("/api/v1/sessions/current").await.map(drop)
    }

    /// The server's address without a trailing slash.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
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

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<reqwest::Response> {
        let url = self.base.join(path).context("not a path of the API")?;
        let mut request = self.http.request(method, url);
        if let Some((name, value)) = &self.credential {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        // The error's own text would repeat the URL; the address is enough.
        let response = request.send().await.map_err(reqwest::Error::without_url);
        response.with_context(|| format!("no answer from {}", self.address()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let response = self.request(method, path, body).await?;
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            Ok(body)
        } else {
            Err(problem(status, &body))
        }
    }
}

fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A problem document as an error text: what happened, the code, what may have been meant, and what to do.
fn problem(status: StatusCode, body: &Value) -> anyhow::Error {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let detail = text("detail")
        .or(text("title"))
        .unwrap_or("the server gave no reason");
    let code = text("code").map_or_else(|| status.as_u16().to_string(), str::to_owned);
    let mut lines = vec![format!("{detail} ({code})")];
    if let Some(suggestion) = body["details"]["suggestion"].as_str() {
        lines.push(format!("did you mean {suggestion}?"));
    }
    if let Some(hint) = text("hint") {
        lines.push(format!("hint: {hint}"));
    }
    anyhow::anyhow!(lines.join("\n"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
