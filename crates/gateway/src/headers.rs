//! Which headers and which parts of the query pass, in both directions. What is not named here does not.

use std::sync::Arc;

use domain::policy::KeySource;
use domain::resolve::Target;
use domain::{Label, NanoUsd, RequestId};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use llm::format::FormatId;
use llm::translate::Warnings;
use scrub::{Needles, Scrubber};

use crate::endpoint::Call;
use crate::error::Failure;

/// Says that an error is the provider's.
pub(crate) const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-keybearer-error-source");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-keybearer-request-id");
const PROVIDER: HeaderName = HeaderName::from_static("x-keybearer-provider");
const MODEL: HeaderName = HeaderName::from_static("x-keybearer-model");
const KEY_SOURCE: HeaderName = HeaderName::from_static("x-keybearer-key-source");
const KEY_LABEL: HeaderName = HeaderName::from_static("x-keybearer-key-label");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-keybearer-attempts");
/// What the call costs at list price, in US dollars.
const COST: HeaderName = HeaderName::from_static("x-keybearer-cost");
/// The provider's format, where it is not the client's.
const TRANSLATED: HeaderName = HeaderName::from_static("x-keybearer-translated");
/// What the translation left out or changed.
const WARNINGS: HeaderName = HeaderName::from_static("x-keybearer-warnings");
/// The client's: credits must not pay for this call.
pub(crate) const NO_MANAGED: HeaderName = HeaderName::from_static("x-keybearer-no-managed");
/// The client's: the model that the conversation has chosen.
pub(crate) const CONVERSATION_MODEL: HeaderName =
    HeaderName::from_static("x-keybearer-conversation-model");

/// The provider that the client chose for a path that several have; `None`: it chose none.
pub(crate) fn provider(client: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = client.get_all(PROVIDER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value
                .to_str()
                .map_err(|_| Failure::InvalidHeader(PROVIDER))?;
            Ok(Some(value))
        }
        _ => Err(Failure::InvalidHeader(PROVIDER)),
    }
}

/// From the client to the provider. Content type, user agent and encoding are ours; the key is added last.
static TO_UPSTREAM: [HeaderName; 5] = [
    header::ACCEPT,
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
    PERSONAL,
];

/// From the client to a provider of its own format only.
const OF_THE_FORMAT: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
];

/// From the provider to the client, besides the prefixes below.
static TO_CLIENT: [HeaderName; 6] = [
    header::RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("openai-processing-ms"),
];
/// The same of a provider's own path: what the file is called that comes, and which state it has. `range` does not go the
/// other way: by parts of an answer its reader could take an echo of the key out unseen.
const OF_FILES: [HeaderName; 3] = [
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LAST_MODIFIED,
];
const TO_CLIENT_PREFIXES: [&str; 2] = LIMITS;
/// What is left of the limits of a key.
const LIMITS: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
/// From the client to the provider with keys of one's own only: two callers that choose the same value must not get
/// each other's answers.
const PERSONAL: HeaderName = HeaderName::from_static("idempotency-key");

/// Values longer than this do not pass in either direction.
const MAX_VALUE_BYTES: usize = 4096;

/// The part of the query that reaches the provider.
const TO_UPSTREAM_QUERY: &str = "beta";
/// The one of Gemini's: a stream of events, not a list that comes piece by piece.
pub(crate) const EVENTS: &str = "alt=sse";

/// What a refused call was meant for, as far as the registry knows it.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) provider: domain::ProviderId,
    /// The provider's name for the model.
    pub(crate) model: Option<String>,
    /// The name that the client gave.
    pub(crate) requested: Option<String>,
}

impl Aim {
    /// Writes the facts to an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        put(headers, PROVIDER, self.provider.as_str());
        if let Some(model) = &self.model {
            put(headers, MODEL, model);
        }
    }
}

/// A way to serve calls, as the headers of their answers name it. Written once, for all of them.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    provider: Option<HeaderValue>,
    model: Option<HeaderValue>,
    source: HeaderValue,
    label: Option<HeaderValue>,
}

impl Named {
    /// `label`: `None` for a platform key's, which is the operator's business.
    pub(crate) fn new(target: &Target, label: Option<&Label>) -> Self {
        Self {
            provider: value(target.provider.as_str()),
            model: Some(target.model.as_str())
                .filter(|model| !model.is_empty())
                .and_then(value),
            source: HeaderValue::from_static(target.source.as_str()),
            label: label.and_then(|label| value(label.as_str())),
        }
    }
}

/// Who served a call, for the answer's headers.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) named: Arc<Named>,
    pub(crate) source: KeySource,
    pub(crate) attempts: usize,
}

impl Served {
    /// Writes the facts to an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Named {
            provider,
            model,
            source,
            label,
        } = &*self.named;
        let facts = [(PROVIDER, provider), (MODEL, model), (KEY_LABEL, label)];
        headers.insert(KEY_SOURCE, source.clone());
        headers.insert(ATTEMPTS, counted(self.attempts));
        for (name, value) in facts {
            match value {
                Some(value) => {
                    headers.insert(name, value.clone());
                }
                // The provider's own word for it is not ours.
                None => {
                    headers.remove(name);
                }
            }
        }
    }
}

