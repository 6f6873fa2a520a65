//! The request goes out, and what comes back is judged by its head.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::key::FailureKind;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use vault::OpenError;

use crate::Plane;
use crate::admit::{Held, essence};
use crate::endpoint::Call;
use crate::error::{Attempt, Failure};
use crate::headers::{self, Served};
use crate::needles::Needles;
use crate::plan::Planned;
use crate::scrub::Scrubber;
use crate::settle::Settlement;
use crate::upstream::{self, Outgoing, SendError};

/// A call that the provider answered with something for the client.
pub(crate) struct Answered {
    pub(crate) settlement: Settlement,
    pub(crate) call: &'static Call,
    pub(crate) served: Served,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// The body of an answer.
pub(crate) enum Content {
    /// It comes as it is made.
    Flowing {
        kind: Kind,
        body: Incoming,
        needles: Arc<Needles>,
    },
    /// A provider's error, read and scrubbed.
    Refusal(Bytes),
}

/// What a provider's answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    EventStream,
}

/// Sends a planned call. A failure is settled; the facts for its headers are in `served`.
pub(crate) async fn send(plane: &Plane, planned: Planned) -> Result<Answered, Failure> {
    let Planned {
        caller,
        mut settlement,
        call,
        served,
        key,
        url,
        headers,
        hops,
        auth,
        body: Held { bytes, share },
    } = planned;
    let exchange = async {
        let (record, data_key) = caller.key(key).ok_or(Failure::KeyUnreadable)?;
        let opened = plane
            .opener
            .open(&record.envelope, &record.context, data_key);
        let secret = opened.await.map_err(|error| unreadable(&error, key))?;
        let needles = upstream::needles(&secret);
        let outgoing = Outgoing {
            pool: (key, record.context.version),
            method: Method::POST,
            url,
            headers,
            body: bytes,
            hops,
            deadline: settlement.started_at() + plane.config.timeouts.first_byte(),
        };
        settlement.sent(record.context.version);
        let response = plane.upstream.send(outgoing, &auth, secret).await;
        let response = response.map_err(not_sent)?;
        settlement.answered(response.status());
        judge(call, &served, response, &needles, &mut settlement).await
    };
    let outcome = Box::pin(exchange).await;
    // The request was sent; its memory need not wait for the end of the answer.
    drop(share);
    match outcome {
        Ok((status, headers, content)) => Ok(Answered {
            settlement,
            call,
            served,
            status,
            headers,
            content,
        }),
        Err(failure) => Err(settlement.refuse(failure)),
    }
}

/// What the client gets of an answer with this head.
async fn judge(
    call: &Call,
    served: &Served,
    response: Response<Incoming>,
    needles: &Arc<Needles>,
    settlement: &mut Settlement,
) -> Result<(StatusCode, HeaderMap, Content), Failure> {
    let (head, body) = response.into_parts();
    let status = head.status;
    if status.is_redirection() {
        return Err(Failure::UpstreamRedirect);
    }
    let kind = kind(&head.headers);
    let passed = headers::to_client(&head.headers, needles);
    if status.is_success() {
        let kind = kind.ok_or(Failure::UpstreamInvalidResponse)?;
        let content = Content::Flowing {
            kind,
            body,
            needles: Arc::clone(needles),
        };
        return Ok((status, passed, content));
    }
    let text = match kind {
        Some(Kind::Json) => read_error(body).await,
        _ => None,
    };
    let format = call.format.format();
    let said = format.upstream_error_kind(status.as_u16(), text.as_deref().unwrap_or_default());
    if let Some(kind) = said.filter(|kind| blames_key(*kind)) {
        settlement.key_failed(kind);
    }
    let denied = matches!(
        said,
        Some(FailureKind::InvalidKey | FailureKind::NoPermission)
    ) || matches!(status.as_u16(), 401..=403);
    if denied {
        let attempt = Attempt {
            provider: served.provider.clone(),
            label: served.label.clone(),
            status: status.as_u16(),
            kind: said.unwrap_or(FailureKind::NoPermission).as_str(),
        };
        return Err(Failure::CredentialsExhausted {
            attempts: vec![attempt],
        });
    }
    match status.as_u16() {
        503 | 529 => Err(Failure::UpstreamUnavailable {
            status: status.as_u16(),
        }),
        408 | 504 => Err(Failure::UpstreamTimedOut),
        405..=499 | 400 | 404 if status != StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            let text = text.ok_or(Failure::UpstreamRejected { status })?;
            let text = Scrubber::whole(needles, &text).unwrap_or(text);
            Ok((status, passed, Content::Refusal(text)))
        }
        _ => Err(Failure::UpstreamBadGateway {
            status: status.as_u16(),
        }),
    }
}

/// Whether a failure belongs on the key's health page: it is about the key, not about the provider.
fn blames_key(kind: FailureKind) -> bool {
    match kind {
        FailureKind::InvalidKey
        | FailureKind::NoPermission
        | FailureKind::NoQuota
        | FailureKind::RateLimited => true,
        FailureKind::ProviderError | FailureKind::Unreachable => false,
    }
}

/// JSON or an event stream, not compressed; `None` for anything else.
pub(crate) fn kind(headers: &HeaderMap) -> Option<Kind> {
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return None;
    }
    match essence(headers.get(header::CONTENT_TYPE)?.as_bytes()).as_slice() {
        b"application/json" => Some(Kind::Json),
        b"text/event-stream" => Some(Kind::EventStream),
        other if other.starts_with(b"application/") && other.ends_with(b"+json") => {
            Some(Kind::Json)
        }
        _ => None,
    }
}

/// Longest body of an error that is read.
const MAX_ERROR_BYTES: usize = 256 * 1024;
/// How long it may take.
const ERROR_WITHIN: Duration = Duration::from_secs(10);

/// An error's body; `None` if it is too long, too slow or broken.
async fn read_error(body: Incoming) -> Option<Bytes> {
    read_at_most(body, MAX_ERROR_BYTES, Instant::now() + ERROR_WITHIN)
        .await
        .filter(|(_, whole)| *whole)
        .map(|(bytes, _)| bytes)
}

/// Up to `limit` bytes of a body, and whether that is all of it; `None` if it is too slow or broken.
pub(crate) async fn read_at_most(
    mut body: Incoming,
    limit: usize,
    deadline: Instant,
) -> Option<(Bytes, bool)> {
    let mut bytes = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.ok()?.data_ref() {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return Some(false);
                }
            }
        }
        Some(true)
    };
    let whole = tokio::time::timeout_at(deadline, reading).await.ok()??;
    Some((bytes.freeze(), whole))
}

fn not_sent(error: SendError) -> Failure {
    match error {
        SendError::Refused => Failure::UpstreamAddressRefused,
        SendError::Unusable => Failure::KeyUnreadable,
        SendError::Unreachable => Failure::UpstreamUnreachable,
        SendError::TimedOut => Failure::UpstreamTimedOut,
    }
}

fn unreadable(error: &OpenError, key: domain::ProviderKeyId) -> Failure {
    match error {
        OpenError::Integrity => {
            tracing::error!(provider_key.id = %key, "provider key {key} does not open; run `keybearer doctor`");
            Failure::KeyUnreadable
        }
        OpenError::Kms(_) => {
            tracing::error!(provider_key.id = %key, "the key service did not open the data key of provider key {key}");
            Failure::KmsUnavailable
        }
    }
}
