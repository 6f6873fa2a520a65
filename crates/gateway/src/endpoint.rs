//! Where a request of the data plane goes, by its method and path.

use http::Method;
use llm::format::FormatId;

use crate::pass::{self, Pass};
use crate::realtime::REALTIME;

mod calls;

use calls::GEMINI;
pub(crate) use calls::{CALLS, Call, PICTURE, Priced, Takes};

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

/// What is served at a path that calls no model by itself.
#[derive(Debug, Clone, Copy)]
enum Leads {
    /// A session of this format.
    Realtime(FormatId),
    /// The list of models, each model below it, and the calls whose path names the model. The format is the client's
    /// guess where there is none.
    Models(Option<FormatId>),
    /// The paths of the provider that the path names.
    Named,
    /// The paths of this provider.
    Below(&'static str),
    /// What providers keep, and whose it is unless a header says so; `None`: the one whose SDK the client seems to use.
    Kept(Option<&'static str>),
}

/// Everything that is served but for [`CALLS`], by the beginning of its path. [`find`] knows no other path, and
/// [`served`] lists the same lines, so that what is tested for all of them cannot leave one out.
///
/// Where a beginning ends in a slash, only what is below it counts.
static LINES: [(&str, Leads); 13] = [
    ("/v1/files", Leads::Kept(None)),
    ("/v1/uploads", Leads::Kept(Some("openai"))),
    ("/v1/batches", Leads::Kept(Some("openai"))),
    ("/v1/responses/", Leads::Kept(Some("openai"))),
    ("/v1/conversations", Leads::Kept(Some("openai"))),
    ("/v1/vector_stores", Leads::Kept(Some("openai"))),
    ("/v1/containers", Leads::Kept(Some("openai"))),
    ("/v1/messages/batches", Leads::Kept(Some("anthropic"))),
    ("/providers/", Leads::Named),
    ("/brave", Leads::Below("brave")),
    (REALTIME.path, Leads::Realtime(REALTIME.format)),
    ("/v1/models", Leads::Models(None)),
    // Where Gemini's clients look for models. Their newer ones look in the one before.
    ("/v1beta/models", Leads::Models(Some(GEMINI))),
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
    /// The same, of a client whose base URL has its version twice or not at all: it looks for this call.
    Elsewhere(&'static Call),
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
    let others = LINES.iter().map(|(path, leads)| match leads {
        Leads::Realtime(_) | Leads::Models(_) => format!("GET {path}"),
        Leads::Named => format!("* {path}{{provider}}/{{path}}"),
        Leads::Below(_) => format!("* {path}/{{path}}"),
        Leads::Kept(_) => format!("* {path}"),
    });
    calls.chain(others).collect()
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
    known(method, path)
        .or_else(|| elsewhere(path))
        .or_else(|| unknown(path))
        .map(Endpoint)
}

fn known(method: &Method, path: &str) -> Option<Route> {
    let exact = |call: &&Call| call.action().is_none() && call.path == path;
    if let Some(call) = CALLS.iter().find(exact) {
        return Some(post(method, call.format, Route::Call(call)));
    }
    let mut lines = LINES.iter();
    lines.find_map(|(beginning, leads)| leads.at(method, path, below(path, beginning)?))
}

/// What is left of a path behind this beginning: nothing, or what begins with a slash.
fn below<'a>(path: &'a str, beginning: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(beginning.trim_end_matches('/'))?;
    let only_below = beginning.ends_with('/');
    let fits = match rest.strip_prefix('/') {
        Some(rest) => !(only_below && rest.is_empty()),
        None => rest.is_empty() && !only_below,
    };
    fits.then_some(rest)
}

impl Leads {
    /// The route of a path that begins as this line, and goes on with `rest`.
    fn at(self, method: &Method, path: &str, rest: &str) -> Option<Route> {
        match self {
            Self::Realtime(format) => rest
                .is_empty()
                .then(|| only(Method::GET, method, Some(format), Route::Realtime)),
            Self::Models(format) => models(method, format, rest),
            Self::Named => {
                let (provider, _) = rest[1..].split_once('/')?;
                let path = &rest[1 + provider.len()..];
                Some(passed(method, Some(provider), None, path))
            }
            Self::Below(provider) => {
                (!rest.is_empty()).then(|| passed(method, Some(provider), None, rest))
            }
            Self::Kept(default) => Some(passed(method, None, default, path)),
        }
    }
}

fn models(method: &Method, format: Option<FormatId>, rest: &str) -> Option<Route> {
    let route = if rest.is_empty() {
        Route::Models(format)
    } else {
        let id = rest.strip_prefix('/').filter(|id| !id.is_empty())?;
        if let Some((call, model)) = named(id) {
            let route = Route::ModelCall(call, decode(model)?);
            return Some(post(method, call.format, route));
        }
        // Something else is to be done with a model.
        if method == Method::POST && id.contains(':') && format.is_some() {
            return None;
        }
        Route::Model(decode(id)?, format)
    };
    Some(only(Method::GET, method, format, route))
}

fn post(method: &Method, format: FormatId, route: Route) -> Route {
    only(Method::POST, method, Some(format), route)
}

/// The route, if the method is the only one that leads there.
fn only(right: Method, method: &Method, format: Option<FormatId>, route: Route) -> Route {
    if *method == right {
        return route;
    }
    let right = if right == Method::GET { "GET" } else { "POST" };
    Route::WrongMethod(right, format)
}

/// The call of a path that names a model and an action, and the model as it stands there. The action is behind the last
/// colon, since a name may have some of its own.
fn named(id: &str) -> Option<(&'static Call, &str)> {
    let (model, action) = id.rsplit_once(':')?;
    let call = CALLS.iter().find(|call| call.action() == Some(action))?;
    (!model.is_empty()).then_some((call, model))
}

/// A path of a provider. That of a `named` one is its own, any other is ours.
fn passed(
    method: &Method,
    named: Option<&str>,
    default: Option<&'static str>,
    path: &str,
) -> Route {
    if !pass::METHODS.contains(method) {
        return Route::WrongMethod(pass::ALLOW, None);
    }
    Route::Pass(Pass {
        named: named.map(str::to_owned),
        default,
        path: path.to_owned(),
        versioned: named.is_none(),
    })
}

/// The refusal for a known call at another place.
fn elsewhere(path: &str) -> Option<Route> {
    let mut rest = path;
    let versions = ["/v1beta/", "/v1/"];
    while let Some(version) = versions.iter().find(|it| rest.starts_with(**it)) {
        // The slash stays.
        rest = &rest[version.len() - 1..];
    }
    let of_path = |call: &&Call| call.path.strip_prefix("/v1") == Some(rest);
    let call = CALLS.iter().find(of_path);
    // At its own place it is not the path that is wrong, but the model's name.
    let is_there = LINES.iter().any(|(beginning, leads)| {
        matches!(leads, Leads::Models(_)) && below(path, beginning).is_some()
    });
    let model = rest.strip_prefix("/models/").filter(|_| !is_there);
    let named = model.and_then(named).map(|(call, _)| call);
    call.or(named).map(Route::Elsewhere)
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
