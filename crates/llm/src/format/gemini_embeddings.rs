//! Gemini's embeddings, `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`.
//!
//! Source: <https://ai.google.dev/api/embeddings>. Not every model reports what it read.

use bytes::Bytes;

use super::gemini_error::Failed;
use super::gemini_generate_content::{REPORT, read_report};
use super::{
    ErrorBody, FormatId, GeminiGenerateContent, Passage, TokenLimit, UsageTap, WireFormat, json,
};
use crate::sse::Event;
use crate::surcharge;
use crate::tap::{self, BodyTap, NOTHING, Shape, TEXT, fields};

/// The format; see the module. Its answers are never streams.
#[derive(Debug, Clone, Copy)]
pub struct GeminiEmbeddings;

impl WireFormat for GeminiEmbeddings {
    fn id(&self) -> FormatId {
        FormatId::GeminiEmbeddings
    }

    fn action(&self) -> Option<&'static str> {
        Some("embedContent")
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// As with content, should a provider stream after all.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        GeminiGenerateContent.stream_error(error)
    }

    fn passage(&self, _event: Event<'_>) -> Passage {
        Passage::Part
    }

    fn surcharge(&self, body: &[u8]) -> Option<&'static str> {
        surcharge::find_gemini(body)
    }

    fn input_bytes(&self, body: &[u8]) -> u64 {
        tap::input_bytes(&REQUEST, body)
    }

    fn usage_tap(&self, _streamed: bool) -> Box<dyn UsageTap> {
        Box::new(BodyTap::of_list(REPORT, read_report, &BODY))
    }

    /// Two letters; nothing is generated, so there is no limit.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({ "content": {"parts": [{"text": "hi"}]} })).into()
    }
}

/// One content, or a batch of requests that have one each. Its JSON has two names for many fields.
static REQUEST: Shape = fields(&[
    ("requests", &EACH),
    ("content", &CONTENT),
    ("title", &TEXT),
    ("model", &NOTHING),
    ("taskType", &NOTHING),
    ("task_type", &NOTHING),
]);
static EACH: Shape = fields(&[
    ("content", &CONTENT),
    // It is embedded with the content.
    ("title", &TEXT),
    ("model", &NOTHING),
    ("taskType", &NOTHING),
    ("task_type", &NOTHING),
]);
static CONTENT: Shape = fields(&[("parts", &PART), ("role", &NOTHING)]);
static PART: Shape = fields(&[
    ("text", &TEXT),
    ("inlineData", &DATA),
    ("inline_data", &DATA),
]);
static DATA: Shape = fields(&[
    ("data", &TEXT),
    ("mimeType", &NOTHING),
    ("mime_type", &NOTHING),
]);

/// Vectors are no text, but they show that the input was read.
static BODY: Shape = fields(&[("embedding", &VECTOR), ("embeddings", &VECTOR)]);
static VECTOR: Shape = fields(&[("values", &fields(&[]))]);
