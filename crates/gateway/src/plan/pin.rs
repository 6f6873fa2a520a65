//! What a generation run was made for: one model, and one own key or credits. Nothing stands in for it.

use domain::policy::KeySource;
use domain::resolve::{Candidate, Target};
use domain::run::Pinned;

use super::targets::{self, Whose};
use crate::error::{Failure, KeyName};
use crate::snapshot::View;

/// The keys that may serve what was pinned.
pub(super) fn targets(view: &View, pin: &Pinned) -> Result<Vec<Target>, Failure> {
    let candidate = Candidate {
        provider: pin.provider.clone(),
        model: pin.model.clone(),
    };
    match pin.source {
        KeySource::Managed => targets::managed(view, candidate),
        KeySource::Byok => own(view, pin, candidate),
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
