//! OpenAI's responses, `POST /v1/responses`.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses>.

use bytes::Bytes;
use domain::{Terms, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::openai_error::{Failed, Failure};
use super::{ErrorBody, FormatId, Opening, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::failure;
use crate::sse::Event;
use crate::tap::{
    self, BodyTap, Count, Ended, EventReader, PARTS, Shape, StreamTap, TEXT, fields, is_other_tier,
    or_zero,
};

mod answer;
mod dialect;
mod item;
mod request;
mod stream;

pub(crate) use item::in_namespace;

/// The format; see the module.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiResponses;

/// The least that `max_output_tokens` may say.
const FEWEST_OUTPUT_TOKENS: u32 = 16;

impl WireFormat for OpenaiResponses {
    fn id(&self) -> FormatId {
        FormatId::OpenaiResponses
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// The event `error` as documented, flat, and with the object `error` by which the official SDKs know it.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        let body = json(&ErrorEvent {
            r#type: "error",
            code: error.code,
            message: error.message,
            param: None,
            sequence_number: error.number,
            error: Failure(error),
        });
        format!("\n\nevent: error\ndata: {body}\n\n").into()
    }

    fn passage(&self, event: Event<'_>) -> Passage {
        match kind(event) {
            Some(Kind::Ended(_)) => Passage::Last,
            _ => Passage::Part,
        }
    }

    fn says_end(&self) -> bool {
        true
    }

    fn opening(&self, event: Event<'_>) -> Opening {
        match kind(event) {
            Some(Kind::Error(status)) => Opening::Refused(status),
            Some(Kind::Ended(Some(status))) => Opening::Refused(status),
            _ => tap::opening(&EVENT, self.passage(event), event),
        }
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(StreamTap::<Events>::new())
        } else {
            Box::new(BodyTap::new(read_report, &BODY).with_tier())
        }
    }

    /// The format has one name for the limit, so `limit` changes nothing.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({
            "model": model,
            "input": "hi",
            "max_output_tokens": FEWEST_OUTPUT_TOKENS,
            "store": false,
        }))
        .into()
    }
}

#[derive(Serialize)]
struct ErrorEvent<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    /// Some clients read no event without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<u64>,
    error: Failure<'a>,
}

/// What an event is, of those that matter.
enum Kind {
    /// The stream is at its end; a failed one stands for this status.
    Ended(Option<u16>),
    /// An error that stands for this status.
    Error(u16),
}

fn kind(event: Event<'_>) -> Option<Kind> {
    // Deltas are most of a stream and none of these; inside a JSON string the quotes would be escaped.
    let says = |text: &[u8]| memchr::memmem::find(event.data, text).is_some();
    if !says(b"\"response.completed\"")
        && !says(b"\"response.incomplete\"")
        && !says(b"\"response.failed\"")
        && !says(b"\"error\"")
    {
        return None;
    }
    let progress: Progress<'_> = serde_json::from_slice(event.data).ok()?;
    match progress.r#type {
        "response.completed" | "response.incomplete" => Some(Kind::Ended(None)),
        "response.failed" => {
            let code = progress.response.and_then(|it| it.error?.code);
            Some(Kind::Ended(Some(failure::status_of_code(code))))
        }
        "error" => {
            let nested = failure::status_of_event(event.data);
            let status = nested.unwrap_or_else(|| failure::status_of_code(progress.code));
            Some(Kind::Error(status))
        }
        _ => None,
    }
}

/// What a model generates in an item of the output.
static ITEM: Shape = fields(&[
    ("content", &PARTS),
    ("summary", &PARTS),
    ("name", &TEXT),
    ("arguments", &TEXT),
    ("input", &TEXT),
]);
static BODY: Shape = fields(&[("output", &ITEM)]);
/// Each text comes piece by piece in `delta`, and once more as a whole, which is not counted again.
static EVENT: Shape = fields(&[("delta", &TEXT)]);

/// The report at the end of a stream.
#[derive(Default)]
struct Events {
    reported: Option<Usage>,
    is_other_tier: bool,
    ended: bool,
}

impl EventReader for Events {
    fn shape() -> &'static Shape {
        &EVENT
    }

    fn event(&mut self, event: Event<'_>, _text_bytes: u64) {
        if !matches!(kind(event), Some(Kind::Ended(_))) {
            return;
        }
        self.ended = true;
        let progress = serde_json::from_slice::<Progress<'_>>(event.data);
        let response = progress.ok().and_then(|progress| progress.response);
        self.is_other_tier = is_other_tier(response.as_ref().and_then(|it| it.service_tier));
        self.reported = response.and_then(|response| read_report(response.usage?));
    }

    fn terms(&self) -> Terms {
        Terms {
            is_other_tier: self.is_other_tier,
            ..Terms::default()
        }
    }

    fn ended(&self) -> Ended {
        match self.ended {
            true => Ended::Whole,
            false => Ended::Unsaid,
        }
    }

    fn usage(self, _text_bytes: u64) -> Option<(Usage, bool)> {
        self.reported.map(|usage| (usage, true))
    }
}

/// One event of a stream.
#[derive(Deserialize)]
struct Progress<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<Reason<'a>>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Report {
    input_tokens: Count,
    output_tokens: Count,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
}

/// `None` if a count cannot be true: more cached than sent, or a value that [`Count`] refuses.
pub(super) fn read_report(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    let details = report.input_tokens_details;
    let cached = or_zero(details.as_ref().and_then(|it| it.cached_tokens));
    let cache_write = or_zero(details.and_then(|it| it.cache_write_tokens));
    let reasoning = report
        .output_tokens_details
        .and_then(|it| it.reasoning_tokens);
    let reasoning = or_zero(reasoning);
    let output = report.output_tokens.0;
    (reasoning <= output).then_some(())?;
    Some(Usage {
        input_tokens: report.input_tokens.0.checked_sub(cached + cache_write)?,
        cached_input_tokens: cached,
        cache_write_tokens: cache_write,
        output_tokens: output,
        reasoning_tokens: reasoning,
    })
}
