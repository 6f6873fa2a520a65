//! What differs between the formats in which clients and providers speak of models.
//!
//! A format is a value without state in [`FORMATS`]. The gateway never asks which one it has: it renders its
//! refusals, reads usage and asks for one token through [`WireFormat`].

use std::fmt;

use bytes::Bytes;
use domain::key::FailureKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod anthropic_messages;
mod gemini_embeddings;
mod gemini_error;
mod gemini_generate_content;
mod openai_audio;
mod openai_chat;
mod openai_embeddings;
mod openai_error;
mod openai_images;
mod openai_moderations;
mod openai_realtime;
mod openai_responses;
mod operation;
mod rerank;
#[cfg(test)]
mod tests;
mod usage_wish;

pub use anthropic_messages::AnthropicMessages;
pub use gemini_embeddings::GeminiEmbeddings;
pub use gemini_generate_content::GeminiGenerateContent;
pub use openai_audio::OpenaiAudio;
pub use openai_chat::OpenaiChat;
pub use openai_embeddings::OpenaiEmbeddings;
pub use openai_images::OpenaiImages;
pub use openai_moderations::OpenaiModerations;
pub use openai_realtime::{Consumed, Counted, OpenaiRealtime, SessionMeter, Transcripts};
pub use openai_responses::OpenaiResponses;
pub(crate) use openai_responses::in_namespace;
pub use operation::Operation;
pub use rerank::Rerank;

use crate::sse::Event;
pub use crate::tap::{Ceiling, Ended, Metered};

/// All formats.
pub static FORMATS: &[&dyn WireFormat] = &[
    &OpenaiChat,
    &OpenaiResponses,
    &OpenaiEmbeddings,
    &OpenaiModerations,
    &OpenaiImages,
    &OpenaiAudio::Speech,
    &OpenaiAudio::Transcriptions,
    &OpenaiRealtime,
    &Rerank,
    &AnthropicMessages,
    &GeminiGenerateContent,
    &GeminiEmbeddings,
];

/// The name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatId {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// OpenAI's embeddings.
    OpenaiEmbeddings,
    /// OpenAI's moderations.
    OpenaiModerations,
    /// OpenAI's images.
    OpenaiImages,
    /// OpenAI's speech.
    OpenaiSpeech,
    /// OpenAI's transcriptions.
    OpenaiTranscriptions,
    /// OpenAI's realtime sessions.
    OpenaiRealtime,
    /// Documents put into order, as by Cohere and Jina.
    Rerank,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Gemini's content.
    GeminiGenerateContent,
    /// Gemini's embeddings.
    GeminiEmbeddings,
}

impl FormatId {
    /// The name in provider files, in the API and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::OpenaiEmbeddings => "openai_embeddings",
            Self::OpenaiModerations => "openai_moderations",
            Self::OpenaiImages => "openai_images",
            Self::OpenaiSpeech => "openai_speech",
            Self::OpenaiTranscriptions => "openai_transcriptions",
            Self::OpenaiRealtime => "openai_realtime",
            Self::Rerank => "rerank",
            Self::AnthropicMessages => "anthropic_messages",
            Self::GeminiGenerateContent => "gemini_generate_content",
            Self::GeminiEmbeddings => "gemini_embeddings",
        }
    }

    /// The format of this name.
    pub fn format(self) -> &'static dyn WireFormat {
        match self {
            Self::OpenaiChat => &OpenaiChat,
            Self::OpenaiResponses => &OpenaiResponses,
            Self::OpenaiEmbeddings => &OpenaiEmbeddings,
            Self::OpenaiModerations => &OpenaiModerations,
            Self::OpenaiImages => &OpenaiImages,
            Self::OpenaiSpeech => &OpenaiAudio::Speech,
            Self::OpenaiTranscriptions => &OpenaiAudio::Transcriptions,
            Self::OpenaiRealtime => &OpenaiRealtime,
            Self::Rerank => &Rerank,
            Self::AnthropicMessages => &AnthropicMessages,
            Self::GeminiGenerateContent => &GeminiGenerateContent,
            Self::GeminiEmbeddings => &GeminiEmbeddings,
        }
    }
}

