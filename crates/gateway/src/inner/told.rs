//! What a run is told of a call that failed: the code of any other call, in words for whoever reads the run.

use domain::policy::KeySource;
use http::StatusCode;

use super::{InnerFailure, Remedy};
use crate::error::{Attempt, Failure};

/// A new run is made for what serves by then.
const MAKE_ANOTHER: &str =
    "make a new run, which is made for what serves now; or ask an admin of the workspace";

pub(super) fn failed(failure: &Failure) -> InnerFailure {
    if let Failure::UpstreamRejected { status, .. } = failure {
        return rejected(*status);
    }
    InnerFailure {
        code: failure.code(),
        message: message(failure),
        hint: hint(failure),
        remedy: remedy(failure),
    }
}

/// The provider's own words stay out: they may repeat what it was sent.
pub(super) fn rejected(status: StatusCode) -> InnerFailure {
    let status = status.as_u16();
    let (remedy, hint) = match status {
        408 | 425 | 429 | 500.. => (Remedy::Time, "try the run again later"),
        401..=403 => (
            Remedy::Provider,
            "check the key and its permissions at the provider, then try the run again",
        ),
        404 | 410 => (
            Remedy::Provider,
            "make a new run with another model: the provider may not have this one any more",
        ),
        _ => (
            Remedy::Nothing,
            "make a new run with another prompt or another model: this provider does not take this request",
        ),
    };
    InnerFailure {
        code: "upstream_rejected",
        message: format!("the provider refused the request with the status {status}"),
        hint: hint.to_owned(),
        remedy,
    }
}

fn message(failure: &Failure) -> String {
    match failure {
        Failure::CredentialsInvalid => {
            "the API key that the run was made with was revoked or has expired, or its owner left the workspace".to_owned()
        }
        Failure::KeyRevoked(key) => format!(
            "the own key for {} that the run was made for was removed",
            key.provider
        ),
        Failure::KeyDisabled(key) => format!(
            "the own key for {} that the run was made for is disabled",
            key.provider
        ),
        Failure::KeyDormant { key, .. } => format!(
            "the own key for {} that the run was made for rests: the account's plan lets no own key serve",
            key.provider
        ),
        Failure::ByokRequired(_) => {
            "credits were to pay for this step, and by the workspace's rules as they are now they do not".to_owned()
        }
        Failure::ByokForbidden => {
            "the own key that the run was made for may not serve by the workspace's rules as they are now".to_owned()
        }
        failure => failure.to_string(),
    }
}

/// The hint of any other call, but where that names what only its answer or its request has.
fn hint(failure: &Failure) -> String {
    let own = |attempt: &Attempt| attempt.source == KeySource::Byok;
    let hint = match failure {
        Failure::CredentialsInvalid => "make a new run: it is made for an API key that is valid",
        Failure::PermissionDenied(_) => {
            "let the run be made with an API key that has the scope inference:invoke"
        }
        Failure::KeyMissing { .. }
        | Failure::KeyRevoked(_)
        | Failure::ByokRequired(_)
        | Failure::ByokForbidden => MAKE_ANOTHER,
        Failure::KeyDisabled(_) => {
            "enable the key, which admins of the workspace can, and try the run again; or make a new run"
        }
        Failure::CreditsExhausted { .. } => {
            "ask the operator of this instance for credits and try the run again; or make a new run with an own key"
        }
        Failure::CredentialsExhausted { attempts } if attempts.iter().any(own) => {
            "check the own key and its balance at the provider, then try the run again"
        }
        Failure::CredentialsExhausted { .. } => {
            "tell the operator of this instance, whose own key failed; then try the run again"
        }
        Failure::ModelNotFound { .. }
        | Failure::FormatNotSupported { .. }
        | Failure::NotTranslatable { .. } => "make a new run with another model",
        failure => return failure.hint().unwrap_or_else(|| advice(failure)),
    };
    hint.to_owned()
}

