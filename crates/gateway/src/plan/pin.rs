//! What a generation run was made for: one model, and one own key or credits. Nothing stands in for it.

use domain::plan;
use domain::policy::KeySource;
use domain::resolve::{Candidate, Target, When};
use domain::run::Pinned;

use super::targets::{self, Whose};
use crate::endpoint::{Call, Priced};
use crate::error::{Failure, KeyName, Layer};
use crate::snapshot::View;

/// The keys that may serve what was pinned: those that would serve a call of it now, as far as they were pinned.
pub(super) fn targets(view: &View, pin: &Pinned, call: &Call) -> Result<Vec<Target>, Failure> {
    let terms = &view.caller.record.terms;
    if let Some(tier) = pin.tier
        && !terms.opens(tier)
    {
        let plans = plan::that(&view.instance.record.plans, |terms| terms.opens(tier));
        return Err(Failure::TierLocked { tier, plans });
    }
    let candidate = Candidate {
        provider: pin.provider.clone(),
        model: pin.model.clone(),
    };
    match pin.source {
        KeySource::Managed if call.priced == Priced::ByPicture => targets::managed(view, candidate),
        KeySource::Managed => credits(view, candidate),
        KeySource::Byok => own(view, pin, candidate),
    }
}

/// The instance's keys, where credits would pay for a call of this model now. An own key that has come since is the
/// workspace's word that credits pay no more, unless in the place of one that failed; and a pin stands in for nothing.
fn credits(view: &View, candidate: Candidate) -> Result<Vec<Target>, Failure> {
    let gateway = &view.instance.record.settings.managed_gateway;
    if gateway.as_ref() == Some(&candidate.provider) {
        // An own key never meets it.
        return targets::managed(view, candidate);
    }
    let mut targets = targets::as_called(view, candidate)?;
    targets.retain(|target| target.source == KeySource::Managed && target.when == When::InTurn);
    match targets.is_empty() {
        true => Err(Failure::ByokRequired(Layer::Workspace)),
        false => Ok(targets),
    }
}

fn own(view: &View, pin: &Pinned, candidate: Candidate) -> Result<Vec<Target>, Failure> {
    let mut keys = view.caller.held.iter();
    let held = keys.find(|key| Some(key.id) == pin.key);
    let name = |label: &domain::Label| KeyName {
        provider: pin.provider.clone(),
        label: label.clone(),
        workspace: view.caller.record.workspace,
        variables: Box::default(),
    };
    match (held, &pin.label) {
        (None, Some(label)) => return Err(Failure::KeyRevoked(name(label))),
        (Some(key), _) if !key.enabled => return Err(Failure::KeyDisabled(name(&key.label))),
        _ => {}
    }
    let outcome = targets::own(view, candidate, Whose::WorkspaceAndAccount);
    let mut targets = outcome.map_err(|failure| match failure {
        // Own keys do not count at all: the mode is another one by now.
        Failure::ByokRequired(_) => Failure::ByokForbidden,
        failure => failure,
    })?;
    targets.retain(|target| Some(target.key) == pin.key);
    match targets.is_empty() {
        true => Err(Failure::ByokForbidden),
        false => Ok(targets),
    }
}
