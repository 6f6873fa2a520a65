//! Merge patches (RFC 7396) of settings. Policies are changed by the same kind of patch.

use std::fmt;

use domain::settings::Settings;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::body::{allowed, is_field_name, known_fields, rule};
use crate::error::{Code, Problem};

/// The part of the settings that has an operation of its own.
const PROVIDERS: &str = "providers";

/// What a client wants changed: a value takes the place of the old one, `null` brings the default back, an object is
/// merged member by member, and what is left out stays.
#[derive(Debug)]
pub struct Patch(Map<String, Value>);

impl Patch {
    /// The names of the fields that it changes, for the audit log. None that is not a name of a setting.
    pub(crate) fn fields(&self) -> String {
        let names = self.0.keys().filter(|name| is_field_name(name));
        names.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The changes, by field.
    pub(crate) fn changes(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The settings with the changes.
    ///
    /// # Errors
    /// `invalid_request` with the field that has no such name, type or form.
    pub(super) fn apply(&self, settings: &Settings) -> Result<Settings, Problem> {
        let Value::Object(mut fields) =
            serde_json::to_value(settings).expect("settings are plain data")
        else {
            unreachable!("settings are an object");
        };
        for (name, change) in &self.0 {
            if name == PROVIDERS {
                return Err(refused(name, "each provider is changed by itself")
                    .advise("Use PATCH /api/v1/admin/providers/{provider}."));
            }
            let Some(field) = fields.get_mut(name) else {
                return Err(unknown(name));
            };
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(field, change);
                read(&Map::from_iter([(name.clone(), field.clone())]))
                    .map_err(|error| misfit(name, &error.to_string()))?;
            }
        }
        read(&fields).map_err(|error| Problem::internal(&error))
    }
}

/// Reads settings; what is not there gets its default.
fn read(fields: &Map<String, Value>) -> Result<Settings, serde_json::Error> {
    serde_json::from_value(Value::Object(fields.clone()))
}

/// RFC 7396, section 2.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        unreachable!("it was just made an object");
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// A field whose value breaks `rule`.
pub(super) fn refused(field: &str, rule: &str) -> Problem {
    Problem::new(Code::InvalidRequest)
        .because(format!("field {field}: {rule}"))
        .advise("")
        .with("field", field)
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::new(Code::InvalidRequest);
    if is_field_name(name) {
        problem
            .because(format!("field {name} is not part of the settings"))
            .with("field", name)
    } else {
        problem.because("a field is not part of the settings")
    }
}

/// The refusal for what the parser said of a field. Its text may show the value; no more of it is passed on than rules
/// and names of ours.
fn misfit(name: &str, text: &str) -> Problem {
    if let Some(allowed) = allowed(text) {
        let rule = format!("takes only {}", allowed.join(", "));
        return refused(name, &rule).with("allowed", allowed);
    }
    if let Some(rule) = rule(text) {
        return refused(name, rule);
    }
    if text.starts_with("unknown field `") {
        let known = known_fields(text).unwrap_or_default();
        let rule = format!("must have no other members than {}", known.join(", "));
        return refused(name, &rule).with("known", known);
    }
    refused(name, "has the wrong type or form")
        .advise("Compare the request with GET /openapi.json.")
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the fields of a patch, none of them twice: which one counts would be anybody's guess.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Patch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Patch, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            fields.insert(name, value);
        }
        Ok(Patch(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::policy::Mode;
    use serde_json::json;

    fn patched(settings: &Settings, patch: Value) -> Result<Settings, Value> {
        let patch: Patch = serde_json::from_value(patch).expect("an object");
        let refusal = |problem: Problem| {
            serde_json::to_value(problem.body("req")).expect("a problem is plain data")
        };
        patch.apply(settings).map_err(refusal)
    }

    #[test]
    fn a_patch_merges_objects_replaces_lists_and_takes_null_as_the_default() {
        let first = json!({
            "modes": ["auto"], "tiers": {"level_1": "a", "level_2": "b"}, "default_level": 3,
            "other_providers": {"enabled": false},
        });
        let one = patched(&Settings::default(), first).expect("fits");
        assert_eq!(one.modes, [Mode::Auto]);
        assert!(!one.other_providers.enabled && one.other_providers.byok);
        let second = json!({
            "modes": null, "tiers": {"level_2": null, "level_3": "c"}, "default_level": null,
            "other_providers": {"byok": false},
        });
        let two = patched(&one, second).expect("fits");
        assert_eq!(two.modes, Mode::ALL);
        let tiers: Vec<&str> = two.tiers.values().map(|it| it.as_str()).collect();
        assert_eq!(tiers, ["a", "c"]);
        assert_eq!(two.default_level, None);
        assert!(!two.other_providers.enabled && !two.other_providers.byok);
        assert_eq!(patched(&two, json!({})).expect("fits"), two);
        let back = json!({"tiers": null, "other_providers": null});
        assert_eq!(patched(&two, back).expect("fits"), Settings::default());
    }

    #[test]
    fn a_refusal_names_the_field_and_shows_no_value() {
        let secret = "sk-SECRET`, expected one of `x`";
        for (patch, field) in [
            (json!({"overuse": secret}), "overuse"),
            (json!({"modes": ["auto", secret]}), "modes"),
            (json!({"modes": secret}), "modes"),
            (json!({"tiers": {secret: "a"}}), "tiers"),
            (json!({"tiers": {"level_1": "sk SECRET"}}), "tiers"),
            (json!({"default_plan": "SECRET PLAN"}), "default_plan"),
            (json!({"credit_factor": "SECRET"}), "credit_factor"),
            (json!({"other_providers": {secret: 1}}), "other_providers"),
            (
                json!({"model_mappings": [{"pattern": "SECRET ** x", "model": "m"}]}),
                "model_mappings",
            ),
            (
                json!({"providers": {"openai": {"byok": "SECRET"}}}),
                "providers",
            ),
            (json!({"secret": "SECRET"}), "secret"),
        ] {
            let refusal = patched(&Settings::default(), patch.clone()).expect_err("refused");
            assert_eq!(refusal["details"]["field"], field, "{patch}");
            assert!(!refusal.to_string().contains("SECRET"), "{refusal}");
        }
        let ratio = json!({"credit_ratios": [{"provider": "*", "model": "*", "operation": "*",
            "ratio": 1, "sk-SECRET`, expected one of `x`": 1}]});
        let refusal = patched(&Settings::default(), ratio).expect_err("refused");
        assert!(!refusal.to_string().contains("SECRET"), "{refusal}");
        let known = json!([
            "provider",
            "model",
            "operation",
            "ratio",
            "credits_per_call"
        ]);
        assert_eq!(refusal["details"]["known"], known);
        let refusal = patched(&Settings::default(), json!({"sk-SECRET": 1})).expect_err("refused");
        assert!(!refusal.to_string().contains("SECRET"), "{refusal}");
        let refusal = patched(&Settings::default(), json!({"overuse": "x"})).expect_err("refused");
        let allowed = json!(["block", "debt", "forgive"]);
        assert_eq!(refusal["details"]["allowed"], allowed);
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused() {
        let twice = serde_json::from_str::<Patch>(r#"{"modes": [], "modes": null}"#);
        let error = twice.expect_err("refused").to_string();
        assert!(error.starts_with("duplicate field `modes`"), "{error}");
    }
}
