//! How a text that names a model is read: what is a ranking at its end, and what a preset at its beginning.

use super::UNCHOSEN;
use crate::policy::{Tier, WorkspacePolicy};
use crate::preset;
use crate::ranking::Ranking;
use crate::settings::Settings;

/// Of a name with [`preset::MARK`] the preset's, and what stands behind the slash if there is one.
pub(super) fn marked(name: &str, stands: impl Fn(&str) -> bool) -> Option<(&str, Option<&str>)> {
    let marked = name.strip_prefix(preset::MARK).filter(|_| !stands(name))?;
    Some(match marked.split_once('/') {
        Some((of_preset, base)) => (of_preset, Some(base)),
        None => (marked, None),
    })
}

/// The name and the ranking at its end, if it has one.
pub(crate) fn split(text: &str, stands: impl Fn(&str) -> bool) -> (&str, Option<Ranking>) {
    let ranked = || {
        let (name, word) = text.rsplit_once(':')?;
        let ranking: Ranking = word.parse().ok()?;
        (!name.is_empty() && !stands(text)).then_some((name, Some(ranking)))
    };
    ranked().unwrap_or((text, None))
}

/// Whether a mapping has the text as it is in the place of a name.
pub(super) fn is_spelled_out(text: &str, policy: &WorkspacePolicy, settings: &Settings) -> bool {
    let mut rules = policy.model_mappings.iter().chain(&settings.model_mappings);
    rules.any(|rule| rule.pattern.as_str() == text && !text.contains('*'))
}

/// The tier that a text names by itself, a ranking at its end or not.
pub fn tier_in(text: &str) -> Option<Tier> {
    split(text, |_| false).0.parse().ok()
}

/// Whether a text leaves the choice to others, a ranking at its end or not.
pub fn is_unchosen(text: &str) -> bool {
    split(text, |_| false).0 == UNCHOSEN
}
