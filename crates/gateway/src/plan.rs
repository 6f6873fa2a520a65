//! Which provider key serves, and the request as the provider shall get it.

use std::sync::Arc;

use domain::ProviderKeyId;
use domain::resolve::{self, Candidate, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use llm::format::FormatId;
use llm::head;
use llm::provider::{Auth, Provider};
use llm::registry::Registry;

use crate::Plane;
use crate::admit::{Admitted, Held};
use crate::endpoint::{CALLS, Call};
use crate::error::{self, Failure};
use crate::headers::{self, Aim, MAX_HOPS, Served};
use crate::settle::Settlement;
use crate::snapshot::Loaded;
use crate::upstream::{self, AuthPlace};

/// A call that knows its way.
pub(crate) struct Planned {
    pub(crate) caller: Arc<Loaded>,
    pub(crate) settlement: Settlement,
    pub(crate) call: &'static Call,
    pub(crate) served: Served,
    pub(crate) key: ProviderKeyId,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    /// How many gateways the request came through before this one.
    pub(crate) hops: u32,
    pub(crate) auth: AuthPlace,
    /// The request with the provider's name for the model, in the memory of the client's body.
    pub(crate) body: Held,
}

/// Where one target is called.
struct Way {
    url: Uri,
    auth: AuthPlace,
    extra_headers: Vec<(HeaderName, HeaderValue)>,
    served: Served,
}

/// Plans an admitted call. A refusal is settled. Who serves, or was meant to, is written to `said`, the
/// headers of a failure.
pub(crate) fn plan(
    plane: &Plane,
    admitted: Admitted,
    said: &mut HeaderMap,
) -> Result<Planned, Failure> {
    let Admitted {
        caller,
        mut settlement,
        call,
        headers,
        query,
        head,
        body,
    } = admitted;
    let hops = headers::hops(&headers);
    let chosen = targets(&plane.registry, &caller, &head.model).and_then(|targets| {
        if hops >= MAX_HOPS {
            return Err(Failure::LoopDetected);
        }
        let (target, path) = speaker(&plane.registry, &targets, call.format)?;
        let way = way(plane, &caller, &target, &path, query.as_deref())?;
        Ok((target, way))
    });
    let (target, way) = match chosen {
        Ok(chosen) => chosen,
        Err(failure) => {
            let aim = aim(&plane.registry, &caller, &head.model);
            if let Some(aim) = aim {
                aim.write(said);
                settlement.aimed(aim);
            }
            return Err(settlement.refuse(failure));
        }
    };
    settlement.planned(&head.model, &way.served, target.key);
    way.served.write(said);
    let mut passed = headers::to_upstream(&headers);
    for (name, value) in way.extra_headers {
        passed.entry(name).or_insert(value);
    }
    Ok(Planned {
        caller,
        settlement,
        call,
        key: target.key,
        url: way.url,
        headers: passed,
        hops,
        auth: way.auth,
        body: Held {
            bytes: head::with_model(&body.bytes, &head, &target.model),
            share: body.share,
        },
        served: way.served,
    })
}

/// The caller's ways to call `model`, best first and never empty.
pub(crate) fn targets(
    registry: &Registry,
    caller: &Loaded,
    model: &str,
) -> Result<Vec<Target>, Failure> {
    let candidates = registry.candidates(model);
    let decision = resolve::resolve(&candidates, &caller.own_keys);
    decision.outcome.map_err(|refusal| {
        let wanted = model.split('/').next().unwrap_or(model);
        let suggestion = registry.suggest(wanted).cloned();
        error::from_rules(refusal, caller.record.workspace, suggestion)
    })
}

/// What a refused call was meant for, in names of the registry only: the rest of the text may be anything, a
/// credential too. The candidate is the one that the rules looked at first.
fn aim(registry: &Registry, caller: &Loaded, model: &str) -> Option<Aim> {
    let candidates = registry.candidates(model);
    let knows = |it: &&Candidate| {
        let provider = registry.get(&it.provider);
        provider.is_some_and(|provider| provider.knows(&it.model))
    };
    let has_key = |it: &&Candidate, enabled: bool| {
        let mut keys = caller.own_keys.iter();
        keys.any(|key| key.provider == it.provider && (key.enabled || !enabled))
    };
    let first = candidates
        .iter()
        .find(|it| has_key(it, true))
        .or_else(|| candidates.iter().find(|it| has_key(it, false)))
        .or(candidates.first())?;
    Some(Aim {
        provider: first.provider.clone(),
        model: knows(&first).then(|| first.model.clone()),
        requested: candidates
            .iter()
            .any(|it| knows(&it))
            .then(|| model.to_owned()),
    })
}

/// The first target that speaks `format`, and the path where it does.
fn speaker(
    registry: &Registry,
    targets: &[Target],
    format: FormatId,
) -> Result<(Target, String), Failure> {
    let path = |target: &Target, format| {
        let provider = registry.get(&target.provider)?;
        Some(provider.rule(&target.model, format)?.path.clone())
    };
    let speaks = |target: &Target| Some((target.clone(), path(target, format)?));
    targets.iter().find_map(speaks).ok_or_else(|| {
        let other = CALLS
            .iter()
            .find(|call| targets.iter().any(|it| path(it, call.format).is_some()));
        Failure::FormatNotSupported {
            endpoint: other.map(|call| call.path),
        }
    })
}

fn way(
    plane: &Plane,
    caller: &Loaded,
    target: &Target,
    path: &str,
    query: Option<&str>,
) -> Result<Way, Failure> {
    let provider = plane.registry.get(&target.provider);
    let (provider, (record, _)) = provider
        .zip(caller.key(target.key))
        .ok_or(Failure::KeyUnreadable)?;
    let context = &record.context;
    let query = headers::query_to_upstream(query);
    // The URL that the key is bound to, not the one that the registry has today.
    let url = upstream::url(&context.base_url, path, query.as_deref());
    Ok(Way {
        url: url.ok_or(Failure::KeyUnreadable)?,
        auth: auth_place(provider, &context.auth_header).ok_or(Failure::KeyUnreadable)?,
        extra_headers: extra_headers(&provider.auth),
        served: Served {
            provider: target.provider.clone(),
            model: target.model.clone(),
            label: record.label.clone(),
            attempts: 1,
        },
    })
}

/// How a key that is bound to `bound_header` is presented; `None` if the provider wants another header now:
/// then the key must be submitted again.
pub(crate) fn auth_place(provider: &Provider, bound_header: &str) -> Option<AuthPlace> {
    if provider.auth.header != bound_header {
        return None;
    }
    Some(AuthPlace {
        header: HeaderName::from_bytes(bound_header.as_bytes()).ok()?,
        scheme: provider.auth.scheme.clone(),
    })
}

/// The headers that every call to the provider needs.
pub(crate) fn extra_headers(auth: &Auth) -> Vec<(HeaderName, HeaderValue)> {
    auth.extra_headers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        })
        .collect()
}
