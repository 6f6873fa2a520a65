//! OpenAI's realtime sessions, `GET /v1/realtime` upgraded to a WebSocket: events go both ways, one in each message.
//!
//! To a tap a session is a stream of events: whoever reads the messages writes each of them as one.
//!
//! Source: <https://platform.openai.com/docs/api-reference/realtime-server-events/response/done>.

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai_error::Failed;
use super::{ErrorBody, FormatId, OpenaiImages, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{BodyTap, Count, EventReader, NOTHING, Shape, StreamTap, or_zero};

/// The format; see the module. Each response of a session reports what it alone used, so the reports are added.
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

/// The sum of what the responses reported.
#[derive(Default)]
struct Session {
    sum: Option<Usage>,
    /// A response reported nothing that can be true.
    gap: bool,
}

impl EventReader for Session {
    /// Sound is not counted, and without it text says little: nothing is estimated.
    fn shape() -> &'static Shape {
        &NOTHING
    }

    fn event(&mut self, event: Event<'_>, _text_bytes: u64) {
        // Inside a JSON string the quotes would be escaped.
        if memchr::memmem::find(event.data, b"\"response.done\"").is_none() {
            return;
        }
        let Ok(done) = serde_json::from_slice::<Done<'_>>(event.data) else {
            self.gap = true;
            return;
        };
        if done.r#type != "response.done" {
            return;
        }
        // A response that was cancelled before it began has no report.
        let Some(report) = done.response.usage else {
            return;
        };
        match read_report(report) {
            Some(usage) => add(self.sum.get_or_insert_default(), &usage),
            None => self.gap = true,
        }
    }

    fn usage(self, _text_bytes: u64) -> Option<(Usage, bool)> {
        self.sum.map(|sum| (sum, !self.gap))
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
struct Done<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

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
