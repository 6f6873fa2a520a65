//! Requests for any path of a provider, which are passed on as they are.
//!
//! Nobody knows what such a call does or costs, so only own keys serve it. Where the path is one of the provider's formats
//! the request is read as that format says, its model is checked, and its usage is metered.

use std::sync::LazyLock;

use domain::ProviderId;
use domain::resolve::Candidate;
use http::{HeaderMap, Method, header};
use llm::format::FormatId;
use llm::provider::{FormatRule, Provider, Status};

use crate::Plane;
use crate::endpoint::{CALLS, Call, Priced, Takes};
use crate::error::Failure;
use crate::kept::Maker;
use crate::{headers, models};

/// A request for a path of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The provider's name as the path has it; `None`: the header `x-keybearer-provider` chooses, else it is `default`.
    pub(crate) named: Option<String>,
    /// `None`: the one whose SDK the client seems to use.
    pub(crate) default: Option<&'static str>,
    /// The path as the client wrote it, behind the provider's name; begins with a slash.
    pub(crate) path: String,
    /// Whether `path` begins with `/v1`, which the provider's base URL may end with.
    pub(crate) versioned: bool,
}

/// Methods that are passed on.
pub(crate) const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];
/// The same, for a header.
pub(crate) const ALLOW: &str = "GET, POST, PUT, PATCH, DELETE";
/// The name in usage rows.
pub(crate) const OPERATION: &str = "passthrough";

/// The known calls, as they are made by a provider's own path.
static KNOWN: LazyLock<Vec<Call>> = LazyLock::new(|| {
    let passed = |call: &Call| Call {
        operation: OPERATION,
        priced: match call.priced {
            Priced::ByToken | Priced::ByPicture | Priced::Otherwise | Priced::Unknown => {
                Priced::Otherwise
            }
            Priced::Free => Priced::Free,
        },
        ..*call
    };
    CALLS.iter().map(passed).collect()
});

/// All other calls, for clients of each format.
static UNKNOWN: LazyLock<Vec<Call>> = LazyLock::new(|| {
    let formats = CALLS.iter().map(|call| call.format);
    formats.map(unknown).collect()
});

const fn unknown(format: FormatId) -> Call {
    Call {
        path: "/providers/{provider}/{path}",
        format,
        beside: None,
        operation: OPERATION,
        priced: Priced::Unknown,
        takes: &[Takes::Any],
        also: &["*"],
    }
}

impl Pass {
    /// The provider that is meant, if the instance has it. `maker`: who made what the path names.
    pub(crate) fn provider<'a>(
        &self,
        plane: &'a Plane,
        headers: &HeaderMap,
        maker: Option<&Maker>,
    ) -> Result<&'a Provider, Failure> {
        let name = match &self.named {
            Some(name) => name.as_str(),
            None => match (headers::provider(headers)?, maker) {
                (Some(name), _) => name,
                (None, Some(maker)) => maker.provider.as_str(),
                (None, None) => self.default.unwrap_or_else(|| native(headers)),
            },
        };
        let id = name.parse::<ProviderId>().ok();
        let provider = id.and_then(|id| plane.registry.get(&id));
        provider
            .filter(|it| it.status == Status::Active && it.takes_own_keys())
            .ok_or(Failure::UnknownProvider)
    }

    /// The path below the provider's base URL.
    pub(crate) fn below<'a>(&'a self, base_url: &str) -> &'a str {
        let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
        match self.path.strip_prefix("/v1") {
            Some(rest) if self.versioned && base_url.ends_with("/v1") => rest,
            _ => &self.path,
        }
    }

    /// What the call is, as far as it is known.
    pub(crate) fn call(&self, provider: &Provider, method: &Method) -> &'static Call {
        let path = self.below(&provider.base_url);
        let known = KNOWN.iter().find(|call| {
            let mut rules = provider.formats.iter();
            // What is spoken at another place than below the base URL is not what is called here.
            let here = |rule: &FormatRule| {
                let theirs = rule.call_path(call.beside, "", None);
                rule.format == call.format
                    && rule.strip.is_none()
                    && theirs.is_some_and(|theirs| is_same(&theirs, path))
            };
            method == Method::POST && rules.any(here)
        });
        let format = provider.formats.first().map(|rule| rule.format);
        known.unwrap_or_else(|| nothing_known(format.unwrap_or(FormatId::OpenaiChat)))
    }

    /// Whether the provider is known to keep nothing at the path, so that workspaces may share a key.
    pub(crate) fn is_shared(&self, provider: &Provider) -> bool {
        provider.is_shared(self.below(&provider.base_url))
    }

    /// Refuses what cannot be passed on as it stands.
    pub(crate) fn check(&self, provider: &Provider, headers: &HeaderMap) -> Result<(), Failure> {
        if headers.contains_key(header::UPGRADE) {
            return Err(Failure::UpgradeNotSupported);
        }
        if !is_plain(&self.path) {
            return Err(Failure::InvalidPath);
        }
        if provider.is_closed(&self.path) {
            return Err(Failure::PathClosed);
        }
        Ok(())
    }
}

