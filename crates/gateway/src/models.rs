//! The list of models, in one shape that the SDKs of both formats read.

use domain::naming::Named;
use domain::policy::{KeySource, Tier};
use domain::resolve::Target;
use http::{HeaderMap, HeaderValue, Response, header};
use llm::format::FormatId;
use serde_json::{Value, json};

use crate::admit::may_invoke;
use crate::bill::Bill;
use crate::endpoint::Priced;
use crate::error::Failure;
use crate::plan::naming::{self, Wishes};
use crate::plan::targets;
use crate::snapshot::View;
use crate::{Body, Plane};

/// The format of a client that asks for models: only Anthropic's SDKs name a version.
pub(crate) fn format_of(headers: &HeaderMap) -> FormatId {
    if headers.contains_key("anthropic-version") {
        FormatId::AnthropicMessages
    } else {
        FormatId::OpenaiChat
    }
}

/// What the caller can be served now: first what own keys serve, then what credits pay for, in both the tiers before
/// the models that are known by name.
pub(crate) fn list(plane: &Plane, view: &View) -> Result<Response<Body>, Failure> {
    may_invoke(&view.caller)?;
    let tiers = Tier::ALL.iter().map(|tier| tier.as_str().to_owned());
    let facts = plane.registry.providers().flat_map(|provider| {
        let models = provider.models.iter();
        models.map(|fact| format!("{}/{}", provider.id, fact.id))
    });
    let served: Vec<Served> = tiers
        .chain(facts)
        .filter_map(|id| served(plane, view, &id).ok())
        .collect();
    let of = |source: KeySource| {
        let served = served.iter().filter(move |it| it.target.source == source);
        served.map(entry)
    };
    let models: Vec<Value> = of(KeySource::Byok).chain(of(KeySource::Managed)).collect();
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
pub(crate) fn get(plane: &Plane, view: &View, model: &str) -> Result<Response<Body>, Failure> {
    may_invoke(&view.caller)?;
    Ok(answer(&entry(&served(plane, view, model)?)))
}

/// A name and what a call for it would be served by first.
struct Served {
    id: String,
    named: Named,
    target: Target,
}

fn served(plane: &Plane, view: &View, id: &str) -> Result<Served, Failure> {
    let named = naming::name(view, id, &Wishes::default())?;
    let targets = targets::targets(&plane.registry, view, &named.model, None, false)?;
    let target = targets.into_iter().next().ok_or(Failure::Internal)?;
    Bill::of(plane, view, &target, "", Priced::ByToken).check()?;
    Ok(Served {
        id: id.to_owned(),
        named,
        target,
    })
}

/// The fields of OpenAI's `model` and Anthropic's `ModelInfo`, and in `keybearer` who serves. Nobody knows when a
/// model was made.
fn entry(served: &Served) -> Value {
    let Served { id, named, target } = served;
    let mut ours = json!({
        "key_source": target.source,
        "provider": target.provider,
        "model": target.model,
    });
    if let Some(tier) = named.tier {
        ours["tier"] = json!(tier);
    }
    json!({
        "id": id,
        "object": "model",
        "type": "model",
        "display_name": id,
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": target.provider,
        "keybearer": ours,
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
