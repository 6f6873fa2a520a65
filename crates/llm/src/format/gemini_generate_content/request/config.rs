//! How the answer is made: `generationConfig`, both ways.

use serde_json::Number;

use super::EXTRAS;
use super::read::{Read, texts};
use super::schema::to_json_schema;
use crate::neutral::{
    Fields, Json, NotTranslatable, Object, Request, Shape, Warnings, array, text,
};
use crate::provider::Thinking;
use crate::translate::effort_of;

/// Fields that ask for what no other format has, and that change what comes back.
const REFUSED: [(&str, &str); 6] = [
    // `_responseJsonSchema`, in camel case.
    ("ResponseJsonSchema", "use `responseJsonSchema`"),
    ("continuationToken", "it names something at this provider"),
    ("imageConfig", "only text comes back"),
    ("responseFormat", "use `responseJsonSchema`"),
    ("speechConfig", "only text comes back"),
    ("translationConfig", "it has no counterpart"),
];

const JSON: &str = "application/json";

/// Budgets of tokens for words, as the provider's own OpenAI-compatible endpoint has them:
/// <https://ai.google.dev/gemini-api/docs/openai#thinking> (2026-06).
const BUDGETS: [(&str, u64); 6] = [
    ("minimal", 1_024),
    ("low", 1_024),
    ("medium", 8_192),
    ("high", 24_576),
    ("xhigh", 24_576),
    ("max", 24_576),
];

/// The most that every model with a budget takes, and the least of those that always think:
/// <https://ai.google.dev/gemini-api/docs/thinking#set-budget> (2026-11).
const MOST_BUDGET: u64 = 24_576;
const LEAST_BUDGET: u64 = 128;

pub(super) fn read(
    mut config: Fields<'_>,
    request: &mut Request,
    warnings: &mut Warnings,
) -> Read<()> {
    for (name, why) in REFUSED {
        if config.take(name).is_some() {
            return Err(NotTranslatable::within("generationConfig", name, why));
        }
    }
    if let Some(kinds) = config.list("responseModalities")? {
        let is_text = |kind: &str| kind.eq_ignore_ascii_case("TEXT");
        let mut kinds = kinds.into_iter().map(text);
        if !kinds.all(|it| it.as_deref().is_some_and(is_text)) {
            return Err(config.wrong("responseModalities", "only text comes back"));
        }
    }
    let answers = config.amount("candidateCount")?;
    request.answers = answers.filter(|it| *it > 0).unwrap_or(1);
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.max_output_tokens = config.amount("maxOutputTokens")?;
    if let Some(raw) = config.take("stopSequences") {
        let wrong = config.wrong("stopSequences", "it must be a list of texts");
        request.stop_sequences = texts(raw).ok_or(wrong)?;
    }
    for (theirs, common) in EXTRAS {
        let given = config.take(theirs);
        request
            .extras
            .extend(given.map(|raw| (common, raw.to_owned())));
    }
    request.shape = shape(&mut config)?;
    request.logprobs.wanted = config.flag("responseLogprobs")?.unwrap_or(false);
    request.logprobs.alternatives = config.whole("logprobs")?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        reasoning(thinking.in_camel_case(), request, warnings)?;
    }
    config.leave(warnings);
    Ok(())
}

fn shape(config: &mut Fields<'_>) -> Read<Shape> {
    let kind = config.text("responseMimeType")?.unwrap_or_default();
    let own = config.take("responseSchema").map(to_json_schema);
    let schema = config.take("responseJsonSchema").map(ToOwned::to_owned);
    if own.is_some() && schema.is_some() {
        let why = "it stands beside `responseJsonSchema`";
        return Err(config.wrong("responseSchema", why));
    }
    let schema = own.transpose()?.or(schema);
    match (kind.as_str(), schema) {
        ("" | "text/plain", None) => Ok(Shape::Text),
        (JSON, None) => Ok(Shape::Json),
        (JSON, Some(schema)) => Ok(Shape::Schema {
            name: None,
            description: None,
            schema,
            strict: None,
        }),
        (_, Some(_)) => Err(config.wrong("responseMimeType", "a schema is one of JSON")),
        _ => Err(config.wrong("responseMimeType", "it has no counterpart")),
    }
}

fn reasoning(mut thinking: Fields<'_>, request: &mut Request, warnings: &mut Warnings) -> Read<()> {
    let reasoning = &mut request.reasoning;
    reasoning.proofs = true;
    if thinking.flag("includeThoughts")? == Some(true) {
        reasoning.summary = Some("auto".to_owned());
    }
    if let Some(level) = thinking.text("thinkingLevel")? {
        let level = level.to_ascii_lowercase();
        match level.as_str() {
            "minimal" | "low" | "medium" | "high" => reasoning.effort = Some(level),
            "thinking_level_unspecified" => {}
            _ => return Err(thinking.wrong("thinkingLevel", "this word has no counterpart")),
        }
    }
    let budget = thinking.number("thinkingBudget")?;
    match budget.as_ref().map(Number::as_i64) {
        None => {}
        Some(Some(-1)) => reasoning.adaptive = true,
        Some(Some(0)) => {
            reasoning.effort = Some("none".to_owned());
            reasoning.proofs = false;
        }
        Some(Some(tokens)) if tokens > 0 => {
            reasoning.budget_tokens = tokens.try_into().ok();
            reasoning.adaptive = true;
        }
        Some(_) => return Err(thinking.wrong("thinkingBudget", "it must be a whole number")),
    }
    thinking.leave(warnings);
    Ok(())
}

