//! What happens in a workspace, as a stream of events.

use std::pin::Pin;
use std::task::{self, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use store::UsageRow;
use tokio::sync::mpsc::{Receiver, channel};

use crate::access::{Access, ReadWorkspace};
use crate::api::usage;
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::openapi::Listens;
use crate::ops::labels::LabelSight;
use crate::ops::live::{Heard, Listener, WAITING_PIECES};
use crate::routes::{Routes, routes};
use crate::state::ControlState;

const LAST_EVENT_ID: &str = "last-event-id";

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(stream_events))
}

/// Listen to what happens in a workspace, as server-sent events.
///
/// - `usage`: a call was recorded; the data is an entry of `list_usage`. Of the calls that the listener has in that list.
/// - `change`: something changed; the data is `{"topics": [...]}`, of `provider_keys`, `api_keys`, `policy`, `members`, `runs`,
///   `workspace` (these of this workspace), `account`, `instance`, and `usage` where there were more calls than are told of. It does not
///   say what changed to what: read again what is shown.
/// - `end`: the stream is over for good; the data is `{"reason": "logged_out"}` or `{"reason": "no_access"}`.
///
/// Something is heard within about two seconds, whichever process of the instance did it, and a comment at least every 15 seconds. A
/// call that is recorded more than 15 seconds after it ended is in the list and not told of. Each `usage` and `change` has an id; who
/// comes back with it in `last-event-id` hears what happened in between, a call perhaps twice. A stream ends after an hour, with the
/// server and with a listener that does not read; a page's `EventSource` comes back by itself. A person has at most 12 streams in a
/// process, all together 512.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/events", tag = "workspaces",
    extensions(("x-action" = json!("read_workspace"))),
    params(("last-event-id" = Option<String>, Header, description = "The id of the last event that was heard.")),
    responses((status = 200, description = "Events, until one side ends.", content_type = "text/event-stream", body = String),
        Listens))]
async fn stream_events(
    access: Access<ReadWorkspace>,
    headers: HeaderMap,
    State(state): State<ControlState>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    let before = headers.get(LAST_EVENT_ID);
    // Another one's id, or none: from now on.
    let before: Option<Heard> = before
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let view = |row: UsageRow, sight: LabelSight| {
        serde_json::to_value(usage::view(row, sight)).unwrap_or(serde_json::Value::Null)
    };
    let listener = Listener::new(state, &access.scope, headers, before, view).await?;
    let (sender, pieces) = channel(WAITING_PIECES);
    tokio::spawn(listener.run(sender));
    let mut response = Body::new(Events(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx holds answers back otherwise.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// A body of pieces as they come.
struct Events(Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
