//! OpenAI's images, `POST /v1/images/generations` and its siblings, also spoken by others that make pictures.
//!
//! Source: <https://platform.openai.com/docs/api-reference/images>.

use bytes::Bytes;

use super::openai_error::Failed;
use super::openai_responses::read_report;
use super::{ErrorBody, FormatId, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{BodyTap, EventBodyTap, NOTHING};

/// The format; see the module. Models that are paid by the picture report no usage.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiImages;

impl WireFormat for OpenaiImages {
    fn id(&self) -> FormatId {
        FormatId::OpenaiImages
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// The event `error`, with the object by which the official SDKs know it.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        let body = json(&Failed::new(error));
        format!("\n\nevent: error\ndata: {body}\n\n").into()
    }

    /// A picture is an event of some megabytes, so what is in it is not looked at: nothing here is held back.
    fn passage(&self, _event: Event<'_>) -> Passage {
        Passage::Part
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(EventBodyTap::new(read_report, &NOTHING))
        } else {
            Box::new(BodyTap::new(read_report, &NOTHING))
        }
    }

    /// One picture, which is the least that there is. It costs as much as any.
    fn probe_body(&self, model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({ "model": model, "prompt": "a dot", "n": 1 })).into()
    }
}
