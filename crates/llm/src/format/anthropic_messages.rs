//! Anthropic's messages, `POST /v1/messages`.
//!
//! Source: <https://docs.claude.com/en/api/messages>.

use bytes::Bytes;
use domain::{Terms, Usage};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    ErrorBody, FormatId, Opening, Passage, TokenLimit, UsageTap, WireFormat, details, json,
};
use crate::sse::Event;
use crate::tap::{
    self, BodyTap, Count, Ended, EventReader, JSON, Shape, StreamTap, TEXT, fields, is_other_tier,
    or_zero,
};

mod answer;
mod block;
mod dialect;
mod request;
mod stream;

/// The format; see the module.
#[derive(Debug, Clone, Copy)]
pub struct AnthropicMessages;

impl WireFormat for AnthropicMessages {
    fn id(&self) -> FormatId {
        FormatId::AnthropicMessages
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        let body = json(&Failed::new(error));
        format!("\n\nevent: error\ndata: {body}\n\n").into()
    }

    fn passage(&self, event: Event<'_>) -> Passage {
        if event.name == b"message_stop" {
            return Passage::Last;
        }
        if memchr::memmem::find(event.data, b"\"message_").is_none() {
            return Passage::Part;
        }
        match serde_json::from_slice::<Progress<'_>>(event.data) {
            Ok(Progress {
                r#type: "message_stop",
                ..
            }) => Passage::Last,
            Ok(Progress {
                r#type: "message_delta",
                delta: Some(delta),
            }) if delta.stop_reason.is_some() => Passage::Last,
            _ => Passage::Part,
        }
    }

    fn says_end(&self) -> bool {
        true
    }

    fn opening(&self, event: Event<'_>) -> Opening {
        tap::opening(&EVENT, self.passage(event), event)
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(StreamTap::<Events>::new())
        } else {
            Box::new(BodyTap::new(read_report, &BODY).with_terms(read_terms))
        }
    }

    /// The format has one name for the limit, so `limit` changes nothing.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({
            "model": model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "hi"}],
        }))
        .into()
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    r#type: &'static str,
    error: Failure<'a>,
    request_id: &'a str,
}

impl<'a> Failed<'a> {
    fn new(error: &'a ErrorBody<'a>) -> Self {
        Self {
            r#type: "error",
            error: Failure(error),
            request_id: error.request,
        }
    }
}

struct Failure<'a>(&'a ErrorBody<'a>);

impl Serialize for Failure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let error = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", error_type(error.status))?;
        map.serialize_entry("message", error.message)?;
        map.serialize_entry("code", error.code)?;
        for (name, value) in details(error, &["message", "type", "code", "hint"]) {
            map.serialize_entry(name, value)?;
        }
        if let Some(hint) = error.hint {
            map.serialize_entry("hint", hint)?;
        }
        map.end()
    }
}

/// The `type` that stands for a status.
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// What a model generates in a content block. What a server tool found is the provider's, not the model's.
static BLOCK: Shape = fields(&[
    ("text", &TEXT),
    ("thinking", &TEXT),
    ("name", &TEXT),
    ("input", &JSON),
]);
static BODY: Shape = fields(&[("content", &BLOCK)]);
/// In a stream a block begins with an empty `input`, whose text comes in pieces.
static EVENT: Shape = fields(&[
    (
        "content_block",
        &fields(&[("text", &TEXT), ("thinking", &TEXT), ("name", &TEXT)]),
    ),
    (
        "delta",
        &fields(&[
            ("text", &TEXT),
            ("thinking", &TEXT),
            ("partial_json", &TEXT),
        ]),
    ),
]);

/// The counts of a stream: `message_start` brings the input, `message_delta` the output so far and
/// sometimes the input again. All are cumulative, so a later count replaces an earlier one.
#[derive(Default)]
struct Events {
    input: Option<u64>,
    cached: u64,
    cache_write: u64,
    output: u64,
    terms: Terms,
    /// A report could not be true; then none of them is believed.
    refused: bool,
    /// The output was reported at the end of the message, not only at its start.
    last: bool,
    /// The message was said to be at its end.
    stopped: bool,
}

