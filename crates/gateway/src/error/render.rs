//! Writes a failure in the client's format.

use bytes::Bytes;
use domain::{NanoUsd, RequestId, WorkspaceId};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use llm::format::{ErrorBody, WireFormat};
use llm::head::HeadError;
use serde_json::{Map, Value, json};

use super::rules::{
    all_presets, any_mode, any_of, exhausted_hint, label, missing_text, rankings, set_one,
};
use super::{Failure, KeyName, Layer, OwnKeys, Side};
use crate::headers;
use crate::{Body, endpoint};

impl Failure {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoneServed { first, .. } => return first.hint(),
            Self::CredentialsMissing | Self::CredentialsInvalid => {
                "send an API key of this instance (kb_...) as `Authorization: Bearer` or `x-api-key`".to_owned()
            }
            Self::CredentialsAmbiguous => {
                "send the API key in one header, once".to_owned()
            }
            Self::CredentialsInQuery => {
                "send the API key in the header `x-goog-api-key`; a key that stood in a URL may have been logged: replace it".to_owned()
            }
            Self::EndpointNotFound => {
                "use one of these; a client's base URL ends in /v1 for OpenAI's SDKs and without it for Anthropic's and Google's".to_owned()
            }
            Self::EndpointElsewhere(_) => {
                "mend the client's base URL: it ends in /v1 for OpenAI's SDKs and without it for Anthropic's and Google's".to_owned()
            }
            Self::UnknownProvider => "name a provider of this instance by its id; an admin of the instance can switch it on".to_owned(),
            Self::PathClosed => "what makes or manages credentials is done at the provider itself".to_owned(),
            Self::InvalidPath => "leave out empty segments, `.` and `..`, and what is encoded without need".to_owned(),
            Self::PresetUnknown { presets } => match presets.as_slice() {
                [] => "it has none; an admin of the workspace can make some in its policy".to_owned(),
                presets => format!("it has {}; an admin of the workspace can make more in its policy", all_presets(presets)),
            },
            Self::PresetNotAlone => "name the models to turn to in the preset itself, or leave `models` out".to_owned(),
            Self::ModelNotFound { suggestion: Some(provider), has_suffix: true } => format!("did you mean the provider {provider}? write the model as `{provider}/name`; behind a model's name `:` and one of {} put its providers in order, and nothing else does", rankings()),
            Self::ModelNotFound { suggestion: None, has_suffix: true } => format!("behind a model's name `:` and one of {} put its providers in order, and nothing else does; GET /v1/models lists what your keys reach", rankings()),
            Self::ModelNotFound { suggestion, .. } => match suggestion {
                Some(provider) => format!("did you mean the provider {provider}? write the model as `{provider}/name`; GET /v1/models lists what your keys reach"),
                None => "write the model as `provider/name`; GET /v1/models lists what your keys reach".to_owned(),
            },
            Self::CrossSite => "send an API key of this instance (kb_...), or call from a program of this machine, at a loopback address".to_owned(),
            Self::KeyMissing { variables, .. } | Self::KeyRevoked(KeyName { variables, .. }) if !variables.is_empty() => set_one(variables),
            Self::KeyMissing { .. } => {
                "add one: `keybearer keys add`, or sealed by POST to the path in `link`; or ask an admin of the workspace".to_owned()
            }
            Self::WorkspaceKeyMissing { .. } => {
                "add a key to the workspace itself: `keybearer keys add`, or sealed by POST to the path in `link`; the account's key serves the endpoints of models".to_owned()
            }
            Self::ObjectKeyUnavailable { .. } => {
                "enable that key again, add a key to the workspace itself, or make the object anew: a response goes on without `previous_response_id` when the input has the whole conversation".to_owned()
            }
            Self::ObjectKeysDiffer { .. } => {
                "make all of them with one key: the files of a prompt anew, or a response without `previous_response_id` whose input has the whole conversation".to_owned()
            }
            Self::KeyDisabled(_) => "enable it or add another; admins of the workspace can".to_owned(),
            Self::KeyRevoked(_) => "add another one, or ask an admin of the workspace".to_owned(),
            Self::KeyDormant { plans, .. } | Self::TierLocked { plans, .. } => match plans.as_slice() {
                [] => "ask the operator of this instance: no plan includes it".to_owned(),
                plans => format!("ask the operator of this instance for the plan {}", any_of(plans)),
            },
            Self::ByokDisabled { .. } => "an admin of the instance can switch them on; in the mode `auto` or `managed` the instance's key serves".to_owned(),
            Self::ByokRequired(Layer::Request) => "leave out `x-keybearer-no-managed`, or bring a provider key and set the mode to `byok` or `auto`".to_owned(),
            Self::ByokRequired(Layer::Workspace) => "bring a provider key, or ask an admin of the workspace".to_owned(),
            Self::ByokRequired(Layer::Endpoint) => "bring a provider key and set the mode to `byok` or `auto`: credits are taken by tokens of one price, and calls of this endpoint are not priced by them".to_owned(),
            Self::ByokForbidden => "ask an admin of the workspace: its mode and its rule for own keys leave nothing that serves".to_owned(),
            Self::ModeNotOffered => "ask an admin of the workspace to choose another mode".to_owned(),
            Self::FieldNeedsOwnKey(_) => "leave the field out, or bring a provider key: own keys pass every field".to_owned(),
            Self::ManagedUnavailable { own_keys, .. } => {
                let ask = "ask the operator of this instance to add a platform key";
                match own_keys {
                    OwnKeys::Serve => format!("bring a provider key, or {ask}"),
                    OwnKeys::ServeIn(modes) => format!("bring a provider key and set the mode to {}, or {ask}", any_mode(modes)),
                    OwnKeys::Rest => ask.to_owned(),
                }
            }
            Self::InvalidRequest(HeadError::ModelMissing) => "name a model in `model`, or send `default` to leave the choice to your defaults".to_owned(),
            Self::InvalidRequest(HeadError::ModelsNotTaken) => "leave `models` out and name one model in `model`; bodies of JSON name several at the endpoints under `/v1` and `/v1beta`".to_owned(),
            Self::UpgradeRequired => "open it with a client of WebSockets, version 13".to_owned(),
            Self::ModelNotChosen => "name a model in `model`, or set a default for the API key or the workspace".to_owned(),
            Self::TierUnset(tier) => format!("an admin of the workspace can choose a model for {tier}; or name a model"),
            Self::PriceUnknown { .. } => "use a model with a known price, or ask the operator of this instance to set one".to_owned(),
            Self::CreditsExhausted { .. } => "wait until `resets_at` or ask the operator of this instance for credits; own keys serve without credits, and a lower `max_tokens` needs fewer".to_owned(),
            Self::FallbackCapReached { .. } => "mend the own keys, or ask an admin of the workspace to raise the cap".to_owned(),
            Self::InvalidHeader(_) => "`x-keybearer-no-managed` is true or false; `x-keybearer-conversation-model` is the name of a model; `x-keybearer-provider` is the id of a provider; a WebSocket's handshake has a `sec-websocket-key` of 16 bytes, no body and, if it offers subprotocols, `realtime` among them".to_owned(),
            Self::FormatNotSupported { endpoint: Some(endpoint) } => format!("use POST {endpoint} for this model"),
            Self::FormatNotSupported { endpoint: None } => "no endpoint serves such a call for this model; name another model".to_owned(),
            Self::NotTranslatable { endpoint: Some(endpoint), .. } => format!("leave the field out, or use POST {endpoint}, which the provider speaks itself"),
            Self::PlatformKeyUnreadable => "tell the operator of this instance, who should run `keybearer doctor`".to_owned(),
            Self::KeyUnreadable => "submit the provider key again; the operator should run `keybearer doctor`".to_owned(),
            Self::CredentialsExhausted { attempts } => exhausted_hint(attempts),
            Self::UpstreamNotEncodable => "ask for `\"encoding_format\": \"float\"`".to_owned(),
            Self::UpstreamAddressRefused => "the operator may allow the address range in the configuration".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    /// Facts for programs.
    fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::NoneServed { first, others } => {
                // By their places: what the client wrote is not repeated.
                let all = std::iter::once(&**first).chain(others);
                let each = all.enumerate().map(|(place, it)| {
                    let mut lacks =
                        json!({ "place": place, "code": it.code(), "message": it.to_string() });
                    if let Some(variables) = it.details().remove("variables") {
                        lacks["variables"] = variables;
                    }
                    lacks
                });
                let mut details = first.details();
                details.insert("models".to_owned(), each.collect());
                return details;
            }
            Self::EndpointNotFound => json!({ "endpoints": endpoint::served() }),
            Self::EndpointElsewhere(path) => json!({ "endpoints": [format!("POST {path}")] }),
            Self::PermissionDenied(scope) => json!({ "needs": scope }),
            Self::TooManyCalls { limit } => json!({ "limit": limit }),
            Self::BodyTooLarge { limit } => json!({ "limit_bytes": limit }),
            Self::InvalidRequest(error) => json!({ "field": error.field() }),
            Self::PresetUnknown { presets } => json!({ "presets": presets }),
            Self::PresetNotAlone => json!({ "field": "models" }),
            Self::ModelNotFound {
                suggestion: Some(provider),
                ..
            } => json!({ "suggestion": provider }),
            Self::KeyMissing {
                providers,
                workspace,
                variables,
            } => {
                let mut details = json!({
                    "providers": providers,
                    "workspace": workspace,
                    "missing": missing_text(providers, *workspace, variables),
                    "link": keys_link(*workspace),
                });
                name_variables(&mut details, variables);
                details
            }
            Self::WorkspaceKeyMissing {
                provider,
                workspace,
            } => json!({
                "providers": [provider],
                "workspace": workspace,
                "link": keys_link(*workspace),
            }),
            Self::ObjectKeyUnavailable {
                provider,
                workspace,
            } => json!({
                "providers": [provider],
                "workspace": workspace,
                "link": keys_link(*workspace),
            }),
            Self::ObjectKeysDiffer { providers } => json!({ "providers": providers }),
            Self::KeyDisabled(key) | Self::KeyRevoked(key) => named(key),
            Self::KeyDormant { key, plans } => {
                let mut details = named(key);
                details["plans"] = json!(plans);
                details
            }
            Self::InvalidHeader(name) => json!({ "header": name.as_str() }),
            Self::TierUnset(tier) => json!({ "tier": tier }),
            Self::TierLocked { tier, plans } => {
                json!({ "layer": "plan", "tier": tier, "plans": plans })
            }
            Self::ByokDisabled { provider } | Self::PriceUnknown { provider } => {
                json!({ "providers": [provider] })
            }
            Self::ManagedUnavailable { providers, .. } => json!({ "providers": providers }),
            Self::ByokRequired(layer) => json!({
                "layer": match layer { Layer::Request => "request", Layer::Workspace => "workspace", Layer::Endpoint => "endpoint" },
            }),
            Self::ByokForbidden => json!({ "layer": "workspace" }),
            Self::ModeNotOffered => json!({ "layer": "instance" }),
            Self::FieldNeedsOwnKey(field) => json!({ "field": field }),
            Self::CreditsExhausted {
                needed,
                available,
                resets_at,
            } => json!({
                "scope": "account",
                "needed": amount(*needed),
                "available": amount(*available),
                "resets_at": resets_at,
            }),
            Self::FallbackCapReached {
                cap,
                spent,
                resets_at,
                workspace,
            } => json!({
                "scope": "workspace",
                "workspace": workspace,
                "window": "month",
                "limit": amount(*cap),
                "spent": amount(*spent),
                "resets_at": resets_at,
            }),
            Self::FormatNotSupported { endpoint } => json!({ "endpoint": endpoint }),
            Self::NotTranslatable { why, endpoint } => {
                json!({ "field": why.path(), "endpoint": endpoint })
            }
            Self::CredentialsExhausted { attempts } => {
                let attempts: Vec<Value> = attempts
                    .iter()
                    .map(|attempt| {
                        json!({
                            "provider": attempt.provider,
                            "label": label(attempt.label.as_ref()),
                            "key_source": attempt.source,
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
            Self::NoneServed { first, .. } => first.headers(headers),
            Self::MethodNotAllowed(allow) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::UpgradeRequired => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(
                    header::SEC_WEBSOCKET_VERSION,
                    HeaderValue::from_static("13"),
                );
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
            // As providers say it, so that clients that pace themselves by these headers do here, too.
            Self::TooManyCalls { limit } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                for (name, value) in [
                    ("x-ratelimit-limit-requests", HeaderValue::from(*limit)),
                    ("x-ratelimit-remaining-requests", HeaderValue::from(0)),
                    ("x-ratelimit-reset-requests", HeaderValue::from_static("1s")),
                ] {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
            Self::UpstreamRejected {
                retry_after_s: Some(seconds),
                ..
            } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            // The official SDKs repeat every 5xx unless told that it is of no use.
            Self::CredentialsExhausted { attempts } if !attempts.iter().all(|it| it.denied) => {}
            Self::CredentialsExhausted { .. }
            | Self::UpstreamRedirect
            | Self::UpstreamAddressRefused
            | Self::UpstreamNotEncodable
            | Self::KeyUnreadable
            | Self::PlatformKeyUnreadable => {
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
        let body = self.body(format, request);
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

    /// The body in the client's format.
    pub(crate) fn body(&self, format: &dyn WireFormat, request: RequestId) -> Bytes {
        self.with_body(request, None, |body| format.error(body))
    }

    /// The last event of a stream that cannot go on. `number`: that of the event, where it is known.
    pub(crate) fn stream_event(
        &self,
        format: &dyn WireFormat,
        request: RequestId,
        number: Option<u64>,
    ) -> Bytes {
        self.with_body(request, number, |body| format.stream_error(body))
    }

    fn with_body<T>(
        &self,
        request: RequestId,
        number: Option<u64>,
        write: impl FnOnce(&ErrorBody<'_>) -> T,
    ) -> T {
        let hint = self.hint();
        write(&ErrorBody {
            status: self.status().as_u16(),
            code: self.code(),
            message: &self.to_string(),
            hint: hint.as_deref(),
            request: &request.to_string(),
            number,
            details: self.details(),
        })
    }
}

/// An amount for programs: exact in nano-USD, and in credits.
fn amount(amount: NanoUsd) -> Value {
    json!({ "credits": amount.credits(), "nano_usd": amount.nanos() })
}

fn named(key: &KeyName) -> Value {
    let mut details = json!({
        "providers": [key.provider],
        "label": key.label,
        "workspace": key.workspace,
        "link": keys_link(key.workspace),
    });
    name_variables(&mut details, &key.variables);
    details
}

/// Says in which variables a key was looked for, as a choice and as a list, if it was.
fn name_variables(details: &mut Value, variables: &[String]) {
    if !variables.is_empty() {
        details["missing"] = json!(variables.join(" or "));
        details["variables"] = json!(variables);
    }
}

fn keys_link(workspace: WorkspaceId) -> String {
    format!("/api/v1/workspaces/{workspace}/provider-keys")
}
