//! The beginning of an answer, read before the client gets a byte of it.
//!
//! Some providers say 200 and put the error into the first event, or into the body. As long as nothing of the answer came, another key
//! or another provider can still take over.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use llm::failure::{self, Beginning};
use llm::format::{Opening, WireFormat};
use llm::sse::{Decoder, Event};
use tokio::time::Instant;

use crate::upstream::Answering;

/// What an answer began with.
pub(super) enum Opened {
    /// These bytes, which the client gets first.
    Begun(Bytes),
    /// An error that stands for this status, in the provider's words.
    Refused(StatusCode, Bytes),
    /// The connection broke, or a stream ended without a word, before anything of the answer came.
    Broken,
    /// Nothing came for as long as a provider may be silent, or for as long as the call may take.
    Silent,
}

/// How long the beginning of an answer may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// How long a provider may be silent.
    pub(super) idle: Duration,
    /// When the call is over.
    pub(super) ends_at: Instant,
}

impl Patience {
    /// Until when the next piece may come.
    fn until(self) -> Instant {
        (Instant::now() + self.idle).min(self.ends_at)
    }
}

/// How long the client of a stream waits for the first output at most, from the answer's head on. Then it gets what there
/// is, so that a provider's heartbeats reach a client that waits for a slow model; and so it is for a JSON body that has
/// begun with the blanks by which some say that they are at work.
const WITHIN: Duration = Duration::from_secs(10);
/// The most that is kept meanwhile.
const MAX_BYTES: usize = 64 * 1024;

/// Reads until the first output, an error or the end.
pub(super) async fn read(
    format: &dyn WireFormat,
    body: &mut Answering,
    patience: Patience,
) -> Opened {
    let enough = Instant::now() + WITHIN;
    let mut kept = BytesMut::new();
    let mut decoder = Decoder::new();
    let mut found = Found {
        format,
        first: None,
    };
    loop {
        let until = patience.until();
        match tokio::time::timeout_at(until.min(enough), body.frame()).await {
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
            Err(_) if until <= enough => return Opened::Silent,
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

/// The most of a body whose first field has no name yet: white space, by which a provider says that it is at work.
const MAX_UNSAID_BYTES: usize = 4 * 1024;

/// Reads a JSON body until its first field has a name, as far as that came with it, and to its end if it may be an error.
/// A provider that falls silent behind the first byte is left to whoever reads on.
pub(super) async fn read_body(body: &mut Answering, patience: Patience) -> Opened {
    let mut until = patience.until();
    // The first piece is the only one as a rule, and is not copied.
    let mut first = Bytes::new();
    let mut kept = BytesMut::new();
    let mut begins = Beginning::Unsaid;
    loop {
        let data = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(Some(Err(_))) => return Opened::Broken,
            Ok(None) => break,
            Err(_) if first.is_empty() => return Opened::Silent,
            Err(_) => {
                begins = Beginning::Answer;
                break;
            }
        };
        if first.is_empty() && !data.is_empty() {
            until = patience.until().min(Instant::now() + WITHIN);
        }
        if first.is_empty() {
            first = data;
        } else {
            if kept.is_empty() {
                kept.extend_from_slice(&first);
            }
            kept.extend_from_slice(&data);
        }
        let read: &[u8] = if kept.is_empty() { &first } else { &kept };
        if begins == Beginning::Unsaid {
            // So much is no error that would be read, whatever stands in it.
            begins = match read.len() > MAX_BYTES {
                true => Beginning::Answer,
                false => failure::beginning(read),
            };
        }
        let most = match begins {
            Beginning::Answer => break,
            Beginning::Unsaid => MAX_UNSAID_BYTES,
            Beginning::Error => MAX_BYTES,
        };
        if read.len() > most {
            begins = Beginning::Answer;
            break;
        }
    }
    let read = if kept.is_empty() {
        first
    } else {
        kept.freeze()
    };
    let refused = || match begins {
        Beginning::Error => failure::status_of_event(&read),
        Beginning::Unsaid | Beginning::Answer => None,
    };
    match refused() {
        Some(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            Opened::Refused(status, read)
        }
        None => Opened::Begun(read),
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
