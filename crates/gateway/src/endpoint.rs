//! The endpoints of the data plane: one static table.

use http::Method;
use llm::format::{FormatId, Operation};

use crate::pass::{self, Pass};
use crate::realtime::REALTIME;

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
    /// By nothing: providers make no charge.
    Free,
    /// By pictures, seconds, searches, or by tokens that have several prices. Credits are taken by tokens of one
    /// price, so they do not pay.
    Otherwise,
    /// Nobody knows what the call does, so neither its usage nor its price is known.
    Unknown,
}

const GEMINI: FormatId = FormatId::GeminiGenerateContent;

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

/// Everything that calls a model, but for [`REALTIME`]. All of them take `POST` only.
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

const MODELS: &str = "/v1/models";
/// Where Gemini's clients look for models. Their newer ones look in [`MODELS`].
const GEMINI_MODELS: &str = "/v1beta/models";
/// What a path begins with that names the model.
const NAMED: &str = "/v1beta/models/{model}:";
/// The action that wants a stream.
const STREAM: &str = "streamGenerateContent";

impl Call {
    /// What is to be done with the model, where the path names it.
    pub(crate) fn action(&self) -> Option<&'static str> {
        self.path.strip_prefix(NAMED)
    }

    /// Whether the path says that a stream is wanted.
    pub(crate) fn streams(&self) -> bool {
        self.action() == Some(STREAM)
    }
}

/// Below this stand the providers' own paths.
const PROVIDERS: &str = "/providers/";
/// Below this stand those of Brave Search.
const BRAVE: &str = "/brave";
/// What providers keep, at these paths and below, or only below where they end in a slash, and whose it is unless a header says so; `None`: the one whose SDK the
/// client seems to use.
const KEPT: [(&str, Option<&str>); 5] = [
    ("/v1/files", None),
    ("/v1/uploads", Some("openai")),
    ("/v1/batches", Some("openai")),
    ("/v1/responses/", Some("openai")),
    ("/v1/messages/batches", Some("anthropic")),
];

/// Below this clients of models look for endpoints.
const BASE: &str = "/v1/";
/// Below this Gemini's do.
const GEMINI_BASE: &str = "/v1beta/";
/// The control plane's part of it.
const CONTROL: [&str; 3] = ["billing", "byok", "providers"];

/// Where a request of the data plane goes. Opaque: ask [`Gateway::endpoint`](crate::Gateway::endpoint) and
/// hand it to [`Gateway::handle`](crate::Gateway::handle).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(pub(crate) Route);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Call(&'static Call),
    /// A call whose path names the model, percent-decoded.
    ModelCall(&'static Call, String),
    /// Any path of a provider.
    Pass(Pass),
    /// A realtime session.
    Realtime,
    /// `None`: the format is the client's guess.
    Models(Option<FormatId>),
    /// The model's id, percent-decoded. `None`: the format is the client's guess.
    Model(String, Option<FormatId>),
    /// The path is ours, the method is not; names the method that is. `None`: the format is the client's guess.
    WrongMethod(&'static str, Option<FormatId>),
    /// A client of models looks for something that is not served. `None`: the format is the client's guess.
    Unknown(Option<FormatId>),
}

/// A format's main call.
pub(crate) fn main(format: FormatId) -> Option<&'static Call> {
    let mut calls = CALLS.iter();
    calls.find(|call| call.format == format && call.beside.is_none())
}

/// Everything that is served, as method and path. A star: any of [`pass::METHODS`], and whatever is below the path.
pub(crate) fn served() -> Vec<String> {
    let calls = CALLS.iter().map(|call| format!("POST {}", call.path));
    let kept = KEPT.iter().map(|(path, _)| format!("* {path}"));
    let others = [
        format!("* {PROVIDERS}{{provider}}/{{path}}"),
        format!("* {BRAVE}/{{path}}"),
        format!("GET {}", REALTIME.path),
        format!("GET {MODELS}"),
        format!("GET {GEMINI_MODELS}"),
    ];
    calls.chain(kept).chain(others).collect()
}

