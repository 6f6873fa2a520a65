//! What differs between two bundles, by path.

use domain::plan::Plan;
use serde_json::{Map, Value};

use super::Bundle;

/// One value that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it stands: `settings.modes`, `plans.free.terms.byok`.
    pub path: String,
    /// What it is; null: nothing is there.
    pub from: Value,
    /// What it becomes; null: nothing is there.
    pub to: Value,
}

/// Every value that differs, the settings first, each by path. A list is one value.
pub(super) fn changes(from: &Bundle, to: &Bundle) -> Vec<Change> {
    let mut changes = Vec::new();
    let settings =
        |bundle: &Bundle| serde_json::to_value(&bundle.settings).expect("settings are plain data");
    compare("settings", &settings(from), &settings(to), &mut changes);
    compare(
        "plans",
        &plans(&from.plans),
        &plans(&to.plans),
        &mut changes,
    );
    changes
}

/// The plans by id, so that their order is no difference.
fn plans(plans: &[Plan]) -> Value {
    let by_id = plans.iter().map(|plan| {
        let mut value = serde_json::to_value(plan).expect("a plan is plain data");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("id");
        }
        (plan.id.to_string(), value)
    });
    Value::Object(by_id.collect::<Map<_, _>>())
}

fn compare(path: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    if let (Value::Object(before), Value::Object(after)) = (from, to) {
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let value = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
            compare(
                &format!("{path}.{name}"),
                &value(before),
                &value(after),
                changes,
            );
        }
    } else if from != to {
        changes.push(Change {
            path: path.to_owned(),
            from: from.clone(),
            to: to.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Profile, wanted};
    use super::*;
    use domain::plan;
    use domain::settings::Settings;

    fn shipped() -> Bundle {
        Bundle {
            settings: Settings::default(),
            plans: plan::shipped(),
        }
    }

    #[test]
    fn only_what_differs_is_named_and_a_list_is_one_value() {
        let from = shipped();
        let mut to = from.clone();
        to.settings.modes.truncate(1);
        to.settings.held_output_tokens = Some(7);
        to.plans.reverse();
        let gone = to.plans.pop().expect("there are plans");
        to.plans[0].terms.limits.members = Some(1);
        let changes = changes(&from, &to);
        let paths: Vec<_> = changes.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "settings.held_output_tokens",
                "settings.modes",
                "plans.enterprise.terms.limits.members",
                "plans.free"
            ]
        );
        assert_eq!(changes[1].to, serde_json::json!(["managed"]));
        assert_eq!(changes[3].to, Value::Null);
        assert_eq!(changes[3].from["name"], gone.name);
    }

    #[test]
    fn a_profile_made_of_its_own_result_is_the_same_again() {
        for first in Profile::ALL {
            let start = wanted(first, &shipped());
            for second in Profile::ALL {
                let once = wanted(second, &start);
                let twice = wanted(second, &once);
                assert_eq!(changes(&once, &twice), [], "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn what_an_instance_knows_of_prices_and_models_stays() {
        let model = "openai/gpt-4o".parse().expect("a model");
        let mut current = shipped();
        current.settings.tiers = [(domain::policy::Tier::Level1, model)].into();
        current.settings.managed_gateway = Some("openrouter".parse().expect("an id"));
        current.settings.credit_factor = "1.5".parse().expect("a number");
        current.settings.held_output_tokens = Some(99);
        let free = current.plans[0].id.clone();
        current.plans.retain(|plan| plan.id != free);
        current.settings.default_plan = current.plans[0].id.clone();
        for profile in Profile::ALL {
            let wanted = wanted(profile, &current);
            let (is, was) = (&wanted.settings, &current.settings);
            assert_eq!(is.tiers, was.tiers);
            assert_eq!(is.managed_gateway, was.managed_gateway);
            assert_eq!(is.credit_factor, was.credit_factor);
            assert_eq!(is.held_output_tokens, was.held_output_tokens);
            let there = wanted.plans.iter().any(|it| it.id == is.default_plan);
            assert!(there, "{profile:?}");
        }
    }
}