/// For failures that call for no more than patience, or for the operator.
fn advice(failure: &Failure) -> String {
    let advice = match failure.status().as_u16() {
        429 | 502..=504 => "try the run again later",
        500.. => "tell the operator of this instance, then try the run again",
        _ => "make a new run with another model",
    };
    advice.to_owned()
}

fn remedy(failure: &Failure) -> Remedy {
    let denied = |attempt: &Attempt| attempt.denied || matches!(attempt.status, Some(401..=404));
    match failure {
        Failure::CredentialsExhausted { attempts } if attempts.iter().all(denied) => {
            Remedy::Provider
        }
        Failure::ManagedUnavailable { .. }
        | Failure::ModelNotFound { .. }
        | Failure::PriceUnknown { .. }
        | Failure::FormatNotSupported { .. }
        | Failure::PlatformKeyUnreadable
        | Failure::UpstreamRedirect
        | Failure::UpstreamAddressRefused => Remedy::Provider,
        Failure::Internal => Remedy::Nothing,
        failure => match failure.status().as_u16() {
            429 | 500.. => Remedy::Time,
            _ => Remedy::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use domain::WorkspaceId;

    use super::*;
    use crate::error::{KeyName, Layer};

    fn key() -> KeyName {
        KeyName {
            provider: "openai".parse().expect("an id"),
            label: "mums-private-key".parse().expect("a label"),
            workspace: WorkspaceId::from_bytes([1; 16]),
            variables: Box::default(),
        }
    }

    fn failures() -> Vec<Failure> {
        let attempt = |source, denied| Attempt {
            provider: key().provider,
            label: Some(key().label),
            source,
            status: Some(if denied { 401 } else { 503 }),
            kind: "upstream",
            denied,
        };
        vec![
            Failure::CredentialsInvalid,
            Failure::KeyMissing {
                providers: vec![key().provider],
                workspace: key().workspace,
                variables: Box::default(),
            },
            Failure::KeyRevoked(key()),
            Failure::KeyDisabled(key()),
            Failure::KeyDormant {
                key: key(),
                plans: Vec::new(),
            },
            Failure::ByokRequired(Layer::Workspace),
            Failure::ByokForbidden,
            Failure::CredentialsExhausted {
                attempts: vec![attempt(KeySource::Byok, true)],
            },
            Failure::CredentialsExhausted {
                attempts: vec![attempt(KeySource::Managed, false)],
            },
            Failure::UpstreamRejected {
                status: StatusCode::BAD_REQUEST,
                retry_after_s: None,
            },
            Failure::UpstreamTimedOut,
            Failure::UpstreamBroken,
            Failure::StoreUnavailable,
            Failure::Overloaded,
            Failure::Internal,
            Failure::FormatNotSupported {
                endpoint: Some("/v1/responses"),
            },
            Failure::NotTranslatable {
                why: no_request(),
                endpoint: Some("/v1/responses"),
            },
            Failure::TooManyCalls { limit: 5 },
            Failure::UsageUnavailable,
        ]
    }

    fn no_request() -> llm::translate::NotTranslatable {
        use llm::format::FormatId::{AnthropicMessages, OpenaiChat};
        let target = llm::translate::Target::default();
        let translated = llm::translate::request(OpenaiChat, AnthropicMessages, b"", &target);
        translated.expect_err("an empty body is not a request")
    }

    #[test]
    fn a_run_is_told_what_to_do_and_no_label() {
        for failure in failures() {
            let told = failed(&failure);
            assert!(!told.message.is_empty(), "{told:?}");
            assert!(!told.hint.is_empty(), "{told:?}");
            assert!(!format!("{told:?}").contains("mums"), "{told:?}");
            // What only the answer to a call, or its request, has.
            for wrong in ["`attempts`", "`resets_at`", "`link`", "x-keybearer", "POST"] {
                assert!(!told.hint.contains(wrong), "{told:?}");
            }
        }
    }
}