/// The media types of bodies, for a sentence.
pub(crate) fn media_types(takes: &[Takes]) -> String {
    let name = |it: &Takes| match it {
        Takes::Json => "application/json",
        Takes::Form => "multipart/form-data",
        Takes::Any => "of one media type",
    };
    takes.iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// The endpoint of this method and path, if the path is one of the data plane's. Paths are exact.
pub(crate) fn find(method: &Method, path: &str) -> Option<Endpoint> {
    known(method, path).or_else(|| unknown(path)).map(Endpoint)
}

fn known(method: &Method, path: &str) -> Option<Route> {
    let exact = |call: &&Call| call.action().is_none() && call.path == path;
    if let Some(call) = CALLS.iter().find(exact) {
        return Some(post(method, call.format, Route::Call(call)));
    }
    if path == REALTIME.path {
        return Some(match *method {
            Method::GET => Route::Realtime,
            _ => Route::WrongMethod("GET", Some(REALTIME.format)),
        });
    }
    if let Some(pass) = passed(path) {
        return Some(if pass::METHODS.contains(method) {
            Route::Pass(pass)
        } else {
            Route::WrongMethod(pass::ALLOW, None)
        });
    }
    let (rest, format) = match path.strip_prefix(GEMINI_MODELS) {
        Some(rest) => (rest, Some(GEMINI)),
        None => (path.strip_prefix(MODELS)?, None),
    };
    let route = if rest.is_empty() {
        Route::Models(format)
    } else {
        let id = rest.strip_prefix('/').filter(|id| !id.is_empty())?;
        if let Some((call, model)) = named(id) {
            return Some(post(
                method,
                call.format,
                Route::ModelCall(call, decode(model)?),
            ));
        }
        // Something else is to be done with a model.
        if method == Method::POST && id.contains(':') && format.is_some() {
            return None;
        }
        Route::Model(decode(id)?, format)
    };
    Some(if method == Method::GET {
        route
    } else {
        Route::WrongMethod("GET", format)
    })
}

fn post(method: &Method, format: FormatId, route: Route) -> Route {
    if method == Method::POST {
        route
    } else {
        Route::WrongMethod("POST", Some(format))
    }
}

/// The call of a path that names a model and an action, and the model as it stands there. The action is behind the last
/// colon, since a name may have some of its own.
fn named(id: &str) -> Option<(&'static Call, &str)> {
    let (model, action) = id.rsplit_once(':')?;
    let call = CALLS.iter().find(|call| call.action() == Some(action))?;
    (!model.is_empty()).then_some((call, model))
}

/// A path of a provider.
fn passed(path: &str) -> Option<Pass> {
    if let Some(rest) = path.strip_prefix(PROVIDERS) {
        let (provider, _) = rest.split_once('/')?;
        return Some(Pass {
            named: Some(provider.to_owned()),
            default: None,
            path: rest[provider.len()..].to_owned(),
            versioned: false,
        });
    }
    let below = |beginning: &str| {
        let rest = path.strip_prefix(beginning.trim_end_matches('/'))?;
        let fits = match rest.strip_prefix('/') {
            Some(rest) => !(beginning.ends_with('/') && rest.is_empty()),
            None => rest.is_empty() && !beginning.ends_with('/'),
        };
        fits.then_some(rest)
    };
    if let Some(rest) = below(BRAVE).filter(|rest| !rest.is_empty()) {
        return Some(Pass {
            named: Some("brave".to_owned()),
            default: None,
            path: rest.to_owned(),
            versioned: false,
        });
    }
    let (_, default) = KEPT
        .iter()
        .find(|(beginning, _)| below(beginning).is_some())?;
    Some(Pass {
        named: None,
        default: *default,
        path: path.to_owned(),
        versioned: true,
    })
}

/// The refusal for what a client of models would call: it must be in a form that the client reads.
fn unknown(path: &str) -> Option<Route> {
    if path.starts_with(GEMINI_BASE) {
        return Some(Route::Unknown(Some(GEMINI)));
    }
    let rest = path.strip_prefix(BASE)?;
    let is_control = CONTROL
        .iter()
        .filter_map(|name| rest.strip_prefix(name))
        .any(|after| after.is_empty() || after.starts_with('/'));
    let messages = rest.starts_with("messages");
    (!is_control).then(|| Route::Unknown(messages.then_some(FormatId::AnthropicMessages)))
}

/// Undoes percent-encoding; `None` for what is not text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = after;
            continue;
        }
        let digits = after.get(..2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests;
