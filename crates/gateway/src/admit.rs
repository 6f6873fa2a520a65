//! What the caller may do at all, and the request as it was sent.
//!
//! From here on the call has a slot in the queue of usage rows: however it ends, it is metered once.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use domain::access::{Action, ApiScope};
use http::{HeaderMap, HeaderValue, Method, header};
use llm::form::{self, Boundary};
use llm::head::Head;

use crate::endpoint::{Call, Takes};
use crate::error::Failure;
use crate::kept::Maker;
use crate::room::Room;
use crate::settle::Settlement;
use crate::snapshot::{Loaded, View};
use crate::upload::Upload;
use crate::{BoxError, Plane};

mod body;

use body::{boxed, read_beginning, read_json};
pub(crate) use body::{broken, is_at_end};

/// A call that may go on: its view, its place in the books, its request. In a box from the start: it goes through several
/// hands.
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
    /// The key that made what the call names, if that is known: no other serves.
    pub(crate) maker: Option<Maker>,
    /// Whether it names, or may name, what nobody knows the maker of: then only the workspace's own keys serve.
    pub(crate) names_unknown: bool,
    /// Whether the path names what the workspace made.
    pub(crate) path_is_made: bool,
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
    /// Given back when it is dropped; `None`: it holds nothing, or the rest has it.
    pub(crate) room: Option<Room>,
}

/// Admits a call and reads its request. `model`: as the path names it, if it does. A refusal is settled.
pub(crate) async fn admit<B>(
    plane: &Plane,
    view: View,
    call: &'static Call,
    model: Option<String>,
    mut settlement: Settlement,
    request: http::Request<B>,
) -> Result<Box<Admitted>, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let read = async {
        may_invoke(&view.caller)?;
        let kind = BodyKind::of(&parts.headers, call.takes)?;
        let media_type = kind.media_type()?;
        let within = Duration::from_millis(plane.config.timeouts.request_body_ms);
        let call_ends = settlement.started_at() + plane.config.timeouts.total();
        let reading = async {
            match kind {
                BodyKind::Json => read_json(plane, body, model.as_deref(), call).await,
                BodyKind::Form(boundary) => {
                    let reader = form::Reader::new(&boundary);
                    read_beginning(plane, boxed(body), Some(reader), call_ends).await
                }
                BodyKind::Any(_) => read_beginning(plane, boxed(body), None, call_ends).await,
            }
        };
        // Where it stands, so that the alarm does not move it.
        let read = tokio::time::timeout(within, pin!(reading)).await;
        let (arrived, listed) = read.unwrap_or(Err(Failure::BodyTooSlow))?;
        let held = Held {
            bytes: listed.body,
            media_type,
            upload: arrived.upload,
            room: arrived.room,
        };
        Ok((held, listed.head, listed.others))
    };
    match Box::pin(read).await {
        Ok((body, head, others)) => {
            settlement.requested(body.bytes.len(), head.stream);
            if let Some(upload) = &body.upload {
                settlement.flows(upload.received());
            }
            Ok(Box::new(Admitted {
                view,
                settlement,
                call,
                method: parts.method,
                query: parts.uri.query().map(str::to_owned),
                headers: parts.headers,
                head,
                others,
                maker: None,
                names_unknown: false,
                path_is_made: false,
                body,
            }))
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
        match &*essence(kind.as_bytes()) {
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

/// A media type without its parameters, in lower case.
pub(crate) fn essence(value: &[u8]) -> Cow<'_, [u8]> {
    let end = value.iter().position(|byte| *byte == b';');
    let named = value[..end.unwrap_or(value.len())].trim_ascii();
    match named.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(named.to_ascii_lowercase()),
        // As nearly everybody writes it.
        false => Cow::Borrowed(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
