//! The list of models, in one shape that the SDKs of OpenAI and Anthropic read, and in Gemini's.

use domain::naming::Named;
use domain::policy::{KeySource, Tier};
use domain::preset::MARK;
use domain::resolve::Target;
use http::{HeaderMap, HeaderValue, Response, header};
use llm::format::FormatId;
use llm::translate;
use serde_json::{Value, json};

use crate::admit::may_invoke;
use crate::bill::Bill;
use crate::endpoint::{CALLS, Call, Priced, is_main};
use crate::error::Failure;
use crate::plan::naming::{self, Wishes};
use crate::plan::{rank, targets};
use crate::snapshot::View;
use crate::{Body, Plane};

/// The format of a client that asks for models: only Anthropic's SDKs name a version, only Google's clients have a header
/// of their own for the key.
pub(crate) fn format_of(headers: &HeaderMap) -> FormatId {
    if headers.contains_key("anthropic-version") {
        FormatId::AnthropicMessages
    } else if headers.contains_key("x-goog-api-key") {
        FormatId::GeminiGenerateContent
    } else {
        FormatId::OpenaiChat
    }
}

/// What the caller can be served now: first what own keys serve, then what credits pay for, in both the tiers before
/// the presets and those before the models that are known by name.
pub(crate) fn list(
    plane: &Plane,
    view: &View,
    format: FormatId,
) -> Result<Response<Body>, Failure> {
    may_invoke(&view.caller)?;
    let tiers = Tier::ALL.iter().map(|tier| tier.as_str().to_owned());
    let presets = view.caller.record.policy.presets.keys();
    let presets = presets.map(|preset| format!("{MARK}{preset}"));
    let facts = plane.registry.providers().flat_map(|provider| {
        let models = provider.models.iter();
        models.map(|fact| format!("{}/{}", provider.id, fact.id))
    });
    let served: Vec<Served> = tiers
        .chain(presets)
        .chain(facts)
        .filter_map(|id| served(plane, view, &id).ok())
        .collect();
    let of = |source: KeySource| {
        let served = served.iter().filter(move |it| it.target.source == source);
        served.map(|served| entry(plane, served, format))
    };
    let models: Vec<Value> = of(KeySource::Byok).chain(of(KeySource::Managed)).collect();
    if is_gemini(format) {
        return Ok(answer(&json!({ "models": models })));
    }
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
pub(crate) fn get(
    plane: &Plane,
    view: &View,
    model: &str,
    format: FormatId,
) -> Result<Response<Body>, Failure> {
    may_invoke(&view.caller)?;
    let served = served(plane, view, model)?;
    Ok(answer(&entry(plane, &served, format)))
}

/// Whether the client reads Gemini's shape: there is one list for all of a provider's formats.
fn is_gemini(format: FormatId) -> bool {
    format.format().action().is_some()
}

/// A name and what a call for it would be served by first.
struct Served {
    id: String,
    named: Named,
    target: Target,
}

fn served(plane: &Plane, view: &View, id: &str) -> Result<Served, Failure> {
    let names = naming::names(&plane.registry, view, id, &Wishes::default());
    let mut lacks = Vec::new();
    for named in names {
        match named.and_then(|named| served_as(plane, view, id, named)) {
            Ok(served) => return Ok(served),
            Err(failure) => lacks.push(failure),
        }
    }
    Err(Failure::none_served(lacks))
}

/// By the model that was found for the name.
fn served_as(plane: &Plane, view: &View, id: &str, named: Named) -> Result<Served, Failure> {
    let targets = targets::targets(&plane.registry, view, &named, None, false)?;
    let targets = rank::targets_in_order(plane, view, named.ranking, targets);
    let target = targets.into_iter().next().ok_or(Failure::Internal)?;
    Bill::of(plane, view, &target, "", Priced::ByToken).check()?;
    Ok(Served {
        id: id.to_owned(),
        named,
        target,
    })
}

/// The fields of OpenAI's `model` and Anthropic's `ModelInfo`, or those of Gemini's `Model`, and in `keybearer` who serves.
/// Nobody knows when a model was made.
fn entry(plane: &Plane, served: &Served, format: FormatId) -> Value {
    let Served { id, named, target } = served;
    let mut ours = json!({
        "key_source": target.source,
        "provider": target.provider,
        "model": target.model,
    });
    if let Some(tier) = named.tier {
        ours["tier"] = json!(tier);
    }
    if let Some(preset) = &named.preset {
        ours["preset"] = json!(preset);
    }
    if is_gemini(format) {
        return gemini_entry(plane, served, &ours);
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

/// What may be done with the model here is what its provider speaks of Gemini's formats, and what is translated.
fn gemini_entry(plane: &Plane, served: &Served, ours: &Value) -> Value {
    let Served { id, target, .. } = served;
    let (provider, model) = (&target.provider, &target.model);
    let speaks = |format: FormatId| {
        let provider = plane.registry.get(provider);
        provider.is_some_and(|provider| provider.rule(model, format).is_some())
    };
    let spoken = |call: &&Call| {
        let mut others = translate::instead_of(call.format).iter();
        speaks(call.format) || is_main(call) && others.any(|other| speaks(*other))
    };
    let methods: Vec<&str> = CALLS
        .iter()
        .filter(spoken)
        .filter_map(Call::action)
        .collect();
    let mut entry = json!({
        "name": format!("models/{id}"),
        "displayName": id,
        "supportedGenerationMethods": methods,
        "keybearer": ours,
    });
    let limits = [
        (
            "inputTokenLimit",
            plane.registry.context_tokens(provider, model),
        ),
        (
            "outputTokenLimit",
            plane.registry.max_output_tokens(provider, model),
        ),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            entry[name] = json!(limit);
        }
    }
    entry
}

fn answer(body: &Value) -> Response<Body> {
    let mut response = Response::new(crate::full(body.to_string().into()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
