//! A whole chat completion, to and from the form that all formats share.

use domain::Usage;
use serde_json::value::RawValue;

use super::read_report;
use crate::neutral::{
    Answer, Call, Carrier, Choice, Citation, Fields, Json, NotTranslatable, Object, Part, Proof,
    Stop, Thinking, Tier, Warnings, all_input, array, asked_for, list, listed, text, whole,
};
use crate::translate::{Asked, Stamp, call_name, mishap_of_event, named};

type Read<T> = Result<T, NotTranslatable>;

pub(super) const ID: &str = "chatcmpl-";

/// `answers`: how many were asked for.
pub(super) fn read(body: &[u8], answers: u64, warnings: &mut Warnings) -> Read<Answer> {
    let mut fields = Fields::of(whole(body)?, "")?;
    let mut answer = Answer {
        id: fields.text("id")?,
        model: fields.text("model")?.unwrap_or_default(),
        created_s: fields
            .whole("created")?
            .and_then(|it| i64::try_from(it).ok()),
        choice: Choice::default(),
        others: Vec::new(),
        usage: fields.take("usage").and_then(read_report),
        tier: tier(&mut fields),
        mishap: mishap_of_event(body),
    };
    if answer.mishap.is_some() {
        return Ok(answer);
    }
    let choices = fields.list("choices")?.unwrap_or_default();
    fields.leave_said(is_usual, warnings);
    let id = answer.id.as_deref();
    let mut choices = asked_for(choices, answers, warnings).into_iter();
    let first = choices
        .next()
        .ok_or_else(|| NotTranslatable::new("choices", "there is no answer"))?;
    answer.choice = choice(first, id, warnings)?;
    let others = choices.map(|raw| choice(raw, id, warnings));
    answer.others = others.collect::<Read<_>>()?;
    Ok(answer)
}

/// `answer`: the id of the whole.
fn choice(raw: &RawValue, answer: Option<&str>, warnings: &mut Warnings) -> Read<Choice> {
    let mut fields = Fields::of(raw, "choices")?;
    let mut choice = Choice::default();
    if let Some(reason) = fields.text("finish_reason")? {
        choice.stop = stop_of(&reason);
    }
    if let Some(mut logprobs) = fields.object("logprobs")? {
        choice.logprobs = logprobs.take("content").map(ToOwned::to_owned);
        left_of_logprobs(logprobs, warnings);
    }
    let missing = fields.wrong("message", "it is missing");
    let mut message = fields.object("message")?.ok_or(missing)?;
    fields.leave_said(is_usual, warnings);
    let thought = message.text("reasoning_content")?;
    let again = message.text("reasoning")?;
    let thought = thought.or(again).filter(|text| !text.is_empty());
    let thinking = thought.map(|text| Part::Thinking(Thinking { text, proof: None }));
    choice.parts.extend(thinking);
    if let Some(content) = message.take("content") {
        for (is_thinking, text) in texts(content, warnings) {
            choice.parts.push(match is_thinking {
                true => Part::Thinking(Thinking { text, proof: None }),
                false => Part::Text(text),
            });
        }
    }
    choice.citations = message
        .take("annotations")
        .map(|it| citations(it, warnings))
        .unwrap_or_default();
    let refusal = message.text("refusal")?.filter(|text| !text.is_empty());
    choice.parts.extend(refusal.map(Part::Refusal));
    for (place, raw) in message
        .list("tool_calls")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let mut fields = Fields::of(raw, "choices")?;
        let missing = fields.wrong("tool_calls", "it is no call of a function");
        let mut function = fields.object("function")?.ok_or(missing)?;
        let id = fields.text("id")?.filter(|id| !id.is_empty());
        choice.parts.push(Part::Call(Call {
            id: id.unwrap_or_else(|| call_name(answer, place as u64)),
            name: function.needed_text("name")?,
            arguments: function.text("arguments")?.unwrap_or_default(),
        }));
        function.leave_said(is_usual, warnings);
        fields.leave_said(is_usual, warnings);
    }
    message.leave_said(is_usual, warnings);
    Ok(choice)
}

