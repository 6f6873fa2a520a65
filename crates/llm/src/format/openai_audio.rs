//! OpenAI's sound: speech, `POST /v1/audio/speech`, and transcriptions, `POST /v1/audio/transcriptions`, with translations
//! into English.
//!
//! Source: <https://platform.openai.com/docs/api-reference/audio>.

use bytes::Bytes;

use super::openai_error::Failed;
use super::openai_responses::read_report;
use super::{
    ErrorBody, FormatId, OpenaiImages, Opening, Passage, TokenLimit, UsageTap, WireFormat, json,
};
use crate::sse::Event;
use crate::tap::{self, BodyTap, EventBodyTap, NOTHING};

/// The formats; see the module. What differs between them is which way the sound goes.
#[derive(Debug, Clone, Copy)]
pub enum OpenaiAudio {
    /// Usage is reported by streams of events only: sound has no place for it.
    Speech,
    /// A report in seconds is none: only model tokens are metered.
    Transcriptions,
}

impl WireFormat for OpenaiAudio {
    fn id(&self) -> FormatId {
        match self {
            Self::Speech => FormatId::OpenaiSpeech,
            Self::Transcriptions => FormatId::OpenaiTranscriptions,
        }
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

    /// None: the voice that a model has would have to be known, and there is no sound to send.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        Bytes::new()
    }
}
