//! The task that writes the queue to the store.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError, UsageRow};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Message;
use super::marks::Marks;
use super::queue::{Queue, Settling};
use crate::spool::{self, Number, Rows, Spool};

/// How many rows one transaction takes, since it locks the accounts that pay for them; and how many are waited for at most:
/// what gathers beyond [`MOST`] before it is written must be read back from the spool, at several times the price.
pub(super) const BATCH: usize = 512;
/// While the store is away, so many rows are kept in memory; the spool has the others.
const MOST: usize = 2048;
/// How long rows that nobody waits for wait for more: a transaction costs more than a row.
const LINGER: Duration = Duration::from_millis(200);
/// How often the queue is looked after while the store writes, or before it is tried again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the writer waits between two tries, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where rows are written: the store, or in tests a script.
pub(super) trait Ledger {
    /// Writes all of them or none; a row that is there already counts as written.
    fn insert(&self, rows: &[UsageRow]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Ledger for Store {
    async fn insert(&self, rows: &[UsageRow]) -> Result<(), StoreError> {
        self.serving().insert_usage(rows).await
    }
}

/// Writes until the queue is closed and empty.
pub(crate) async fn write(store: Store, spool: Arc<Spool>, queue: Queue) {
    let writer = Writer {
        ledger: store,
        spool,
        queue,
        is_open: true,
        next: Batch::default(),
        marks: Marks::default(),
        waiting: Vec::new(),
    };
    writer.run().await;
}

/// Writes what other processes left in the spool, and says how many rows that were.
pub(crate) async fn recover(store: &Store, spool: &Spool) -> Result<u64, StoreError> {
    let mut recovered = 0;
    // It holds their locks until all of them are written.
    let left = spool.left().unwrap_or_default();
    for segment in &left.segments {
        let mut rows = match Rows::open(segment) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "{} holds usage that cannot be read", segment.display());
                continue;
            }
        };
        loop {
            let mut batch: Vec<UsageRow> = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            recovered += batch.len() as u64;
            rows.is_damaged |= write_some(store, &mut batch).await;
            match store.serving().insert_usage(&batch).await {
                Ok(()) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "the database refuses usage that stands in {}", segment.display());
                    rows.is_damaged = true;
                }
            }
        }
        if rows.is_unread {
            // Left for the next start.
            continue;
        }
        spool::done_with(segment, rows.is_damaged);
    }
    Ok(recovered)
}

/// Rows on their way to the store.
#[derive(Default)]
struct Batch {
    rows: Vec<UsageRow>,
    /// The segments in which they stand.
    segments: Vec<Number>,
    /// Told when they are written.
    told: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn append(&mut self, other: &mut Self) {
        self.rows.append(&mut other.rows);
        self.segments.append(&mut other.segments);
        self.told.append(&mut other.told);
    }
}

struct Writer {
    ledger: Store,
    spool: Arc<Spool>,
    queue: Queue,
    is_open: bool,
    next: Batch,
    marks: Marks,
    /// Told when everything up to here is written.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Writer {
    async fn run(mut self) {
        while self.wait().await {
            let batch = std::mem::take(&mut self.next);
            self.settle(batch).await;
            while let Some((number, path)) = self.spool.next_put_off() {
                if !self.catch_up(number, &path).await {
                    break;
                }
            }
            self.marks.write(&self.ledger).await;
            if self.next.rows.is_empty() {
                for all in self.waiting.drain(..) {
                    // An error: nobody waits any more.
                    let _ = all.send(());
                }
            }
        }
    }

    /// Waits for rows. `false`: there will be none.
    async fn wait(&mut self) -> bool {
        if self.next.rows.is_empty() && self.waiting.is_empty() {
            let mut messages = Vec::new();
            let first = self.queue.recv_many(&mut messages, BATCH);
            match self.spool.next_put_off() {
                None => {
                    if first.await == 0 {
                        return false;
                    }
                }
                // It could not be read a moment ago.
                Some(_) => {
                    let _ = tokio::time::timeout(LONGEST_PAUSE, first).await;
                }
            }
            self.take_in(messages);
        }
        let is_awaited = !self.next.told.is_empty() || !self.waiting.is_empty();
        if !is_awaited && self.next.rows.len() < BATCH && self.is_open {
            // In time or not.
            let _ = tokio::time::timeout(LINGER, self.queue.urgent.notified()).await;
        }
        self.look();
        true
    }

    /// Writes a batch, however long it takes. Whether it holds a row that was given up.
    async fn settle(&mut self, mut batch: Batch) -> bool {
        let mut pause = PAUSE;
        let mut gave_up = false;
        while !batch.rows.is_empty() {
            let rest = batch.rows.len().saturating_sub(BATCH);
            let mut some = batch.rows.split_off(rest);
            gave_up |= self.try_once(&mut some).await;
            // A store that answers within every look's time is looked past for as long as there are rows.
            self.look();
            if some.is_empty() {
                pause = PAUSE;
                continue;
            }
            batch.rows.append(&mut some);
            self.rest(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if batch.rows.len() < MOST {
                // A row that is refused alone is given up only when others are written beside it.
                batch.append(&mut self.next);
            }
        }
        self.spool.stored(batch.segments, gave_up);
        for row in batch.told {
            let _ = row.send(());
        }
        gave_up
    }

    /// Waits, and looks after the queue meanwhile: calls that find it full are refused.
    async fn rest(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            let look = end.min(Instant::now() + LOOK_EVERY);
            // In time or not.
            let _ = tokio::time::timeout_at(look, self.queue.urgent.notified()).await;
            self.look();
        }
    }

