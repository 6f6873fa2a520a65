//! What settings must be beside their types: rules that look at two of them, at the plans or at the registry.

use domain::plan::Plan;
use domain::policy::{DELEGATED, MAX_RULES, Tier};
use domain::settings::{
    CreditRatio, ImageModel, MAX_CREDITS_PER_CALL, MAX_FACTOR, MAX_IMAGE_MODELS, MAX_LEVEL,
    MAX_RUN_RETENTION_DAYS, MAX_SETTINGS_BYTES, RUN_STEP_TIMEOUTS_MS, Settings,
};
use llm::provider::{Kind, Status};
use llm::registry::Registry;

use super::merge::refused;
use crate::error::Problem;
use crate::ops::bulk;

/// Whether the settings hold together.
///
/// # Errors
/// `invalid_request` with the field that breaks a rule.
pub(super) fn settings(
    settings: &Settings,
    plans: &[Plan],
    registry: &Registry,
) -> Result<(), Problem> {
    modes(settings)?;
    numbers(settings)?;
    lengths(settings)?;
    names(settings, plans, registry)?;
    ratios(settings)
}

fn modes(settings: &Settings) -> Result<(), Problem> {
    let modes = &settings.modes;
    let repeated = modes
        .iter()
        .enumerate()
        .any(|(at, mode)| modes[..at].contains(mode));
    if modes.is_empty() || repeated {
        return Err(refused(
            "modes",
            "must name at least one mode, and none twice",
        ));
    }
    match settings.new_workspace_mode {
        Some(mode) if !modes.contains(&mode) => Err(refused(
            "new_workspace_mode",
            "must be one of `modes`, or null for the one that fits",
        )),
        _ => Ok(()),
    }
}

fn numbers(settings: &Settings) -> Result<(), Problem> {
    let levels = 0..=MAX_LEVEL;
    let rule = "a level must be a number from 0 to 9999";
    if settings
        .default_level
        .is_some_and(|it| !levels.contains(&it))
    {
        return Err(refused("default_level", rule));
    }
    let fits = |level: i64| levels.contains(&level);
    if !settings.level_mappings.iter().all(|it| fits(it.level)) {
        return Err(refused("level_mappings", rule));
    }
    if !(1..=MAX_RUN_RETENTION_DAYS).contains(&settings.run_retention_days) {
        return Err(refused(
            "run_retention_days",
            "must be a number from 1 to 3650",
        ));
    }
    if !RUN_STEP_TIMEOUTS_MS.contains(&settings.run_step_timeout_ms) {
        return Err(refused(
            "run_step_timeout_ms",
            "must be a number from 1000 to 3600000",
        ));
    }
    let affordable = |it: &ImageModel| it.credits_per_image <= MAX_CREDITS_PER_CALL;
    if !settings.image_models.iter().all(affordable) {
        return Err(refused(
            "image_models",
            "credits_per_image must be a number from 0 to 1000000",
        ));
    }
    if settings.image_models.len() > MAX_IMAGE_MODELS {
        return Err(refused("image_models", "must have at most 5 entries"));
    }
    Ok(())
}

fn lengths(settings: &Settings) -> Result<(), Problem> {
    let models = |models: &Option<Vec<_>>| models.as_ref().map_or(0, Vec::len);
    let of_providers = settings.providers.values().map(|it| models(&it.models));
    for (field, count) in [
        ("model_mappings", settings.model_mappings.len()),
        ("level_mappings", settings.level_mappings.len()),
        ("credit_ratios", settings.credit_ratios.len()),
        ("prices", settings.prices.len()),
        ("other_providers", models(&settings.other_providers.models)),
        ("models", of_providers.max().unwrap_or(0)),
    ] {
        if count > MAX_RULES {
            return Err(refused(
                field,
                &format!("must have at most {MAX_RULES} entries"),
            ));
        }
    }
    if !bulk::brackets_fit(&settings.prices) {
        return Err(refused("prices", bulk::BRACKETS));
    }
    match bulk::too_large(settings, MAX_SETTINGS_BYTES) {
        None => Ok(()),
        Some(field) => Err(refused(
            &field,
            "the settings must take at most 262144 bytes as JSON, and most of these is this field",
        )),
    }
}

