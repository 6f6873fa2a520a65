//! The list of models, in one shape that the SDKs of both formats read.

use domain::ProviderId;
use http::{HeaderMap, HeaderValue, Response, header};
use llm::format::FormatId;
use llm::provider::Provider;
use serde_json::{Value, json};

use crate::admit::may_invoke;
use crate::error::Failure;
use crate::plan;
use crate::snapshot::Loaded;
use crate::{Body, Plane};

/// The format of a client that asks for models: only Anthropic's SDKs name a version.
pub(crate) fn format_of(headers: &HeaderMap) -> FormatId {
    if headers.contains_key("anthropic-version") {
        FormatId::AnthropicMessages
    } else {
        FormatId::OpenaiChat
    }
}

/// The models that are known by name at providers for which the caller has an enabled key.
pub(crate) fn list(plane: &Plane, caller: &Loaded) -> Result<Response<Body>, Failure> {
    may_invoke(caller)?;
    let reached = |provider: &&Provider| {
        let has_key = |id: &ProviderId| {
            let mut keys = caller.own_keys.iter();
            keys.any(|key| key.enabled && key.provider == *id)
        };
        provider.serves_models() && has_key(&provider.id)
    };
    let models: Vec<Value> = plane
        .registry
        .providers()
        .filter(reached)
        .flat_map(|provider| {
            let facts = provider.models.iter();
            facts.map(|fact| entry(&format!("{}/{}", provider.id, fact.id), &provider.id))
        })
        .collect();
    let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
    Ok(answer(&json!({
        "object": "list",
        "first_id": id(models.first()),
        "last_id": id(models.last()),
        "has_more": false,
        "data": models,
    })))
}

/// One model, if a call for it would be served; else the refusal that the call would get.
pub(crate) fn get(plane: &Plane, caller: &Loaded, model: &str) -> Result<Response<Body>, Failure> {
    may_invoke(caller)?;
    let targets = plan::targets(&plane.registry, caller, model)?;
    let provider = &targets.first().ok_or(Failure::Internal)?.provider;
    Ok(answer(&entry(model, provider)))
}

/// The fields of OpenAI's `model` and Anthropic's `ModelInfo`. Nobody knows when a model was made.
fn entry(id: &str, provider: &ProviderId) -> Value {
    json!({
        "id": id,
        "object": "model",
        "type": "model",
        "display_name": id,
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": provider,
    })
}

fn answer(body: &Value) -> Response<Body> {
    let mut response = Response::new(crate::full(body.to_string().into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