/// What the request says of the answer. `None`: nothing.
pub(super) fn write(
    request: &mut Request,
    how: Thinking,
    warnings: &mut Warnings,
) -> Read<Option<Object>> {
    let stops = &request.stop_sequences;
    let stops = (!stops.is_empty()).then(|| array(stops));
    let mut config = Object::new()
        .maybe("temperature", request.temperature.as_ref())
        .maybe("topP", request.top_p.as_ref())
        .maybe("maxOutputTokens", request.max_output_tokens)
        .maybe("stopSequences", stops)
        .maybe(
            "candidateCount",
            (request.answers != 1).then_some(request.answers),
        );
    for (theirs, common) in EXTRAS {
        config = config.maybe(theirs, request.take_extra(common));
    }
    config = match &request.shape {
        Shape::Text => config,
        Shape::Json => config.with("responseMimeType", JSON),
        Shape::Schema {
            schema,
            description,
            ..
        } => {
            if description.is_some() {
                warnings.dropped("description");
            }
            config
                .with("responseMimeType", JSON)
                .with("responseJsonSchema", schema)
        }
    };
    if request.logprobs.wanted {
        config = config
            .with("responseLogprobs", true)
            .maybe("logprobs", request.logprobs.alternatives);
    }
    let thinking = thinking(request, how, warnings)?;
    Ok(config.maybe("thinkingConfig", thinking).if_any())
}

/// Models that think as they see fit take a level, those before a budget.
fn thinking(request: &Request, how: Thinking, warnings: &mut Warnings) -> Read<Option<Object>> {
    let reasoning = &request.reasoning;
    let summary = reasoning.summary.as_deref().is_some_and(|it| it != "none");
    let effort = reasoning.effort.as_deref();
    if effort.is_some_and(|it| it != "none" && BUDGETS.iter().all(|(word, _)| *word != it)) {
        let why = "this word has no counterpart";
        return Err(NotTranslatable::new("reasoning_effort", why));
    }
    let wish = match how {
        Thinking::Never => {
            if reasoning.wanted() {
                warnings.dropped("reasoning_effort");
            }
            if summary {
                warnings.dropped("summary");
            }
            return Ok(None);
        }
        Thinking::Budget | Thinking::BudgetAlways => {
            budget(request, how, warnings).map(|it| ("thinkingBudget", it))
        }
        Thinking::Adaptive | Thinking::Always => {
            level(request, how, warnings).map(|it| ("thinkingLevel", Json::from(it)))
        }
    };
    let thoughts = (summary && effort != Some("none")).then_some(true);
    let thinking = Object::new().maybe("includeThoughts", thoughts);
    Ok(match wish {
        Some((name, value)) => thinking.with(name, value),
        None => thinking,
    }
    .if_any())
}

fn budget(request: &Request, how: Thinking, warnings: &mut Warnings) -> Option<Json> {
    let reasoning = &request.reasoning;
    let word = reasoning.effort.as_deref();
    if word == Some("none") {
        if how == Thinking::BudgetAlways {
            warnings.changed("approximated", "reasoning_effort");
            return Some(Json::from(LEAST_BUDGET));
        }
        return Some(Json::from(0_u64));
    }
    if let Some(tokens) = reasoning.budget_tokens {
        if tokens > MOST_BUDGET {
            warnings.changed("clamped", "thinking");
        }
        return Some(Json::from(tokens.min(MOST_BUDGET)));
    }
    let known = BUDGETS.iter().find(|(it, _)| Some(*it) == word);
    if let Some((_, tokens)) = known {
        warnings.changed("approximated", "reasoning_effort");
        return Some(Json::from(*tokens));
    }
    reasoning.adaptive.then(|| Json::from(-1_i64))
}

/// Not every model knows `minimal`, which is as good as not at all; those that do not are told the least that they know.
fn level(request: &Request, how: Thinking, warnings: &mut Warnings) -> Option<&'static str> {
    let reasoning = &request.reasoning;
    let always = how == Thinking::Always;
    let (level, exact) = match reasoning.effort.as_deref() {
        // As little as can be said.
        Some("none" | "minimal") if always => ("low", false),
        Some("none") => ("minimal", false),
        Some("minimal") => ("minimal", true),
        Some("low") => ("low", true),
        Some("medium") => ("medium", true),
        Some("high") => ("high", true),
        Some(_) => ("high", false),
        None => {
            let word = effort_of(reasoning.budget_tokens?);
            warnings.changed("approximated", "thinking");
            return Some(word);
        }
    };
    if !exact {
        warnings.changed("approximated", "reasoning_effort");
    }
    Some(level)
}
