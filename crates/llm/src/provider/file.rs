//! The TOML of a provider file: strict, and every refusal names its line.

use std::collections::BTreeMap;

use domain::ProviderId;
use domain::credential::{API_KEY_HEADERS, BEARER_HEADER};
use domain::glob::Glob;
use domain::policy::ModelName;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Auth, FileError, GatewayName, KeyHint, Kind, ModelFact, PathRule, PaymentMode, Probe, Provider,
    Status, ThinkingRules, locate,
};
use crate::base_url::{Loopback, canonical_base_url};
use crate::format::{FormatId, TokenLimit};

mod formats;

use formats::{FormatTable, format_rule};

/// Headers that belong to the connection, to the client or to us; a file cannot set them.
const RESERVED_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: ProviderId,
    name: Spanned<String>,
    base_url: Spanned<String>,
    status: Status,
    kind: Kind,
    #[serde(default)]
    env: Vec<Spanned<String>>,
    payment: Payment,
    auth: AuthTable,
    key: KeyTable,
    probe: Option<Spanned<ProbeTable>>,
    #[serde(default)]
    formats: Vec<FormatTable>,
    #[serde(default)]
    closed: Vec<Spanned<String>>,
    #[serde(default)]
    shared: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    stream_options: bool,
    #[serde(default)]
    thinking: ThinkingRules,
    #[serde(default)]
    native_patterns: Vec<Glob>,
    #[serde(default)]
    slugs: BTreeMap<ProviderId, Spanned<String>>,
    #[serde(default)]
    names: BTreeMap<Spanned<String>, ModelName>,
    #[serde(default)]
    models: Vec<Spanned<ModelFact>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    modes: Vec<PaymentMode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthTable {
    header: Spanned<String>,
    scheme: Option<Spanned<String>>,
    #[serde(default)]
    extra_headers: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    pattern: Option<Glob>,
    url: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeTable {
    format: Option<FormatId>,
    model: Option<String>,
    token_limit: Option<TokenLimit>,
    get: Option<Spanned<String>>,
}

/// A rule that is broken, and where.
type Broken = (std::ops::Range<usize>, String);

pub(super) fn parse(name: &str, toml: &str) -> Result<Provider, FileError> {
    let read = || -> Result<Provider, Broken> {
        let file: File = toml::from_str(toml)
            .map_err(|error| (error.span().unwrap_or_default(), error.message().to_owned()))?;
        provider(file)
    };
    read().map_err(|(span, message)| {
        let (line, field) = locate(toml, &span);
        FileError {
            file: name.to_owned(),
            line,
            field,
            message,
        }
    })
}

fn provider(file: File) -> Result<Provider, Broken> {
    let base_url = canonical_base_url(file.base_url.as_ref(), Loopback::AllowHttp)
        .or_else(|error| broken(&file.base_url, &error.to_string()))?;
    let probe_span = file.probe.as_ref().map(Spanned::span);
    let auth = auth(file.auth)?;
    let rule = |table| format_rule(table, &base_url, &auth);
    let formats = file.formats.into_iter().map(rule);
    let formats = formats.collect::<Result<_, _>>()?;
    let provider = Provider {
        id: file.id,
        name: line_of_text(file.name)?,
        base_url,
        status: file.status,
        kind: file.kind,
        payment_modes: file.payment.modes,
        auth,
        env: file
            .env
            .into_iter()
            .map(env_name)
            .collect::<Result<_, _>>()?,
        key: KeyHint {
            pattern: file.key.pattern.map(|glob| glob.as_str().to_owned()),
            url: page(file.key.url)?,
        },
        probe: file.probe.map(probe).transpose()?,
        formats,
        closed: path_rules(file.closed)?,
        shared: path_rules(file.shared)?,
        takes_stream_options: file.stream_options,
        thinking: file.thinking,
        native_patterns: file.native_patterns,
        slugs: slugs(file.kind, file.slugs)?,
        names: names(file.kind, file.names)?,
        models: models(file.models)?,
    };
    if let Some(span) = probe_span
        && provider.probe_request().is_none()
    {
        let message = "the probe's model has no format rule for the probe's format, or no key is tried out in it";
        return Err((span, message.to_owned()));
    }
    Ok(provider)
}

fn auth(table: AuthTable) -> Result<Auth, Broken> {
    let header = header_name(&table.header)?;
    let scheme = table.scheme.map(scheme).transpose()?;
    let mut extra_headers = Vec::new();
    for (name, value) in table.extra_headers {
        let lower = header_name(&name)?;
        let carries_key =
            lower == header || lower == BEARER_HEADER || API_KEY_HEADERS.contains(&lower.as_str());
        if carries_key {
            return broken(&name, "this header carries a key, and a file holds none");
        }
        if HeaderValue::from_str(value.as_ref()).is_err() || !value.as_ref().is_ascii() {
            return broken(&value, "not a header value");
        }
        extra_headers.push((lower, value.into_inner()));
    }
    Ok(Auth {
        header,
        scheme,
        extra_headers,
    })
}

fn scheme(scheme: Spanned<String>) -> Result<String, Broken> {
    let word = scheme.as_ref();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return broken(&scheme, "a scheme is one word of letters and digits");
    }
    Ok(scheme.into_inner())
}

