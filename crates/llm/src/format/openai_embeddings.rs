//! OpenAI's embeddings, `POST /v1/embeddings`, also spoken by most other providers that have any.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings>.

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai_error::Failed;
use super::{ErrorBody, FormatId, OpenaiChat, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{self, BodyTap, Count, NOTHING, Shape, Slot, TEXT, fields};

/// The format; see the module. Its answers are never streams.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiEmbeddings;

impl WireFormat for OpenaiEmbeddings {
    fn id(&self) -> FormatId {
        FormatId::OpenaiEmbeddings
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// As in chat completions, should a provider stream after all.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        OpenaiChat.stream_error(error)
    }

    fn passage(&self, _event: Event<'_>) -> Passage {
        Passage::Part
    }

    fn input_bytes(&self, body: &[u8]) -> u64 {
        tap::input_bytes(&REQUEST, body)
    }

    fn usage_tap(&self, _streamed: bool) -> Box<dyn UsageTap> {
        Box::new(BodyTap::new(read_report, &BODY))
    }

    /// Two letters; nothing is generated, so there is no limit.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({ "model": model, "input": "hi" })).into()
    }
}

/// A text or a list of them. Some providers take pictures as well, each in an object. The other fields say how it is
/// embedded, those that have no text elsewhere than with OpenAI too.
static REQUEST: Shape = fields(&[
    ("input", &INPUT),
    ("model", &NOTHING),
    ("encoding_format", &NOTHING),
    ("user", &NOTHING),
    ("input_type", &NOTHING),
    ("embedding_type", &NOTHING),
    ("output_dtype", &NOTHING),
    ("task", &NOTHING),
    ("truncate", &NOTHING),
]);
static INPUT: Shape = Shape {
    text: Some(Slot::Text),
    fields: &[
        ("text", &TEXT),
        ("image", &TEXT),
        ("image_url", &LINK),
        ("type", &NOTHING),
    ],
    json: false,
};
static LINK: Shape = Shape {
    text: Some(Slot::Text),
    fields: &[("url", &TEXT), ("detail", &NOTHING)],
    json: false,
};

/// Vectors are no text, but they show that the input was read.
static BODY: Shape = fields(&[("data", &fields(&[("embedding", &fields(&[]))]))]);

#[derive(Deserialize)]
struct Report {
    prompt_tokens: Count,
}

pub(super) fn read_report(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    Some(Usage {
        input_tokens: report.prompt_tokens.0,
        ..Usage::default()
    })
}
