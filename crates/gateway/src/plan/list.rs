//! The ways to several models, those of the first before those of the next.
//!
//! Each name is looked up, and its keys are chosen, as if it were asked for alone; one that nobody may serve is passed
//! by. Only consent to credits looks further: another model is no reason to leave own keys that failed for credits.

use domain::policy::Mode;
use domain::resolve::When;

use super::way::Way;
use crate::error::Failure;
use crate::snapshot::View;

/// The ways to `names`, by `ways_to` each of them, in their order and never empty.
pub(super) fn gather<'a>(
    view: &View,
    names: impl Iterator<Item = &'a str>,
    mut ways_to: impl FnMut(&str) -> Result<Vec<Way>, Failure>,
) -> Result<Vec<Way>, Failure> {
    let mut ways: Vec<Way> = Vec::new();
    let mut lacks: Vec<Failure> = Vec::new();
    for (place, name) in names.enumerate() {
        match ways_to(name) {
            Ok(more) => {
                let after_own = ways.iter().any(|it| !it.is_managed());
                for mut way in more {
                    way.place = place;
                    let same = |it: &Way| it.key == way.key && it.target.model == way.target.model;
                    if ways.iter().any(same) {
                        continue;
                    }
                    if after_own && way.is_managed() {
                        let Some(when) = consent(view) else {
                            continue;
                        };
                        way.target.when = when;
                    }
                    ways.push(way);
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

/// When credits may stand in for own keys that failed; `None`: never. As the rules have it within one model.
fn consent(view: &View) -> Option<When> {
    let (settings, policy) = (&view.instance.record.settings, &view.caller.record.policy);
    let auto = settings.effective_mode(policy.mode) == Some(Mode::Auto);
    let may = auto && policy.managed_on_failure && settings.managed_fallback_allowed;
    may.then_some(When::OwnKeysFailed {
        denied_too: policy.managed_on_denied,
    })
}
