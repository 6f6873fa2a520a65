//! The ways of a model in the order of the ranking that its name carries.
//!
//! Measurements change from call to call, so this is done for each call anew and is in no remembered plan.

use std::sync::Arc;

use domain::ranking::{self, Facts, Ranking};
use domain::resolve::Target;

use super::way::Way;
use crate::Plane;
use crate::bill;
use crate::endpoint::Call;
use crate::pace::Place;
use crate::snapshot::View;

/// The ways in their order. `is_streamed`: the call wants a stream.
pub(super) fn in_order(
    plane: &Plane,
    view: &View,
    call: &Call,
    is_streamed: bool,
    ways: Arc<[Way]>,
) -> Arc<[Way]> {
    if ways.iter().all(|way| way.ranking.is_none()) {
        return ways;
    }
    plane.paces.want();
    let of_model = ways.chunk_by(|a, b| a.place == b.place);
    let ranked = of_model.flat_map(|ways| match ways[0].ranking {
        None => ways.to_vec(),
        Some(ranking) => ranking::arrange(
            ranking,
            ways.to_vec(),
            |way| (way.is_managed(), way.is_fallback(), way.last_resort),
            |way| &way.target,
            |way| facts(plane, view, call.operation, is_streamed, &way.target),
        ),
    });
    ranked.collect()
}

/// The targets of a model that nothing is called of yet, in the order of a chat completion's that streams.
pub(crate) fn targets_in_order(
    plane: &Plane,
    view: &View,
    ranking: Option<Ranking>,
    targets: Vec<Target>,
) -> Vec<Target> {
    let Some(ranking) = ranking else {
        return targets;
    };
    plane.paces.want();
    let is_last = |target: &Target| {
        let mut held = view.caller.held.iter().chain(&view.instance.held);
        held.any(|key| key.id == target.key && key.fallback)
    };
    ranking::arrange(
        ranking,
        targets,
        |target| (target.source, target.when, is_last(target)),
        |target| target,
        |target| facts(plane, view, "chat_completions", true, target),
    )
}

fn facts(plane: &Plane, view: &View, operation: &str, is_streamed: bool, target: &Target) -> Facts {
    let place = view.key(target);
    let place = place.map(|(record, _)| Place::of(&record.context, &target.model));
    Facts {
        cost: bill::sample_charge(plane, view, target, operation),
        pace: place.map(|it| plane.paces.of(&it)).unwrap_or_default(),
        is_streamed,
    }
}
