//! A provider, as its file describes it. The fields are explained in `docs/providers.md`.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use domain::ProviderId;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::format::{FormatId, Operation, TokenLimit};
use domain::glob::Glob;
use domain::policy::ModelName;

mod file;
mod paths;
mod place;
mod thinking;

pub use paths::PathRule;
pub use place::{KeyPlace, MODEL_PLACE, percent_encoded};
pub use thinking::{Thinking, ThinkingRules};

/// What the names of variables begin with in which a key is looked for, whatever the provider, in this order.
pub const KEY_VARIABLE_PREFIXES: [&str; 2] = ["KEYBEARER", "BITROUTER"];

/// The prefix of a variable that is named as those are, and what stands where a provider's id does. `KEYBEARER_API_KEY`
/// is none: it names no provider.
pub fn prefixed_key_variable(name: &str) -> Option<(&'static str, &str)> {
    KEY_VARIABLE_PREFIXES.into_iter().find_map(|prefix| {
        let rest = name.strip_prefix(prefix)?.strip_prefix('_')?;
        Some((prefix, rest.strip_suffix("_API_KEY")?))
    })
}

/// A provider of the registry. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id, unique in the registry.
    pub id: ProviderId,
    /// What people call it.
    pub name: String,
    /// Where it is called, in its only spelling; see [`crate::base_url`].
    pub base_url: String,
    /// Whether it serves.
    pub status: Status,
    /// What sort of house it is.
    pub kind: Kind,
    /// How its calls may be paid.
    pub payment_modes: Vec<PaymentMode>,
    /// How a key is presented to it.
    pub auth: Auth,
    /// Names of environment variables in which its users keep a key, the one that its own tools prefer first.
    pub env: Vec<String>,
    /// What a key looks like and where to get one.
    pub key: KeyHint,
    /// How a key is tried out before it is stored; `None`: it cannot be.
    pub probe: Option<Probe>,
    /// Which formats it speaks for which of its models, and where.
    pub formats: Vec<FormatRule>,
    /// Paths at which it makes or manages credentials, beside those that are closed everywhere.
    pub closed: Vec<PathRule>,
    /// Paths below its base URL that keep nothing and show nothing of what others keep under the same key.
    pub shared: Vec<PathRule>,
    /// Whether a request for a stream of chat completions may have `stream_options`.
    pub takes_stream_options: bool,
    /// How its models are asked to think.
    pub thinking: ThinkingRules,
    /// Names of models that are its own, so that they need no `provider/` in front.
    pub native_patterns: Vec<Glob>,
    /// For a gateway, what it calls other providers: their model `m` is its model `{slug}/m`.
    pub slugs: BTreeMap<ProviderId, String>,
    /// For a gateway, models that it names otherwise than by slug and name.
    pub names: Vec<GatewayName>,
    /// Models known by name. Others work too.
    pub models: Vec<ModelFact>,
}

impl Provider {
    /// Reads a provider file. The error's `file` is `name`.
    ///
    /// # Errors
    /// [`FileError`] with the line and the field of the first offence.
    pub fn parse(name: &str, toml: &str) -> Result<Self, FileError> {
        file::parse(name, toml)
    }

    /// The names of the environment variables in which a key for it is looked for, first to last: with our prefix, with
    /// that of BitRouter, which people come from, and then those that its file names. There is no plain name for a
    /// provider whose file names none: `MY_PROVIDER_API_KEY` may be anybody's.
    pub fn key_variables(&self) -> Vec<String> {
        let id = self.id.as_str().to_uppercase().replace('-', "_");
        let prefixed = KEY_VARIABLE_PREFIXES
            .iter()
            .map(|prefix| format!("{prefix}_{id}_API_KEY"));
        let mut variables: Vec<String> = prefixed.collect();
        for name in &self.env {
            if !variables.contains(name) {
                variables.push(name.clone());
            }
        }
        variables
    }

    /// Whether a key of one's own may be brought for it.
    pub fn takes_own_keys(&self) -> bool {
        self.payment_modes.contains(&PaymentMode::Byok)
    }

