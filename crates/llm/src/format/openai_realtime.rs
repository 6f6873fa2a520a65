//! OpenAI's realtime sessions, `GET /v1/realtime` upgraded to a WebSocket: events go both ways, one in each message.
//!
//! [`SessionMeter`] reads what the provider sends. To a tap a session is a stream of events, each of which is a message.

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai_error::Failed;
use super::{ErrorBody, FormatId, OpenaiImages, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{BodyTap, Count, EventReader, NOTHING, Shape, StreamTap, or_zero};

mod meter;
mod open;
mod session;

pub use meter::SessionMeter;
use session::Session;
pub use session::{Consumed, Counted, Transcripts};

/// The format; see the module.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiRealtime;

impl WireFormat for OpenaiRealtime {
    fn id(&self) -> FormatId {
        FormatId::OpenaiRealtime
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// As for images; a session itself ends with a close frame.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        OpenaiImages.stream_error(error)
    }

    /// Nothing here is held back.
    fn passage(&self, _event: Event<'_>) -> Passage {
        Passage::Part
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(StreamTap::<Session>::new())
        } else {
            Box::new(BodyTap::new(read_report, &NOTHING))
        }
    }

    /// None: a session is no request.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        Bytes::new()
    }
}

/// A session whose messages were written down as a stream of events. What is consumed in it is one sum.
impl EventReader for Session {
    /// Sound is no text, so the session counts for itself.
    fn shape() -> &'static Shape {
        &NOTHING
    }

    fn event(&mut self, event: Event<'_>, _text_bytes: u64) {
        Session::event(self, event.data);
    }

    fn usage(self, _text_bytes: u64) -> Option<(Usage, bool)> {
        let Consumed {
            responses,
            transcripts,
        } = self.end();
        let mut all = responses
            .into_iter()
            .chain(transcripts.iter().map(|it| it.counted));
        let mut sum = all.next()?;
        for counted in all {
            add(&mut sum.usage, &counted.usage);
            sum.estimated |= counted.estimated;
        }
        Some((sum.usage, !sum.estimated))
    }
}

fn add(sum: &mut Usage, usage: &Usage) {
    for (sum, more) in [
        (&mut sum.input_tokens, usage.input_tokens),
        (&mut sum.cached_input_tokens, usage.cached_input_tokens),
        (&mut sum.output_tokens, usage.output_tokens),
    ] {
        *sum = sum.saturating_add(more).min(MOST_TOKENS);
    }
}

/// No session can use more, and costs of so many fit 64 bits.
const MOST_TOKENS: u64 = 1_000_000_000_000;

#[derive(Deserialize)]
struct Report {
    input_tokens: Count,
    output_tokens: Count,
    input_token_details: Option<InputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<Count>,
}

/// `None` if a count cannot be true: more cached than sent, or a value that [`Count`] refuses.
fn read_report(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    let cached = report.input_token_details.and_then(|it| it.cached_tokens);
    let cached = or_zero(cached);
    Some(Usage {
        input_tokens: report.input_tokens.0.checked_sub(cached)?,
        cached_input_tokens: cached,
        output_tokens: report.output_tokens.0,
        ..Usage::default()
    })
}
