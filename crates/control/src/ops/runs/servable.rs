//! What would serve the steps of a run, and why nothing would.

use domain::NanoUsd;
use domain::policy::{ByokRule, KeySource, Mode};
use domain::run::{OutputType, Pinned};
use domain::settings::{ImageModel, Settings};

use crate::error::{Code, Problem};
use crate::ops::resolution::{Explained, ExplainedModel, Facts};

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

/// What serves the script from now on: what would serve it now.
pub(super) fn pin(explained: &Explained, has_credits: bool) -> Result<Pinned, Problem> {
    let Explained { models, facts } = explained;
    // A preset may have several; without one that serves the first says why.
    let serves = |model: &&ExplainedModel| {
        let decision = model.decision.as_ref();
        decision.is_some_and(|decision| decision.outcome.is_ok())
    };
    let model = models.iter().find(serves).or(models.first());
    let model = model.ok_or_else(|| Problem::new(Code::NotFound))?;
    let lacks = |code| Lack::of(OutputType::Script, code);
    let named = model.named.as_ref();
    let named = named.map_err(|lack| lacks(lack.code()))?;
    let decision = model.decision.as_ref();
    let targets = match decision.map(|decision| &decision.outcome) {
        Some(Ok(targets)) => targets.as_slice(),
        Some(Err(refusal)) => return Err(lacks(refusal.code()).into()),
        None => &[],
    };
    let target = targets.first().ok_or_else(|| lacks("model_not_found"))?;
    if target.source == KeySource::Managed && !has_credits {
        return Err(lacks("credits_exhausted").into());
    }
    let own = Some(target.key).filter(|_| target.source == KeySource::Byok);
    let key = own.and_then(|key| facts.key(key));
    Ok(Pinned {
        requested: named.chosen.clone(),
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
