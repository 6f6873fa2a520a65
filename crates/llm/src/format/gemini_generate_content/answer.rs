//! A whole answer of Gemini's, to and from the form that all formats share.

use domain::Usage;
use serde_json::value::RawValue;

use super::part::{call_arguments, think, write_call, write_text, write_thought};
use super::{grounding, logprobs, read_report};
use crate::neutral::{
    Answer, Call, Carrier, Choice, Fields, Mishap, NotTranslatable, Object, Part, Proof, Stop,
    Warnings, all_input, array, asked_for, list, text, whole,
};
use crate::translate::{Asked, Stamp, call_name, mishap_of_event, named};

type Read<T> = Result<T, NotTranslatable>;

/// The place of everything that a model says.
const CANDIDATES: &str = "candidates";

/// `answers`: how many were asked for.
pub(super) fn read(body: &[u8], answers: u64, warnings: &mut Warnings) -> Read<Answer> {
    let mut fields = Fields::of(whole(body)?, "")?;
    let mut answer = Answer {
        id: fields.text("responseId")?,
        model: fields.text("modelVersion")?.unwrap_or_default(),
        created_s: None,
        choice: Choice::default(),
        others: Vec::new(),
        usage: fields.take(super::REPORT).and_then(read_report),
        tier: None,
        mishap: mishap_of_event(body),
    };
    if answer.mishap.is_some() {
        return Ok(answer);
    }
    let blocked = is_blocked(&mut fields, warnings)?;
    let candidates = fields.list(CANDIDATES)?.unwrap_or_default();
    fields.leave_said(is_usual, warnings);
    if candidates.is_empty() {
        if blocked {
            answer.choice.stop = Stop::Refusal;
            return Ok(answer);
        }
        return Err(NotTranslatable::new(CANDIDATES, "there is no answer"));
    }
    let candidates = asked_for(candidates, answers, warnings);
    let mut left = grounding::Left::default();
    for (number, raw) in candidates.into_iter().enumerate() {
        match candidate(raw, answer.id.as_deref(), &mut left, warnings)? {
            Ok(choice) if number == 0 => answer.choice = choice,
            Ok(choice) => answer.others.push(choice),
            Err(mishap) => {
                answer.mishap.get_or_insert(mishap);
            }
        }
    }
    Ok(answer)
}

/// `answer`: the id of the whole. `left`: how much may still be told of pages. The inner `Err`: it is no answer.
fn candidate(
    raw: &RawValue,
    answer: Option<&str>,
    left: &mut grounding::Left,
    warnings: &mut Warnings,
) -> Read<Result<Choice, Mishap>> {
    let mut fields = Fields::of(raw, CANDIDATES)?;
    let mut choice = Choice::default();
    let mut calls = 0;
    let mut parts = Vec::new();
    if let Some(mut content) = fields.object("content")? {
        parts = content.list("parts")?.unwrap_or_default();
        content.leave_said(is_usual, warnings);
        for raw in &parts {
            for said in said(raw, warnings)? {
                match said {
                    Said::Thought(text, proof) => think(&mut choice.parts, &text, proof),
                    Said::Text(more) => match choice.parts.last_mut() {
                        Some(Part::Text(text)) => text.push_str(&more),
                        _ => choice.parts.push(Part::Text(more)),
                    },
                    Said::Call(mut call) => {
                        if call.id.is_empty() {
                            call.id = call_name(answer, calls);
                        }
                        calls += 1;
                        choice.parts.push(Part::Call(call));
                    }
                }
            }
        }
    }
    if let Some(result) = fields.take("logprobsResult") {
        choice.logprobs = logprobs::read(result);
        if choice.logprobs.is_none() {
            warnings.dropped("logprobs");
        }
    }
    if let Some(metadata) = fields.take(GROUNDING) {
        choice.citations = grounding::read(metadata, &parts, left, warnings);
    }
    match reason(&mut fields)? {
        Some(reason) => match stop_of(&reason, calls > 0) {
            Ok(stop) => choice.stop = stop,
            Err(mishap) => return Ok(Err(mishap)),
        },
        None if calls > 0 => choice.stop = Stop::Tools,
        None => {}
    }
    fields.leave_said(is_usual, warnings);
    Ok(Ok(choice))
}

