//! OpenAI's speech, `POST /v1/audio/speech`: text comes in, sound goes out, as it is or as events.
//!
//! Source: <https://platform.openai.com/docs/api-reference/audio/createSpeech>.

use bytes::Bytes;

use super::openai_error::Failed;
use super::openai_responses::read_report;
use super::{
    ErrorBody, FormatId, OpenaiImages, Opening, Passage, TokenLimit, UsageTap, WireFormat, json,
};
use crate::sse::Event;
use crate::tap::{self, BodyTap, EventBodyTap, NOTHING};

/// The format; see the module. Usage is reported by streams of events only: sound has no place for it.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiSpeech;

impl WireFormat for OpenaiSpeech {
    fn id(&self) -> FormatId {
        FormatId::OpenaiSpeech
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

    /// None: the voice that a model has would have to be known.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        Bytes::new()
    }
}