/// The provider whose SDK the client seems to use.
fn native(headers: &HeaderMap) -> &'static str {
    match models::format_of(headers) {
        FormatId::AnthropicMessages => "anthropic",
        _ => "openai",
    }
}

/// A call of which nothing is known, for a client of this format.
pub(crate) fn nothing_known(format: FormatId) -> &'static Call {
    let found = UNKNOWN.iter().find(|call| call.format == format);
    found.unwrap_or(&UNKNOWN[0])
}

/// What is asked of the provider, where a model may be named or none.
pub(crate) fn candidate(provider: &Provider, model: &str) -> Candidate {
    Candidate {
        provider: provider.id.clone(),
        model: model.to_owned(),
    }
}

/// Whether two paths are one for a lenient server: a slash at the end, or a version in front that the base URL has too.
fn is_same(known: &str, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let versioned = |longer: &str, shorter| longer.strip_prefix("/v1") == Some(shorter);
    path == known || versioned(path, known) || versioned(known, path)
}

/// Whether a path stays where it is, whoever reads it: its segments are not empty but for the last, none is a dot or two,
/// and nothing in them is an encoded slash, dot, percent sign or control character.
fn is_plain(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else {
        return false;
    };
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last || segment == "." || segment == ".." {
            return false;
        }
        if !is_plain_segment(segment.as_bytes()) {
            return false;
        }
    }
    !path.is_empty()
}

fn is_plain_segment(mut segment: &[u8]) -> bool {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte);
    while let [byte, rest @ ..] = segment {
        segment = match (byte, rest) {
            (b'%', [high, low, rest @ ..]) => {
                let digits = [char::from(*high), char::from(*low)].map(|it| it.to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return false;
                };
                let decoded = high * 16 + low;
                let hidden = [b'/', b'\\', b'.', b'%', b';', b'-', b'_', b'~'].map(u32::from);
                // Letters and digits never need it: so written, a path is another one to us than to the provider.
                let needless = u8::try_from(decoded).is_ok_and(|it| it.is_ascii_alphanumeric());
                if decoded < 0x20 || decoded == 0x7f || needless || hidden.contains(&decoded) {
                    return false;
                }
                rest
            }
            (byte, rest) if stays(*byte) => rest,
            _ => return false,
        };
    }
    true
}

/// Words that name a credential in a query, without dashes and underscores.
const CREDENTIALS: [&str; 12] = [
    "key",
    "apikey",
    "xapikey",
    "xgoogapikey",
    "token",
    "accesstoken",
    "authtoken",
    "auth",
    "authorization",
    "bearer",
    "secret",
    "password",
];

/// The client's query without what names a credential: the provider gets its own, in a header.
pub(crate) fn query(query: Option<&str>) -> Option<String> {
    let passed: Vec<&str> = query?
        .split('&')
        .filter(|pair| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            // A name that is spelled otherwise is none that anybody needs.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]~".contains(&byte);
            let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
            let letters: String = letters
                .map(|it| char::from(it.to_ascii_lowercase()))
                .collect();
            name.bytes().all(plain) && !CREDENTIALS.contains(&letters.as_str())
        })
        .collect();
    (!passed.is_empty()).then(|| passed.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for plain in [
            "/a",
            "/a/",
            "/v1/files/file-1:x@y",
            "/a%20b/%C3%A9",
            "/...",
            "/a..b",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "",
            "/",
            "a",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/../a",
            "/a/../b",
            "/a/..",
            "/a/./b",
            "/%2e%2e/a",
            "/a/%2E%2e",
            "/.%2e/a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0ab",
            "/a%7f",
            "/a%252e",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a;b",
            "/a%3Bb",
            "/a b",
            "/a?b",
            "/a#b",
            "/é",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn the_query_never_carries_a_key() {
        // T51
        let given = "limit=2&key=sk-1&API_KEY=2&access-token=3&x-goog-api-key=4&a[]=1&k%65y=5&after=x%20y&token&b";
        let passed = "limit=2&a[]=1&after=x%20y&b";
        assert_eq!(query(Some(given)).as_deref(), Some(passed));
        assert_eq!(query(Some("key=1")), None);
        assert_eq!(query(None), None);
    }

    #[test]
    fn a_version_is_not_named_twice() {
        let pass = |versioned| Pass {
            named: None,
            default: None,
            path: "/v1/files".to_owned(),
            versioned,
        };
        assert_eq!(pass(true).below("https://a.example/v1"), "/files");
        assert_eq!(pass(true).below("https://a.example"), "/v1/files");
        assert_eq!(pass(false).below("https://a.example/v1"), "/v1/files");
    }
}