    /// Whether the instance may hold a key for it that serves managed calls.
    pub fn takes_platform_keys(&self) -> bool {
        self.payment_modes.contains(&PaymentMode::Managed)
    }

    /// Whether requests are routed to it: it is active and speaks a format.
    pub fn serves_models(&self) -> bool {
        self.status == Status::Active && !self.formats.is_empty()
    }

    /// Whether nothing is passed on to `path`, as the client wrote it: credentials are made or managed there.
    pub fn is_closed(&self, path: &str) -> bool {
        paths::is_closed(&self.closed, path)
    }

    /// Whether one key may serve several workspaces at `path`, below the base URL, of which nothing else is known.
    pub fn is_shared(&self, path: &str) -> bool {
        paths::is_shared(&self.shared, path)
    }

    /// Whether `model` is a name of its own: listed, or claimed by a pattern.
    pub fn knows(&self, model: &str) -> bool {
        self.lists(model) || self.native_patterns.iter().any(|it| it.matches(model))
    }

    /// Whether `model` is listed.
    pub fn lists(&self, model: &str) -> bool {
        self.models.iter().any(|fact| fact.id == model)
    }

    /// What this gateway calls the model that `provider` knows as `model`; `None`: it has no name for it.
    pub fn name_for(&self, provider: &ProviderId, model: &str) -> Option<String> {
        let fitting = self
            .names
            .iter()
            .filter(|it| it.provider == *provider && it.pattern.matches(model));
        match fitting.max_by_key(|it| it.pattern.specificity()) {
            Some(named) => Some(named.name.as_str().to_owned()),
            None => self
                .slugs
                .get(provider)
                .map(|slug| format!("{slug}/{model}")),
        }
    }

    /// Where `model` is called in `format`; `None` if it is not spoken for this model.
    ///
    /// Of the rules that match the model only the closest pattern's count, so that a narrow rule can take
    /// formats away.
    pub fn rule(&self, model: &str, format: FormatId) -> Option<&FormatRule> {
        let matching = || self.formats.iter().filter(|it| it.pattern.matches(model));
        let closest = matching().map(|it| it.pattern.specificity()).max()?;
        matching()
            .filter(|it| it.pattern.specificity() == closest)
            .find(|it| it.format == format)
    }

    /// Which field limits an answer's length in chat completions: the one that its probe uses.
    pub fn token_limit(&self) -> TokenLimit {
        match self.probe {
            Some(Probe::Call { limit, .. }) => limit,
            Some(Probe::Get { .. }) | None => TokenLimit::default(),
        }
    }

    /// How `model` is asked to think.
    pub fn thinking(&self, model: &str) -> Thinking {
        self.thinking.of(model)
    }

    /// The request that tries a key out, without the key.
    pub fn probe_request(&self) -> Option<ProbeRequest> {
        Some(match self.probe.as_ref()? {
            Probe::Call {
                format,
                model,
                limit,
            } => {
                let rule = self.rule(model, *format)?;
                let format = format.format();
                let body = format.probe_body(model, *limit);
                ProbeRequest {
                    method: Method::POST,
                    path: rule.call_path(None, model, format.action())?.into_owned(),
                    body: Some(body).filter(|body| !body.is_empty())?,
                    rule: Some(rule.clone()),
                }
            }
            Probe::Get { path } => ProbeRequest {
                method: Method::GET,
                path: path.clone(),
                body: Bytes::new(),
                rule: None,
            },
        })
    }
}

/// What a gateway calls some models of another provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayName {
    /// The other provider.
    pub provider: ProviderId,
    /// Its own names of the models.
    pub pattern: Glob,
    /// The gateway's name for them.
    pub name: ModelName,
}

/// Whether a provider serves. Only an active one takes requests and new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In service.
    Active,
    /// Being prepared.
    Staging,
    /// Out of service for now.
    Suspended,
    /// Gone for good.
    Withdrawn,
}

impl Status {
    /// The name in provider files and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Staging => "staging",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What sort of house a provider is. The order is the order in which they serve a native model name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Makes the models that it serves.
    FirstParty,
    /// A cloud that serves others' models under their terms.
    Cloud,
    /// Serves open models.
    ThirdParty,
    /// Passes requests on to other providers.
    Gateway,
    /// Searches the web; serves no models.
    Search,
}

