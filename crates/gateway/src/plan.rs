//! Which provider keys may serve, best first, and the request as a provider shall get it.

use std::sync::Arc;

use domain::naming::Named;
use domain::resolve::Candidate;
use domain::run::Pinned;
use http::HeaderMap;
use llm::head::HeadError;
use llm::provider::Provider;
use llm::registry::Registry;

use crate::Plane;
use crate::admit::{Admitted, Held};
use crate::endpoint::Priced;
use crate::error::Failure;
use crate::headers::{self, Aim, MAX_HOPS};
use crate::kept;
use crate::pass::{self, Pass};
use crate::room::Room;
use crate::send::Parcel;
use crate::settle::Settlement;
use crate::snapshot::View;

mod defaults;
mod list;
pub(crate) mod naming;
mod pin;
pub(crate) mod plans;
pub(crate) mod rank;
pub(crate) mod targets;
pub(crate) mod way;

use naming::Wishes;
use plans::{Found, Wanted};
use targets::Whose;
use way::Way;

/// A call that knows its ways.
pub(crate) struct Planned {
    pub(crate) view: View,
    pub(crate) settlement: Settlement,
    /// Best first, never empty.
    pub(crate) ways: Arc<[Way]>,
    /// How much of the beginning of the answer tells what the provider keeps; 0: it keeps nothing.
    pub(crate) beginning: usize,
    /// In a box: every attempt reads it, and nobody moves it.
    pub(crate) parcel: Box<Parcel>,
    /// The memory that its body takes.
    pub(crate) room: Option<Room>,
}

/// Plans an admitted call. A refusal is settled. What it was meant for is written to `said`, the headers of a
/// failure.
pub(crate) fn plan(
    plane: &Plane,
    mut admitted: Box<Admitted>,
    said: &mut HeaderMap,
) -> Result<Planned, Failure> {
    // What the first name of the request came to.
    let mut named = None;
    let found = naming::wishes(&admitted.headers)
        .and_then(|wishes| {
            if headers::hops(&admitted.headers) >= MAX_HOPS {
                return Err(Failure::LoopDetected);
            }
            let is_plain = admitted.others.is_empty()
                && admitted.query.is_none()
                && wishes.conversation.is_none()
                && admitted.maker.is_none()
                && !admitted.names_unknown;
            let wanted = is_plain.then_some(Wanted {
                instance: &admitted.view.instance,
                call: admitted.call,
                model: &admitted.head.model,
                no_managed: wishes.no_managed,
            });
            let plans = &admitted.view.caller.plans;
            plans.found(wanted, || find(plane, &admitted, &wishes, &mut named))
        })
        .and_then(|Found { ways, preset }| {
            let ways = match admitted.maker {
                // One key is left.
                Some(_) => ways,
                None => {
                    let Admitted {
                        view, call, head, ..
                    } = &*admitted;
                    let is_streamed = head.stream || call.streams();
                    rank::in_order(plane, view, call, is_streamed, ways)
                }
            };
            if let Some(preset) = preset {
                defaults::write(plane, &mut admitted, &preset, &ways)?;
            }
            Ok(ways)
        });
    let beginning = kept::beginning_of_call(admitted.call, admitted.head.may_be_kept);
    match found {
        Ok(ways) => Ok(admitted.along(plane, ways, beginning)),
        Err(failure) => {
            let (view, model) = (&admitted.view, &admitted.head.model);
            let aim = aim(&plane.registry, view, model, named.as_ref());
            let mut settlement = admitted.settlement;
            if let Some(aim) = aim {
                aim.write(said);
                settlement.aimed(aim);
            }
            Err(settlement.refuse(failure))
        }
    }
}

/// Looks for what serves a call. What its first name came to is written to `first`.
fn find(
    plane: &Plane,
    admitted: &Admitted,
    wishes: &Wishes,
    first: &mut Option<Named>,
) -> Result<Found, Failure> {
    let Admitted {
        view,
        call,
        query,
        head,
        others,
        ..
    } = admitted;
    let requested = std::iter::once(&head.model).chain(others);
    let names: Vec<Result<Named, Failure>> = requested
        .flat_map(|name| naming::names(&plane.registry, view, name, wishes))
        .collect();
    *first = names.first().and_then(|it| it.as_ref().ok()).cloned();
    // Whether anything of it may serve or not.
    let mut presets = std::iter::once(&head.model)
        .chain(others)
        .filter_map(|name| naming::preset_of(&plane.registry, view, name, wishes));
    let speaks = presets.find(|it| defaults::said(view, it).is_some());
    // What one preset says is not for the models of another.
    if speaks.is_some() && !others.is_empty() {
        return Err(Failure::PresetNotAlone);
    }
    let preset = speaks.cloned();
    let ways = list::gather(view, names.into_iter(), |named| {
        let no_managed = wishes.no_managed;
        let targets = targets::targets(&plane.registry, view, named, Some(call), no_managed)?;
        let mut ways = way::ways(&plane.registry, view, targets, call, query.as_deref())?;
        kept::retain(&mut ways, admitted)?;
        Ok(ways)
    })?;
    Ok(Found {
        ways: ways.into(),
        preset,
    })
}

