//! Somebody who calls the instance: who they are, and what came back.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::record::Record;

/// How a caller proves who they are.
#[derive(Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer` with an API key.
    Bearer(String),
    /// `x-api-key` with an API key.
    XApiKey(String),
    /// A log-in session's cookie, as `name=value`.
    Cookie(String),
}

/// A caller. Cheap to clone; follows restarts of the instance.
#[derive(Clone)]
pub struct Caller {
    name: String,
    auth: Auth,
    url: Arc<RwLock<String>>,
    client: reqwest::Client,
    record: Arc<Record>,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Such as `POST /v1/byok/keys as owner`.
    pub what: String,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// A reply whose body is read piece by piece.
pub struct Streaming {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    what: String,
    response: reqwest::Response,
    record: Arc<Record>,
    seen: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(
        name: &str,
        auth: Auth,
        url: Arc<RwLock<String>>,
        client: reqwest::Client,
        record: Arc<Record>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            auth,
            url,
            client,
            record,
        }
    }

    /// What stands in messages about this caller.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API key, if that is how this caller proves who they are.
    pub fn api_key(&self) -> Option<&str> {
        match &self.auth {
            Auth::Bearer(key) | Auth::XApiKey(key) => Some(key),
            Auth::None | Auth::Cookie(_) => None,
        }
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(
            Method::POST,
            path,
            JSON,
            Some(body.to_string().into_bytes()),
        )
        .await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, JSON, Some(body.to_string().into_bytes()))
            .await
    }

    /// `PATCH path` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(
            Method::PATCH,
            path,
            JSON,
            Some(body.to_string().into_bytes()),
        )
        .await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Any method, headers and body bytes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Reply {
        self.try_send(method, path, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{path} as {}: {error:?}", self.name))
    }

    /// Like [`send`](Self::send), for calls that may fail on the wire (the server is being killed).
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Reply> {
        let what = format!("{method} {path} as {}", self.name);
        let response = self.request(method, path, headers, body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        self.record
            .keep(&what, &[head(&headers), body.clone()].concat());
        Ok(Reply {
            what,
            status,
            headers,
            body,
        })
    }

    /// `POST path` with a JSON body; returns when the head of the reply is there.
    pub async fn stream(&self, path: &str, body: &Value) -> Streaming {
        let body = body.to_string().into_bytes();
        self.open(Method::POST, path, JSON, Some(body)).await
    }

    /// `GET path`; returns when the head of the reply is there.
    pub async fn listen(&self, path: &str, headers: &[(&str, &str)]) -> Streaming {
        self.open(Method::GET, path, headers, None).await
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Streaming {
        let what = format!("{method} {path} (stream) as {}", self.name);
        let response = self
            .request(method, path, headers, body)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        self.record.keep(&what, &head(&headers));
        Streaming {
            status,
            headers,
            what,
            response,
            record: Arc::clone(&self.record),
            seen: Vec::new(),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::RequestBuilder {
        let url = self.url.read().expect("no panic while locked").clone();
        let mut request = self.client.request(method, format!("{url}{path}"));
        request = match &self.auth {
            Auth::None => request,
            Auth::Bearer(key) => request.header("authorization", format!("Bearer {key}")),
            Auth::XApiKey(key) => request.header("x-api-key", key),
            Auth::Cookie(cookie) => request.header("cookie", cookie),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match body {
            Some(body) => request.body(body),
            None => request,
        }
    }
}

impl Reply {
    /// The body as JSON. Panics when it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self
    }

    /// The stable code of an error: of a problem document, or of an error in a wire format.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let code = [&body["code"], &body["error"]["code"]]
            .into_iter()
            .find_map(Value::as_str)?;
        Some(code.to_owned())
    }

    /// Panics unless the reply is an error with this status and code.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(
            reply.code().as_deref(),
            Some(code),
            "{}: {}",
            reply.what,
            reply.text()
        );
        reply
    }

    /// The value of a cookie that the reply sets, as `name=value`.
    pub fn cookie(&self) -> Option<String> {
        let cookie = self.header("set-cookie")?.split(';').next()?;
        Some(cookie.trim().to_owned())
    }
}

impl Streaming {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body; `None` at its end, an error when the connection broke.
    pub async fn next(&mut self) -> reqwest::Result<Option<Vec<u8>>> {
        let piece = self.response.chunk().await?;
        if let Some(piece) = &piece {
            self.seen.extend_from_slice(piece);
        }
        Ok(piece.map(|piece| piece.to_vec()))
    }

    /// Reads to the end and returns the whole body.
    pub async fn rest(mut self) -> reqwest::Result<Vec<u8>> {
        while self.next().await?.is_some() {}
        Ok(self.seen.clone())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.record.keep(&self.what, &self.seen);
    }
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn head(headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    head
}

/// The client of all callers: no redirects, no proxy, bounded.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own client, without redirects and proxies"
)]
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(120))
        .build()
        .expect("a plain client can be built")
}

/// Sends bytes and reads until the server closes, at most 15 seconds.
pub(crate) async fn raw(url: &str, bytes: &[u8]) -> Vec<u8> {
    let address = url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("the binary listens");
    let mut reply = Vec::new();
    let talk = async {
        // The server may close before it has read everything; what it said still counts.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut reply).await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(15), talk).await;
    reply
}