/// What says on which pages an answer stands.
pub(super) const GROUNDING: &str = "groundingMetadata";

/// What no client misses of an answer, a candidate, its content and a part: what is known anyway, and ratings by which nothing
/// was held back.
pub(super) fn is_usual(name: &str, value: &RawValue) -> bool {
    match name {
        "responseId" | "modelVersion" | "createTime" | "usageMetadata" => true,
        "index" | "role" | "tokenCount" | "avgLogprobs" => true,
        "safetyRatings" => list(value).is_some_and(|them| them.into_iter().all(is_harmless)),
        _ => false,
    }
}

/// Whether a rating of safety says that there is nothing.
fn is_harmless(rating: &RawValue) -> bool {
    let Ok(mut rating) = Fields::of(rating, CANDIDATES) else {
        return false;
    };
    let blocked = rating.take("blocked").is_some_and(|it| it.get() != "false");
    let probability = rating.take("probability").and_then(text);
    let none = |it: &str| it == "NEGLIGIBLE" || it.ends_with("_UNSPECIFIED");
    !blocked && probability.as_deref().is_none_or(none)
}

/// Whether the provider did not let the prompt through.
pub(super) fn is_blocked(fields: &mut Fields<'_>, warnings: &mut Warnings) -> Read<bool> {
    let Some(mut feedback) = fields.object("promptFeedback")? else {
        return Ok(false);
    };
    let reason = feedback.text("blockReason")?;
    feedback.leave_said(is_usual, warnings);
    Ok(reason.is_some_and(|it| !it.ends_with("REASON_UNSPECIFIED")))
}

/// What a part says, in its order.
pub(super) enum Said {
    Thought(String, Option<Proof>),
    Text(String),
    /// Without an id, if it has none.
    Call(Call),
}

pub(super) fn said(raw: &RawValue, warnings: &mut Warnings) -> Read<Vec<Said>> {
    let mut fields = Fields::of(raw, CANDIDATES)?;
    let signature = fields.text("thoughtSignature")?.unwrap_or_default();
    let proof = Carrier::ThoughtSignature.read(&signature, "");
    let text = fields.text("text")?.filter(|text| !text.is_empty());
    if fields.flag("thought")? == Some(true) {
        fields.leave_said(is_usual, warnings);
        return Ok(vec![Said::Thought(text.unwrap_or_default(), proof)]);
    }
    if fields.take("inlineData").is_some() || fields.take("fileData").is_some() {
        let why = "what a model drew or spoke has no counterpart";
        return Err(fields.wrong("inlineData", why));
    }
    let mut said = Vec::new();
    said.extend(proof.map(|it| Said::Thought(String::new(), Some(it))));
    said.extend(text.map(Said::Text));
    if let Some(mut call) = fields.object("functionCall")? {
        if call.has("partialArgs") || call.flag("willContinue")? == Some(true) {
            return Err(fields.wrong("partialArgs", "a call is whole"));
        }
        said.push(Said::Call(Call {
            id: call.text("id")?.unwrap_or_default(),
            name: call.needed_text("name")?,
            arguments: call_arguments(&mut call),
        }));
        call.leave_said(is_usual, warnings);
    }
    // What the provider's own tools did, for which nobody can have asked.
    fields.leave_said(is_usual, warnings);
    Ok(said)
}

/// What a candidate says of its end, if anything.
pub(super) fn reason(candidate: &mut Fields<'_>) -> Read<Option<String>> {
    let reason = candidate.text("finishReason")?;
    Ok(reason.filter(|it| !it.is_empty() && !it.ends_with("_UNSPECIFIED")))
}

/// Why it ended. `Err`: it is no answer.
pub(super) fn stop_of(reason: &str, calls: bool) -> Result<Stop, Mishap> {
    Ok(match reason {
        // Google says of calls that they are an end like any other, some servers of its format do not.
        "STOP" | "FUNCTION_CALL" if calls => Stop::Tools,
        "STOP" | "FUNCTION_CALL" => Stop::End,
        // Newer models end so where a request may not become longer; what goes on is another one.
        "MAX_TOKENS" | "CONTINUATION" => Stop::Length,
        "MALFORMED_FUNCTION_CALL" => {
            return Err(broken("the model's call of a function is broken"));
        }
        "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => {
            return Err(broken("the model called a function that it must not call"));
        }
        "MALFORMED_RESPONSE" | "MISSING_THOUGHT_SIGNATURE" => {
            return Err(broken("the provider gave the answer up"));
        }
        // Its rules on safety, on what others wrote, and whatever it does not name.
        _ => Stop::Refusal,
    })
}

