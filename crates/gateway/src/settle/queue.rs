//! The queue of calls that are settled and not yet written.

use domain::{NanoUsd, RequestId, Sources};
use store::UsageRow;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{CLIENT_CLOSED, Settled, Settlement};
use crate::endpoint::Call;
use crate::error::Failure;
use crate::snapshot::Loaded;

/// The front end of the queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Books {
    queue: mpsc::Sender<Message>,
}

/// The other end, for the task that writes.
pub(crate) type Queue = mpsc::Receiver<Message>;

pub(crate) enum Message {
    /// The second: told when the row is written.
    Settled(Box<Settled>, Option<oneshot::Sender<()>>),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

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
                used: None,
                failed: Vec::new(),
            },
            bill: None,
            started_at,
            begun_at: None,
            departure: None,
            at_work: false,
            ceiling: None,
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
