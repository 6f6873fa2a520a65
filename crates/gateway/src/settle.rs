//! What the call leaves behind. Exactly one usage row, however the call ends.
//!
//! A place in the queue of rows is reserved before anything is done for the caller; `Drop` only sends. One
//! task writes the queue to the store in batches and goes on trying while the store is away, so a slow
//! database refuses nothing until the queue is full. Rows in the queue are lost if the process is killed; a
//! single row is lost only if the store refuses it while it takes others.

use domain::key::FailureKind;
use domain::{NanoUsd, ProviderKeyId, RequestId, Sources, Usage};
use http::StatusCode;
use store::UsageRow;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::endpoint::Call;
use crate::error::Failure;
use crate::headers::{Aim, Served};
use crate::snapshot::Loaded;

#[cfg(test)]
mod tests;
mod writer;

pub(crate) use writer::write;

/// The front end of the queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Books {
    queue: mpsc::Sender<Message>,
}

/// The other end, for the task that writes.
pub(crate) type Queue = mpsc::Receiver<Message>;

pub(crate) enum Message {
    Settled(Box<Settled>),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// What is written of one call.
#[derive(Clone)]
pub(crate) struct Settled {
    pub(crate) row: UsageRow,
    /// The version of the provider key's value that was sent; `None`: none was.
    pub(crate) key_version: Option<i64>,
    /// What the provider said of the key, if it did not accept it.
    pub(crate) key_failure: Option<FailureKind>,
}

/// A call's place in the queue. Dropping it settles the call as given up by the client.
pub(crate) struct Settlement {
    /// `None` once it is settled.
    place: Option<mpsc::OwnedPermit<Message>>,
    settled: Settled,
    started_at: Instant,
    sources: Sources,
}

/// How a call ended that was answered.
pub(crate) struct End {
    pub(crate) status: u16,
    pub(crate) error_code: Option<&'static str>,
    pub(crate) usage: Option<Usage>,
    pub(crate) response_bytes: u64,
}

/// The status of a row whose client went away; no client sees it.
const CLIENT_CLOSED: u16 = 499;

impl Books {
    /// A queue for `capacity` calls.
    pub(crate) fn new(capacity: usize) -> (Self, Queue) {
        let (queue, end) = mpsc::channel(capacity.max(1));
        (Self { queue }, end)
    }

    /// Opens the books for a call, or refuses it: it must not go on unmetered.
    pub(crate) fn open(
        &self,
        caller: &Loaded,
        call: &Call,
        request: RequestId,
        started_at: Instant,
        sources: &Sources,
    ) -> Result<Settlement, Failure> {
        let place = self.queue.clone().try_reserve_owned();
        let place = place.map_err(|_| Failure::UsageUnavailable)?;
        let caller = &caller.record;
        let row = UsageRow {
            request,
            at: sources.now(),
            account: caller.account,
            workspace: caller.workspace,
            api_key: caller.api_key,
            user: caller.user,
            wire_format: call.format.as_str().to_owned(),
            operation: call.operation.to_owned(),
            model_requested: String::new(),
            provider: None,
            model: None,
            key_source: None,
            key: None,
            key_label: None,
            status: i64::from(CLIENT_CLOSED),
            error_code: None,
            streamed: false,
            usage: None,
            latency_ms: 0,
            first_byte_ms: None,
            request_bytes: 0,
            response_bytes: 0,
            upstream_status: None,
            cost: None,
            pricing: None,
            catalog_version: None,
            charge: NanoUsd::ZERO,
            attempts: Vec::new(),
            fallback: false,
        };
        Ok(Settlement {
            place: Some(place),
            settled: Settled {
                row,
                key_version: None,
                key_failure: None,
            },
            started_at,
            sources: sources.clone(),
        })
    }

    /// How many places are taken: running calls and rows that are not written.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Returns when all calls that are settled by now are written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the writer is gone; then nothing more will be written.
            let _ = written.await;
        }
    }
}

impl Settlement {
    /// When the request's head was there.
    pub(crate) fn started_at(&self) -> Instant {
        self.started_at
    }

    /// The call's id.
    pub(crate) fn request(&self) -> RequestId {
        self.settled.row.request
    }

    /// The request was read.
    pub(crate) fn requested(&mut self, body_bytes: usize, stream: bool) {
        self.settled.row.request_bytes = saturated(body_bytes as u64);
        self.settled.row.streamed = stream;
    }

    /// The call is refused, and the registry knows what it was meant for.
    pub(crate) fn aimed(&mut self, aim: Aim) {
        let row = &mut self.settled.row;
        row.model_requested = aim.requested.unwrap_or_default();
        row.provider = Some(aim.provider);
        row.model = aim.model;
    }

    /// The model is known. Only now: a text that names no model may be anything, a credential too.
    pub(crate) fn planned(&mut self, model: &str, served: &Served, key: ProviderKeyId) {
        let row = &mut self.settled.row;
        row.model_requested = model.to_owned();
        row.provider = Some(served.provider.clone());
        row.model = Some(served.model.clone());
        row.key_source = Some("byok".to_owned());
        row.key = Some(key);
        row.key_label = Some(served.label.clone());
    }

    /// The provider key is about to be sent.
    pub(crate) fn sent(&mut self, key_version: i64) {
        self.settled.key_version = Some(key_version);
    }

    /// The head of the provider's answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.settled.row.upstream_status = Some(i64::from(status.as_u16()));
        self.settled.row.first_byte_ms = Some(millis(self.started_at));
    }

    /// The provider did not accept the key.
    pub(crate) fn key_failed(&mut self, kind: FailureKind) {
        self.settled.key_failure = Some(kind);
    }

    /// Whether the answer is a stream after all.
    pub(crate) fn streamed(&mut self, streamed: bool) {
        self.settled.row.streamed = streamed;
    }

    /// Settles a call that is not served, and hands the failure on.
    pub(crate) fn refuse(mut self, failure: Failure) -> Failure {
        self.close(&End {
            status: failure.status().as_u16(),
            error_code: Some(failure.code()),
            usage: None,
            response_bytes: 0,
        });
        failure
    }

    /// Settles a call that was answered.
    pub(crate) fn finish(mut self, end: &End) {
        self.close(end);
    }

    /// Settles a call whose client went away in the middle of the answer.
    pub(crate) fn abandon(mut self, usage: Option<Usage>, response_bytes: u64) {
        self.close(&given_up(usage, response_bytes));
    }

    fn close(&mut self, end: &End) {
        let Some(place) = self.place.take() else {
            return;
        };
        let row = &mut self.settled.row;
        row.at = self.sources.now();
        row.status = i64::from(end.status);
        row.error_code = end.error_code.map(str::to_owned);
        row.usage = end.usage;
        row.response_bytes = saturated(end.response_bytes);
        row.latency_ms = millis(self.started_at);
        tracing::info!(
            request.id = %row.request,
            status = end.status,
            error.code = end.error_code.unwrap_or("none"),
            workspace.id = %row.workspace,
            provider = row.provider.as_ref().map_or("none", |provider| provider.as_str()),
            latency_ms = row.latency_ms,
            "served {} with status {}", row.request, end.status
        );
        place.send(Message::Settled(Box::new(self.settled.clone())));
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let mut end = given_up(None, 0);
        if std::thread::panicking() {
            end.status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            end.error_code = Some(Failure::Internal.code());
        }
        self.close(&end);
    }
}

fn given_up(usage: Option<Usage>, response_bytes: u64) -> End {
    End {
        status: CLIENT_CLOSED,
        error_code: Some("client_closed"),
        usage,
        response_bytes,
    }
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn saturated(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
