//! OpenAI's images, `POST /v1/images/generations` and its siblings, also spoken by others that make pictures.
//!
//! Source: <https://platform.openai.com/docs/api-reference/images>.

use bytes::Bytes;

use super::openai_error::Failed;
use super::openai_responses::read_report;
use super::{ErrorBody, FormatId, Opening, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::tap::{self, BodyTap, EventBodyTap, NOTHING};

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

    fn opening(&self, event: Event<'_>) -> Opening {
        tap::opening_unless_refused(event)
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(EventBodyTap::new(read_report, &NOTHING))
        } else {
            Box::new(BodyTap::new(read_report, &NOTHING))
        }
    }

    /// None: the least that there is is a whole picture.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        Bytes::new()
    }
}
