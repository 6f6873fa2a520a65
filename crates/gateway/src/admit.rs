//! What the caller may do at all, and the request as it was sent.
//!
//! From here on the call has a slot in the queue of usage rows: however it ends, it is metered once.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::access::{Action, ApiScope};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use llm::form::{self, Boundary};
use llm::head::{self, Head, Listed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::edge::InboundError;
use crate::endpoint::{Call, Takes};
use crate::error::Failure;
use crate::settle::Settlement;
use crate::snapshot::{Loaded, View};
use crate::upload::{HELD_BYTES, Source, Upload, WINDOW_BYTES};
use crate::{Body, BoxError, Plane};

/// A call that may go on: its view, its place in the books, its request.
pub(crate) struct Admitted {
    pub(crate) view: View,
    pub(crate) settlement: Settlement,
    pub(crate) call: &'static Call,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    pub(crate) head: Head,
    /// The models to turn to after the head's.
    pub(crate) others: Vec<String>,
    pub(crate) body: Held,
}

/// A request body, with its share of the memory for bodies.
pub(crate) struct Held {
    /// All of it, or its beginning if the rest flows.
    pub(crate) bytes: Bytes,
    /// Its media type, for the provider; `None`: it has none.
    pub(crate) media_type: Option<HeaderValue>,
    /// The rest; `None`: there is none.
    pub(crate) upload: Option<Upload>,
    /// Given back when it is dropped.
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// Admits a call and reads its request. `model`: as the path names it, if it does. A refusal is settled.
pub(crate) async fn admit<B>(
    plane: &Plane,
    view: View,
    call: &'static Call,
    model: Option<String>,
    mut settlement: Settlement,
    request: http::Request<B>,
) -> Result<Admitted, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let read = async {
        may_invoke(&view.caller)?;
        let kind = BodyKind::of(&parts.headers, call.takes)?;
        let media_type = kind.media_type()?;
        let within = Duration::from_millis(plane.config.timeouts.request_body_ms);
        let reading = async {
            match kind {
                BodyKind::Json => read_json(plane, body, model.as_deref(), call).await,
                BodyKind::Form(boundary) => {
                    let reader = form::Reader::new(&boundary);
                    read_beginning(plane, boxed(body), Some(reader)).await
                }
                BodyKind::Any(_) => read_beginning(plane, boxed(body), None).await,
            }
        };
        let read = tokio::time::timeout(within, reading).await;
        let (arrived, listed) = read.unwrap_or(Err(Failure::BodyTooSlow))?;
        let held = Held {
            bytes: listed.body,
            media_type,
            upload: arrived.upload,
            share: arrived.share,
        };
        Ok((held, listed.head, listed.others))
    };
    match Box::pin(read).await {
        Ok((body, head, others)) => {
            settlement.requested(body.bytes.len(), head.stream);
            if let Some(upload) = &body.upload {
                settlement.flows(upload.received());
            }
            Ok(Admitted {
                view,
                settlement,
                call,
                method: parts.method,
                query: parts.uri.query().map(str::to_owned),
                headers: parts.headers,
                head,
                others,
                body,
            })
        }
        Err(failure) => Err(settlement.refuse(failure)),
    }
}

/// Whether the API key may call models.
pub(crate) fn may_invoke(caller: &Loaded) -> Result<(), Failure> {
    let needed = Action::Invoke
        .rule()
        .scope
        .unwrap_or(ApiScope::InferenceInvoke);
    if caller.record.scopes.contains(&needed) {
        Ok(())
    } else {
        Err(Failure::PermissionDenied(needed.as_str()))
    }
}

/// What holds and what carries a body.
struct Arrived {
    upload: Option<Upload>,
    share: Option<OwnedSemaphorePermit>,
}

/// Reads a JSON body, to its end. `model`: as the path names it.
async fn read_json<B>(
    plane: &Plane,
    body: B,
    model: Option<&str>,
    call: &Call,
) -> Result<(Arrived, Listed), Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let limit = plane.config.limits.body_bytes;
    let to_its_end = |_: &[u8], _: usize| Ok(false);
    let Collected { bytes, share, .. } =
        collect(&mut pin!(body), limit, &plane.body_memory, to_its_end).await?;
    let listed = match model {
        None => head::read_listed(bytes),
        Some(model) => {
            head::read_beside(&bytes, model, call.streams()).map(|head| alone(bytes, head))
        }
    };
    let listed = listed.map_err(Failure::InvalidRequest)?;
    let upload = None;
    Ok((Arrived { upload, share }, listed))
}

