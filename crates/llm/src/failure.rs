//! Why a provider did not accept a request: read from the status and the structured code, never from words.

use domain::key::FailureKind;
use serde_json::Value;

/// Longest error body whose code is looked for; of a longer one only the status counts.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Codes that mean a key is not one, whatever 4xx status they come with.
///
/// OpenAI and Groq `invalid_api_key`, Anthropic `authentication_error`, Google `API_KEY_INVALID` (status
/// 400), Brave `SUBSCRIPTION_TOKEN_INVALID` (status 422).
const INVALID_KEY: &[&str] = &[
    "invalid_api_key",
    "authentication_error",
    "API_KEY_INVALID",
    "SUBSCRIPTION_TOKEN_INVALID",
];

/// Codes that mean the quota or the balance is used up, whatever 4xx status they come with.
const NO_QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
];

/// The kind of failure that an answer with this status and body reports.
///
/// `None`: not an error, or one that says nothing of the key (400, 404, 422 and the like), so that the
/// next key would fare no better.
pub fn classify(status: u16, body: &[u8]) -> Option<FailureKind> {
    match status {
        401 => return Some(FailureKind::InvalidKey),
        402 => return Some(FailureKind::NoQuota),
        500..=599 => return Some(FailureKind::ProviderError),
        400..=499 => {}
        _ => return None,
    }
    kind_of_code(body).or(match status {
        403 => Some(FailureKind::NoPermission),
        429 => Some(FailureKind::RateLimited),
        _ => None,
    })
}

fn kind_of_code(body: &[u8]) -> Option<FailureKind> {
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    // Google's OpenAI-compatible endpoint wraps its error in an array.
    let root = body.get(0).unwrap_or(&body);
    let error = root.get("error").unwrap_or(root);
    let reasons = error.get("details").and_then(Value::as_array);
    let reasons = reasons.into_iter().flatten().map(|it| it.get("reason"));
    [error.get("code"), error.get("type")]
        .into_iter()
        .chain(reasons)
        .filter_map(|code| code?.as_str())
        .find_map(|code| {
            if INVALID_KEY.contains(&code) {
                Some(FailureKind::InvalidKey)
            } else if NO_QUOTA.contains(&code) {
                Some(FailureKind::NoQuota)
            } else {
                None
            }
        })
}
