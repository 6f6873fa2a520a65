//! How a run comes along, live: the run as `get_run` shows it, each time that it has changed.
//!
//! The database says what changed, whichever process works on the run. A stream ends with the run, or after five
//! minutes: a browser's `EventSource` comes again by itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::access::Action;
use domain::{RunId, WorkspaceId};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::view;
use crate::access::{Access, ReadRuns, RunInPath};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::Listens;
use crate::ops::labels::LabelSight;
use crate::ops::live::{Stream, authorized_anew};
use crate::state::ControlState;

/// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often something is sent, so that proxies keep the connection.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// How long a stream is, at most.
const LENGTH: Duration = Duration::from_secs(300);

/// Follow a generation run, live, as server-sent events.
///
/// Each event is named `run`, has the run's `version` as its id and the run as `get_run` shows it as its data. The first
/// comes at once. The stream ends after the event that shows the run ended, and after five minutes in any case. It
/// counts among the streams that a person may have, as those of the workspace's events do.
///
/// `Last-Event-ID` is the `version` that the client has: the first event then comes with the next change. A client that
/// has the end already is answered `204`, which tells an `EventSource` not to come again.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/events", tag = "runs",
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, description = "The events.", content((String = "text/event-stream"))),
        (status = 204, description = "The run has ended, and the client knows."), Listens))]
pub(super) async fn stream_run_events(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    RunInPath(id): RunInPath,
    headers: HeaderMap,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    // Before anything is sent, so that a run that is not there is a refusal like any other.
    let row = state.store.within(&access.scope).run(id).await?;
    let known = headers.get("last-event-id");
    let known = known.and_then(|it| it.to_str().ok()?.parse::<i64>().ok());
    if row.status.is_final() && known == Some(row.version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = state.streams.begin(access.scope.user())?;
    let (sender, events) = mpsc::channel(4);
    let workspace = access.scope.workspace();
    tokio::spawn(follow(state, headers, (workspace, id), known, sender));
    let mut response = Response::new(Body::new(Events {
        events,
        _place: place,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would collect them.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Sends the run each time that it is another version than the one that is `known`, until it has ended, nobody listens or the listener may no more.
async fn follow(
    state: ControlState,
    sent: HeaderMap,
    (workspace, id): (WorkspaceId, RunId),
    known: Option<i64>,
    sender: mpsc::Sender<Bytes>,
) {
    let mut closing = state.stopping.subscribe();
    let begun = Instant::now();
    let mut said = Instant::now();
    let mut version = known.unwrap_or(0);
    if sender
        .send(Bytes::from_static(b"retry: 2000\n\n"))
        .await
        .is_err()
    {
        return;
    }
    while begun.elapsed() < LENGTH && !*closing.borrow() {
        let seen = async {
            let scope = authorized_anew(&state, &sent, workspace, Action::ReadRuns).await?;
            let row = state.store.within(&scope).run(id).await?;
            let sight = match row.version == version {
                true => LabelSight::NONE,
                false => LabelSight::of(&state, &scope).await?,
            };
            Ok::<_, Problem>((row, sight))
        };
        match seen.await {
            Ok((row, sight)) if row.version != version => {
                version = row.version;
                let ended = row.status.is_final();
                let data = serde_json::to_string(&view(row, None, sight)).unwrap_or_default();
                let event = format!("event: run\nid: {version}\ndata: {data}\n\n");
                said = Instant::now();
                if sender.send(event.into()).await.is_err() || ended {
                    return;
                }
            }
            Ok(_) => {}
            Err(problem) if problem.code() == Code::Unavailable => {}
            // It was deleted, is not shared any more, or the log-in, the API key or the membership has ended.
            Err(_) => return,
        }
        if said.elapsed() >= COMMENT_EVERY {
            said = Instant::now();
            if sender.send(Bytes::from_static(b": \n\n")).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = sender.closed() => return,
            _ = closing.changed() => {}
        }
    }
}

/// The stream.
struct Events {
    events: mpsc::Receiver<Bytes>,
    _place: Stream,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let event = self.events.poll_recv(context);
        event.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
