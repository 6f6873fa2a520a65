//! What surrounds every request: its id, the checks of `Host` and origin, the security headers and the
//! body of a refusal.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{RequestId, Timestamp};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use store::AuditNote;

use crate::auth::origin;
use crate::error::{Code, Problem};
use crate::state::ControlState;

/// The address of the other end of the connection. Set by the edge, never taken from a header.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The header that carries the request's id.
pub const REQUEST_ID_HEADER: &str = "x-keybearer-request-id";

/// What an answer that is not a page may do in a browser: nothing.
const CONTENT_POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One call of the control plane: its id, its moment, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The request's id.
    pub request: RequestId,
    /// When it arrived.
    pub now: Timestamp,
    /// The address of the other end of the connection, where the edge told it.
    pub peer: Option<IpAddr>,
    /// The address of the client, where it can be known: behind a trusted proxy, the one that it reports.
    pub client: Option<IpAddr>,
}

impl Call {
    /// An audit note of this call, of an action that went well.
    pub fn note(&self, action: &'static str) -> AuditNote {
        AuditNote {
            action,
            provider: None,
            label: None,
            kek_id: None,
            content_sha256: None,
            subject: None,
            outcome: "ok",
            request: self.request,
        }
    }

    /// An audit note about the thing with this id.
    pub fn note_on(&self, action: &'static str, subject: impl ToString) -> AuditNote {
        AuditNote {
            subject: Some(subject.to_string()),
            ..self.note(action)
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let call = parts.extensions.get::<Call>();
        Ok(*call.expect("the frame gives every request its call"))
    }
}

/// The middleware around the whole router.
pub async fn frame(
    State(state): State<ControlState>,
    mut request: Request,
    next: Next,
) -> Response {
    let now = state.sources.now();
    // The edge gives each request its id; a second one would split the log in two.
    let given = request.extensions().get::<RequestId>().copied();
    let Ok(id) = given.map_or_else(|| state.sources.id(), Ok) else {
        let problem = Problem::new(Code::Unavailable);
        return dress(problem.into_response(), "");
    };
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let client = client_address(state.config.trust_forwarded_proto, peer, request.headers());
    request.extensions_mut().insert(Call {
        request: id,
        now,
        peer,
        client,
    });
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = match check(&state, &request) {
        Ok(()) => run(next, request).await,
        Err(problem) => problem.into_response(),
    };
    let status = response.status().as_u16();
    let id = id.to_string();
    tracing::debug!(request.id = %id, http.method = %method, http.route = %route, http.status = status, "answered {status} to {method} {route}");
    dress(response, &id)
}

/// Answers `404` for paths that no operation has.
pub async fn no_such_path() -> Problem {
    Problem::new(Code::NotFound)
}

/// Answers `405` for methods that a path does not have.
pub async fn no_such_method() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}

fn check(state: &ControlState, request: &Request) -> Result<(), Problem> {
    if let Some(allowed) = &state.config.allowed_hosts
        && !host(request.headers()).is_some_and(|host| allowed.contains(&host))
    {
        return Err(Problem::new(Code::MisdirectedRequest));
    }
    origin::check(request.method(), request.headers())
}

/// Whose failures to count.
///
/// Behind a proxy that the operator trusts it is the last address in `X-Forwarded-For`, the one that the
/// proxy itself added. A proxy on this machine that is not declared makes all clients look like one; then
/// nobody's address is known, because a forged header must not decide and one client must not lock all others
/// out.
fn client_address(trusted: bool, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    if trusted && let Some(forwarded) = forwarded {
        let last = forwarded.to_str().ok()?.rsplit(',').next()?;
        return last.trim().parse().ok();
    }
    let proxied = forwarded.is_some() || headers.contains_key("forwarded");
    peer.filter(|peer| !(proxied && peer.to_canonical().is_loopback()))
}

/// The one `Host` of the request, in lower case.
fn host(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(HOST).iter();
    let host = values.next()?.to_str().ok()?.to_ascii_lowercase();
    values.next().is_none().then_some(host)
}

/// Runs the handler as a task of its own: a change that has begun ends even if the client goes away, and a
/// panic ends as a refusal with an id instead of a cut connection.
async fn run(next: Next, request: Request) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::InternalError)
            .caused_by(&HandlerPanicked)
            .into_response(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct HandlerPanicked;

/// Writes the body of a refusal and the headers that every answer has.
fn dress(mut response: Response, id: &str) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = write_problem(&problem, response, id);
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(CACHE_CONTROL, "no-store");
    set(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    set(REFERRER_POLICY, "no-referrer");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    response
}

fn write_problem(problem: &Problem, response: Response, id: &str) -> Response {
    if let Some(cause) = &problem.cause {
        let code = problem.code.as_str();
        if problem.code.status() == 500 {
            tracing::error!(request.id = %id, error = %cause, "request {id} failed: {cause}");
        } else {
            tracing::warn!(request.id = %id, error = %cause, "request {id} was refused with {code}: {cause}");
        }
    }
    let body = serde_json::to_vec(&problem.body(id)).expect("a problem is plain data");
    let (mut parts, _) = response.into_parts();
    let content_type = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(CONTENT_TYPE, content_type);
    if let Some(seconds) = problem.retry_after_s {
        parts
            .headers
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        // T90
        let client = |trusted, peer: &str, forwarded: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", HeaderValue::from_static(value));
            }
            let peer = Some(peer.parse().expect("an address"));
            client_address(trusted, peer, &headers).map(|address| address.to_string())
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(client(false, "192.0.2.1", &[]), text("192.0.2.1"));
        assert_eq!(
            client(false, "192.0.2.1", &["198.51.100.1"]),
            text("192.0.2.1")
        );
        assert_eq!(client(false, "127.0.0.1", &[]), text("127.0.0.1"));
        assert_eq!(client(false, "127.0.0.1", &["198.51.100.1"]), None);
        let spoofed = ["203.0.113.5", "1.1.1.1, 198.51.100.1"];
        assert_eq!(client(true, "127.0.0.1", &spoofed), text("198.51.100.1"));
        assert_eq!(client(true, "10.0.0.1", &["nonsense"]), None);
        assert_eq!(client(true, "10.0.0.1", &[]), text("10.0.0.1"));
    }
}
