//! Writes a failure in the client's format.

use bytes::Bytes;
use domain::{RequestId, WorkspaceId};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use llm::format::{ErrorBody, WireFormat};
use serde_json::{Map, Value, json};

use super::{Failure, Side, missing_text};
use crate::headers;
use crate::{Body, endpoint};

impl Failure {
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::CredentialsMissing | Self::CredentialsInvalid => {
                "send an API key of this instance (kb_...) as `Authorization: Bearer` or `x-api-key`".to_owned()
            }
            Self::CredentialsAmbiguous => {
                "send the API key in one header, once".to_owned()
            }
            Self::EndpointNotFound => {
                "use one of these; a client's base URL ends in /v1 for OpenAI's SDKs and without it for Anthropic's".to_owned()
            }
            Self::ModelNotFound { suggestion } => match suggestion {
                Some(provider) => format!("did you mean the provider {provider}? write the model as `{provider}/name`; GET /v1/models lists what your keys reach"),
                None => "write the model as `provider/name`; GET /v1/models lists what your keys reach".to_owned(),
            },
            Self::KeyMissing { .. } => {
                "add one: `keybearer keys add`, or sealed by POST to the path in `link`; or ask an admin of the workspace".to_owned()
            }
            Self::KeyDisabled { .. } => "enable it or add another; admins of the workspace can".to_owned(),
            Self::FormatNotSupported { endpoint: Some(endpoint) } => format!("use POST {endpoint} for this model"),
            Self::KeyUnreadable => "submit the provider key again; the operator should run `keybearer doctor`".to_owned(),
            Self::CredentialsExhausted { .. } => {
                "check the provider key and its balance at the provider; only the first enabled key by position is called, so move or disable it to use the next".to_owned()
            }
            Self::UpstreamAddressRefused => "the operator may allow the address range in the configuration".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    /// Facts for programs.
    fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::EndpointNotFound => json!({ "endpoints": endpoint::served() }),
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
    pub(crate) fn stream_event(&self, format: &dyn WireFormat, request: RequestId) -> Bytes {
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

fn keys_link(workspace: WorkspaceId) -> String {
    format!("/api/v1/workspaces/{workspace}/provider-keys")
}