/// What no client misses of a completion, its choices, messages and calls, whole or in pieces: what is known anyway, who made it,
/// how long that took, which stop sequence ended it, and filters that held nothing back.
pub(super) fn is_usual(name: &str, value: &RawValue) -> bool {
    match name {
        "id" | "object" | "created" | "model" | "usage" | "service_tier" => true,
        "system_fingerprint" | "provider" | "x_groq" | "obfuscation" => true,
        "timings" | "time_info" => true,
        "index" | "role" | "type" | "name" => true,
        "finish_reason" | "native_finish_reason" | "stop_reason" | "matched_stop" | "seed" => true,
        "content_filter_results" | "prompt_filter_results" => !value.get().contains("true"),
        _ => false,
    }
}

/// Log-probabilities of a refusal have no place of their own elsewhere.
pub(super) fn left_of_logprobs(mut logprobs: Fields<'_>, warnings: &mut Warnings) {
    if logprobs.take("refusal").is_some_and(|it| it.get() != "[]") {
        warnings.dropped("logprobs");
    }
}

/// Which tier of service an answer or a chunk names.
pub(super) fn tier(fields: &mut Fields<'_>) -> Option<Tier> {
    let name = fields.take("service_tier").and_then(text);
    name.and_then(Tier::named)
}

/// The pages in a list of annotations. Others are named in the warnings.
pub(super) fn citations(annotations: &RawValue, warnings: &mut Warnings) -> Vec<Citation> {
    let annotations = listed(annotations, "annotations", warnings);
    let mut read = |raw: &RawValue| {
        let page = || {
            let mut fields = Fields::of(raw, "choices").ok()?;
            let mut cited = fields.object("url_citation").ok()??;
            let page = Citation {
                url: cited.text("url").ok()??,
                title: cited.text("title").ok()?,
                start: cited.whole("start_index").ok()?.unwrap_or(0),
                end: cited.whole("end_index").ok()?.unwrap_or(0),
            };
            // Some servers quote the page, too.
            let is_all = cited.rest().iter().all(|(_, it)| it.get() == "null");
            Some((page, is_all))
        };
        let page = page();
        match &page {
            Some((_, true)) => {}
            Some((_, false)) => warnings.changed("approximated", "annotations"),
            None => warnings.dropped("annotations"),
        }
        page.map(|(page, _)| page)
    };
    annotations.into_iter().filter_map(&mut read).collect()
}

/// The annotation for a page.
pub(super) fn annotation(citation: &Citation) -> Object {
    let cited = Object::new()
        .with("end_index", citation.end)
        .with("start_index", citation.start)
        .with("title", citation.title.as_deref().unwrap_or_default())
        .with("url", &citation.url);
    Object::typed("url_citation").with("url_citation", cited)
}

/// The texts of a `content`, which with some models is a list of parts, and whether each was only thought. Parts that are none
/// are named in the warnings.
pub(super) fn texts(content: &RawValue, warnings: &mut Warnings) -> Vec<(bool, String)> {
    if let Some(text) = text(content) {
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![(false, text)]
        };
    }
    let parts = listed(content, "content", warnings);
    let plain = |raw: &RawValue| Fields::of(raw, "choices").ok()?.text("text").ok()?;
    let read = |raw: &RawValue| {
        let mut part = Fields::of(raw, "choices").ok()?;
        // Thoughts are texts or a list of them, and never deeper.
        if let Some(thoughts) = part.take("thinking") {
            let joined = || Some(list(thoughts)?.into_iter().filter_map(plain).collect());
            return Some((true, text(thoughts).or_else(joined)?));
        }
        Some((false, part.text("text").ok()??))
    };
    let read = parts.into_iter().filter_map(|raw| {
        let read = read(raw);
        if read.is_none() {
            warnings.dropped("content");
        }
        read
    });
    read.filter(|(_, text)| !text.is_empty()).collect()
}

pub(super) fn stop_of(reason: &str) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Tools,
        "content_filter" => Stop::Refusal,
        _ => Stop::End,
    }
}

pub(super) fn reason_of(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Refusal => "content_filter",
    }
}

