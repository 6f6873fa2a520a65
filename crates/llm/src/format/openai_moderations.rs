//! OpenAI's moderations, `POST /v1/moderations`, also spoken by Mistral.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/moderations>,
//! <https://docs.mistral.ai/api/endpoint/classifiers>.

use bytes::Bytes;

use super::openai_embeddings::read_report;
use super::openai_error::Failed;
use super::{ErrorBody, FormatId, OpenaiChat, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{BodyTap, NOTHING};

/// The format; see the module. Its answers are never streams. OpenAI reports no usage, Mistral what was read.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiModerations;

impl WireFormat for OpenaiModerations {
    fn id(&self) -> FormatId {
        FormatId::OpenaiModerations
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

    fn usage_tap(&self, _streamed: bool) -> Box<dyn UsageTap> {
        Box::new(BodyTap::new(read_report, &NOTHING))
    }

    /// Two letters; nothing is generated, so there is no limit.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({ "model": model, "input": "hi" })).into()
    }
}
