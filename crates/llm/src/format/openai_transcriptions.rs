//! OpenAI's transcriptions, `POST /v1/audio/transcriptions`, and translations into English.
//!
//! Source: <https://platform.openai.com/docs/api-reference/audio/createTranscription>.

use bytes::Bytes;

use super::openai_error::Failed;
use super::openai_responses::read_report;
use super::{
    ErrorBody, FormatId, OpenaiImages, Opening, Passage, TokenLimit, UsageTap, WireFormat, json,
};
use crate::sse::Event;
use crate::tap::{self, BodyTap, EventBodyTap, NOTHING};

/// The format; see the module. A report in seconds is none: only model tokens are metered.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiTranscriptions;

impl WireFormat for OpenaiTranscriptions {
    fn id(&self) -> FormatId {
        FormatId::OpenaiTranscriptions
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    /// As for images.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        OpenaiImages.stream_error(error)
    }

    /// Nothing here is held back.
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

    /// None: there is no sound to send.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        Bytes::new()
    }
}