/// Reads so much of a body that the call can go on, and no more of a long one. `form`: it is a form, and this reads it;
/// then its model must be known.
async fn read_beginning(
    plane: &Plane,
    mut body: Body,
    mut form: Option<form::Reader>,
) -> Result<(Arrived, Listed), Failure> {
    let limit = plane.config.limits.body_bytes;
    let timeouts = &plane.config.timeouts;
    let deadline = Instant::now() + timeouts.upload();
    let length = http_body::Body::size_hint(&body).exact();
    let enough = |piece: &[u8], held: usize| {
        let Some(form) = &mut form else {
            return Ok(held >= HELD_BYTES);
        };
        form.push(piece).map_err(Failure::InvalidRequest)?;
        Ok(held >= HELD_BYTES && form.head().is_some())
    };
    let memory = &plane.body_memory;
    let Collected {
        bytes,
        mut share,
        whole,
    } = collect(&mut body, limit, memory, enough).await?;
    let head = match &form {
        None => Head::of_unread_body(),
        Some(form) if whole => form.finish().map_err(Failure::InvalidRequest)?,
        Some(form) => form.head().ok_or(Failure::Internal)?,
    };
    let upload = if whole {
        None
    } else {
        reserve(memory, &mut share, bytes.len() + WINDOW_BYTES)?;
        let source = Source {
            body,
            check: form,
            held: bytes.len(),
            length,
            limit,
            deadline,
            share: share.take(),
        };
        Some(Upload::new(source, timeouts))
    };
    Ok((Arrived { upload, share }, alone(bytes, head)))
}

fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Body::new(body.map_err(Into::into))
}

/// Whether nothing more comes, as far as that can be seen without waiting.
pub(crate) fn is_at_end<B: http_body::Body>(body: &B) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

/// What a request body is, and how its head is read.
enum BodyKind {
    Json,
    Form(Boundary),
    /// What is not read.
    Any(Option<HeaderValue>),
}

impl BodyKind {
    /// What the headers say that the body is: one of what the endpoint takes, and not compressed, for what was checked is
    /// what is forwarded.
    fn of(headers: &HeaderMap, takes: &'static [Takes]) -> Result<Self, Failure> {
        for encoding in headers.get_all(header::CONTENT_ENCODING) {
            if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
                return Err(Failure::ContentEncoding);
            }
        }
        let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
        let kind = match (kinds.next(), kinds.next()) {
            (kind, None) if takes.contains(&Takes::Any) => return Ok(Self::Any(kind.cloned())),
            (Some(kind), None) => kind,
            _ => return Err(Failure::MediaType(takes)),
        };
        match essence(kind.as_bytes()).as_slice() {
            b"application/json" if takes.contains(&Takes::Json) => Ok(Self::Json),
            b"multipart/form-data" if takes.contains(&Takes::Form) => {
                let boundary = Boundary::of(kind.as_bytes()).map_err(Failure::InvalidRequest)?;
                Ok(Self::Form(boundary))
            }
            _ => Err(Failure::MediaType(takes)),
        }
    }

    /// The media type, in our own words where the body was read.
    fn media_type(&self) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::Json => Ok(Some(HeaderValue::from_static("application/json"))),
            Self::Form(boundary) => {
                let media_type = HeaderValue::from_str(&boundary.media_type());
                media_type.map(Some).map_err(|_| Failure::Internal)
            }
            Self::Any(media_type) => Ok(media_type.clone()),
        }
    }
}

/// A request that names one model at most.
fn alone(body: Bytes, head: Head) -> Listed {
    Listed {
        body,
        head,
        others: Vec::new(),
    }
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(value: &[u8]) -> Vec<u8> {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())]
        .trim_ascii()
        .to_ascii_lowercase()
}

const KIB: usize = 1024;
/// A body of up to this length does not move while it grows.
const AT_ONCE: usize = 128 * KIB;

/// What was read of a body.
struct Collected {
    bytes: Bytes,
    share: Option<OwnedSemaphorePermit>,
    /// Whether that is all of it.
    whole: bool,
}

/// Reads a body to its end, or until there is `enough`, which is told each piece and the length of all.
async fn collect<B>(
    body: &mut B,
    limit: usize,
    memory: &Arc<Semaphore>,
    mut enough: impl FnMut(&[u8], usize) -> Result<bool, Failure> + Send,
) -> Result<Collected, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    let too_large = Failure::BodyTooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    // What is announced need not come: pages that are not written to cost nothing.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut bytes = BytesMut::with_capacity(announced.min(AT_ONCE));
    let mut share: Option<OwnedSemaphorePermit> = None;
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(too_large);
        }
        bytes.extend_from_slice(&data);
        reserve(memory, &mut share, bytes.len())?;
        if enough(&data, bytes.len())? {
            whole = is_at_end(body);
            break;
        }
    }
    Ok(Collected {
        bytes: bytes.freeze(),
        share,
        whole,
    })
}

