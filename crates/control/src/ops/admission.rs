//! What this instance admits of submissions before anything is opened: the provider, the place, and the way in.

use domain::settings::{Settings, Submission};
use llm::provider::{Provider, Status};
use store::AuditNote;
use vault::RawBox;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::destination::{Destination, destination};
use crate::ops::plan_gate;
use crate::ops::provider_keys::{Holder, check_level, check_prices};
use crate::ops::submission::{Material, NewKey, note_refused};
use crate::state::{ControlState, SubmissionPolicy};

/// What to do where plain text would help nobody.
const SEAL: &str = "Seal the key to the public key of GET /v1/byok/encryption-pubkey and submit the box as a provider key.";

/// Whether provider keys are taken in sealed boxes only: the server's option or the instance's setting says so.
pub(crate) fn sealed_only(state: &ControlState, settings: &Settings) -> bool {
    state.config.submission == SubmissionPolicy::SealedOnly
        || settings.submission == Submission::SealedOnly
}

/// Whether keys for the provider may have a base URL of their own: its switch says so, else the instance's setting, else
/// the server's option.
pub(crate) fn allows_custom_base_urls(
    state: &ControlState,
    settings: &Settings,
    provider: &Provider,
) -> bool {
    settings
        .switch(&provider.id)
        .custom_base_urls
        .or(settings.custom_base_urls)
        .unwrap_or(state.config.custom_base_urls)
}

/// The provider and where the key goes, if this instance takes such a key of this holder in such a way.
pub(super) async fn admit<'a>(
    state: &'a ControlState,
    settings: &Settings,
    holder: &Holder<'_>,
    new: &NewKey,
) -> Result<(&'a Provider, Destination), Problem> {
    if let Material::Plain { confidential, .. } = new.material {
        if sealed_only(state, settings) {
            return Err(Problem::new(Code::SealedSubmissionRequired)
                .because("this instance takes provider keys in sealed boxes only")
                .advise(SEAL));
        }
        if !confidential {
            return Err(Problem::new(Code::SealedSubmissionRequired).because(
                "a key in plain text is taken only over loopback or TLS, and this request came otherwise",
            ));
        }
    }
    let provider = if holder.is_instance() {
        payable_provider(state, &new.provider)?
    } else {
        open_provider(state, settings, &new.provider)?
    };
    let custom = allows_custom_base_urls(state, settings, provider);
    let destination = destination(&state.config, custom, provider, new.base_url.as_deref())
        .map_err(|problem| by_switch(problem, settings, provider))?;
    if matches!(new.material, Material::Plain { .. }) && destination.raw_box == RawBox::Refuse {
        return Err(Problem::new(Code::SealedSubmissionRequired).because(
            "a key with its own base URL is accepted only in a sealed box that names both",
        )
        .advise("Seal the key with its context to the public key of GET /v1/byok/encryption-pubkey."));
    }
    check_level(new.level.flatten())?;
    let prices = new.prices.as_deref().unwrap_or_default();
    check_prices(holder, prices, &provider.id)?;
    if holder.terms().await?.is_some_and(|terms| !terms.byok) {
        return Err(plan_gate::required(state, |terms| terms.byok).await?);
    }
    Ok((provider, destination))
}

/// Where the provider's switch forbids what the instance's setting may allow, that is what somebody has to change.
fn by_switch(problem: Problem, settings: &Settings, provider: &Provider) -> Problem {
    let forbids = settings.switch(&provider.id).custom_base_urls == Some(false);
    if problem.code() != Code::CustomBaseUrlNotAllowed || !forbids {
        return problem;
    }
    let detail = format!(
        "the switch of the provider {} lets no key have its own base URL, whatever the instance's setting says",
        provider.id
    );
    problem
        .because(detail)
        .with("provider", provider.id.as_str())
        .advise("Leave out the base URL, or ask an admin of the instance to allow it by the provider's switch `custom_base_urls`.")
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

/// The provider with exactly this id, if it is in service and takes keys of its users here.
fn open_provider<'a>(
    state: &'a ControlState,
    settings: &Settings,
    id: &str,
) -> Result<&'a Provider, Problem> {
    let provider = known_provider(state, id)?;
    if !provider.takes_own_keys() {
        return Err(Problem::new(Code::ByokNotSupported));
    }
    let switch = settings.switch(&provider.id);
    let closed =
        || Problem::new(Code::ByokDisabledForProvider).with("provider", provider.id.as_str());
    if !switch.enabled {
        return Err(closed()
            .because("the provider is switched off on this instance")
            .advise("Use another provider, or ask an admin of the instance to switch it on."));
    }
    if !switch.byok {
        return Err(closed());
    }
    Ok(provider)
}

/// The provider with exactly this id, if it is in service and its calls can be paid with a key of the instance.
fn payable_provider<'a>(state: &'a ControlState, id: &str) -> Result<&'a Provider, Problem> {
    let provider = known_provider(state, id)?;
    if provider.payment_modes.is_empty() {
        return Err(Problem::new(Code::ByokNotSupported)
            .because("the provider's `payment_modes` name no way to pay with a key"));
    }
    Ok(provider)
}

/// The provider with exactly this id, if it is in service.
pub(super) fn known_provider<'a>(
    state: &'a ControlState,
    id: &str,
) -> Result<&'a Provider, Problem> {
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
    Ok(provider)
}
