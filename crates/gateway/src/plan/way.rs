//! Where and how each target is called.

use std::borrow::Cow;
use std::sync::Arc;

use domain::policy::KeySource;
use domain::ranking::Ranking;
use domain::resolve::{Target, When};
use domain::{KeyScope, Label};
use http::{HeaderName, HeaderValue, Uri};
use llm::format::FormatId;
use llm::provider::{Auth, FormatRule, Provider};
use llm::registry::Registry;
use llm::translate;

use crate::endpoint::{self, CALLS, Call, Priced};
use crate::error::Failure;
use crate::headers::{self, Named};
use crate::health::{KeyUse, KeyVersion};
use crate::pass::{self, Pass};
use crate::realtime;
use crate::snapshot::View;
use crate::upstream::{self, AuthPlace};

/// One way to serve a call.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) target: Target,
    /// The format in which the provider is called: the client's own where it can be, else the closest.
    pub(crate) speaks: FormatId,
    /// Other formats that it can be called in, for requests that the first has no words for, and where.
    pub(crate) also: Vec<(FormatId, Reach)>,
    /// Which of the models that the request names it is a way to, from 0.
    pub(crate) place: usize,
    /// By what the ways to that model are put in order; `None`: as they stand.
    pub(crate) ranking: Option<Ranking>,
    /// The label of the key.
    pub(crate) label: Label,
    /// Whose it is.
    pub(crate) key_scope: KeyScope,
    /// The key and the version of its value.
    pub(crate) key: KeyVersion,
    /// Whether its owner keeps it for when everything else failed.
    pub(crate) last_resort: bool,
    /// What answers say of it.
    pub(crate) named: Arc<Named>,
    /// `None`: what is stored does not fit the provider any more; the key must be submitted again.
    pub(crate) reach: Option<Reach>,
}

/// Where a key is sent, and how.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) url: Uri,
    /// Where a translated request for a stream goes, if that is elsewhere.
    pub(crate) stream_url: Option<Uri>,
    pub(crate) auth: AuthPlace,
    pub(crate) extra_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Way {
    /// Whether credits pay.
    pub(crate) fn is_managed(&self) -> bool {
        self.target.source == KeySource::Managed
    }

    /// The key's label, but for a platform key's, which is the operator's business.
    pub(crate) fn own_label(&self) -> Option<Label> {
        (!self.is_managed()).then(|| self.label.clone())
    }

    /// The key as it serves this call.
    pub(crate) fn served_by(&self) -> KeyUse {
        KeyUse {
            key: self.key,
            model: self.target.model.clone(),
        }
    }

    /// Whether credits would stand in for own keys that failed.
    pub(crate) fn is_fallback(&self) -> bool {
        matches!(self.target.when, When::OwnKeysFailed { .. })
    }
}

/// The ways of the targets where `call` can be made, in its own format or in one that it can be translated to, in their
/// order and never empty.
pub(crate) fn ways(
    registry: &Registry,
    view: &View,
    targets: Vec<Target>,
    call: &Call,
    query: Option<&str>,
) -> Result<Vec<Way>, Failure> {
    let spoken = |target: &Target, call: &Call| spoken(registry, view, target, call);
    // Whoever wants a picture or vectors is not helped by words.
    let generates = |call: &Call| call.priced == Priced::ByToken;
    let alike = |other: &&Call| generates(other) && embeds(other) == embeds(call);
    let other = CALLS
        .iter()
        .filter(|other| generates(call) && alike(other))
        .find(|other| targets.iter().any(|it| spoken(it, other).is_some()))
        .map(|other| other.path);
    let query = headers::query_to_upstream(call, query);
    let mut ways: Vec<Way> = Vec::with_capacity(targets.len());
    let mut left_out = false;
    let mut unreadable: Option<KeySource> = None;
    for target in targets {
        let source = target.source;
        let own = source == KeySource::Byok;
        // Credits stand in for own keys that failed, not for own keys that were never tried.
        if matches!(target.when, When::OwnKeysFailed { .. })
            && left_out
            && ways.iter().all(Way::is_managed)
        {
            continue;
        }
        let places = places(registry, view, &target, call);
        let Some(first) = places.first() else {
            left_out |= own;
            continue;
        };
        // What the client says to its own format's endpoint is not for another's.
        let query = query.as_deref().filter(|_| first.speaks == call.format);
        let named = realtime::query(call, &target.model);
        let query = named.as_deref().or(query);
        match way(registry, view, target, &places, query) {
            Some(way) => ways.push(way),
            None => {
                left_out |= own;
                unreadable = unreadable.or(Some(source));
            }
        }
    }
    if ways.is_empty() {
        return Err(match unreadable {
            Some(KeySource::Byok) => Failure::KeyUnreadable,
            Some(KeySource::Managed) => Failure::PlatformKeyUnreadable,
            None => Failure::FormatNotSupported { endpoint: other },
        });
    }
    Ok(ways)
}

/// Whether a call makes vectors.
fn embeds(call: &Call) -> bool {
    use FormatId::{GeminiEmbeddings, OpenaiEmbeddings};
    matches!(call.format, OpenaiEmbeddings | GeminiEmbeddings)
}

