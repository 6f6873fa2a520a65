//! What the edge itself answers, in the form of the control plane's errors.

use bytes::Bytes;
use domain::RequestId;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::Body;

/// Why the edge answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No `Host`, several of them, or one that is not a name or address with an optional port.
    Host,
    /// Not of the form `/path?query`: absolute, authority or asterisk form.
    Target,
    /// A transfer coding beside `chunked`.
    Framing,
    /// The service panicked.
    Internal,
    /// As many connections as the edge serves are open already.
    Overloaded,
    /// There was no randomness for the request's id.
    Random,
}

/// The body (RFC 9457); the same fields as the control plane's.
#[derive(Serialize)]
struct ProblemBody {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    hint: &'static str,
    request_id: Option<RequestId>,
    details: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// All of them, by status.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Host,
        Self::Target,
        Self::Framing,
        Self::Internal,
        Self::Overloaded,
        Self::Random,
    ];

    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Target | Self::Framing => StatusCode::BAD_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded | Self::Random => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Host => "invalid_host",
            Self::Target => "invalid_request_target",
            Self::Framing => "invalid_transfer_encoding",
            Self::Internal => "internal_error",
            Self::Overloaded => "overloaded",
            Self::Random => "random_unavailable",
        }
    }

    /// What it means; one sentence.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Host => "The request does not have exactly one valid `Host`.",
            Self::Target => "The request's target is not a path with an optional query.",
            Self::Framing => "The request's `Transfer-Encoding` is not `chunked` alone.",
            Self::Internal => "The server failed at this request.",
            Self::Overloaded => "All connections that the server takes are in use.",
            Self::Random => "The operating system gives no randomness.",
        }
    }

    /// What to do; one sentence.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Host => "Send one `Host`, a name or an address with an optional port.",
            Self::Target => "Send the path alone; this server is not a forward proxy.",
            Self::Framing => "Send a `Content-Length`, or `Transfer-Encoding: chunked` once.",
            Self::Internal => "Report the request id to the operator.",
            Self::Overloaded => {
                "Try again after `Retry-After`; keep connections open and use them again."
            }
            Self::Random => "Try again; the operator should look at the machine.",
        }
    }

    /// The answer. `request` is `None` only where there was none yet.
    pub(super) fn response(self, request: Option<RequestId>) -> Response<Body> {
        self.head()
            .map(|()| crate::full(Bytes::from(self.body(request))))
    }

    /// The whole answer as it is sent on a connection of which nothing was read and that is closed then.
    pub(super) fn unread(self) -> Vec<u8> {
        let body = self.body(None);
        let mut answer = format!("HTTP/1.1 {}\r\n", self.status()).into_bytes();
        for (name, value) in self.head().headers() {
            answer.extend_from_slice(name.as_str().as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        answer.extend_from_slice(&body);
        answer
    }

    fn head(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if matches!(
            self,
            Self::Host | Self::Target | Self::Framing | Self::Overloaded
        ) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self == Self::Overloaded {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn body(self, request: Option<RequestId>) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("urn:keybearer:error:{}", self.code()),
            title: self.meaning(),
            status: self.status().as_u16(),
            code: self.code(),
            detail: self.meaning(),
            hint: self.advice(),
            request_id: request,
            details: serde_json::Map::new(),
        };
        serde_json::to_vec(&body).expect("plain fields always serialize")
    }
}
