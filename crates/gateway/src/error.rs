//! What the data plane answers instead of a model: every refusal and failure; `render` writes them.
//!
//! A client reads the error in the format that it speaks, with a stable `code`. No text here repeats what the
//! client or the provider sent: a key in the wrong place must not come back.

use domain::{Label, ProviderId, WorkspaceId};
use http::StatusCode;
use llm::head::HeadError;

use crate::endpoint;

mod reference;
mod render;

pub use reference::error_reference;

/// Who has to do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client, its owner or an admin.
    Client,
    /// The provider.
    Upstream,
    /// We, or whoever runs this instance.
    Us,
}

/// One try with one key, for the answer that says that all failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) provider: ProviderId,
    pub(crate) label: Label,
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
}

/// Why a call is not served. The text is for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("this endpoint takes {0} only")]
    MethodNotAllowed(&'static str),
    #[error("this endpoint is not served; the endpoints are {}", endpoint::served().join(", "))]
    EndpointNotFound,
    #[error("the request carries several credentials; send one")]
    CredentialsAmbiguous,
    #[error("an API key is missing")]
    CredentialsMissing,
    #[error("the API key is not valid")]
    CredentialsInvalid,
    #[error("the API key lacks the scope {0}")]
    PermissionDenied(&'static str),
    #[error("the request body must be application/json")]
    MediaType,
    #[error("the request body must not be compressed")]
    ContentEncoding,
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive in time")]
    BodyTooSlow,
    #[error("the request body is broken")]
    BodyBroken,
    #[error("{0}")]
    InvalidRequest(HeadError),
    #[error("no provider of this instance knows the requested model")]
    ModelNotFound { suggestion: Option<ProviderId> },
    #[error("{}", missing_text(.providers, *.workspace))]
    KeyMissing {
        providers: Vec<ProviderId>,
        workspace: WorkspaceId,
    },
    #[error("every provider key that could serve this model is disabled; the first is {label:?} for {provider}", label = .label.as_str())]
    KeyDisabled {
        provider: ProviderId,
        label: Label,
        workspace: WorkspaceId,
    },
    #[error("the provider does not speak this endpoint's format for the requested model")]
    FormatNotSupported { endpoint: Option<&'static str> },
    #[error("the stored provider key cannot be opened")]
    KeyUnreadable,
    #[error("the key service of this instance does not answer")]
    KmsUnavailable,
    #[error("the database of this instance does not answer")]
    StoreUnavailable,
    #[error("usage cannot be recorded at the moment")]
    UsageUnavailable,
    #[error("this instance is busy with large requests")]
    Overloaded,
    #[error("the request runs in a circle: a provider is this instance or leads back to it")]
    LoopDetected,
    #[error("something went wrong in this instance")]
    Internal,
    #[error("the provider did not accept the provider key")]
    CredentialsExhausted { attempts: Vec<Attempt> },
    #[error("the provider answered with a redirect, which is never followed")]
    UpstreamRedirect,
    #[error("the provider's address is not a public one")]
    UpstreamAddressRefused,
    #[error("the provider cannot be reached")]
    UpstreamUnreachable,
    #[error("the provider failed")]
    UpstreamBadGateway { status: u16 },
    #[error("the provider is not available at the moment")]
    UpstreamUnavailable { status: u16 },
    #[error("the provider did not answer in time")]
    UpstreamTimedOut,
    #[error("the provider's answer is neither JSON nor an event stream")]
    UpstreamInvalidResponse,
    #[error("the provider refused the request without saying why")]
    UpstreamRejected { status: StatusCode },
    #[error("the provider broke off in the middle of its answer")]
    UpstreamBroken,
}

impl Failure {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::CredentialsAmbiguous
            | Self::BodyBroken
            | Self::InvalidRequest(_)
            | Self::FormatNotSupported { .. } => StatusCode::BAD_REQUEST,
            Self::CredentialsMissing | Self::CredentialsInvalid => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied(_) => StatusCode::FORBIDDEN,
            Self::MediaType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::EndpointNotFound | Self::ModelNotFound { .. } => StatusCode::NOT_FOUND,
            Self::KeyMissing { .. } | Self::KeyDisabled { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::KeyUnreadable
            | Self::KmsUnavailable
            | Self::StoreUnavailable
            | Self::UsageUnavailable
            | Self::Overloaded
            | Self::UpstreamUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::CredentialsExhausted { .. }
            | Self::UpstreamRedirect
            | Self::UpstreamAddressRefused
            | Self::UpstreamUnreachable
            | Self::UpstreamBadGateway { .. }
            | Self::UpstreamInvalidResponse
            | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamRejected { status } => *status,
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::EndpointNotFound => "endpoint_not_found",
            Self::CredentialsAmbiguous => "ambiguous_credentials",
            Self::CredentialsMissing => "api_key_missing",
            Self::CredentialsInvalid => "api_key_invalid",
            Self::PermissionDenied(_) => "permission_denied",
            Self::MediaType => "unsupported_media_type",
            Self::ContentEncoding => "unsupported_content_encoding",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::BodyTooSlow => "request_timeout",
            Self::BodyBroken | Self::InvalidRequest(_) => "invalid_request",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::KeyMissing { .. } => "byok_key_missing",
            Self::KeyDisabled { .. } => "byok_key_disabled",
            Self::FormatNotSupported { .. } => "format_not_supported",
            Self::KeyUnreadable => "key_unreadable",
            Self::KmsUnavailable => "kms_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::UsageUnavailable => "usage_unavailable",
            Self::Overloaded => "overloaded",
            Self::LoopDetected => "loop_detected",
            Self::Internal => "internal_error",
            Self::CredentialsExhausted { .. } => "upstream_credentials_exhausted",
            Self::UpstreamRedirect => "upstream_redirect",
            Self::UpstreamAddressRefused => "upstream_address_refused",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBadGateway { .. } => "upstream_bad_gateway",
            Self::UpstreamUnavailable { .. } => "upstream_unavailable",
            Self::UpstreamTimedOut => "upstream_timeout",
            Self::UpstreamInvalidResponse => "upstream_invalid_response",
            Self::UpstreamRejected { .. } => "upstream_rejected",
            Self::UpstreamBroken => "upstream_broken",
        }
    }

    /// Who has to do something about it.
    pub(crate) fn side(&self) -> Side {
        match self {
            Self::KeyUnreadable
            | Self::KmsUnavailable
            | Self::StoreUnavailable
            | Self::UsageUnavailable
            | Self::Overloaded
            | Self::UpstreamAddressRefused
            | Self::Internal => Side::Us,
            Self::CredentialsExhausted { .. }
            | Self::UpstreamRedirect
            | Self::UpstreamUnreachable
            | Self::UpstreamBadGateway { .. }
            | Self::UpstreamUnavailable { .. }
            | Self::UpstreamTimedOut
            | Self::UpstreamInvalidResponse
            | Self::UpstreamRejected { .. }
            | Self::UpstreamBroken => Side::Upstream,
            _ => Side::Client,
        }
    }
}

/// The refusals of the rules, in the words of the data plane.
pub(crate) fn from_rules(
    refusal: domain::resolve::Refusal,
    workspace: WorkspaceId,
    suggestion: Option<ProviderId>,
) -> Failure {
    use domain::resolve::Refusal;
    match refusal {
        Refusal::ModelNotFound => Failure::ModelNotFound { suggestion },
        Refusal::KeyMissing { mut providers } => {
            // A provider may know the model by two names.
            let mut seen = Vec::new();
            providers.retain(|provider| {
                let new = !seen.contains(provider);
                seen.push(provider.clone());
                new
            });
            Failure::KeyMissing {
                providers,
                workspace,
            }
        }
        Refusal::KeyDisabled { provider, label } => Failure::KeyDisabled {
            provider,
            label,
            workspace,
        },
    }
}

fn missing_text(providers: &[ProviderId], workspace: WorkspaceId) -> String {
    let names: Vec<&str> = providers.iter().map(ProviderId::as_str).collect();
    format!(
        "a provider key for {} is missing in workspace {workspace} and in its account",
        names.join(" or ")
    )
}