/// A number, in most cases without writing it.
fn counted(number: usize) -> HeaderValue {
    match number {
        1 => HeaderValue::from_static("1"),
        other => HeaderValue::from(other),
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Some(value) = value(text) {
        headers.insert(name, value);
    }
}

/// A model's name may hold anything; what is no header value is left out.
fn value(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok()?;
    (value.len() <= MAX_VALUE_BYTES).then_some(value)
}

const AGENT: &str = concat!("keybearer/", env!("CARGO_PKG_VERSION"));
/// A request that went through more gateways than this runs in a circle.
pub(crate) const MAX_HOPS: u32 = 4;

/// How many gateways of our kind the request came through, as the user agent of the last one says.
pub(crate) fn hops(client: &HeaderMap) -> u32 {
    let agent = client.get(header::USER_AGENT);
    let Some(agent) = agent.and_then(|agent| agent.to_str().ok()) else {
        return 0;
    };
    if !agent.starts_with("keybearer/") {
        return 0;
    }
    let counted = agent
        .split_once(" (hop ")
        .and_then(|(_, rest)| rest.strip_suffix(')')?.parse().ok());
    counted.unwrap_or(1)
}

/// Our user agent. It counts, so that gateways that call each other notice.
pub(crate) fn user_agent(hops: u32) -> HeaderValue {
    match hops {
        0 => HeaderValue::from_static(AGENT),
        hops => {
            let text = format!("{AGENT} (hop {})", hops + 1);
            HeaderValue::from_str(&text).expect("visible ASCII")
        }
    }
}

/// The headers that every answer of the data plane has.
pub(crate) fn ours(headers: &mut HeaderMap, request: RequestId) {
    let id = HeaderValue::from_str(&request.to_string()).expect("an id is visible ASCII");
    headers.insert(REQUEST_ID, id);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// With ours and the server's, most answers have no more headers: their map need not grow.
const USUAL_TO_CLIENT: usize = 12;
/// The same of requests to providers.
const USUAL_TO_UPSTREAM: usize = 9;

/// These headers once more, with room for those that every request gets.
pub(crate) fn copied(to_upstream: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(USUAL_TO_UPSTREAM);
    for (name, value) in to_upstream {
        copy.append(name, value.clone());
    }
    copy
}

/// The client's headers that reach the provider.
pub(crate) fn to_upstream(client: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    // A request has few headers, so to look at each costs less than to look for each that passes.
    for (name, value) in client {
        if TO_UPSTREAM.contains(name) && value.len() <= MAX_VALUE_BYTES {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// Removes what must not go out with a key that others use, too.
pub(crate) fn remove_personal(to_upstream: &mut HeaderMap) {
    to_upstream.remove(PERSONAL);
}

/// Removes what only a provider of the client's own format understands.
pub(crate) fn remove_of_the_format(to_upstream: &mut HeaderMap) {
    for name in OF_THE_FORMAT {
        to_upstream.remove(name);
    }
}

/// The names of the headers by which a client asks a provider of its own format for what that has in beta.
pub(crate) fn betas(client: &HeaderMap) -> impl Iterator<Item = &'static str> {
    let names = ["anthropic-beta", "openai-beta"];
    names.into_iter().filter(|name| client.contains_key(*name))
}

/// Says that an answer was translated, and what that left out.
pub(crate) fn translated(to_client: &mut HeaderMap, upstream: FormatId, warnings: &Warnings) {
    put(to_client, TRANSLATED, upstream.as_str());
    if !warnings.is_empty() {
        put(to_client, WARNINGS, &warnings.to_string());
    }
}

/// Says what the call costs.
pub(crate) fn costs(to_client: &mut HeaderMap, cost: NanoUsd) {
    put(to_client, COST, &cost.to_string());
}

/// Removes what is left of the limits of a key, which is its owner's business.
pub(crate) fn remove_limits(to_client: &mut HeaderMap) {
    let limits = |name: &&HeaderName| LIMITS.iter().any(|it| name.as_str().starts_with(it));
    let names: Vec<HeaderName> = to_client.keys().filter(limits).cloned().collect();
    for name in names {
        to_client.remove(name);
    }
}

/// The provider's headers that reach the client, without echoes of the key.
pub(crate) fn to_client(upstream: &HeaderMap, needles: &Arc<Needles>) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(USUAL_TO_CLIENT);
    for (name, value) in upstream {
        let listed = TO_CLIENT.contains(name)
            || TO_CLIENT_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix));
        let echo = || Scrubber::whole(needles, name.as_str().as_bytes()).is_some();
        if !listed || echo() {
            continue;
        }
        if let Some(value) = scrubbed(value, needles) {
            passed.append(name, value);
        }
    }
    passed
}

/// Adds what the provider says of the file that comes, without echoes of the key.
pub(crate) fn add_of_files(
    to_client: &mut HeaderMap,
    upstream: &HeaderMap,
    needles: &Arc<Needles>,
) {
    for name in OF_FILES {
        if let Some(value) = upstream.get(&name).and_then(|it| scrubbed(it, needles)) {
            to_client.insert(name, value);
        }
    }
}

/// A value of the provider's without echoes of the key; `None`: it does not pass.
pub(crate) fn scrubbed(value: &HeaderValue, needles: &Arc<Needles>) -> Option<HeaderValue> {
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    match Scrubber::whole(needles, value.as_bytes()) {
        Some(scrubbed) => HeaderValue::from_maybe_shared(scrubbed).ok(),
        None => Some(value.clone()),
    }
}

/// The part of the client's query that reaches the provider, if any.
pub(crate) fn query_to_upstream(call: &Call, query: Option<&str>) -> Option<String> {
    let passed: Vec<&str> = query?
        .split('&')
        .filter(|pair| {
            if call.action().is_some() {
                return call.streams() && *pair == EVENTS;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            name == TO_UPSTREAM_QUERY && value.len() <= 32 && value.bytes().all(plain)
        })
        .collect();
    (!passed.is_empty()).then(|| passed.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::CALLS;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn only_listed_request_headers_pass() {
        // T129
        let client = map(&[
            ("accept", "application/json"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("authorization", "Bearer kb_x"),
            ("x-api-key", "kb_x"),
            ("api-key", "sk-client"),
            ("openai-organization", "org"),
            ("openai-project", "proj"),
            ("connection", "x-api-key"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cookie", "a=b"),
            ("host", "evil.test"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip"),
            ("user-agent", "OpenAI/Python"),
            ("x-stainless-os", "Linux"),
            ("x-http-method-override", "DELETE"),
        ]);
        let passed = to_upstream(&client);
        assert_eq!(
            passed,
            map(&[
                ("accept", "application/json"),
                ("anthropic-beta", "a"),
                ("anthropic-beta", "b"),
            ])
        );
    }

    #[test]
    fn only_listed_response_headers_pass_and_echoes_are_removed() {
        // T54, T56, T64
        let upstream = map(&[
            ("set-cookie", "a=b"),
            ("location", "https://evil.test"),
            ("content-security-policy", "none"),
            ("strict-transport-security", "max-age=1"),
            ("access-control-allow-origin", "*"),
            ("server", "nginx"),
            ("openai-organization", "org-1"),
            ("www-authenticate", "Basic"),
            ("content-length", "3"),
            ("x-keybearer-provider", "lie"),
            ("retry-after", "3"),
            ("x-ratelimit-remaining", "7"),
            ("anthropic-ratelimit-tokens-limit", "8"),
            ("x-request-id", "got sk-0123456789abcdef"),
        ]);
        let needles = Arc::new(Needles::new(b"sk-0123456789abcdef"));
        let passed = to_client(&upstream, &needles);
        assert_eq!(
            passed,
            map(&[
                ("retry-after", "3"),
                ("x-ratelimit-remaining", "7"),
                ("anthropic-ratelimit-tokens-limit", "8"),
                ("x-request-id", "got [redacted]"),
            ])
        );
    }

    #[test]
    fn a_header_name_that_holds_the_key_does_not_pass() {
        let upstream = map(&[("x-ratelimit-sk-0123456789abcdef", "1")]);
        let needles = Arc::new(Needles::new(b"sk-0123456789abcdef"));
        assert!(to_client(&upstream, &needles).is_empty());
    }

    #[test]
    fn gateways_in_a_row_are_counted() {
        // T44
        let mut agents = HeaderMap::new();
        for hop in 0..10 {
            assert_eq!(hops(&agents), hop);
            agents.insert(header::USER_AGENT, user_agent(hop));
        }
        for other in ["OpenAI/Python 1.0", "keybearer-cli/1 (hop 9)", ""] {
            agents.insert(header::USER_AGENT, HeaderValue::from_static(other));
            assert_eq!(hops(&agents), 0, "{other}");
        }
    }

    #[test]
    fn the_query_never_carries_a_key() {
        // T51
        let passed = |path: &str, query: &str| {
            let call = CALLS.iter().find(|call| call.path.ends_with(path));
            query_to_upstream(call.expect("a call"), Some(query))
        };
        let query = "key=sk-1&beta=true&alt=sse&api_key=2&access_token=3&Beta=x&beta=a%26key%3d1&alt=sse%26key%3d1";
        assert_eq!(passed("/messages", query).as_deref(), Some("beta=true"));
        assert_eq!(
            passed(":streamGenerateContent", query).as_deref(),
            Some("alt=sse")
        );
        assert_eq!(passed(":generateContent", query), None);
        assert_eq!(
            passed(":streamGenerateContent", "alt=proto&$alt=sse&%61lt=sse"),
            None
        );
        for call in CALLS {
            assert_eq!(query_to_upstream(call, Some("key=1")), None);
            assert_eq!(query_to_upstream(call, None), None);
        }
    }
}
