//! Shapes of lists whose entries are types of `domain`, which knows no OpenAPI. Only the document uses them; a test holds
//! them to what is read and written.

use utoipa::ToSchema;

/// Calls for a model that fits `pattern` go to `model` instead; usage and price are those of `model`.
#[derive(ToSchema)]
#[schema(as = ModelMapping)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct ModelMappingShape {
    /// Names of models as they are asked for, with `*` for any text; 1 to 256 bytes.
    #[schema(example = "gpt-3.5*")]
    pattern: String,
    /// The name that takes their place, 1 to 256 bytes. It is not mapped again.
    #[schema(example = "gpt-4o-mini")]
    model: String,
}

/// What a preset stands for.
#[derive(ToSchema)]
#[schema(as = Preset)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PresetShape {
    /// The models, 1 to 8, each once: the first one, then those to turn to when those before fail. Each as a request names one,
    /// with a ranking at its end or without; no other preset, and not `default`.
    #[schema(min_items = 1, max_items = 8, example = json!(["gpt-4o-mini:latency"]))]
    models: Vec<String>,
    /// What a request for text has that does not say so itself; what it says stands.
    #[schema(required = false)]
    parameters: PresetParametersShape,
}

/// What a request for text has that does not say so itself.
#[derive(ToSchema)]
#[schema(as = PresetParameters)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PresetParametersShape {
    /// The temperature, 0 to 2, at most nine digits behind the point; a text or a number.
    #[schema(example = "0.2")]
    temperature: Option<String>,
    /// The probability mass that tokens are drawn from, 0 to 1; a text or a number.
    #[schema(example = "0.9")]
    top_p: Option<String>,
    /// The most output tokens, 1 to 1000000.
    #[schema(minimum = 1, maximum = 1_000_000, example = 500)]
    max_tokens: Option<u32>,
    /// How much the model thinks, where it can be told.
    #[schema(schema_with = crate::schema::effort)]
    reasoning_effort: Option<String>,
    /// The system prompt, 1 to 4096 bytes; for requests without instructions of their own.
    #[schema(min_length = 1, max_length = 4096)]
    system_prompt: Option<String>,
}

/// A change of a preset: what is left out stays. One that was not there needs its models.
#[derive(ToSchema)]
#[schema(as = PresetPatch)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PresetPatchShape {
    /// The models, 1 to 8, each once: the first one, then those to turn to when those before fail. Each as a request names one,
    /// with a ranking at its end or without; no other preset, and not `default`.
    #[schema(required = false, min_items = 1, max_items = 8, example = json!(["gpt-4o-mini:latency"]))]
    models: Vec<String>,
    /// What a request for text has that does not say so itself; what it says stands. `null`: nothing.
    parameters: Option<PresetParametersPatchShape>,
}

/// A change of what a request for text has that does not say so itself: what is left out stays, `null` takes out.
#[derive(ToSchema)]
#[schema(as = PresetParametersPatch)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PresetParametersPatchShape {
    /// The temperature.
    #[schema(schema_with = crate::schema::temperature, required = false)]
    temperature: Option<String>,
    /// The probability mass that tokens are drawn from.
    #[schema(schema_with = crate::schema::top_p, required = false)]
    top_p: Option<String>,
    /// The most output tokens, 1 to 1000000.
    #[schema(minimum = 1, maximum = 1_000_000, example = 500)]
    max_tokens: Option<u32>,
    /// How much the model thinks, where it can be told.
    #[schema(schema_with = crate::schema::nullable_effort, required = false)]
    reasoning_effort: Option<String>,
    /// The system prompt, 1 to 4096 bytes; for requests without instructions of their own.
    #[schema(min_length = 1, max_length = 4096)]
    system_prompt: Option<String>,
}

/// Calls for a model that fits `pattern` try the keys of `level` before all others.
#[derive(ToSchema)]
#[schema(as = LevelMapping)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct LevelMappingShape {
    /// Names of models, with `*` for any text; 1 to 256 bytes.
    #[schema(example = "claude*")]
    pattern: String,
    /// The level of the keys, 0 to 9999.
    #[schema(minimum = 0, maximum = 9999, example = 2)]
    level: i64,
}

/// How many credits calls take for what they cost: `ratio` times the list price, or `credits_per_call`.
#[derive(ToSchema)]
#[schema(as = CreditRatio)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct CreditRatioShape {
    /// Ids of providers, with `*` for any text.
    #[schema(example = "*")]
    provider: String,
    /// The providers' own names of models, with `*` for any text.
    #[schema(example = "*")]
    model: String,
    /// Operations such as `chat_completions`, with `*` for any text.
    #[schema(example = "*")]
    operation: String,
    /// The charge is the list price times this; not negative, at most nine digits behind the point; a text or a number.
    #[schema(example = "1.2")]
    ratio: String,
    /// Where it is given, each call that succeeds takes so many credits instead, whatever it costs; one credit is
    /// 0.01 USD. A text or a number.
    #[schema(required = false, example = "0.5")]
    credits_per_call: Option<String>,
}

/// A model that makes the pictures of generation runs.
#[derive(ToSchema)]
#[schema(as = ImageModel)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct ImageModelShape {
    /// The id of the provider.
    #[schema(example = "google")]
    provider: String,
    /// The provider's own name of the model.
    #[schema(example = "gemini-nano-banana-2.1")]
    model: String,
    /// The credits that a picture costs, before ratios, factor and rate; one credit is 0.01 USD. A text or a number.
    #[schema(example = "3.36")]
    credits_per_image: String,
}

