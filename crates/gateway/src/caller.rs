//! Who calls. Nothing that the client sent as a credential is ever repeated.

mod local;

use std::sync::{Arc, LazyLock};

use domain::credential::{self, API_KEY_HEADERS, CredentialKind};
use http::{HeaderMap, HeaderName, header};
use llm::format::WireFormat;
use vault::HashPurpose;

use crate::Plane;
use crate::error::Failure;
use crate::snapshot::{Away, Loaded};

/// Finds the caller behind the request's API key. `beside`: one that it carries at a place that only its endpoint has.
pub(crate) async fn identify(
    plane: &Plane,
    headers: &HeaderMap,
    beside: Option<&str>,
) -> Result<Arc<Loaded>, Failure> {
    let hash = match (presented(headers, beside), plane.anonymous.get()) {
        (Err(Failure::CredentialsMissing), Some(anonymous)) => local::only(headers, anonymous)?,
        (Ok(text), Some(anonymous)) if !claims_to_be_ours(text) => local::only(headers, anonymous)?,
        (presented, _) => {
            let presented = presented?;
            // A text without the right checksum was never issued; the store is not asked.
            if !credential::is_well_formed(CredentialKind::ApiKey, presented) {
                return Err(Failure::CredentialsInvalid);
            }
            plane.hasher.hash(HashPurpose::ApiKey, presented.as_bytes())
        }
    };
    match plane.snapshot.find(&hash, plane.sources.now()).await {
        Ok(Some(caller)) => Ok(caller),
        Ok(None) => Err(Failure::CredentialsInvalid),
        Err(Away) => Err(Failure::StoreUnavailable),
    }
}

/// Whether the URL carries a key, as clients of Gemini's API may send it. It is never taken from there: a URL is logged
/// and remembered on its way.
pub(crate) fn is_key_in_query(format: &dyn WireFormat, query: Option<&str>) -> bool {
    let mut names = query
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    format.action().is_some() && names.any(|name| name == QUERY_KEY)
}

/// Whether a credential is meant to be an API key of ours. Everything else is what clients put where they must have a
/// key.
fn claims_to_be_ours(text: &str) -> bool {
    text.starts_with(CredentialKind::ApiKey.prefix())
}

/// The parameter in which Google's APIs take a key.
const QUERY_KEY: &str = "key";

/// The headers that may carry a credential.
static PLACES: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let keys = API_KEY_HEADERS.into_iter().map(HeaderName::from_static);
    [header::AUTHORIZATION].into_iter().chain(keys).collect()
});

/// The one credential of the request.
fn presented<'a>(headers: &'a HeaderMap, beside: Option<&'a str>) -> Result<&'a str, Failure> {
    let mut found = beside;
    for place in &*PLACES {
        let mut values = headers.get_all(place).iter();
        let Some(value) = values.next() else {
            continue;
        };
        if values.next().is_some() {
            return Err(Failure::CredentialsAmbiguous);
        }
        let value = value.to_str().map_err(|_| Failure::CredentialsInvalid)?;
        let value = match place == header::AUTHORIZATION {
            true => bearer(value).ok_or(Failure::CredentialsInvalid)?,
            false => value,
        };
        if found.is_some_and(|other| other != value) {
            return Err(Failure::CredentialsAmbiguous);
        }
        found = Some(value);
    }
    found.ok_or(Failure::CredentialsMissing)
}

/// The credential behind the scheme `Bearer`, in any case, and exactly one blank.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.split_once(' ')?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && !credential.starts_with(' ');
    fits.then_some(credential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(pairs: &[(&'static str, &'static str)]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        presented(&headers, None)
            .map(str::to_owned)
            .map_err(|failure| failure.code())
    }

    #[test]
    fn one_credential_in_any_place_is_the_same() {
        // T97
        for pairs in [
            &[("authorization", "Bearer kb_1")][..],
            &[("authorization", "bEARER kb_1")],
            &[("x-api-key", "kb_1")],
            &[("x-goog-api-key", "kb_1")],
            &[("api-key", "kb_1")],
            &[("authorization", "Bearer kb_1"), ("x-api-key", "kb_1")],
        ] {
            assert_eq!(verdict(pairs), Ok("kb_1".to_owned()), "{pairs:?}");
        }
    }

    #[test]
    fn conflicts_are_refused_and_what_is_no_bearer_is_invalid() {
        // T97
        let ambiguous = Err("ambiguous_credentials");
        assert_eq!(
            verdict(&[("x-api-key", "a"), ("x-api-key", "a")]),
            ambiguous
        );
        assert_eq!(
            verdict(&[("authorization", "Bearer a"), ("x-api-key", "b")]),
            ambiguous
        );
        assert_eq!(verdict(&[]), Err("api_key_missing"));
        for value in [
            "Basic YTpi",
            "kb_1",
            "Bearer",
            "",
            "Bearer  kb_1",
            "Bearer\tkb_1",
        ] {
            assert_eq!(
                verdict(&[("authorization", value)]),
                Err("api_key_invalid"),
                "{value}"
            );
        }
    }
}
