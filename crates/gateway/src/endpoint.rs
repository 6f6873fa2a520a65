//! Where a request of the data plane goes, by its method and path.

use http::Method;
use llm::format::FormatId;

use crate::pass::{self, Pass};
use crate::realtime::REALTIME;

mod calls;

use calls::GEMINI;
pub(crate) use calls::{CALLS, Call, PICTURE, Priced, Takes};

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
const KEPT: [(&str, Option<&str>); 8] = [
    ("/v1/files", None),
    ("/v1/uploads", Some("openai")),
    ("/v1/batches", Some("openai")),
    ("/v1/responses/", Some("openai")),
    ("/v1/conversations", Some("openai")),
    ("/v1/vector_stores", Some("openai")),
    ("/v1/containers", Some("openai")),
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

/// Whether `call` is its format's main one, whole or as a stream.
pub(crate) fn is_main(call: &Call) -> bool {
    main(call.format).is_some_and(|main| main.operation == call.operation)
}

/// The main call of a format as a stream, where that has a path of its own.
pub(crate) fn stream(format: FormatId) -> Option<&'static Call> {
    let mut calls = CALLS.iter();
    calls.find(|call| call.format == format && call.streams())
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
