//! What the data plane answers instead of a model: every refusal and failure, and its one renderer.
//!
//! A client reads the error in the format that it speaks, with a stable `code`. No text here repeats what the
//! client or the provider sent: a key in the wrong place must not come back.

use domain::{Label, ProviderId, RequestId, WorkspaceId};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use llm::format::{ErrorBody, WireFormat};
use llm::head::HeadError;
use serde_json::{Map, Value, json};

use crate::Body;
use crate::headers;

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
            Self::ModelNotFound { .. } => StatusCode::NOT_FOUND,
            Self::KeyMissing { .. } | Self::KeyDisabled { .. } => StatusCode::PAYMENT_REQUIRED,
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

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CredentialsMissing | Self::CredentialsInvalid => {
                "send an API key of this instance (kb_...) as `Authorization: Bearer` or `x-api-key`".to_owned()
            }
            Self::CredentialsAmbiguous => {
                "send the API key in one header, once".to_owned()
            }
            Self::ModelNotFound { suggestion } => match suggestion {
                Some(provider) => format!("did you mean the provider {provider}? write the model as `{provider}/name`; GET /v1/models lists what your keys reach"),
                None => "write the model as `provider/name`; GET /v1/models lists what your keys reach".to_owned(),
            },
            Self::KeyMissing { .. } => {
                "add one sealed (POST /v1/byok/keys or the console), or ask an admin of the workspace".to_owned()
            }
            Self::KeyDisabled { .. } => "enable it or add another; admins of the workspace can".to_owned(),
            Self::FormatNotSupported { endpoint: Some(endpoint) } => format!("use POST {endpoint} for this model"),
            Self::KeyUnreadable => "submit the provider key again; the operator should run `keybearer doctor`".to_owned(),
            Self::CredentialsExhausted { .. } => "check the provider key and its balance at the provider".to_owned(),
            Self::UpstreamAddressRefused => "the operator may allow the address range in the configuration".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    /// Facts for programs.
    fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::PermissionDenied(scope) => json!({ "needs": scope }),
            Self::BodyTooLarge { limit } => json!({ "limit_bytes": limit }),
            Self::InvalidRequest(error) => json!({ "field": error.field() }),
            Self::ModelNotFound {
                suggestion: Some(provider),
            } => json!({ "suggestion": provider }),
            Self::KeyMissing {
                providers,
                workspace,
            } => json!({
                "providers": providers,
                "workspace": workspace,
                "missing": missing_text(providers, *workspace),
                "link": keys_link(*workspace),
            }),
            Self::KeyDisabled {
                provider,
                label,
                workspace,
            } => json!({
                "providers": [provider],
                "label": label,
                "workspace": workspace,
                "link": keys_link(*workspace),
            }),
            Self::FormatNotSupported { endpoint } => json!({ "endpoint": endpoint }),
            Self::CredentialsExhausted { attempts } => {
                let attempts: Vec<Value> = attempts
                    .iter()
                    .map(|attempt| {
                        json!({
                            "provider": attempt.provider,
                            "label": attempt.label,
                            "status": attempt.status,
                            "kind": attempt.kind,
                        })
                    })
                    .collect();
                json!({ "attempts": attempts })
            }
            Self::UpstreamBadGateway { status } | Self::UpstreamUnavailable { status } => {
                json!({ "upstream_status": status })
            }
            _ => Value::Null,
        };
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }

    fn headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::MethodNotAllowed(allow) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::CredentialsMissing | Self::CredentialsInvalid => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::StoreUnavailable
            | Self::UsageUnavailable
            | Self::Overloaded
            | Self::KmsUnavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The official SDKs repeat every 5xx unless told that it is of no use.
            Self::CredentialsExhausted { .. }
            | Self::UpstreamRedirect
            | Self::UpstreamAddressRefused
            | Self::KeyUnreadable => {
                let name = HeaderName::from_static("x-should-retry");
                headers.insert(name, HeaderValue::from_static("false"));
            }
            _ => {}
        }
        if self.side() == Side::Upstream {
            headers.insert(headers::ERROR_SOURCE, HeaderValue::from_static("upstream"));
        }
    }

    /// The answer in the client's format.
    pub(crate) fn response(&self, format: &dyn WireFormat, request: RequestId) -> Response<Body> {
        let body = self.with_body(request, |body| format.error(body));
        let mut response = Response::new(crate::full(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers::ours(headers, request);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        self.headers(headers);
        response
    }

    /// The last event of a stream that cannot go on.
    pub(crate) fn stream_event(&self, format: &dyn WireFormat, request: RequestId) -> bytes::Bytes {
        self.with_body(request, |body| format.stream_error(body))
    }

    fn with_body<T>(&self, request: RequestId, write: impl FnOnce(&ErrorBody<'_>) -> T) -> T {
        let hint = self.hint();
        write(&ErrorBody {
            status: self.status().as_u16(),
            code: self.code(),
            message: &self.to_string(),
            hint: hint.as_deref(),
            request: &request.to_string(),
            details: self.details(),
        })
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

fn keys_link(workspace: WorkspaceId) -> String {
    format!("/workspaces/{workspace}/keys")
}
