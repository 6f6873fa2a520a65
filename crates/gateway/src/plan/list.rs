//! The ways to several models, those of the first before those of the next.
//!
//! Each name is looked up, and its keys are chosen, as if it were asked for alone; one that nobody may serve is passed
//! by. What is left of each behind the others is the rules' business, [`Several`].

use domain::naming::Named;
use domain::resolve::Several;

use super::way::Way;
use crate::error::Failure;
use crate::snapshot::View;

/// The ways to `names`, by `ways_to` each of them, in their order and never empty. A name may be refused already.
pub(super) fn gather(
    view: &View,
    names: impl Iterator<Item = Result<Named, Failure>>,
    mut ways_to: impl FnMut(&Named) -> Result<Vec<Way>, Failure>,
) -> Result<Vec<Way>, Failure> {
    let mut ways: Vec<Way> = Vec::new();
    let mut lacks: Vec<Failure> = Vec::new();
    let mut several = Several::new(&view.instance.record.settings, &view.caller.record.policy);
    for (place, name) in names.enumerate() {
        several.next_model();
        let ranking = name.as_ref().ok().and_then(|it| it.ranking);
        match name.and_then(|name| ways_to(&name)) {
            Ok(more) => {
                for mut way in more {
                    way.place = place;
                    way.ranking = ranking;
                    if several.admits(&mut way.target) {
                        ways.push(way);
                    }
                }
            }
            Err(failure) => lacks.push(failure),
        }
    }
    if !ways.is_empty() {
        return Ok(ways);
    }
    Err(Failure::none_served(lacks))
}