fn broken(message: &str) -> Mishap {
    Mishap {
        status: 502,
        code: Some("upstream_invalid_response".to_owned()),
        message: message.to_owned(),
    }
}

pub(super) fn reason_of(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Tools => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
    }
}

pub(super) fn write(
    answer: &Answer,
    _asked: &Asked,
    stamp: &Stamp,
    warnings: &mut Warnings,
) -> Read<String> {
    let all = std::iter::once(&answer.choice).chain(&answer.others);
    let mut left = grounding::Left::default();
    let candidates = all
        .enumerate()
        .map(|(number, it)| write_candidate(number, it, &mut left, warnings));
    let candidates: Vec<Object> = candidates.collect::<Read<_>>()?;
    let body = Object::new()
        .with(CANDIDATES, array(candidates))
        .maybe(super::REPORT, answer.usage.as_ref().map(write_usage))
        .with("modelVersion", &answer.model)
        .with("responseId", &named("", answer.id.as_deref(), stamp));
    Ok(body.end())
}

/// `left`: how much may still be told of pages.
fn write_candidate(
    number: usize,
    choice: &Choice,
    left: &mut grounding::Left,
    warnings: &mut Warnings,
) -> Read<Object> {
    let mut parts = Vec::new();
    // Each text with its place among the parts.
    let mut texts: Vec<(usize, &str)> = Vec::new();
    let mut signature: Option<&str> = None;
    for (at, part) in choice.parts.iter().enumerate() {
        let written = match part {
            Part::Text(text) => {
                texts.push((parts.len(), text));
                write_text(text, signature.take())
            }
            Part::Refusal(text) => write_text(text, signature.take()),
            Part::Thinking(thinking) => match &thinking.proof {
                // The format's own, which stands in the part that follows.
                Some(Proof::Thought(proof)) => {
                    parts.extend(signature.replace(proof).map(|it| write_text("", Some(it))));
                    if thinking.text.is_empty() {
                        continue;
                    }
                    write_thought(&thinking.text, None)
                }
                proof => write_thought(&thinking.text, proof.as_ref()),
            },
            Part::Call(call) => match write_call(call, signature) {
                Some(call) => {
                    signature = None;
                    call
                }
                None if choice.cuts_off(at) => {
                    warnings.dropped("tool_calls");
                    continue;
                }
                None => return Err(NotTranslatable::new("arguments", "they are no JSON object")),
            },
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => continue,
        };
        parts.push(written);
    }
    parts.extend(signature.map(|it| write_text("", Some(it))));
    let result = choice.logprobs.as_deref().and_then(logprobs::write);
    if result.is_none() && choice.logprobs.is_some() {
        warnings.dropped("logprobs");
    }
    let content = Object::new()
        .with("parts", array(parts))
        .with("role", "model");
    let candidate = Object::new()
        .with("content", content)
        .with("finishReason", reason_of(&choice.stop))
        .with("index", number)
        .maybe("logprobsResult", result)
        .maybe(
            GROUNDING,
            grounding::write(&choice.citations, &texts, left, warnings),
        );
    Ok(candidate)
}

/// Gemini counts what the cache held within the prompt, and thoughts beside the answer.
pub(super) fn write_usage(usage: &Usage) -> Object {
    let input = all_input(usage);
    let (cached, thought) = (usage.cached_input_tokens, usage.reasoning_tokens);
    Object::new()
        .with("promptTokenCount", input)
        .maybe("cachedContentTokenCount", (cached > 0).then_some(cached))
        .with(
            "candidatesTokenCount",
            usage.output_tokens.saturating_sub(thought),
        )
        .maybe("thoughtsTokenCount", (thought > 0).then_some(thought))
        .with("totalTokenCount", input.saturating_add(usage.output_tokens))
}
