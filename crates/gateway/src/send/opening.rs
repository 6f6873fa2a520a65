//! The beginning of a stream, read before the client gets a byte of it.
//!
//! Some providers say 200 and put the error into the first event. As long as nothing of the answer came, another key
//! or another provider can still take over.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use llm::format::{Opening, WireFormat};
use llm::sse::{Decoder, Event};
use tokio::time::Instant;

/// What a stream began with.
pub(super) enum Opened {
    /// These bytes, which the client gets first.
    Begun(Bytes),
    /// An error that stands for this status, in the provider's words.
    Refused(StatusCode, Bytes),
    /// The connection broke, or the stream ended without a word, before anything of the answer came.
    Broken,
}

/// How long the client waits for the first output at most, from the answer's head on. Then it gets what there is,
/// so that a provider's heartbeats reach a client that waits for a slow model.
const WITHIN: Duration = Duration::from_secs(10);
/// The most that is kept meanwhile.
const MAX_BYTES: usize = 64 * 1024;

/// Reads until the first output, an error or the end.
pub(super) async fn read(format: &dyn WireFormat, body: &mut Incoming) -> Opened {
    let deadline = Instant::now() + WITHIN;
    let mut kept = BytesMut::new();
    let mut decoder = Decoder::new();
    let mut found = Found {
        format,
        first: None,
    };
    loop {
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                kept.extend_from_slice(&data);
                // A line without an end fills what may be kept.
                let _ = decoder.push(&data, |event| found.look(event));
            }
            Ok(Some(Err(_))) => return Opened::Broken,
            Ok(None) => {
                let _ = decoder.finish(|event| found.look(event));
                // Neither output nor an end came.
                if found.first.is_none() && format.says_end() {
                    return Opened::Broken;
                }
                break;
            }
            Err(_) => break,
        }
        if found.first.is_some() || kept.len() > MAX_BYTES {
            break;
        }
    }
    match found.first {
        Some(First::Refused(status, text)) => Opened::Refused(status, text),
        Some(First::Output) | None => Opened::Begun(kept.freeze()),
    }
}

/// The first event that is more than a prelude.
struct Found<'a> {
    format: &'a dyn WireFormat,
    first: Option<First>,
}

enum First {
    Output,
    Refused(StatusCode, Bytes),
}

impl Found<'_> {
    fn look(&mut self, event: Event<'_>) {
        if self.first.is_some() {
            return;
        }
        self.first = match self.format.opening(event) {
            Opening::Prelude => None,
            Opening::Output => Some(First::Output),
            Opening::Refused(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                Some(First::Refused(status, Bytes::copy_from_slice(event.data)))
            }
        };
    }
}
