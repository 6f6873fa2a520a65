//! What would serve the steps of a run, and why nothing would.

use domain::NanoUsd;
use domain::naming::NoName;
use domain::policy::{ByokRule, KeySource, Mode};
use domain::resolve::{Target, When};
use domain::run::{OutputType, Pinned};
use domain::settings::{ImageModel, Settings};

use crate::error::{Code, Problem};
use crate::ops::resolution::{Explained, ExplainedModel, Facts};
use crate::state::ControlState;

/// Why nothing would serve an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    output: OutputType,
    /// The code that a call would get, or one of runs alone.
    pub code: &'static str,
}

impl Lack {
    /// What is the matter.
    pub fn text(self) -> String {
        let Self { output, code } = self;
        match (output, code) {
            (_, "images_not_configured") => "this instance has no image models".to_owned(),
            (OutputType::Image, "byok_required") => {
                "pictures are paid by credits, and the workspace does not let credits pay"
                    .to_owned()
            }
            (OutputType::Image, "managed_unavailable") => {
                "this instance has no key that serves for any of its image models".to_owned()
            }
            (output, "credits_exhausted") => {
                format!("credits are to pay for the output {output}, and the account has none left")
            }
            (output, code) => {
                format!("nothing would serve the output {output} now: {code}")
            }
        }
    }

    /// What to do about it; `None`: what the refusal of such a call says.
    pub fn hint(self) -> Option<&'static str> {
        match (self.output, self.code) {
            (_, "images_not_configured") => {
                Some("An admin of the instance can set `image_models`.")
            }
            (OutputType::Image, "byok_required") => Some(
                "An admin of the workspace can choose a mode in which credits pay, without the rule `byok: required`.",
            ),
            (OutputType::Image, "managed_unavailable") => Some(
                "Ask the operator of this instance to add a platform key for one of its image models.",
            ),
            (OutputType::Image, "credits_exhausted") => {
                Some("Ask the operator of this instance for credits.")
            }
            (OutputType::Script, "credits_exhausted") => {
                Some("Ask the operator of this instance for credits, or bring a provider key.")
            }
            _ => None,
        }
    }

    fn of(output: OutputType, code: &'static str) -> Self {
        Self { output, code }
    }
}

impl From<Lack> for Problem {
    fn from(lack: Lack) -> Self {
        let problem = Self::new(Code::RunNotServable)
            .because(lack.text())
            .with("output_type", lack.output.as_str())
            .with("code", lack.code);
        match lack.hint() {
            Some(hint) => problem.advise(hint),
            None => problem,
        }
    }
}

/// What serves the script from now on: what a call would be served by now. Of several models, as a preset may have them,
/// that is the first that something would serve; where nothing would, the first says why.
pub(super) fn pin(
    state: &ControlState,
    explained: &Explained,
    has_credits: bool,
) -> Result<Pinned, Problem> {
    let Explained { models, facts } = explained;
    let mut first = None;
    for model in models {
        match pin_model(state, facts, model, has_credits) {
            Ok(pinned) => return Ok(pinned),
            Err(code) => {
                first.get_or_insert(code);
            }
        }
    }
    match first {
        Some(code) => Err(Lack::of(OutputType::Script, code).into()),
        None => Err(Problem::new(Code::NotFound)),
    }
}

/// What serves this model, or the code of the refusal.
fn pin_model(
    state: &ControlState,
    facts: &Facts,
    model: &ExplainedModel,
    has_credits: bool,
) -> Result<Pinned, &'static str> {
    let named = model.named.as_ref().map_err(NoName::code)?;
    let targets = match model.decision.as_ref().map(|decision| &decision.outcome) {
        Some(Ok(targets)) => targets.as_slice(),
        Some(Err(refusal)) => return Err(refusal.code()),
        None => &[],
    };
    if targets.is_empty() {
        return Err("model_not_found");
    }
    // Credits that stand in for an own key that failed are for calls that have one, and a pin stands in for nothing.
    let may = |target: &&Target| match target.source {
        KeySource::Byok => true,
        KeySource::Managed => has_credits && target.when == When::InTurn,
    };
    let first = targets.iter().find(may).ok_or("credits_exhausted")?;
    // A key that sleeps after a failure leaves its turn to the others of the same standing.
    let standing = |target: &Target| {
        let is_last = facts.key(target.key).is_some_and(|key| key.fallback);
        (target.source, is_last)
    };
    let sleeps = |target: &Target| {
        let key = facts.key(target.key).map(|key| &key.context);
        key.is_some_and(|key| state.probe.sleeping_until(key.key, key.version).is_some())
    };
    let mut awake = targets
        .iter()
        .filter(may)
        .filter(|target| standing(target) == standing(first) && !sleeps(target));
    let target = awake.next().unwrap_or(first);
    let own = Some(target.key).filter(|_| target.source == KeySource::Byok);
    let key = own.and_then(|key| facts.key(key));
    Ok(Pinned {
        requested: named.chosen.clone(),
        tier: named.gated_tier(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        source: target.source,
        key: own,
        label: key.map(|key| key.label.clone()),
        owner: key.map(|key| key.context.owner.scope()),
    })
}

/// The models that would make a picture now, in the order in which they are asked. Credits pay for pictures, whatever
/// own keys there are.
pub(super) fn pictures(facts: &Facts, has_credits: bool) -> Result<Vec<&ImageModel>, Lack> {
    let settings = facts.settings();
    let lacks = |code| Lack::of(OutputType::Image, code);
    if settings.image_models.is_empty() {
        return Err(lacks("images_not_configured"));
    }
    let credits_pay = match settings.effective_mode(facts.policy.mode) {
        Some(Mode::Managed) => true,
        Some(Mode::Auto) => settings.managed_fallback_allowed,
        Some(Mode::Byok) | None => false,
    };
    if !credits_pay || facts.policy.byok == ByokRule::Required {
        return Err(lacks("byok_required"));
    }
    let served = |model: &&ImageModel| {
        let mut keys = facts.instance.keys.iter();
        settings.switch(&model.provider).opens(model.model.as_str())
            && keys.any(|key| key.enabled && key.context.provider == model.provider)
    };
    let models: Vec<&ImageModel> = settings.image_models.iter().filter(served).collect();
    if models.is_empty() {
        return Err(lacks("managed_unavailable"));
    }
    if !has_credits {
        return Err(lacks("credits_exhausted"));
    }
    Ok(models)
}

/// What a picture takes in credits, for an account whose charges are multiplied by `rate`.
pub(super) fn charge(settings: &Settings, model: &ImageModel, rate: domain::Decimal) -> NanoUsd {
    let cost = model.credits_per_image.times(NanoUsd::from_credits(1));
    let name = model.model.as_str();
    settings.charge(&model.provider, name, "image_generations", cost, rate)
}