/// A price that takes the place of the catalog's. Among those that fit, the pattern with the most fixed characters counts.
#[derive(ToSchema)]
#[schema(as = PriceOverride)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PriceOverrideShape {
    /// The id of the provider that serves the call.
    #[schema(example = "openai")]
    provider: String,
    /// The provider's own names of models, with `*` for any text.
    #[schema(example = "gpt-4o*")]
    model: String,
    /// What they cost.
    price: PriceShape,
}

/// What a model costs, in USD. Rates are not negative, with at most nine digits behind the point; a text or a number.
#[derive(ToSchema)]
#[schema(as = Price)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct PriceShape {
    /// USD for a million tokens of input that was neither read from nor written to the provider's cache.
    #[schema(example = "1.25")]
    input: String,
    /// USD for a million tokens of output, reasoning included.
    #[schema(example = "10")]
    output: String,
    /// USD for a million tokens of input read from the cache; left out: as other input.
    cache_read: Option<String>,
    /// USD for a million tokens of input written to the cache; left out: as other input.
    cache_write: Option<String>,
    /// USD for a thousand requests, beside the tokens; left out: none.
    request: Option<String>,
    /// Other rates for calls with long input; the highest threshold that is exceeded counts, for the whole call. Left
    /// out: none.
    #[schema(required = false)]
    brackets: Vec<BracketShape>,
}

/// The rates of calls with long input.
#[derive(ToSchema)]
#[schema(as = PriceBracket)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct BracketShape {
    /// They hold for a call with more input tokens than this, those of the cache included.
    #[schema(example = 200_000)]
    over_input_tokens: u64,
    /// What each token of such a call costs, also those below the threshold.
    rates: RatesShape,
}

/// Rates in USD, as those of a price.
#[derive(ToSchema)]
#[schema(as = PriceRates)]
#[expect(dead_code, reason = "describes a type of domain")]
pub(crate) struct RatesShape {
    /// USD for a million tokens of input that was neither read from nor written to the provider's cache.
    #[schema(example = "2.5")]
    input: String,
    /// USD for a million tokens of output, reasoning included.
    #[schema(example = "15")]
    output: String,
    /// USD for a million tokens of input read from the cache; left out: as other input.
    cache_read: Option<String>,
    /// USD for a million tokens of input written to the cache; left out: as other input.
    cache_write: Option<String>,
    /// USD for a thousand requests, beside the tokens; left out: none.
    request: Option<String>,
}

#[cfg(test)]
mod tests {
    use domain::policy::{LevelMapping, ModelMapping};
    use domain::preset::Preset;
    use domain::price::PriceOverride;
    use domain::settings::CreditRatio;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;

    /// The names of the properties of a shape.
    fn names<S: PartialSchema>() -> Vec<String> {
        let shape = serde_json::to_value(S::schema()).expect("plain data");
        let properties = shape["properties"].as_object().expect("an object");
        let mut names: Vec<String> = properties.keys().cloned().collect();
        names.sort();
        names
    }

    /// The names of the members of `value` once it was read and written.
    fn written<T: DeserializeOwned + Serialize>(value: Value) -> Value {
        let read: T = serde_json::from_value(value).expect("fits");
        serde_json::to_value(read).expect("plain data")
    }

    fn members(value: &Value) -> Vec<String> {
        let mut names: Vec<String> = value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    }

    #[test]
    fn shapes_have_exactly_the_fields_that_are_read_and_written() {
        let parameters = json!({"temperature": 1, "top_p": "0.5", "max_tokens": 5, "reasoning_effort": "low",
            "system_prompt": "x"});
        let preset = written::<Preset>(json!({"models": ["a"], "parameters": parameters}));
        assert_eq!(names::<PresetShape>(), members(&preset));
        assert_eq!(names::<PresetPatchShape>(), members(&preset));
        assert_eq!(
            names::<PresetParametersPatchShape>(),
            members(&preset["parameters"])
        );
        assert_eq!(
            names::<PresetParametersShape>(),
            members(&preset["parameters"])
        );
        let mapping = json!({"pattern": "a*", "model": "b"});
        assert_eq!(
            names::<ModelMappingShape>(),
            members(&written::<ModelMapping>(mapping))
        );
        let level = json!({"pattern": "a*", "level": 1});
        assert_eq!(
            names::<LevelMappingShape>(),
            members(&written::<LevelMapping>(level))
        );
        let ratio = json!({"provider": "*", "model": "*", "operation": "*", "ratio": "1", "credits_per_call": 2});
        assert_eq!(
            names::<CreditRatioShape>(),
            members(&written::<CreditRatio>(ratio))
        );
        let rates = json!({"input": "1", "output": "2", "cache_read": "1", "cache_write": 1, "request": "3"});
        let mut price = rates.clone();
        price["brackets"] = json!([{"over_input_tokens": 5, "rates": rates}]);
        let over = json!({"provider": "openai", "model": "*", "price": price});
        let over = written::<PriceOverride>(over);
        assert_eq!(names::<PriceOverrideShape>(), members(&over));
        assert_eq!(names::<PriceShape>(), members(&over["price"]));
        let bracket = &over["price"]["brackets"][0];
        assert_eq!(names::<BracketShape>(), members(bracket));
        assert_eq!(names::<RatesShape>(), members(&bracket["rates"]));
    }
}