impl fmt::Display for FormatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of ours, before it is written in the client's format.
#[derive(Debug, Clone)]
pub struct ErrorBody<'a> {
    /// The HTTP status, 400 to 599. The format's `type` follows from it.
    pub status: u16,
    /// The stable code: `key_missing`.
    pub code: &'a str,
    /// What happened, for a person.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// The request's id.
    pub request: &'a str,
    /// Which event of a stream it is, in formats that number them; `None`: that is not known, or it is no event.
    pub number: Option<u64>,
    /// More facts, each a field of the error object. A name that the format itself uses is left out.
    pub details: Map<String, Value>,
}

/// Which field limits the answer's length in a request for a single token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// `max_tokens`: what nearly everyone takes.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: OpenAI's newer models refuse the older name.
    MaxCompletionTokens,
}

impl TokenLimit {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::MaxTokens, Self::MaxCompletionTokens];

    /// The field's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// What an event of a stream is for the client that waits for the end of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// A part of the answer, or something else that no end depends on.
    Part,
    /// Some of the answers that the call asked for are whole with it: so many, at least one.
    Ends(usize),
    /// The whole stream is at its end with it.
    Last,
    /// Nothing but the report of usage.
    Usage,
}

/// What an event at the beginning of a stream is, as long as none before it was output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing of the answer yet: another provider could still take over, and the client would not notice.
    Prelude,
    /// A part of the answer, or its end.
    Output,
    /// An error in the answer's place, which stands for this status.
    Refused(u16),
}

/// One format. The implementors hold no state.
pub trait WireFormat: Sync {
    /// Its name.
    fn id(&self) -> FormatId;

    /// Where the path names the model and, behind it, what is to be done with it: what a probe does. `None`: the body
    /// names the model.
    fn action(&self) -> Option<&'static str> {
        None
    }

    /// An error as the JSON body of a whole answer.
    fn error(&self, error: &ErrorBody<'_>) -> Bytes;

    /// An error as the last event of a stream that has already begun. It begins with an empty line, so
    /// that it stands alone even if the provider's bytes ended in the middle of an event.
    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes;

    /// What this event of a stream is.
    fn passage(&self, event: Event<'_>) -> Passage;

    /// Whether a stream says that it is at its end, so that one which ends without a word was cut off; see [`Ended`].
    fn says_end(&self) -> bool {
        false
    }

    /// What this event is at the beginning of a stream. Formats that do not say so have no prelude.
    fn opening(&self, _event: Event<'_>) -> Opening {
        Opening::Output
    }

    /// The first field of a request that could make it cost more than its model's tokens; see [`crate::surcharge`].
    fn surcharge(&self, body: &[u8]) -> Option<&'static str> {
        crate::surcharge::find(body)
    }

    /// The body of a request for a stream, changed so that the stream reports its usage; `None`: this body asks for
    /// it already, or streams of the format always report.
    fn with_usage(&self, _body: &Bytes) -> Option<Bytes> {
        None
    }

    /// How many bytes of a request stand for its input where nobody reports that: the whole body, but for formats that
    /// can tell the text from what is around it.
    fn input_bytes(&self, body: &[u8]) -> u64 {
        body.len() as u64
    }

    /// A tap that meters an answer on its way: an event stream if `streamed`, else a JSON body.
    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap>;

    /// What a provider's error says of the key; see [`crate::failure::classify`].
    fn upstream_error_kind(&self, status: u16, body: &[u8]) -> Option<FailureKind> {
        crate::failure::classify(status, body)
    }

    /// The body of a request for a single token, the cheapest proof that a key works. Empty: in this format a key is not
    /// tried out. Where the path names the model, the body does not.
    fn probe_body(&self, model: &str, limit: TokenLimit) -> Bytes;
}

/// Meters the bytes of one answer without holding them up or changing them.
///
/// Any split of the same bytes gives the same result, and memory is bounded whatever the provider sends.
pub trait UsageTap: Send {
    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8]);

    /// Takes the next bytes where a report that is the last word will be believed, whatever it says. Beside such a report
    /// the text need not be counted, and what [`finish`](Self::finish) says of it may be nothing.
    fn push_believing(&mut self, bytes: &Bytes) {
        self.push(bytes);
    }

    /// What was reported and counted up to here.
    fn finish(self: Box<Self>) -> Metered;
}

/// `error`'s details without the names that the format writes itself, so that no field stands twice.
fn details<'a>(error: &'a ErrorBody<'_>, taken: &[&str]) -> Vec<(&'a String, &'a Value)> {
    error
        .details
        .iter()
        .filter(|(name, _)| !taken.contains(&name.as_str()))
        .collect()
}

/// `value` as JSON text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("string keys and plain values always serialize")
}