/// The ways of the targets to a provider's path, in their order and never empty.
pub(crate) fn passing(
    registry: &Registry,
    view: &View,
    targets: Vec<Target>,
    (pass, format): (&Pass, FormatId),
    query: Option<&str>,
) -> Result<Vec<Way>, Failure> {
    let query = pass::query(query);
    let to = |target: Target| {
        let base_url = view.key(&target)?.0.context.base_url.clone();
        let place = Place {
            speaks: format,
            rule: None,
            path: pass.below(&base_url).into(),
            stream_path: None,
        };
        way(registry, view, target, &[place], query.as_deref())
    };
    let ways: Vec<Way> = targets.into_iter().filter_map(to).collect();
    if ways.is_empty() {
        return Err(Failure::KeyUnreadable);
    }
    Ok(ways)
}

/// The rule by which `call` can be made of `target`, and the path; `None` if the provider does not speak its format for
/// this model, or not at the place that the key is bound to.
fn spoken<'a>(
    registry: &'a Registry,
    view: &View,
    target: &Target,
    call: &Call,
) -> Option<(&'a FormatRule, Cow<'a, str>)> {
    let rule = registry
        .get(&target.provider)?
        .rule(&target.model, call.format)?;
    let path = rule.call_path(call.beside, &target.model, call.action())?;
    let (record, _) = view.key(target).unzip();
    record
        .is_none_or(|record| rule.base(&record.context.base_url).is_some())
        .then_some((rule, path))
}

/// Where and in which format a provider is called.
struct Place<'a> {
    speaks: FormatId,
    /// By which the format is spoken, if one is.
    rule: Option<&'a FormatRule>,
    path: Cow<'a, str>,
    /// The path of a translated request for a stream, where it is another.
    stream_path: Option<Cow<'a, str>>,
}

/// Where `call` can be made of `target`: in its own format, else in those that it can be translated to, closest first.
fn places<'a>(registry: &'a Registry, view: &View, target: &Target, call: &Call) -> Vec<Place<'a>> {
    let place = |call: &Call| {
        let (rule, path) = spoken(registry, view, target, call)?;
        Some(Place {
            speaks: call.format,
            rule: Some(rule),
            path,
            stream_path: None,
        })
    };
    if let Some(own) = place(call) {
        return vec![own];
    }
    // Of a format's calls only the main one has counterparts.
    let others = translate::instead_of(call.format).iter();
    let others = others.filter(|_| endpoint::is_main(call));
    let other = |format: &FormatId| {
        let place = place(endpoint::main(*format)?)?;
        let stream = endpoint::stream(*format);
        let stream = stream.and_then(|it| spoken(registry, view, target, it));
        Some(Place {
            stream_path: stream.map(|(_, path)| path),
            ..place
        })
    };
    others.filter_map(other).collect()
}

/// `None`: a record is missing, or there is no place.
fn way(
    registry: &Registry,
    view: &View,
    target: Target,
    places: &[Place<'_>],
    query: Option<&str>,
) -> Option<Way> {
    let (record, _) = view.key(&target)?;
    let context = &record.context;
    let provider = registry.get(&target.provider);
    let reach = |place: &Place<'_>, query: Option<&str>| {
        // The URL that the key is bound to, not the one that the registry has today.
        let bound = context.base_url.as_str();
        let base = place.rule.map_or(Some(bound), |rule| rule.base(bound))?;
        Some(Reach {
            url: upstream::url(base, &place.path, query)?,
            stream_url: match &place.stream_path {
                Some(path) => Some(upstream::url(base, path, Some(headers::EVENTS))?),
                None => None,
            },
            auth: auth_place(provider?, place.rule, &context.auth_header)?,
            extra_headers: extra_headers(&provider?.auth),
        })
    };
    let (first, others) = places.split_first()?;
    let also = others
        .iter()
        .filter_map(|place| Some((place.speaks, reach(place, None)?)));
    Some(Way {
        place: 0,
        ranking: None,
        label: record.label.clone(),
        key_scope: context.owner.scope(),
        key: (context.key, context.version),
        last_resort: record.fallback && target.source == KeySource::Byok,
        speaks: first.speaks,
        also: also.collect(),
        reach: reach(first, query),
        named: Arc::new(Named::new(
            &target,
            Some(&record.label).filter(|_| target.source == KeySource::Byok),
        )),
        target,
    })
}

/// How a key that is bound to `bound_header` is presented by a rule; `None` if the provider wants another header now:
/// then the key must be submitted again. A rule may name a header of its own beside it, for the same place.
pub(crate) fn auth_place(
    provider: &Provider,
    rule: Option<&FormatRule>,
    bound_header: &str,
) -> Option<AuthPlace> {
    let Auth { header, scheme, .. } = &provider.auth;
    if header != bound_header {
        return None;
    }
    let (header, scheme) = match rule.and_then(|rule| rule.key_place.as_ref()) {
        Some(place) => (&place.header, &place.scheme),
        None => (header, scheme),
    };
    Some(AuthPlace {
        header: HeaderName::from_bytes(header.as_bytes()).ok()?,
        scheme: scheme.clone(),
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
