//! How a run comes along, live: the run as `get_run` shows it, each time that it has changed.
//!
//! The database says what changed, whichever process works on the run. A stream ends with the run, or after five
//! minutes: a browser's `EventSource` comes again by itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use domain::access::Action;
use domain::{RunId, WorkspaceId};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::view;
use crate::access::{Access, ReadRuns, RunInPath};
use crate::body::{NoParameters, Query};
use crate::error::{Code, Problem};
use crate::openapi::Listens;
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
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/runs/{run_id}/events", tag = "runs",
    extensions(("x-action" = json!("read_runs"))),
    responses((status = 200, description = "The events.", content((String = "text/event-stream"))), Listens))]
pub(super) async fn stream_run_events(
    access: Access<ReadRuns>,
    State(state): State<ControlState>,
    RunInPath(id): RunInPath,
    headers: HeaderMap,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Response, Problem> {
    // Before anything is sent, so that a run that is not there is a refusal like any other.
    state.store.within(&access.scope).run(id).await?;
    let place = state.streams.begin(access.scope.user())?;
    let (sender, events) = mpsc::channel(4);
    let workspace = access.scope.workspace();
    tokio::spawn(follow(state, headers, workspace, id, sender));
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

/// Sends the run each time that it has changed, until it has ended, nobody listens or the listener may no more.
async fn follow(
    state: ControlState,
    sent: HeaderMap,
    workspace: WorkspaceId,
    id: RunId,
    sender: mpsc::Sender<Bytes>,
) {
    let mut closing = state.stopping.subscribe();
    let begun = Instant::now();
    let mut said = Instant::now();
    let mut version = 0;
    while begun.elapsed() < LENGTH && !*closing.borrow() {
        let seen = async {
            let scope = authorized_anew(&state, &sent, workspace, Action::ReadRuns).await?;
            Ok::<_, Problem>(state.store.within(&scope).run(id).await?)
        };
        match seen.await {
            Ok(row) if row.version != version => {
                version = row.version;
                let ended = row.status.is_final();
                let data = serde_json::to_string(&view(row, None)).unwrap_or_default();
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
