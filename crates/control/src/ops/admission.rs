//! What this instance admits of submissions before anything is opened: the provider, the place, and the way in.

use llm::provider::{Provider, Status};
use store::AuditNote;
use vault::RawBox;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::destination::{Destination, destination};
use crate::ops::provider_keys::Holder;
use crate::ops::submission::{Material, NewKey, note_refused};
use crate::state::{ControlState, SubmissionPolicy};

/// The provider and where the key goes, if this instance takes such a key in such a way.
pub(super) fn admit<'a>(
    state: &'a ControlState,
    new: &NewKey,
) -> Result<(&'a Provider, Destination), Problem> {
    let sealed_only = state.config.submission != SubmissionPolicy::Both;
    if let Material::Plain { confidential, .. } = new.material
        && (sealed_only || !confidential)
    {
        return Err(Problem::new(Code::SealedSubmissionRequired));
    }
    let provider = known_provider(state, &new.provider)?;
    let destination = destination(&state.config, provider, new.base_url.as_deref())?;
    if matches!(new.material, Material::Plain { .. }) && destination.raw_box == RawBox::Refuse {
        return Err(Problem::new(Code::SealedSubmissionRequired).because(
            "a key with its own base URL is accepted only in a sealed box that names both",
        ));
    }
    Ok((provider, destination))
}

/// Writes the audit row of a submission that the instance does not admit and returns what the client is told.
/// An unknown provider leaves none: it is a slip of the pen.
pub(super) async fn turned_away(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    new: &NewKey,
    problem: Problem,
) -> Problem {
    let id = new.provider.parse().ok();
    let Some(provider) = id.and_then(|id| state.registry.get(&id)) else {
        return problem;
    };
    let action = match holder.keys.find(&provider.id, &new.label).await {
        Ok(Some(_)) => "provider_key.replace",
        Ok(None) => "provider_key.create",
        Err(error) => return error.into(),
    };
    let note = AuditNote {
        provider: Some(provider.id.clone()),
        label: Some(new.label.clone()),
        kek_id: new.material.kek_id(),
        outcome: "refused",
        ..call.note(action)
    };
    note_refused(state, call, holder, &note, problem).await
}

/// The provider with exactly this id, if it is in service and takes keys of its users.
fn known_provider<'a>(state: &'a ControlState, id: &str) -> Result<&'a Provider, Problem> {
    let found = id.parse().ok().and_then(|id| state.registry.get(&id));
    let Some(provider) = found else {
        let problem = Problem::new(Code::UnknownProvider);
        return Err(match state.registry.suggest(id) {
            Some(suggestion) => problem
                .because(format!(
                    "no provider of this instance has this id; the nearest one is {suggestion}"
                ))
                .with("suggestion", suggestion.as_str())
                .advise("Use an id of GET /v1/providers exactly as listed."),
            None => problem,
        });
    };
    if provider.status != Status::Active {
        let detail = format!(
            "the provider is not active but {}",
            provider.status.as_str()
        );
        return Err(Problem::new(Code::ByokNotSupported).because(detail));
    }
    if !provider.takes_own_keys() {
        return Err(Problem::new(Code::ByokNotSupported));
    }
    Ok(provider)
}
