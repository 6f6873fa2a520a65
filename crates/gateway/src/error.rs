//! What the data plane answers instead of a model: every refusal and failure; `render` writes them.
//!
//! A client reads the error in the format that it speaks, with a stable `code`. No text here repeats what the
//! client or the provider sent: a key in the wrong place must not come back.

use domain::policy::{KeySource, Mode, Tier};
use domain::preset::PresetName;
use domain::{Label, NanoUsd, PlanId, ProviderId, Timestamp, WorkspaceId};
use http::{HeaderName, StatusCode};
use llm::head::HeadError;
use llm::provider::Provider;
use llm::registry::Registry;
use llm::translate::NotTranslatable;

use crate::endpoint::{self, Takes};

mod reference;
mod render;
mod rules;

pub use reference::error_reference;
pub(crate) use rules::{from_naming, from_rules};

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
    /// `None`: a platform key's, which is the operator's business.
    pub(crate) label: Option<Label>,
    pub(crate) source: KeySource,
    /// `None`: the provider did not answer.
    pub(crate) status: Option<u16>,
    pub(crate) kind: &'static str,
    /// Whether the provider turned the key away.
    pub(crate) denied: bool,
}

/// A provider key by its provider and label, and whose it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyName {
    pub(crate) provider: ProviderId,
    pub(crate) label: Label,
    pub(crate) workspace: WorkspaceId,
    /// The variables of the environment in which a key is looked for, where keys come from there.
    pub(crate) variables: Box<[String]>,
}

/// Which rule forbids what would serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Request,
    Workspace,
    Endpoint,
}

/// Whether an own key would serve where a platform key is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnKeys {
    /// As everything is set.
    Serve,
    /// In one of these modes, which can be chosen.
    ServeIn(Vec<Mode>),
    /// No: the plan, the workspace or the instance forbids them.
    Rest,
}

