//! Calls of models for generation runs: the control plane says what it wants, the data plane makes the call.
//!
//! The trait turns a wall around, as `vault::KeyProbe` does: the control plane cannot open a key, and need not. The
//! binary connects the two.

use bytes::Bytes;
use domain::RequestId;
use domain::run::{OutputType, Pinned};
use vault::BoxFuture;

/// Calls models as everybody else's calls are made: admitted, held, metered, audited.
pub trait ModelCalls: Send + Sync {
    /// Makes the call and waits for the whole answer. Dropped, the call is given up.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn call<'a>(&'a self, call: ModelCall<'a>) -> BoxFuture<'a, Result<Bytes, CallFailure>>;
}

/// What a run wants of a model.
pub struct ModelCall<'a> {
    /// The id of the call.
    pub request: RequestId,
    /// The keyed hash of the API key that it is made for.
    pub api_key: &'a [u8; 32],
    /// What is to be made.
    pub output: OutputType,
    /// What serves it.
    pub pinned: &'a Pinned,
    /// The request, in OpenAI's format.
    pub body: Bytes,
    /// The longest answer that is taken.
    pub max_answer_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// The code, as any other caller gets it.
    pub code: String,
    /// What happened; shows nothing of the request, of the answer or of a key.
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