fn names(settings: &Settings, plans: &[Plan], registry: &Registry) -> Result<(), Problem> {
    if !plans.iter().any(|plan| plan.id == settings.default_plan) {
        return Err(refused("default_plan", "must be a plan of this instance"));
    }
    // A tier behind a tier would be a chain that nobody sees.
    let stands_for_another = |model: &str| model == DELEGATED || model.parse::<Tier>().is_ok();
    if settings
        .tiers
        .values()
        .any(|it| stands_for_another(it.as_str()))
    {
        return Err(refused(
            "tiers",
            "a tier must stand for a model, not for a tier or another choice",
        ));
    }
    let gateway = settings.managed_gateway.as_ref();
    let serves = |id| {
        let provider = registry.get(id);
        provider.is_some_and(|it| it.kind == Kind::Gateway && it.status == Status::Active)
    };
    if !gateway.is_none_or(serves) {
        return Err(refused(
            "managed_gateway",
            "must be an active provider of the kind `gateway`",
        ));
    }
    let makes_pictures = |it: &ImageModel| {
        let provider = registry.get(&it.provider);
        provider.is_some_and(|provider| provider.status == Status::Active)
    };
    if !settings.image_models.iter().all(makes_pictures) {
        return Err(refused(
            "image_models",
            "each model must be one of an active provider of this instance",
        ));
    }
    let priced = |it: &domain::price::PriceOverride| registry.get(&it.provider).is_some();
    if !settings.prices.iter().all(priced) {
        return Err(refused(
            "prices",
            "each price must name a provider of this instance",
        ));
    }
    Ok(())
}