/// Why a call is not served. The text is for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("this endpoint takes {0} only")]
    MethodNotAllowed(&'static str),
    #[error("this endpoint is not served; the endpoints are {}", endpoint::served().join(", "))]
    EndpointNotFound,
    #[error("this endpoint is not served; the one of this name is POST {0}")]
    EndpointElsewhere(&'static str),
    #[error(
        "this instance has no such provider, or it is switched off, or open for some models only"
    )]
    UnknownProvider,
    /// Nothing is known of the path, and only a key of the account would serve.
    #[error(
        "nothing is known of this path, so only keys of the workspace serve it, and workspace {workspace} has none for {provider}"
    )]
    WorkspaceKeyMissing {
        provider: ProviderId,
        workspace: WorkspaceId,
    },
    /// Only the key that made something finds it at the provider.
    #[error(
        "what the request names is kept under a key for {provider} that does not serve this call: it was removed or disabled, or is not one for this model; or nothing is known of what is named, and then only the workspace's own keys serve"
    )]
    ObjectKeyUnavailable {
        provider: ProviderId,
        workspace: WorkspaceId,
    },
    /// What is named was made with several keys, and none finds all of it.
    #[error(
        "the request names things that were made with different keys, and only the key that made something finds it at its provider"
    )]
    ObjectKeysDiffer { providers: Vec<ProviderId> },
    #[error("the path cannot be passed on as it is")]
    InvalidPath,
    /// It makes or manages credentials at the provider.
    #[error("this path of the provider is not passed on")]
    PathClosed,
    #[error("connections are not upgraded here: the one WebSocket is GET /v1/realtime")]
    UpgradeNotSupported,
    #[error("this endpoint is a WebSocket, and the request is no opening handshake of one")]
    UpgradeRequired,
    #[error("the request carries several credentials; send one")]
    CredentialsAmbiguous,
    #[error("the URL carries a key in its query")]
    CredentialsInQuery,
    #[error("an API key is missing")]
    CredentialsMissing,
    #[error("the API key is not valid")]
    CredentialsInvalid,
    #[error(
        "a request without an API key is taken from programs of this machine only, and this one may be a page's"
    )]
    CrossSite,
    #[error("the API key lacks the scope {0}")]
    PermissionDenied(&'static str),
    #[error("the API key has {limit} calls running, which is the most at once")]
    TooManyCalls { limit: usize },
    #[error("the request body must be {}", endpoint::media_types(.0))]
    MediaType(&'static [Takes]),
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
    #[error("the header {0} has a value that it cannot have")]
    InvalidHeader(HeaderName),
    /// None of several models that the request names.
    #[error("{first}")]
    NoneServed {
        first: Box<Failure>,
        /// What the others lack, in the order of the request.
        others: Vec<Failure>,
    },
    #[error("no model is chosen: neither by the request nor by any default")]
    ModelNotChosen,
    #[error("no provider of this instance knows the requested model")]
    ModelNotFound {
        suggestion: Option<ProviderId>,
        /// Whether something stands behind a colon that is no ranking.
        has_suffix: bool,
    },
    #[error("the workspace has no such preset")]
    PresetUnknown { presets: Vec<PresetName> },
    #[error("a preset with parameters must be the only model that the request names")]
    PresetNotAlone,
    #[error("neither the workspace nor the instance says which model {0} is")]
    TierUnset(Tier),
    #[error("the account's plan does not include {tier}")]
    TierLocked { tier: Tier, plans: Vec<PlanId> },
    #[error("this instance does not offer the mode of the workspace")]
    ModeNotOffered,
    #[error("{}", rules::missing_text(.providers, *.workspace, .variables))]
    KeyMissing {
        providers: Vec<ProviderId>,
        workspace: WorkspaceId,
        /// As [`KeyName::variables`].
        variables: Box<[String]>,
    },
    #[error("every provider key that could serve this model is disabled; the first is {label:?} for {provider}", label = .0.label.as_str(), provider = .0.provider)]
    KeyDisabled(KeyName),
    #[error("the provider key {label:?} for {provider} was removed", label = .0.label.as_str(), provider = .0.provider)]
    KeyRevoked(KeyName),
    #[error("the provider key {label:?} for {provider} rests: the account's plan lets no own key serve", label = .key.label.as_str(), provider = .key.provider)]
    KeyDormant { key: KeyName, plans: Vec<PlanId> },
    #[error("own keys for {provider} are switched off in this instance")]
    ByokDisabled { provider: ProviderId },
    #[error("only credits could pay for this call, and {} forbids them", match .0 { Layer::Request => "the request", Layer::Workspace => "the workspace", Layer::Endpoint => "the endpoint" })]
    ByokRequired(Layer),
    #[error("only own keys could serve this call, and the workspace forbids them")]
    ByokForbidden,
    #[error("this instance has no key for {}", rules::or(.providers))]
    ManagedUnavailable {
        providers: Vec<ProviderId>,
        own_keys: OwnKeys,
    },
    #[error("the price of this model at {provider} is not known")]
    PriceUnknown { provider: ProviderId },
    #[error(
        "a call that is paid by credits cannot carry `{0}` as it is: it may change the model or the price"
    )]
    FieldNeedsOwnKey(&'static str),
    #[error("the account's credits do not suffice for this call")]
    CreditsExhausted {
        needed: NanoUsd,
        available: NanoUsd,
        resets_at: Option<Timestamp>,
    },
    #[error("the workspace has spent what credits may pay in place of failed own keys this month")]
    FallbackCapReached {
        cap: NanoUsd,
        spent: NanoUsd,
        resets_at: Timestamp,
        workspace: WorkspaceId,
    },
    #[error("the provider does not speak this endpoint's format for the requested model")]
    FormatNotSupported { endpoint: Option<&'static str> },
    #[error("{why}")]
    NotTranslatable {
        why: NotTranslatable,
        /// Where the provider is called in its own format.
        endpoint: Option<&'static str>,
    },
    #[error("the stored provider key cannot be opened")]
    KeyUnreadable,
    #[error("this instance's own key for the provider cannot be opened")]
    PlatformKeyUnreadable,
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
    #[error("{}", rules::exhausted_text(.attempts))]
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
    #[error("the provider's answer is of no media type that this endpoint has")]
    UpstreamInvalidResponse,
    #[error("the provider's answer is compressed, although that was not asked for")]
    UpstreamEncoded,
    #[error("the provider's answer cannot be read, or not be said in the format of this endpoint")]
    UpstreamUnreadable,
    #[error(
        "the provider wrote vectors as numbers where base64 was asked for, and they cannot be encoded"
    )]
    UpstreamNotEncodable,
    #[error("the provider refused the request without saying why")]
    UpstreamRejected {
        status: StatusCode,
        /// When the provider wants to be asked again, in seconds.
        retry_after_s: Option<i64>,
    },
    #[error("the provider broke off in the middle of its answer")]
    UpstreamBroken,
}

