//! A session from the answer 101 to its end: bytes both ways, and one usage row.
//!
//! Each way holds one piece at a time, so whoever reads slowly slows the other side down. What ends one side ends the
//! other at once. A session that we end says so with a close frame where one may stand; where a frame is on its way to
//! the client, its end is waited for a little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use llm::format::{Consumed, Metered};
use llm::ws::{self, CloseCode};
use scrub::Needles;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::guard::{Guard, Stop};
use crate::Plane;
use crate::edge::{Taken, Takeover};
use crate::error::Failure;
use crate::settle::{End, Settlement};
use crate::upstream;

/// A provider's connection that has become a WebSocket.
pub(crate) struct Switched {
    pub(crate) upstream: upstream::Switched,
    /// What must not reach the client.
    pub(crate) needles: Arc<Needles>,
}

/// What is read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How long the end of a frame is waited for, and how long the client may take to take the last bytes.
const GRACE: Duration = Duration::from_secs(1);

/// The session that begins with the answer 101.
pub(crate) fn begin(plane: &Plane, settlement: Settlement, switched: Switched) -> Takeover {
    let Switched { upstream, needles } = switched;
    let timeouts = &plane.config.timeouts;
    let session = Session {
        upstream,
        idle: timeouts.idle(),
        deadline: settlement.started_at() + timeouts.total(),
        left_bytes: plane.config.limits.answer_bytes,
        book: Book {
            guard: Some(Guard::new(&needles)),
            settlement: Some(settlement),
            traffic: Arc::new(Traffic::new()),
        },
    };
    Takeover::new(|taken| session.run(taken))
}

struct Session {
    upstream: upstream::Switched,
    idle: Duration,
    deadline: Instant,
    left_bytes: u64,
    book: Book,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// One side has ended it.
    Side,
    /// The server stops.
    Stopping,
    /// Nothing came for too long, or it has lasted for as long as it may.
    Late,
    /// The provider sent what does not pass.
    Stopped(Stop),
    /// The provider sent more than an answer may have.
    TooMuch,
}

impl Ending {
    fn close_code(self) -> CloseCode {
        match self {
            Self::Side | Self::Stopping | Self::Late => CloseCode::GoingAway,
            Self::Stopped(_) | Self::TooMuch => CloseCode::InternalError,
        }
    }

    fn error_code(self) -> Option<&'static str> {
        match self {
            Self::Side | Self::Stopping => None,
            Self::Late => Some(Failure::UpstreamTimedOut.code()),
            Self::Stopped(_) | Self::TooMuch => Some(Failure::UpstreamBroken.code()),
        }
    }
}

impl Session {
    async fn run(self, taken: Taken) {
        let Self {
            upstream,
            idle,
            deadline,
            left_bytes,
            mut book,
        } = self;
        let Some(upstream) = upstream.taken().await else {
            return;
        };
        let Taken { client, stopping } = taken;
        let (client_reads, mut client_writes) = tokio::io::split(client);
        let (upstream_reads, upstream_writes) = tokio::io::split(upstream);
        let traffic = Arc::clone(&book.traffic);
        let (order, ordered) = watch::channel(None);
        let ending = match &mut book.guard {
            None => Ending::Side,
            Some(guard) => tokio::select! {
                ending = to_client(upstream_reads, &mut client_writes, guard, left_bytes, &traffic, ordered) => ending,
                () = to_provider(client_reads, upstream_writes, &traffic) => Ending::Side,
                ending = watchman(idle, deadline, stopping, &traffic, order) => ending,
            },
        };
        // The provider's side is closed by now. The row need not wait for the client.
        book.close(ending);
        // In time or not: the client is left now.
        let _ = tokio::time::timeout(GRACE, client_writes.shutdown()).await;
    }
}

/// Passes what the client sends, until it ends.
async fn to_provider(
    mut client: impl AsyncRead + Unpin,
    mut provider: impl AsyncWrite + Unpin,
    traffic: &Traffic,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(bytes @ 1..) = client.read(&mut piece).await {
        traffic.came_from_client(bytes);
        let passed = async {
            provider.write_all(&piece[..bytes]).await?;
            provider.flush().await
        };
        if passed.await.is_err() {
            return;
        }
    }
}

