//! Who goes on with a connection after the answer 101.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

/// A connection that HTTP has left, with the limits of its socket.
pub(crate) struct Taken {
    pub(crate) client: TokioIo<Upgraded>,
    /// True when the server was told to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

type Session = Pin<Box<dyn Future<Output = ()> + Send>>;
type Begin = Box<dyn FnOnce(Taken) -> Session + Send>;

/// In the extensions of an answer with status 101: what is done with the connection. It counts as a connection of the
/// edge to its end, and the drain waits for it. If it is never begun, it is dropped.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Mutex<Option<Begin>>>);

impl Takeover {
    pub(crate) fn new<F>(begin: impl FnOnce(Taken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let begin: Begin = Box::new(move |taken| Box::pin(begin(taken)));
        Self(Arc::new(Mutex::new(Some(begin))))
    }

    pub(super) async fn run(self, taken: Taken) {
        let begin = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(begin) = begin {
            begin(taken).await;
        }
    }
}