impl Failure {
    /// Why none of the models that a request names is served, each with its failure.
    pub(crate) fn none_served(mut failures: Vec<Self>) -> Self {
        if failures.is_empty() {
            return Self::Internal;
        }
        let first = failures.remove(0);
        if failures.is_empty() {
            return first;
        }
        Self::NoneServed {
            first: Box::new(first),
            others: failures,
        }
    }

    /// The same, with the variables of the environment in which the key that is missing is looked for.
    pub(crate) fn naming_variables(self, registry: &Registry) -> Self {
        let of = |provider: &ProviderId| {
            let provider = registry.get(provider);
            provider.map_or_else(Vec::new, Provider::key_variables)
        };
        let named = |key: KeyName| KeyName {
            variables: of(&key.provider).into(),
            ..key
        };
        match self {
            Self::KeyMissing {
                providers,
                workspace,
                ..
            } => Self::KeyMissing {
                variables: providers.iter().flat_map(of).collect(),
                providers,
                workspace,
            },
            Self::KeyRevoked(key) => Self::KeyRevoked(named(key)),
            Self::NoneServed { first, others } => Self::NoneServed {
                first: Box::new(first.naming_variables(registry)),
                others: others
                    .into_iter()
                    .map(|it| it.naming_variables(registry))
                    .collect(),
            },
            other => other,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoneServed { first, .. } => first.status(),
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::CredentialsAmbiguous
            | Self::InvalidPath
            | Self::ObjectKeysDiffer { .. }
            | Self::UpgradeNotSupported
            | Self::CredentialsInQuery
            | Self::BodyBroken
            | Self::InvalidRequest(_)
            | Self::InvalidHeader(_)
            | Self::ModelNotChosen
            | Self::PresetNotAlone
            | Self::NotTranslatable { .. }
            | Self::FormatNotSupported { .. } => StatusCode::BAD_REQUEST,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::CredentialsMissing | Self::CredentialsInvalid => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied(_)
            | Self::TierLocked { .. }
            | Self::ModeNotOffered
            | Self::ByokRequired(_)
            | Self::ByokForbidden
            | Self::CrossSite
            | Self::PathClosed
            | Self::FieldNeedsOwnKey(_) => StatusCode::FORBIDDEN,
            Self::MediaType(_) | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyCalls { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::EndpointNotFound
            | Self::EndpointElsewhere(_)
            | Self::UnknownProvider
            | Self::ModelNotFound { .. }
            | Self::ObjectKeyUnavailable { .. }
            | Self::PresetUnknown { .. }
            | Self::TierUnset(_) => StatusCode::NOT_FOUND,
            Self::KeyMissing { .. }
            | Self::WorkspaceKeyMissing { .. }
            | Self::KeyDisabled(_)
            | Self::KeyRevoked(_)
            | Self::KeyDormant { .. }
            | Self::ByokDisabled { .. }
            | Self::ManagedUnavailable { .. }
            | Self::PriceUnknown { .. }
            | Self::CreditsExhausted { .. }
            | Self::FallbackCapReached { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::KeyUnreadable
            | Self::PlatformKeyUnreadable
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
            | Self::UpstreamEncoded
            | Self::UpstreamUnreadable
            | Self::UpstreamNotEncodable
            | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamRejected { status, .. } => *status,
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoneServed { first, .. } => first.code(),
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::EndpointNotFound | Self::EndpointElsewhere(_) => "endpoint_not_found",
            Self::UnknownProvider => "unknown_provider",
            Self::InvalidPath => "invalid_path",
            Self::PathClosed => "path_closed",
            Self::UpgradeNotSupported => "upgrade_not_supported",
            Self::UpgradeRequired => "upgrade_required",
            Self::CredentialsAmbiguous => "ambiguous_credentials",
            Self::CredentialsInQuery => "api_key_in_query",
            Self::CredentialsMissing => "api_key_missing",
            Self::CredentialsInvalid => "api_key_invalid",
            Self::CrossSite => "cross_site_request",
            Self::PermissionDenied(_) => "permission_denied",
            Self::TooManyCalls { .. } => "too_many_calls",
            Self::MediaType(_) => "unsupported_media_type",
            Self::ContentEncoding => "unsupported_content_encoding",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::BodyTooSlow => "request_timeout",
            Self::BodyBroken
            | Self::InvalidRequest(_)
            | Self::InvalidHeader(_)
            | Self::PresetNotAlone => "invalid_request",
            Self::ModelNotChosen => "model_not_chosen",
            Self::ModelNotFound { .. } | Self::PresetUnknown { .. } | Self::TierUnset(_) => {
                "model_not_found"
            }
            Self::TierLocked { .. } => "plan_required",
            Self::ModeNotOffered => "mode_not_offered",
            Self::KeyMissing { .. } => "byok_key_missing",
            Self::WorkspaceKeyMissing { .. } => "workspace_key_missing",
            Self::ObjectKeyUnavailable { .. } => "object_key_unavailable",
            Self::ObjectKeysDiffer { .. } => "object_keys_differ",
            Self::KeyDisabled(_) => "byok_key_disabled",
            Self::KeyRevoked(_) => "byok_key_revoked",
            Self::KeyDormant { .. } => "byok_key_dormant",
            Self::ByokDisabled { .. } => "byok_disabled_for_provider",
            Self::ByokRequired(_) => "byok_required",
            Self::ByokForbidden => "byok_forbidden",
            Self::FieldNeedsOwnKey(_) => "field_needs_own_key",
            Self::ManagedUnavailable { .. } => "managed_unavailable",
            Self::PriceUnknown { .. } => "price_unknown",
            Self::CreditsExhausted { .. } => "credits_exhausted",
            Self::FallbackCapReached { .. } => "managed_fallback_cap_reached",
            Self::FormatNotSupported { .. } => "format_not_supported",
            Self::NotTranslatable { .. } => "not_translatable",
            Self::KeyUnreadable | Self::PlatformKeyUnreadable => "key_unreadable",
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
            Self::UpstreamInvalidResponse | Self::UpstreamEncoded | Self::UpstreamUnreadable => {
                "upstream_invalid_response"
            }
            Self::UpstreamNotEncodable => "upstream_not_encodable",
            Self::UpstreamRejected { .. } => "upstream_rejected",
            Self::UpstreamBroken => "upstream_broken",
        }
    }

    /// Who has to do something about it.
    pub(crate) fn side(&self) -> Side {
        match self {
            Self::NoneServed { first, .. } => first.side(),
            Self::KeyUnreadable
            | Self::PlatformKeyUnreadable
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
            | Self::UpstreamEncoded
            | Self::UpstreamUnreadable
            | Self::UpstreamNotEncodable
            | Self::UpstreamRejected { .. }
            | Self::UpstreamBroken => Side::Upstream,
            _ => Side::Client,
        }
    }
}