fn header_name(name: &Spanned<String>) -> Result<String, Broken> {
    match HeaderName::from_bytes(name.as_ref().as_bytes()) {
        Ok(header) if header.as_str() != name.as_ref() => {
            broken(name, "a header name is written in lower case")
        }
        Ok(header) if RESERVED_HEADERS.contains(&header.as_str()) => {
            broken(name, "this header cannot be set by a provider file")
        }
        Ok(header) => Ok(header.as_str().to_owned()),
        Err(_) => broken(name, "not a header name"),
    }
}

fn probe(table: Spanned<ProbeTable>) -> Result<Probe, Broken> {
    let span = table.span();
    match table.into_inner() {
        ProbeTable {
            get: Some(path),
            format: None,
            model: None,
            token_limit: None,
        } => {
            let (bare, query) = match path.as_ref().split_once('?') {
                Some((bare, query)) => (bare, Some(query)),
                None => (path.as_ref().as_str(), None),
            };
            let query_fits = query.is_none_or(|query| query.bytes().all(fits_query));
            if !is_path(bare) || !query_fits {
                return broken(&path, "not a path with a plain query");
            }
            Ok(Probe::Get {
                path: path.into_inner(),
            })
        }
        ProbeTable {
            get: None,
            format: Some(format),
            model: Some(model),
            token_limit,
        } if !model.is_empty() => Ok(Probe::Call {
            format,
            model,
            limit: token_limit.unwrap_or_default(),
        }),
        _ => Err((
            span,
            "a probe has either `get`, or `format` and `model` and perhaps `token_limit`"
                .to_owned(),
        )),
    }
}

fn path_rules(paths: Vec<Spanned<String>>) -> Result<Vec<PathRule>, Broken> {
    let rules = paths
        .into_iter()
        .map(|path| match PathRule::parse(path.as_ref()) {
            Some(rule) => Ok(rule),
            None => broken(
                &path,
                "the beginning of a path is segments between slashes, each plain text or `*`",
            ),
        });
    rules.collect()
}

fn slugs(
    kind: Kind,
    slugs: BTreeMap<ProviderId, Spanned<String>>,
) -> Result<BTreeMap<ProviderId, String>, Broken> {
    let named = slugs.into_iter().map(|(provider, slug)| {
        if kind != Kind::Gateway {
            return broken(&slug, "only a gateway has names for other providers");
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let fits = (1..=64).contains(&slug.as_ref().len()) && slug.as_ref().bytes().all(allowed);
        if !fits {
            return broken(
                &slug,
                "a slug is 1 to 64 letters, digits, dots, dashes and underscores",
            );
        }
        Ok((provider, slug.into_inner()))
    });
    named.collect()
}

fn names(
    kind: Kind,
    names: BTreeMap<Spanned<String>, ModelName>,
) -> Result<Vec<GatewayName>, Broken> {
    let named = names.into_iter().map(|(theirs, name)| {
        if kind != Kind::Gateway {
            return broken(&theirs, "only a gateway has names for other providers");
        }
        let parts = theirs.as_ref().split_once('/').and_then(|(id, pattern)| {
            let provider = id.parse::<ProviderId>().ok()?;
            Some((provider, Glob::parse(pattern).ok()?))
        });
        match parts {
            Some((provider, pattern)) => Ok(GatewayName {
                provider,
                pattern,
                name,
            }),
            None => broken(&theirs, "a name is for `provider/pattern`"),
        }
    });
    named.collect()
}

fn models(models: Vec<Spanned<ModelFact>>) -> Result<Vec<ModelFact>, Broken> {
    let mut ids = std::collections::BTreeSet::new();
    let mut facts = Vec::with_capacity(models.len());
    for model in models {
        let id = &model.as_ref().id;
        let fits = (1..=crate::head::MAX_MODEL_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return broken(&model, "a model's id is 1 to 256 visible ASCII characters");
        }
        if !ids.insert(id.clone()) {
            return broken(&model, "this model is listed twice");
        }
        facts.push(model.into_inner());
    }
    Ok(facts)
}

fn line_of_text(text: Spanned<String>) -> Result<String, Broken> {
    let fits = (1..=64).contains(&text.as_ref().chars().count())
        && !text.as_ref().contains(char::is_control);
    if fits {
        Ok(text.into_inner())
    } else {
        broken(&text, "a name is one line of 1 to 64 characters")
    }
}

fn env_name(name: Spanned<String>) -> Result<String, Broken> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let fits = name.as_ref().bytes().all(allowed)
        && name.as_ref().starts_with(|c: char| c.is_ascii_uppercase());
    if fits {
        Ok(name.into_inner())
    } else {
        broken(
            &name,
            "a variable's name has A-Z, 0-9 and _ and begins with a letter",
        )
    }
}

/// A web page that the console links to.
fn page(text: Spanned<String>) -> Result<String, Broken> {
    match url::Url::parse(text.as_ref()) {
        Ok(url) if url.scheme() == "https" && url.username().is_empty() => Ok(url.into()),
        _ => broken(&text, "not an https:// page"),
    }
}

fn is_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    segments.split('/').all(|segment| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
    })
}

fn fits_query(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~=&".contains(&byte)
}

fn broken<T, S>(at: &Spanned<S>, rule: &str) -> Result<T, Broken> {
    Err((at.span(), rule.to_owned()))
}

fn yes() -> bool {
    true
}
