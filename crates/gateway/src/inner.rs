//! Calls that this instance makes itself: the steps of generation runs, for the API key that made the run.
//!
//! They go the way of every other call, step by step: nothing is served, paid or kept otherwise. Only who calls is
//! known by the keyed hash that the run has, and what serves is pinned.

use bytes::{Bytes, BytesMut};
use domain::RequestId;
use domain::run::{OutputType, Pinned};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::endpoint::{CALLS, Call, PICTURE};
use crate::error::Failure;
use crate::snapshot::{Away, View};
use crate::{Body, Plane, admit, attempts, plan, pump};

mod told;

use told::{failed, rejected};

/// What a run wants of a model.
pub struct InnerCall<'a> {
    /// The id of the call.
    pub request: RequestId,
    /// The keyed hash of the API key that it is made for.
    pub api_key: &'a [u8; 32],
    /// What is to be made: it says in which format is asked.
    pub output: OutputType,
    /// What serves it; for pictures always by credits.
    pub pinned: &'a Pinned,
    /// The request, in OpenAI's format, with the model as `provider/model`.
    pub body: Bytes,
    /// The longest answer that is taken.
    pub max_answer_bytes: usize,
}

/// Why a run got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerFailure {
    /// The code, as any other caller gets it.
    pub code: &'static str,
    /// What happened; shows nothing of the request, of the answer or of a key, and no label: the run may be read by
    /// people who do not see what a key is called.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// What another try may change.
    pub remedy: Remedy,
}

/// What another try may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Time: the same may be served a moment later.
    Time,
    /// Another provider: this one cannot be used as things are.
    Provider,
    /// Nothing: it is the request, or its caller.
    Nothing,
}

/// Makes the call and waits for the whole answer. Dropped, it is given up as when a client goes away.
pub(crate) async fn call(plane: &Plane, inner: InnerCall<'_>) -> Result<Bytes, InnerFailure> {
    let started_at = Instant::now();
    let call = match inner.output {
        OutputType::Image => &PICTURE,
        OutputType::Script => script().ok_or_else(|| failed(&Failure::Internal))?,
    };
    let served = serve(plane, call, &inner, started_at).await;
    let response = served.map_err(|failure| failed(&failure))?;
    let status = response.status();
    if !status.is_success() {
        return Err(rejected(status));
    }
    let whole = whole(response.into_body(), inner.max_answer_bytes).await;
    whole.ok_or_else(|| failed(&Failure::UpstreamBroken))
}

/// The answer to its end; `None`: it broke off, or is longer than is taken.
async fn whole(mut body: Body, max_bytes: usize) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > max_bytes {
            return None;
        }
        whole.extend_from_slice(&data);
    }
    Some(whole.freeze())
}

async fn serve(
    plane: &Plane,
    call: &'static Call,
    inner: &InnerCall<'_>,
    started_at: Instant,
) -> Result<http::Response<Body>, Failure> {
    let view = identified(plane, inner.api_key).await?;
    let books = plane
        .books
        .open(
            &view.caller,
            call,
            inner.request,
            started_at,
            &plane.sources,
        )?
        .counted(&plane.calls)?;
    let mut request = Request::new(crate::full(inner.body.clone()));
    *request.method_mut() = Method::POST;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    let mut said = HeaderMap::new();
    let admitted = admit::admit(plane, view, call, None, books, request);
    let admitted = Box::pin(admitted).await?;
    let planned = plan::pinned(plane, admitted, inner.pinned, &mut said)?;
    let answered = Box::pin(attempts::serve(plane, planned, &mut said)).await?;
    Ok(pump::pump(plane, answered))
}

async fn identified(plane: &Plane, api_key: &[u8; 32]) -> Result<View, Failure> {
    let caller = plane.snapshot.find(api_key, plane.sources.now()).await;
    let caller = caller.map_err(|Away| Failure::StoreUnavailable)?;
    let caller = caller.ok_or(Failure::CredentialsInvalid)?;
    let instance = plane.snapshot.instance().await;
    let instance = instance.map_err(|Away| Failure::StoreUnavailable)?;
    Ok(View { caller, instance })
}

fn script() -> Option<&'static Call> {
    CALLS
        .iter()
        .find(|call| call.operation == "chat_completions")
}
