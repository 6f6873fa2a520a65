//! Realtime sessions: a request that becomes a WebSocket, and its provider's answer that does.
//!
//! Up to the provider's answer a session is a call like any other: the same caller, plan and attempts, and an error in
//! plain HTTP. From there on bytes are passed both ways as they come (`session`), only the provider's frames are
//! read: by the guard that lets no echo of the key pass, and by the tap that adds up the reports of usage.

use bytes::Bytes;
use domain::RequestId;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use llm::format::FormatId;
use llm::head::Head;
use tokio::time::Instant;

use crate::admit::{self, Admitted, Held};
use crate::endpoint::{self, Call, Priced};
use crate::error::Failure;
use crate::settle::Settlement;
use crate::snapshot::View;
use crate::{Body, BoxError, Plane, attempts, plan, proxy, pump};

mod guard;
mod handshake;
mod session;

use handshake::Handshake;
pub(crate) use handshake::{accepted, key_in_protocols};
pub(crate) use session::{Switched, begin};

/// The endpoint. Text and sound have prices of their own, so credits do not pay.
pub(crate) static REALTIME: Call = Call {
    path: "/v1/realtime",
    format: FormatId::OpenaiRealtime,
    beside: None,
    operation: "realtime",
    priced: Priced::Otherwise,
    takes: &[],
    also: &[],
};

/// One session, up to its beginning. The steps are those of a call.
pub(crate) async fn open<B>(
    plane: &Plane,
    id: RequestId,
    request: Request<B>,
    said: &mut HeaderMap,
) -> Result<Response<Body>, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let started_at = Instant::now();
    let key = key_in_protocols(request.headers());
    let view = proxy::identified(plane, request.headers(), key, id).await?;
    let books = plane
        .books
        .open(&view.caller, &REALTIME, id, started_at, &plane.sources)?
        .counted(&plane.calls)?;
    let (admitted, handshake) = admit(view, books, request)?;
    let mut planned = plan::plan(plane, admitted, said)?;
    handshake.ask(&mut planned.parcel.headers);
    let answered = attempts::serve(plane, planned, said).await?;
    let mut response = pump::pump(plane, answered);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        handshake.answer(response.headers_mut());
    }
    Ok(response)
}

/// Admits a session. A refusal is settled.
fn admit<B: http_body::Body>(
    view: View,
    mut settlement: Settlement,
    request: Request<B>,
) -> Result<(Box<Admitted>, Handshake), Failure> {
    let (parts, body) = request.into_parts();
    let read = || {
        admit::may_invoke(&view.caller)?;
        let handshake = Handshake::of(&parts.headers)?;
        if !body.is_end_stream() {
            return Err(Failure::InvalidHeader(header::CONTENT_LENGTH));
        }
        let model = model(parts.uri.query()).ok_or(llm::head::HeadError::QueryModel);
        let head = model.and_then(|model| Head::of_query(&model));
        Ok((handshake, head.map_err(Failure::InvalidRequest)?))
    };
    match read() {
        Ok((handshake, head)) => {
            settlement.requested(0, true);
            let admitted = Admitted {
                view,
                settlement,
                call: &REALTIME,
                method: parts.method,
                query: None,
                headers: parts.headers,
                head,
                others: Vec::new(),
                maker: None,
                names_unknown: false,
                path_is_made: false,
                body: Held {
                    bytes: Bytes::new(),
                    media_type: None,
                    upload: None,
                    room: None,
                },
            };
            Ok((Box::new(admitted), handshake))
        }
        Err(failure) => Err(settlement.refuse(failure)),
    }
}

/// The one model that the query names, decoded.
fn model(query: Option<&str>) -> Option<String> {
    let pairs = query.unwrap_or_default().split('&');
    let mut named = pairs.filter_map(|pair| pair.strip_prefix("model="));
    match (named.next(), named.next()) {
        // In a query a plus sign is a blank.
        (Some(model), None) => endpoint::decode(&model.replace('+', " ")),
        _ => None,
    }
}

/// The part of the query that names the model to the provider.
pub(crate) fn query(call: &Call, model: &str) -> Option<String> {
    let named = || format!("model={}", llm::provider::percent_encoded(model));
    (call == &REALTIME).then(named)
}

/// The value of a header of which the text is ours.
const fn fixed(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}