    /// Tries rows once and looks after the queue meanwhile. Whether one was given up.
    async fn try_once(&mut self, rows: &mut Vec<UsageRow>) -> bool {
        let ledger = self.ledger.clone();
        let mut writing = pin!(write_some(&ledger, rows));
        loop {
            tokio::select! {
                biased;
                gave_up = &mut writing => return gave_up,
                () = self.queue.urgent.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.look();
        }
    }

    /// Writes what stands in a segment of the spool only, and what comes meanwhile. `false`: it cannot be read now.
    async fn catch_up(&mut self, number: Number, path: &Path) -> bool {
        let mut rows = match Rows::open(path) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "{} cannot be read", path.display());
                return false;
            }
        };
        loop {
            let batch = Batch {
                rows: rows.by_ref().take(BATCH).collect(),
                ..Batch::default()
            };
            if batch.rows.is_empty() {
                break;
            }
            rows.is_damaged |= self.settle(batch).await;
            self.look();
            if !self.next.rows.is_empty() {
                let next = std::mem::take(&mut self.next);
                self.settle(next).await;
            }
        }
        if rows.is_unread {
            return false;
        }
        self.spool.read_through(number, rows.is_damaged);
        true
    }

    /// Takes in what waits in the queue, so that it never fills up for want of somebody who looks.
    fn look(&mut self) {
        let mut messages = Vec::new();
        loop {
            match self.queue.try_recv() {
                Ok(message) => messages.push(message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.is_open = false;
                    break;
                }
            }
        }
        self.take_in(messages);
    }

    fn take_in(&mut self, messages: Vec<Message>) {
        for message in messages {
            let Settling {
                settled,
                place,
                told,
            } = match message {
                Message::Settled(settling) => settling,
                Message::Flush(all) => {
                    self.waiting.push(all);
                    continue;
                }
            };
            self.marks.note(&settled);
            match place {
                // Whoever waits for it is told at once: the row is kept, and when the store has it is uncertain.
                Some(number) if self.next.rows.len() >= MOST => self.spool.put_off(number),
                _ => {
                    self.next.rows.push(settled.row);
                    self.next.segments.extend(place);
                    self.next.told.extend(told);
                }
            }
        }
    }
}

/// Tries the rows once and leaves those that must be tried again. Whether one was given up.
///
/// An outage is never a row's fault: the batch stays whole, since single tries would each wait for the store.
pub(super) async fn write_some(ledger: &impl Ledger, rows: &mut Vec<UsageRow>) -> bool {
    let mut gave_up = false;
    match ledger.insert(rows).await {
        Ok(()) => rows.clear(),
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::warn!(%error, rows = rows.len(), "usage rows wait for the store");
        }
        Err(error) => {
            tracing::warn!(%error, rows = rows.len(), "usage rows are refused together and tried alone");
            *rows = one_by_one(ledger, std::mem::take(rows), &mut gave_up).await;
        }
    }
    gave_up
}

/// Writes what can be written and returns what must be tried again.
///
/// A row that is refused twice, the second time after another was written, is given up, loudly: it would hold up
/// all others forever. The segment in which it stands is kept.
async fn one_by_one(
    ledger: &impl Ledger,
    rows: Vec<UsageRow>,
    gave_up: &mut bool,
) -> Vec<UsageRow> {
    let mut refused = Vec::new();
    let mut written = 0_usize;
    let mut rows = rows.into_iter();
    while let Some(row) = rows.next() {
        match ledger.insert(std::slice::from_ref(&row)).await {
            Ok(()) => written += 1,
            Err(StoreError::Unavailable(_)) => {
                refused.push(row);
                refused.extend(rows);
                return refused;
            }
            Err(_) => refused.push(row),
        }
    }
    let mut kept = Vec::new();
    let mut rows = refused.into_iter();
    while let Some(row) = rows.next() {
        match ledger.insert(std::slice::from_ref(&row)).await {
            Ok(()) => written += 1,
            Err(StoreError::Unavailable(_)) => {
                kept.push(row);
                kept.extend(rows);
                return kept;
            }
            Err(error) if written > 0 => {
                *gave_up = true;
                tracing::error!(
                    %error,
                    request.id = %row.request,
                    "the usage of {} cannot be written and is given up", row.request
                );
            }
            Err(_) => kept.push(row),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use domain::RequestId;

    use super::*;
    use crate::settle::Books;
    use crate::tests::usage_row;

    #[tokio::test]
    async fn it_lingers_for_more_rows_only_until_a_batch_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keybearer.db");
        let ledger = Store::open(&format!("sqlite://{}", file.display())).await;
        let spool = Spool::open(folder.path()).expect("a spool");
        let (books, queue) = Books::new(10, spool);
        let mut writer = Writer {
            ledger: ledger.expect("a database"),
            spool: Arc::clone(books.spool()),
            queue,
            is_open: true,
            next: Batch::default(),
            marks: Marks::default(),
            waiting: Vec::new(),
        };
        for (rows, lingers) in [(1, true), (BATCH - 1, true), (BATCH, false)] {
            writer.next.rows = vec![usage_row(RequestId::from_bytes([1; 16])); rows];
            let waits = pin!(writer.wait());
            let polled = waits.poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled.is_pending(), lingers, "{rows}");
        }
    }
}
