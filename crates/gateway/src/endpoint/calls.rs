//! The endpoints that call a model: one static table.

use llm::format::{FormatId, Operation};

use crate::pass;

/// An endpoint that calls a model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The path. Where it names the model, `{model}` stands for the name, and the other version is served as well.
    pub(crate) path: &'static str,
    /// What the client speaks there.
    pub(crate) format: FormatId,
    /// Which of the format's calls it is; `None`: the main one.
    pub(crate) beside: Option<Operation>,
    /// The name in usage rows.
    pub(crate) operation: &'static str,
    pub(crate) priced: Priced,
    /// What a body may be.
    pub(crate) takes: &'static [Takes],
    /// Media types of answers that pass beside JSON and event streams; `audio/*` stands for all that begin so.
    pub(crate) also: &'static [&'static str],
}

impl Call {
    /// Whether it is a provider's own path, by which anything may be done.
    pub(crate) fn is_passed(&self) -> bool {
        self.operation == pass::OPERATION
    }

    /// Whether an answer of this media type, without parameters and in lower case, passes as it is.
    pub(crate) fn passes(&self, media_type: &str) -> bool {
        self.also.iter().any(|also| match also.strip_suffix('*') {
            Some(beginning) => media_type.starts_with(beginning),
            None => media_type == *also,
        })
    }
}

/// What a request body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `application/json`.
    Json,
    /// `multipart/form-data`.
    Form,
    /// Anything, which is not read.
    Any,
}

const JSON: &[Takes] = &[Takes::Json];
const FORM: &[Takes] = &[Takes::Form];

/// What providers call sound.
const SOUND: &[&str] = &["audio/*", "application/octet-stream"];
/// As what providers send subtitles and plain transcripts.
const TRANSCRIPTS: &[&str] = &["text/plain", "text/vtt", "application/x-subrip"];

/// By what a call is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priced {
    /// By model tokens, or it is at least charged by them.
    ByToken,
    /// By the picture, as the instance's settings say. Credits alone pay.
    ByPicture,
    /// By nothing: providers make no charge.
    Free,
    /// By pictures, seconds, searches, or by tokens that have several prices. Credits are taken by tokens of one
    /// price, so they do not pay.
    Otherwise,
    /// Nobody knows what the call does, so neither its usage nor its price is known.
    Unknown,
}

pub(super) const GEMINI: FormatId = FormatId::GeminiGenerateContent;

/// A call whose path names the model.
const fn gemini(
    path: &'static str,
    format: FormatId,
    operation: &'static str,
    priced: Priced,
) -> Call {
    Call {
        path,
        format,
        beside: None,
        operation,
        priced,
        takes: JSON,
        also: &[],
    }
}

/// A picture of a generation run. No path leads here.
pub(crate) static PICTURE: Call = Call {
    path: "/v1/images/generations",
    format: FormatId::OpenaiImages,
    beside: None,
    operation: "image_generations",
    priced: Priced::ByPicture,
    takes: JSON,
    also: &[],
};

/// Everything that calls a model, but for [`crate::realtime::REALTIME`]. All of them take `POST` only.
pub(crate) static CALLS: &[Call] = &[
    Call {
        path: "/v1/chat/completions",
        format: FormatId::OpenaiChat,
        beside: None,
        operation: "chat_completions",
        priced: Priced::ByToken,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/responses",
        format: FormatId::OpenaiResponses,
        beside: None,
        operation: "responses",
        priced: Priced::ByToken,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/embeddings",
        format: FormatId::OpenaiEmbeddings,
        beside: None,
        operation: "embeddings",
        priced: Priced::ByToken,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/moderations",
        format: FormatId::OpenaiModerations,
        beside: None,
        operation: "moderations",
        priced: Priced::Otherwise,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/images/generations",
        format: FormatId::OpenaiImages,
        beside: None,
        operation: "image_generations",
        priced: Priced::Otherwise,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/images/edits",
        format: FormatId::OpenaiImages,
        beside: Some(Operation::Edits),
        operation: "image_edits",
        priced: Priced::Otherwise,
        takes: &[Takes::Form, Takes::Json],
        also: &[],
    },
    Call {
        path: "/v1/images/variations",
        format: FormatId::OpenaiImages,
        beside: Some(Operation::Variations),
        operation: "image_variations",
        priced: Priced::Otherwise,
        takes: FORM,
        also: &[],
    },
    Call {
        path: "/v1/audio/speech",
        format: FormatId::OpenaiSpeech,
        beside: None,
        operation: "speech",
        priced: Priced::Otherwise,
        takes: JSON,
        also: SOUND,
    },
    Call {
        path: "/v1/audio/transcriptions",
        format: FormatId::OpenaiTranscriptions,
        beside: None,
        operation: "transcriptions",
        priced: Priced::Otherwise,
        takes: FORM,
        also: TRANSCRIPTS,
    },
    Call {
        path: "/v1/audio/translations",
        format: FormatId::OpenaiTranscriptions,
        beside: Some(Operation::Translations),
        operation: "translations",
        priced: Priced::Otherwise,
        takes: FORM,
        also: TRANSCRIPTS,
    },
    Call {
        path: "/v1/rerank",
        format: FormatId::Rerank,
        beside: None,
        operation: "rerank",
        priced: Priced::Otherwise,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v2/rerank",
        format: FormatId::Rerank,
        beside: None,
        operation: "rerank",
        priced: Priced::Otherwise,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/messages",
        format: FormatId::AnthropicMessages,
        beside: None,
        operation: "messages",
        priced: Priced::ByToken,
        takes: JSON,
        also: &[],
    },
    Call {
        path: "/v1/messages/count_tokens",
        format: FormatId::AnthropicMessages,
        beside: Some(Operation::CountTokens),
        operation: "count_tokens",
        priced: Priced::Free,
        takes: JSON,
        also: &[],
    },
    gemini(
        "/v1beta/models/{model}:generateContent",
        GEMINI,
        "generate_content",
        Priced::ByToken,
    ),
    gemini(
        "/v1beta/models/{model}:streamGenerateContent",
        GEMINI,
        "generate_content",
        Priced::ByToken,
    ),
    gemini(
        "/v1beta/models/{model}:countTokens",
        GEMINI,
        "count_tokens",
        Priced::Free,
    ),
    gemini(
        "/v1beta/models/{model}:embedContent",
        FormatId::GeminiEmbeddings,
        "embed_content",
        Priced::ByToken,
    ),
    gemini(
        "/v1beta/models/{model}:batchEmbedContents",
        FormatId::GeminiEmbeddings,
        "embed_content",
        Priced::ByToken,
    ),
];