/// Passes what the provider sends, until it ends or the order to end comes.
async fn to_client(
    mut provider: impl AsyncRead + Unpin,
    client: &mut (impl AsyncWrite + Unpin),
    guard: &mut Guard,
    mut left_bytes: u64,
    traffic: &Traffic,
    mut ordered: watch::Receiver<Option<Ending>>,
) -> Ending {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let between = guard.is_between_frames();
        let read = tokio::select! {
            biased;
            ending = order(&mut ordered), if between => {
                return ended(client, ending, true).await;
            }
            read = provider.read(&mut piece) => read,
        };
        let Ok(bytes @ 1..) = read else {
            return Ending::Side;
        };
        let Some(left) = left_bytes.checked_sub(bytes as u64) else {
            return ended(client, Ending::TooMuch, between).await;
        };
        left_bytes = left;
        let (ready, stop) = guard.take(&piece[..bytes]);
        traffic.goes_to_client(ready.len());
        if write(client, &ready).await.is_err() {
            return Ending::Side;
        }
        if let Some(stop) = stop {
            let between = guard.stopped_between_frames();
            return ended(client, Ending::Stopped(stop), between).await;
        }
    }
}

async fn write(client: &mut (impl AsyncWrite + Unpin), bytes: &Bytes) -> std::io::Result<()> {
    client.write_all(bytes).await?;
    client.flush().await
}

/// Says to the client that the session ends, if a frame may stand there.
async fn ended(client: &mut (impl AsyncWrite + Unpin), ending: Ending, between: bool) -> Ending {
    if between {
        let frame = ws::close_frame(ending.close_code());
        // Whoever has gone need not be told.
        let _ = write(client, &Bytes::copy_from_slice(&frame)).await;
    }
    ending
}

async fn order(ordered: &mut watch::Receiver<Option<Ending>>) -> Ending {
    let given = ordered.wait_for(Option::is_some).await;
    // An error: nobody is left to give it.
    given.map_or(Ending::Side, |given| given.unwrap_or(Ending::Side))
}

/// Gives the order to end when it is time, and cuts the session if that takes too long.
async fn watchman(
    idle: Duration,
    deadline: Instant,
    mut stopping: watch::Receiver<bool>,
    traffic: &Traffic,
    order: watch::Sender<Option<Ending>>,
) -> Ending {
    let late = async {
        loop {
            let until = (traffic.last_at() + idle).min(deadline);
            tokio::time::sleep_until(until).await;
            let now = Instant::now();
            if now >= deadline || now >= traffic.last_at() + idle {
                return;
            }
        }
    };
    let stopped = async {
        // An error means that the edge is gone, and this with it.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let ending = tokio::select! {
        () = late => Ending::Late,
        () = stopped => Ending::Stopping,
    };
    let _ = order.send(Some(ending));
    tokio::time::sleep(GRACE).await;
    ending
}

/// How much went which way, and when the last of it.
struct Traffic {
    began_at: Instant,
    last_ms: AtomicU64,
    from_client: AtomicU64,
    to_client: AtomicU64,
}

impl Traffic {
    fn new() -> Self {
        Self {
            began_at: Instant::now(),
            last_ms: AtomicU64::new(0),
            from_client: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        }
    }

    fn came_from_client(&self, bytes: usize) {
        self.count(&self.from_client, bytes);
    }

    fn goes_to_client(&self, bytes: usize) {
        self.count(&self.to_client, bytes);
    }

    fn count(&self, counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = self.began_at.elapsed().as_millis();
        self.last_ms
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last_at(&self) -> Instant {
        self.began_at + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// What the session leaves behind, also when it is cut.
struct Book {
    guard: Option<Guard>,
    settlement: Option<Settlement>,
    traffic: Arc<Traffic>,
}

impl Book {
    fn close(&mut self, ending: Ending) {
        let Some(mut settlement) = self.settlement.take() else {
            return;
        };
        let request = settlement.request();
        match ending {
            Ending::Stopped(Stop::Echo) => {
                tracing::error!(request.id = %request, "the provider echoed the provider key in {request}; the session was ended");
            }
            Ending::Stopped(Stop::Broken) | Ending::TooMuch => {
                tracing::warn!(request.id = %request, "the provider sent in {request} what does not pass; the session was ended");
            }
            Ending::Side | Ending::Stopping | Ending::Late => {}
        }
        let came = self.traffic.from_client.load(Ordering::Relaxed);
        settlement.requested(usize::try_from(came).unwrap_or(usize::MAX), true);
        let consumed = self.guard.take().map(Guard::consumed);
        let Consumed {
            responses,
            transcripts,
        } = consumed.unwrap_or_default();
        let end = End {
            status: StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            error_code: ending.error_code(),
            metered: responses.map(Metered::from).unwrap_or_default(),
            response_bytes: self.traffic.to_client.load(Ordering::Relaxed),
        };
        settlement.finish_session(&end, &transcripts);
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.close(Ending::Side);
    }
}
