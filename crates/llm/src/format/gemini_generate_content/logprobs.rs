//! Log-probabilities: Gemini keeps the chosen tokens and their alternatives in two lists, OpenAI in one.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::neutral::{Json, Object, array};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Both {
    chosen_candidates: Option<Vec<Token>>,
    top_candidates: Option<Vec<Top>>,
}

#[derive(Deserialize)]
struct Top {
    candidates: Option<Vec<Token>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    token: Option<String>,
    log_probability: Option<Number>,
}

/// Gemini's, as OpenAI's list. `None`: it cannot be read.
pub(super) fn read(result: &RawValue) -> Option<Box<RawValue>> {
    let result: Both = serde_json::from_str(result.get()).ok()?;
    let chosen = result.chosen_candidates?;
    let mut tops = result.top_candidates.unwrap_or_default().into_iter();
    let tokens = chosen.iter().map(|token| {
        let top = tops.next().and_then(|it| it.candidates).unwrap_or_default();
        object(token).with("top_logprobs", array(top.iter().map(object)))
    });
    let list = array(tokens);
    RawValue::from_string(list.as_str().to_owned()).ok()
}

fn object(token: &Token) -> Object {
    let text = token.token.as_deref().unwrap_or_default();
    let bytes = text.bytes().map(u64::from);
    let logprob = token.log_probability.as_ref();
    Object::new()
        .with("token", text)
        .with("logprob", logprob.map_or(Json::from(0_u64), Json::from))
        .with("bytes", array(bytes))
}

#[derive(Deserialize)]
struct Theirs {
    token: String,
    logprob: Number,
    top_logprobs: Option<Vec<Alternative>>,
}

#[derive(Deserialize)]
struct Alternative {
    token: String,
    logprob: Number,
}

/// OpenAI's list, as Gemini's two. `None`: it cannot be read.
pub(super) fn write(list: &RawValue) -> Option<Object> {
    let tokens: Vec<Theirs> = serde_json::from_str(list.get()).ok()?;
    let one = |token: &str, logprob: &Number| {
        Object::new()
            .with("token", token)
            .with("logProbability", logprob)
    };
    let tops = tokens.iter().map(|it| {
        let others = it.top_logprobs.iter().flatten();
        let candidates = others.map(|it| one(&it.token, &it.logprob));
        Object::new().with("candidates", array(candidates))
    });
    let chosen = tokens.iter().map(|it| one(&it.token, &it.logprob));
    Some(
        Object::new()
            .with("topCandidates", array(tops))
            .with("chosenCandidates", array(chosen)),
    )
}