/// Makes a share of the memory for bodies be one of at least so many bytes.
fn reserve(
    memory: &Arc<Semaphore>,
    share: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
) -> Result<(), Failure> {
    let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let wanted = bytes.div_ceil(KIB).saturating_sub(held);
    if wanted == 0 {
        return Ok(());
    }
    let wanted = u32::try_from(wanted).map_err(|_| Failure::Overloaded)?;
    let more = Arc::clone(memory).try_acquire_many_owned(wanted);
    let more = more.map_err(|_| Failure::Overloaded)?;
    match share {
        Some(share) => share.merge(more),
        None => *share = Some(more),
    }
    Ok(())
}

pub(crate) fn broken(error: impl Into<BoxError>) -> Failure {
    let error: BoxError = error.into();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(InboundError::TooSlow) = error.downcast_ref() {
            return Failure::BodyTooSlow;
        }
        cause = error.source();
    }
    Failure::BodyBroken
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn kind(
        takes: &'static [Takes],
        pairs: &[(&'static str, &'static str)],
    ) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let kind = BodyKind::of(&headers, takes);
        kind.and_then(|kind| kind.media_type())
            .map(|media_type| {
                let media_type = media_type.expect("one");
                media_type.to_str().expect("text").to_owned()
            })
            .map_err(|failure| failure.code())
    }

    const JSON: &[Takes] = &[Takes::Json];
    const FORM: &[Takes] = &[Takes::Form];
    const BOTH: &[Takes] = &[Takes::Form, Takes::Json];

    #[test]
    fn only_what_the_endpoint_takes_is_read() {
        // T119
        let json = Ok("application/json".to_owned());
        let plain = [("content-type", "application/json")];
        assert_eq!(kind(JSON, &plain), json);
        assert_eq!(kind(BOTH, &plain), json);
        assert_eq!(kind(FORM, &plain), Err("unsupported_media_type"));
        assert_eq!(
            kind(JSON, &[("content-type", "Application/JSON; charset=utf-8")]),
            json
        );
        let identity = [
            ("content-type", "application/json"),
            ("content-encoding", "identity"),
        ];
        assert_eq!(kind(JSON, &identity), json);
        for wrong in [
            "text/plain",
            "application/jsonx",
            "multipart/form-data; boundary=b",
            "",
        ] {
            assert_eq!(
                kind(JSON, &[("content-type", wrong)]),
                Err("unsupported_media_type"),
                "{wrong}"
            );
        }
        assert_eq!(kind(BOTH, &[]), Err("unsupported_media_type"));
        assert_eq!(
            kind(BOTH, &[plain[0], plain[0]]),
            Err("unsupported_media_type")
        );
        let gzip = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        assert_eq!(kind(JSON, &gzip), Err("unsupported_content_encoding"));
        let form = [(
            "content-type",
            "Multipart/Form-Data; x=y; boundary=\"b\"; charset=utf-8",
        )];
        let ours = Ok("multipart/form-data; boundary=b".to_owned());
        assert_eq!(kind(FORM, &form), ours);
        assert_eq!(kind(BOTH, &form), ours);
        let bare = [("content-type", "multipart/form-data")];
        assert_eq!(kind(FORM, &bare), Err("invalid_request"));
    }

    async fn collected(
        bytes: usize,
        limit: usize,
        memory_kib: usize,
    ) -> Result<usize, &'static str> {
        let memory = Arc::new(Semaphore::new(memory_kib));
        let mut body = Full::new(Bytes::from(vec![b'x'; bytes]));
        let held = collect(&mut body, limit, &memory, |_, _| Ok(false))
            .await
            .map_err(|failure| failure.code())?;
        assert_eq!(memory.available_permits(), memory_kib - bytes.div_ceil(KIB));
        let length = held.bytes.len();
        drop(held);
        assert_eq!(memory.available_permits(), memory_kib);
        Ok(length)
    }

    #[tokio::test]
    async fn bodies_have_a_limit_each_and_in_all() {
        // T119
        assert_eq!(collected(1000, 1000, 10).await, Ok(1000));
        assert_eq!(collected(1001, 1000, 10).await, Err("request_too_large"));
        assert_eq!(collected(5000, 10_000, 4).await, Err("overloaded"));
    }
}