/// A set of ratios that says nothing of some calls would leave their charge to chance.
fn ratios(settings: &Settings) -> Result<(), Problem> {
    if settings.credit_factor > MAX_FACTOR {
        return Err(refused("credit_factor", "must be a number from 0 to 1000"));
    }
    let fits = |rule: &CreditRatio| {
        let per_call = rule.credits_per_call.unwrap_or_default();
        rule.ratio <= MAX_FACTOR && per_call <= MAX_CREDITS_PER_CALL
    };
    if !settings.credit_ratios.iter().all(fits) {
        return Err(refused(
            "credit_ratios",
            "a ratio must be a number from 0 to 1000, and credits_per_call one from 0 to 1000000",
        ));
    }
    let complete = settings.credit_ratios.last().is_none_or(|last| {
        [&last.provider, &last.model, &last.operation]
            .iter()
            .all(|glob| glob.as_str() == "*")
    });
    if complete {
        Ok(())
    } else {
        Err(refused(
            "credit_ratios",
            "the set must be complete: its last rule must have `*` for provider, model and operation",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Patch;
    use super::*;
    use domain::plan;
    use serde_json::{Value, json};

    fn check(patch: Value) -> Result<(), Value> {
        let registry = Registry::bundled().expect("the bundled registry");
        let patch: Patch = serde_json::from_value(patch).expect("an object");
        let wanted = patch.apply(&Settings::default()).expect("has the form");
        settings(&wanted, &plan::shipped(), &registry)
            .map_err(|problem| serde_json::to_value(problem.body("req")).expect("plain data"))
    }

    fn rule(provider: &str, model: &str, operation: &str) -> Value {
        json!({"provider": provider, "model": model, "operation": operation, "ratio": "1.5"})
    }

    #[test]
    fn settings_that_do_not_hold_together_are_refused_by_field() {
        let mapping = |level: i64| json!({"pattern": "*", "level": level});
        let price = |provider: &str| json!({"provider": provider, "model": "*", "price": {"input": "1", "output": "2"}});
        let picture = |provider: &str, credits: &str| json!({"provider": provider, "model": "m", "credits_per_image": credits});
        let many = vec![mapping(1); MAX_RULES + 1];
        let with_brackets = |count: u64| {
            let rates = json!({"input": "1.000000001", "output": "2.000000001"});
            let bracket = |at| json!({"over_input_tokens": 1_000_000 + at, "rates": rates});
            let brackets: Vec<Value> = (0..count).map(bracket).collect();
            json!({"provider": "openai", "model": "*",
                "price": {"input": "1", "output": "2", "brackets": brackets}})
        };
        let ratio = |ratio: &str, per_call: &str| {
            json!({"provider": "*", "model": "*", "operation": "*", "ratio": ratio,
                "credits_per_call": per_call})
        };
        for (patch, field) in [
            (json!({"modes": []}), "modes"),
            (json!({"modes": ["byok", "byok"]}), "modes"),
            (
                json!({"modes": ["byok"], "new_workspace_mode": "auto"}),
                "new_workspace_mode",
            ),
            (json!({"default_level": 10_000}), "default_level"),
            (json!({"default_level": -1}), "default_level"),
            (
                json!({"level_mappings": [mapping(10_000)]}),
                "level_mappings",
            ),
            (json!({"level_mappings": many}), "level_mappings"),
            (json!({"default_plan": "gold"}), "default_plan"),
            (json!({"tiers": {"level_1": "level_2"}}), "tiers"),
            (json!({"tiers": {"level_1": "managed"}}), "tiers"),
            (json!({"managed_gateway": "openai"}), "managed_gateway"),
            (json!({"managed_gateway": "nobody"}), "managed_gateway"),
            (json!({"prices": [price("nobody")]}), "prices"),
            (json!({"prices": [with_brackets(17)]}), "prices"),
            (json!({"prices": vec![with_brackets(16); 200]}), "prices"),
            (json!({"credit_factor": "1000.1"}), "credit_factor"),
            (json!({"run_retention_days": 0}), "run_retention_days"),
            (json!({"run_step_timeout_ms": 999}), "run_step_timeout_ms"),
            (
                json!({"run_step_timeout_ms": 3_600_001}),
                "run_step_timeout_ms",
            ),
            (
                json!({"image_models": [picture("nobody", "1")]}),
                "image_models",
            ),
            (
                json!({"image_models": [picture("openai", "1000000.1")]}),
                "image_models",
            ),
            (
                json!({"image_models": vec![picture("openai", "1"); 6]}),
                "image_models",
            ),
            (
                json!({"credit_ratios": [ratio("1000.1", "1")]}),
                "credit_ratios",
            ),
            (
                json!({"credit_ratios": [ratio("1", "1000000.1")]}),
                "credit_ratios",
            ),
            (
                json!({"credit_ratios": [rule("openai", "*", "*")]}),
                "credit_ratios",
            ),
            (
                json!({"credit_ratios": [rule("*", "*", "*"), rule("*", "*", "embeddings")]}),
                "credit_ratios",
            ),
        ] {
            let refusal = check(patch.clone()).expect_err("refused");
            assert_eq!(refusal["details"]["field"], field, "{patch}");
            let detail = refusal["detail"].as_str().expect("a text");
            assert!(detail.contains("must"), "{detail}");
        }
        for fits in [
            json!({"modes": ["byok"], "new_workspace_mode": "byok"}),
            json!({"default_level": 9999, "level_mappings": [mapping(0)]}),
            json!({"default_plan": "pro", "managed_gateway": "openrouter"}),
            json!({"held_output_tokens": 128_000}),
            json!({"held_output_tokens": null}),
            json!({"prices": [with_brackets(16)], "credit_factor": "1000"}),
            json!({"credit_ratios": [ratio("1000", "1000000")]}),
            json!({"prices": [price("openai")], "tiers": {"level_1": "gpt-4o"}}),
            json!({"credit_ratios": [rule("openai", "*", "*"), rule("*", "*", "*")]}),
        ] {
            assert_eq!(check(fits.clone()), Ok(()), "{fits}");
        }
    }
}
