//! The queue of calls that are settled and not yet written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{NanoUsd, RequestId, Sources};
use llm::format::Metered;
use store::UsageRow;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::writer::BATCH;
use super::{CLIENT_CLOSED, Open, Settled, Settlement};
use crate::endpoint::Call;
use crate::error::Failure;
use crate::snapshot::Loaded;
use crate::spool::{Number, Spool};

/// The front end of the queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Books {
    queue: mpsc::Sender<Message>,
    urgent: Arc<Notify>,
    /// How many settled calls the writer has not taken yet.
    settled: Arc<AtomicUsize>,
    spool: Arc<Spool>,
}

/// The other end, for the task that writes.
pub(crate) struct Queue {
    messages: mpsc::Receiver<Message>,
    /// Somebody waits for what is in it, or it is nearly full.
    pub(super) urgent: Arc<Notify>,
    settled: Arc<AtomicUsize>,
}

pub(crate) enum Message {
    Settled(Settling),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// A call that ended.
pub(crate) struct Settling {
    pub(super) settled: Box<Settled>,
    /// Where its row stands in the spool.
    pub(super) place: Option<Number>,
    /// Told when the row is written.
    pub(super) told: Option<oneshot::Sender<()>>,
}

impl Queue {
    pub(super) async fn recv_many(&mut self, into: &mut Vec<Message>, limit: usize) -> usize {
        let before = into.len();
        let count = self.messages.recv_many(into, limit).await;
        into[before..]
            .iter()
            .for_each(|message| self.taken(message));
        count
    }

    pub(super) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        let message = self.messages.try_recv()?;
        self.taken(&message);
        Ok(message)
    }

    fn taken(&self, message: &Message) {
        if let Message::Settled(_) = message {
            self.settled.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Books {
    /// A queue for `capacity` calls.
    pub(crate) fn new(capacity: usize, spool: Spool) -> (Self, Queue) {
        let (queue, messages) = mpsc::channel(capacity.max(1));
        let (urgent, settled) = (Arc::default(), Arc::default());
        let end = Queue {
            messages,
            urgent: Arc::clone(&urgent),
            settled: Arc::clone(&settled),
        };
        let books = Self {
            queue,
            urgent,
            settled,
            spool: Arc::new(spool),
        };
        (books, end)
    }

    /// Where rows are kept until the store has them.
    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Keeps what a call leaves behind.
    pub(super) fn keep(
        &self,
        place: mpsc::OwnedPermit<Message>,
        settled: Box<Settled>,
        told: Option<oneshot::Sender<()>>,
    ) {
        let is_urgent = told.is_some();
        let settling = Settling {
            place: self.spool.append(&settled.row),
            settled,
            told,
        };
        // Before it can be taken.
        let waiting = self.settled.fetch_add(1, Ordering::Relaxed) + 1;
        place.send(Message::Settled(settling));
        // Where as many wait as places are free, the next calls find none before the writer looks by itself. Places that
        // running calls hold say nothing: it has its time to gather rows all the same, until there are enough of them.
        if is_urgent || waiting == BATCH || waiting >= self.queue.capacity() {
            self.urgent.notify_one();
        }
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
        let place = self.queue.clone().try_reserve_owned().ok();
        let place = place.filter(|_| self.spool.is_ready());
        let place = place.ok_or(Failure::UsageUnavailable)?;
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
            key_scope: None,
            made: Vec::new(),
        };
        Ok(Settlement(Some(Box::new(Open {
            place,
            running: None,
            books: self.clone(),
            settled: Box::new(Settled {
                row,
                used: None,
                failed: Vec::new(),
            }),
            bill: None,
            started_at,
            sent_bytes: None,
            received: None,
            under_way: [None, None],
            at_work: false,
            read: Metered::default(),
            ceiling: None,
            lap: None,
            waited: Duration::ZERO,
            sources: sources.clone(),
        }))))
    }

    /// How many places there are for running calls and rows that are not written.
    pub(crate) fn capacity(&self) -> usize {
        self.queue.max_capacity()
    }

    /// How many of them are taken.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Returns when all calls that are settled by now are written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            self.urgent.notify_one();
            // An error means that the writer is gone; then nothing more will be written.
            let _ = written.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::tests::usage_row;

    /// Whether the writer was asked to look since it was last asked this.
    fn is_urgent(queue: &Queue) -> bool {
        let urgent = pin!(queue.urgent.notified());
        let mut nobody = Context::from_waker(Waker::noop());
        urgent.poll(&mut nobody).is_ready()
    }

    #[test]
    fn the_writer_is_woken_for_a_whole_batch_and_for_no_row_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("a spool");
        let (books, mut queue) = Books::new(10 * BATCH, spool);
        for round in 0_u8..2 {
            for number in 1..=BATCH {
                let place = books.queue.clone().try_reserve_owned().expect("a place");
                let settled = Box::new(Settled {
                    row: usage_row(RequestId::from_bytes([round; 16])),
                    used: None,
                    failed: Vec::new(),
                });
                books.keep(place, settled, None);
                assert_eq!(is_urgent(&queue), number == BATCH, "{number}");
            }
            while queue.try_recv().is_ok() {}
        }
    }
}