impl EventReader for Events {
    fn shape() -> &'static Shape {
        &EVENT
    }

    fn event(&mut self, event: Event<'_>, _text_bytes: u64) {
        self.stopped |= stops(event);
        // Inside a JSON string the quotes would be escaped, so this is a field's name.
        if memchr::memmem::find(event.data, b"\"usage\"").is_none() {
            return;
        }
        let Ok(data) = serde_json::from_slice::<Data<'_>>(event.data) else {
            self.refused = true;
            return;
        };
        let report = match data.r#type {
            "message_start" => data.message.and_then(|message| message.usage),
            "message_delta" => {
                self.last |= data.usage.is_some();
                data.usage
            }
            _ => None,
        };
        if let Some(report) = report {
            self.report(report);
        }
    }

    fn usage(self, _text_bytes: u64) -> Option<(Usage, bool)> {
        let last = self.last;
        self.counts().map(|usage| (usage, last))
    }

    fn terms(&self) -> Terms {
        self.terms
    }

    /// Why it ended is said before, in an event that a cut may follow.
    fn ended(&self) -> Ended {
        match self.stopped {
            true => Ended::Whole,
            false => Ended::Unsaid,
        }
    }
}

impl Events {
    fn counts(self) -> Option<Usage> {
        let input_tokens = self.input.filter(|_| !self.refused)?;
        Some(Usage {
            input_tokens,
            cached_input_tokens: self.cached,
            cache_write_tokens: self.cache_write,
            output_tokens: self.output,
            reasoning_tokens: 0,
        })
    }

    fn report(&mut self, report: &RawValue) {
        let Ok(report) = serde_json::from_str::<Report<'_>>(report.get()) else {
            self.refused = true;
            return;
        };
        self.input = report.input_tokens.map(|count| count.0).or(self.input);
        self.cached = report.cache_read_input_tokens.map_or(self.cached, |c| c.0);
        self.cache_write = report
            .cache_creation_input_tokens
            .map_or(self.cache_write, |c| c.0);
        self.output = or_zero(Some(report.output_tokens));
        // The end of a stream says neither again.
        let terms = &mut self.terms;
        let creation = report.cache_creation;
        let creation = creation.and_then(|it| serde_json::from_str::<Creation>(it.get()).ok());
        if let Some(hour) = creation.and_then(|it| it.ephemeral_1h_input_tokens) {
            terms.hour_cache_write_tokens = hour.0;
        }
        // How fast it was has a price of its own, as a tier has.
        if report.service_tier.is_some() || report.speed.is_some() {
            terms.is_other_tier |=
                is_other_tier(report.service_tier) || is_other_tier(report.speed);
        }
    }
}

/// The terms of a whole body.
fn read_terms(report: &RawValue) -> Terms {
    let mut events = Events::default();
    events.report(report);
    events.terms
}

/// The counts of a whole body.
fn read_report(report: &RawValue) -> Option<Usage> {
    let mut events = Events::default();
    events.report(report);
    events.counts()
}

/// Whether an event is the last one of a message.
fn stops(event: Event<'_>) -> bool {
    if !event.name.is_empty() {
        return event.name == b"message_stop";
    }
    memchr::memmem::find(event.data, b"\"message_stop\"").is_some()
        && serde_json::from_slice::<Progress<'_>>(event.data)
            .is_ok_and(|progress| progress.r#type == "message_stop")
}

/// How far a stream is with one event.
#[derive(Deserialize)]
struct Progress<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Data<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// What `message_start` holds.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Report<'a> {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    #[serde(borrow)]
    cache_creation: Option<&'a RawValue>,
    cache_read_input_tokens: Option<Count>,
    output_tokens: Count,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    speed: Option<&'a RawValue>,
}

/// What was written to the cache, by how long it stays there.
#[derive(Deserialize)]
struct Creation {
    ephemeral_1h_input_tokens: Option<Count>,
}