impl Kind {
    /// The name in provider files and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstParty => "first_party",
            Self::Cloud => "cloud",
            Self::ThirdParty => "third_party",
            Self::Gateway => "gateway",
            Self::Search => "search",
        }
    }
}

/// How calls to a provider may be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMode {
    /// With a key of the caller's own.
    Byok,
    /// With a key of the instance and the caller's credits.
    Managed,
}

impl PaymentMode {
    /// The name in provider files and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Byok => "byok",
            Self::Managed => "managed",
        }
    }
}

/// How a key is presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The header that carries the key, in lower case.
    pub header: String,
    /// The word before the key, without the blank: `Bearer`. `None`: the key stands alone.
    pub scheme: Option<String>,
    /// Headers that every call needs, name in lower case and value; one that the client sent wins.
    pub extra_headers: Vec<(String, String)>,
}

/// What helps a person to find the right key. Never a reason to refuse one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHint {
    /// What keys look like, as a [`Glob`]: `sk-ant-*`.
    pub pattern: Option<String>,
    /// The page where one gets a key.
    pub url: String,
}

/// How a key is tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A call for a single token.
    Call {
        /// In which format.
        format: FormatId,
        /// A cheap model that every key may use.
        model: String,
        /// The name of the limit that the model takes.
        limit: TokenLimit,
    },
    /// A plain `GET` that needs a key.
    Get {
        /// Path and query below the base URL.
        path: String,
    },
}

/// A request that tries a key out. The caller adds the key and [`Auth::extra_headers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRequest {
    /// `POST` with a JSON body, or `GET` without one.
    pub method: Method,
    /// Path and perhaps query, to be appended to the base URL; begins with a slash.
    pub path: String,
    /// The JSON body; empty for `GET`.
    pub body: Bytes,
    /// The rule by which it speaks one of our formats; `None` if it is none of ours.
    pub rule: Option<FormatRule>,
}

/// A format that a provider speaks for some models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatRule {
    /// For which models, by the provider's own names.
    pub pattern: Glob,
    /// Which format.
    pub format: FormatId,
    /// Where, below the base URL; begins with a slash. Of a format whose path names the model it ends in [`MODEL_PLACE`].
    pub path: String,
    /// Where its other calls are made, likewise. What is not named here is not spoken.
    pub operations: BTreeMap<Operation, String>,
    /// The end of the base URL's path that is left off for this format; begins with a slash.
    pub strip: Option<String>,
    /// How a key is presented in this format, where it is not as in the others.
    pub key_place: Option<KeyPlace>,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFact {
    /// The provider's own name for it.
    pub id: String,
    /// What it reads.
    #[serde(default = "text_only")]
    pub input_modalities: Vec<Modality>,
    /// What it writes.
    #[serde(default = "text_only")]
    pub output_modalities: Vec<Modality>,
    /// Most model tokens of input and output together.
    pub context_tokens: Option<u64>,
    /// Most model tokens of output.
    pub max_output_tokens: Option<u64>,
}

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Pictures.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Documents such as PDF.
    File,
}

impl Modality {
    /// The name in provider files and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
        }
    }
}

/// A provider file that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("provider file {file}, line {line}{}: {message}", in_field(.field))]
pub struct FileError {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The field that stands there; empty if the line has none.
    pub field: String,
    /// The rule.
    pub message: String,
}

fn in_field(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!(", field `{field}`")
    }
}

fn text_only() -> Vec<Modality> {
    vec![Modality::Text]
}

/// The line in which `span` begins, from 1, and the field that stands before it there.
fn locate(toml: &str, span: &Range<usize>) -> (usize, String) {
    let at = toml.floor_char_boundary(span.start.min(toml.len()));
    let line_start = toml[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = toml[line_start..].lines().next().unwrap_or("");
    let number = toml[..line_start].matches('\n').count() + 1;
    let field = match line.split_once('=') {
        Some((field, _)) => field,
        None => line,
    };
    (number, field.trim().trim_matches(['[', ']']).to_owned())
}

#[cfg(test)]
mod tests;
