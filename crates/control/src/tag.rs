//! Entity tags (RFC 9110, 8.8.3): which state of a thing a client has seen.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use serde::Serialize;
use vault::content_sha256;

use crate::error::{Code, Problem};

/// The tag of a document: another one for each state of it.
///
/// # Errors
/// `internal_error` where it cannot be written as JSON.
pub(crate) fn of(document: &impl Serialize) -> Result<String, Problem> {
    let text = serde_json::to_string(document).map_err(|error| Problem::internal(&error))?;
    Ok(format!("\"{}\"", &content_sha256(text.as_bytes())[..32]))
}

/// Whether one of the tags in this header is `tag`, or `*`. Compared weakly also in `If-Match`: a proxy that compresses
/// answers weakens their tags, and each of ours is of one state.
pub(crate) fn is_named(headers: &HeaderMap, header: HeaderName, tag: &str) -> bool {
    let values = headers.get_all(header).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| {
        let mut tags = value.split(',').map(str::trim);
        value.trim() == "*" || tags.any(|one| one.strip_prefix("W/").unwrap_or(one) == tag)
    })
}

/// The state that a change is meant for (`If-Match`); without the header whatever is there.
pub(crate) struct IfMatch(HeaderMap);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.clone()))
    }
}

impl IfMatch {
    /// Refuses a change that is meant for another state than that of this document; `what` it is stands in the refusal.
    ///
    /// # Errors
    /// `precondition_failed`.
    pub(crate) fn allows(&self, document: &impl Serialize, what: &str) -> Result<(), Problem> {
        if !self.0.contains_key(IF_MATCH) || is_named(&self.0, IF_MATCH, &of(document)?) {
            return Ok(());
        }
        Err(Problem::new(Code::PreconditionFailed)
            .because(format!("{what} changed since it was read")))
    }

    /// As [`allows`](Self::allows), where there is no document: whoever means a state of it, whichever, is refused.
    ///
    /// # Errors
    /// `precondition_failed`.
    pub(crate) fn allows_nothing(&self, what: &str) -> Result<(), Problem> {
        if !self.0.contains_key(IF_MATCH) {
            return Ok(());
        }
        Err(Problem::new(Code::PreconditionFailed).because(format!("{what} is not there")))
    }
}