pub(super) fn write(
    answer: &Answer,
    _asked: &Asked,
    stamp: &Stamp,
    _warnings: &mut Warnings,
) -> Read<String> {
    let all = std::iter::once(&answer.choice).chain(&answer.others);
    let choices = all.enumerate().map(|(index, it)| write_choice(index, it));
    let body = Object::new()
        .with("id", &named(ID, answer.id.as_deref(), stamp))
        .with("object", "chat.completion")
        .with("created", answer.created_s.unwrap_or(stamp.at_s))
        .with("model", &answer.model)
        .with("choices", array(choices))
        .maybe("usage", answer.usage.as_ref().map(write_usage))
        .maybe("service_tier", answer.tier.as_ref().map(Tier::as_str));
    Ok(body.end())
}

fn write_choice(index: usize, choice: &Choice) -> Object {
    let mut content: Option<String> = None;
    let mut refusal: Option<String> = None;
    let mut thoughts: Vec<&Thinking> = Vec::new();
    let mut calls = Vec::new();
    for part in &choice.parts {
        match part {
            Part::Text(text) => content.get_or_insert_default().push_str(text),
            Part::Refusal(text) => refusal.get_or_insert_default().push_str(text),
            Part::Thinking(thinking) => thoughts.push(thinking),
            Part::Call(call) => calls.push(
                Object::new()
                    .with("id", &call.id)
                    .with("type", "function")
                    .with(
                        "function",
                        Object::new()
                            .with("name", &call.name)
                            .with("arguments", &call.arguments),
                    ),
            ),
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => {}
        }
    }
    let thought: String = thoughts.iter().map(|it| it.text.as_str()).collect();
    let details = thoughts.iter().enumerate();
    let details: Vec<Object> = details
        .filter_map(|(place, thinking)| detail(thinking, place))
        .collect();
    let message = Object::new()
        .with("role", "assistant")
        .with("content", content.as_ref().map(Json::from))
        .with("refusal", refusal.as_ref().map(Json::from))
        .maybe("annotations", {
            let citations = choice.citations.iter().map(annotation);
            (!choice.citations.is_empty()).then(|| array(citations))
        })
        .maybe(
            "reasoning_content",
            (!thought.is_empty()).then(|| Json::from(&thought)),
        )
        .maybe(
            "reasoning_details",
            (!details.is_empty()).then(|| array(details)),
        )
        .maybe("tool_calls", (!calls.is_empty()).then(|| array(calls)));
    let logprobs = choice.logprobs.as_ref();
    Object::new()
        .with("index", index)
        .with("message", message)
        .with(
            "logprobs",
            logprobs.map(|it| {
                Object::new()
                    .with("content", it)
                    .with("refusal", Json::null())
            }),
        )
        .with("finish_reason", reason_of(&choice.stop))
}

/// What was thought with its proof, in the form that clients replay with the rest of the message; `None`: there is no
/// proof.
pub(super) fn detail(thinking: &Thinking, place: usize) -> Option<Object> {
    let detail = match thinking.proof.as_ref()? {
        Proof::Signature(signature) => Object::typed("reasoning.text")
            .with("text", &thinking.text)
            .with("signature", signature),
        // Marked, so that it goes back to its maker only.
        proof @ Proof::Thought(_) => Object::typed("reasoning.text")
            .with("text", &thinking.text)
            .with("signature", &Carrier::Signature.write(proof)),
        Proof::Sealed(data) => Object::typed("reasoning.encrypted").with("data", data),
        Proof::Encrypted { id, content } => Object::typed("reasoning.encrypted")
            .with("id", id)
            .with("data", content),
    };
    Some(detail.with("index", place))
}

/// OpenAI counts what the cache held within the input.
pub(super) fn write_usage(usage: &Usage) -> Object {
    let input = all_input(usage);
    let written = usage.cache_write_tokens;
    let cache = Object::new()
        .with("cached_tokens", usage.cached_input_tokens)
        .maybe("cache_write_tokens", (written > 0).then_some(written));
    let output = Object::new().with("reasoning_tokens", usage.reasoning_tokens);
    Object::new()
        .with("prompt_tokens", input)
        .with("completion_tokens", usage.output_tokens)
        .with("total_tokens", input.saturating_add(usage.output_tokens))
        .with("prompt_tokens_details", cache)
        .with("completion_tokens_details", output)
}
