//! Documents are put into order by how well they answer a query: `POST /v1/rerank` as Jina has it, `/v2/rerank` as Cohere
//! has it. Both take `model`, `query` and `documents`.
//!
//! Sources: <https://docs.cohere.com/reference/rerank>, <https://jina.ai/reranker>.

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai_error::Failed;
use super::{ErrorBody, FormatId, OpenaiChat, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{BodyTap, Count, NOTHING};

/// The format; see the module. Its answers are never streams.
#[derive(Debug, Clone, Copy)]
pub struct Rerank;

impl WireFormat for Rerank {
    fn id(&self) -> FormatId {
        FormatId::Rerank
    }

    /// Neither provider documents more than a sentence, so errors are OpenAI's.
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

    /// One short document; nothing is generated, so there is no limit.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({ "model": model, "query": "hi", "documents": ["hi"] })).into()
    }
}

/// Jina counts tokens. Cohere counts searches, in `meta`, which are no tokens and no report.
#[derive(Deserialize)]
struct Report {
    prompt_tokens: Option<Count>,
    total_tokens: Option<Count>,
}

fn read_report(report: &RawValue) -> Option<Usage> {
    // A list would be read as the fields in their order.
    let object = Some(report.get()).filter(|text| text.starts_with('{'))?;
    let report: Report = serde_json::from_str(object).ok()?;
    let read = report.prompt_tokens.or(report.total_tokens)?;
    Some(Usage {
        input_tokens: read.0,
        ..Usage::default()
    })
}