/// Plans an admitted request for a path of `provider`, as [`plan`] does a call.
pub(crate) fn pass(
    plane: &Plane,
    mut admitted: Box<Admitted>,
    pass: &Pass,
    provider: Result<&Provider, Failure>,
    said: &mut HeaderMap,
) -> Result<Planned, Failure> {
    let ways = provider.and_then(|provider| {
        let aim = Aim {
            provider: provider.id.clone(),
            model: None,
            requested: None,
        };
        aim.write(said);
        admitted.settlement.aimed(aim);
        let Admitted {
            view,
            call,
            headers,
            query,
            head,
            others,
            path_is_made,
            ..
        } = &*admitted;
        pass.check(provider, headers)?;
        if !others.is_empty() {
            return Err(Failure::InvalidRequest(HeadError::ModelsNotTaken));
        }
        if headers::hops(headers) >= MAX_HOPS {
            return Err(Failure::LoopDetected);
        }
        // What this workspace has made itself it may ask for, whosever key made it. What it only names in the body opens
        // no other path.
        let is_open = pass.is_shared(provider) || *path_is_made;
        let keys = match call.priced == Priced::Unknown && !is_open {
            true => Whose::Workspace,
            false => Whose::WorkspaceAndAccount,
        };
        let targets = targets::own(view, pass::candidate(provider, &head.model), keys)?;
        let how = (pass, call.format);
        let mut ways = way::passing(&plane.registry, view, targets, how, query.as_deref())?;
        kept::retain(&mut ways, &admitted)?;
        Ok(ways)
    });
    let beginning = kept::beginning_of_pass(pass, &admitted.method);
    match ways {
        Ok(ways) => Ok(admitted.along(plane, ways.into(), beginning)),
        Err(failure) => Err(admitted.settlement.refuse(failure)),
    }
}

/// Plans an admitted call for what its caller pinned. A refusal is settled.
pub(crate) fn pinned(
    plane: &Plane,
    mut admitted: Box<Admitted>,
    pin: &Pinned,
    said: &mut HeaderMap,
) -> Result<Planned, Failure> {
    let aim = Aim {
        provider: pin.provider.clone(),
        model: Some(pin.model.clone()),
        requested: Some(admitted.head.model.clone()),
    };
    aim.write(said);
    admitted.settlement.aimed(aim);
    let Admitted { view, call, .. } = &*admitted;
    let ways = pin::targets(view, pin, call)
        .and_then(|targets| way::ways(&plane.registry, view, targets, call, None));
    match ways {
        Ok(ways) => Ok(admitted.along(plane, ways.into(), 0)),
        Err(failure) => Err(admitted.settlement.refuse(failure)),
    }
}

impl Admitted {
    /// The call, served by these ways.
    fn along(self: Box<Self>, plane: &Plane, ways: Arc<[Way]>, beginning: usize) -> Planned {
        let Self {
            view,
            mut settlement,
            call,
            method,
            headers,
            query,
            head,
            body:
                Held {
                    bytes,
                    media_type,
                    upload,
                    room,
                },
            ..
        } = *self;
        settlement.requested_model(&head.model);
        let passed = headers::query_to_upstream(call, query.as_deref());
        let parcel = Box::new(Parcel {
            request: settlement.request(),
            call,
            method,
            hops: headers::hops(&headers),
            headers: headers::to_upstream(&headers),
            head,
            listed: call.streams() && passed.is_none(),
            beta: call.action().is_none() && passed.is_some(),
            body: bytes,
            upload,
            media_type,
            ends_at: settlement.started_at() + plane.config.timeouts.total(),
        });
        Planned {
            view,
            settlement,
            ways,
            beginning,
            parcel,
            room,
        }
    }
}

/// What a refused call was meant for, in names of the registry only: the rest of the text may be anything, a
/// credential too. `named` is what `requested` stands for, if anything. The candidate is the one that the rules looked at first.
fn aim(registry: &Registry, view: &View, requested: &str, named: Option<&Named>) -> Option<Aim> {
    let wanted = named.map_or(requested, |it| it.model.as_str());
    let candidates = registry.candidates(wanted);
    let knows = |it: &&Candidate| {
        let provider = registry.get(&it.provider);
        provider.is_some_and(|provider| provider.knows(&it.model))
    };
    let has_key = |it: &&Candidate, enabled: bool| {
        let mut keys = view.caller.held.iter();
        keys.any(|key| key.provider == it.provider && (key.enabled || !enabled))
    };
    let first = candidates
        .iter()
        .find(|it| has_key(it, true))
        .or_else(|| candidates.iter().find(|it| has_key(it, false)))
        .or(candidates.first())?;
    let known = candidates.iter().any(|it| knows(&it));
    let is_safe = named.is_none_or(|it| naming::is_safe(requested, it));
    Some(Aim {
        provider: first.provider.clone(),
        model: knows(&first).then(|| first.model.clone()),
        requested: (known && is_safe).then(|| requested.to_owned()),
    })
}
