//! A whole response, to and from the form that all formats share.

use domain::Usage;
use serde_json::value::RawValue;

use super::{item, read_report};
use crate::neutral::{
    Answer, Call, Choice, Citation, Fields, Json, Mishap, NotTranslatable, Object, Part, Stop,
    Thinking, Tier, Warnings, all_input, array, listed, none, text, whole,
};
use crate::translate::{Asked, ECHOED, Echo, Stamp, mishap_of, mishap_of_event, named};

type Read<T> = Result<T, NotTranslatable>;

pub(super) const ID: &str = "resp_";

pub(super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Answer> {
    let mut fields = Fields::of(whole(body)?, "")?;
    let created = fields.take("created_at");
    let created = created.and_then(|raw| serde_json::from_str::<f64>(raw.get()).ok());
    let mut answer = Answer {
        id: fields.text("id")?,
        model: fields.text("model")?.unwrap_or_default(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time in seconds; the cast saturates"
        )]
        created_s: created.map(|it| it as i64),
        choice: Choice::default(),
        others: Vec::new(),
        usage: fields.take("usage").and_then(read_report),
        tier: tier(&mut fields),
        mishap: mishap_of_event(body),
    };
    if answer.mishap.is_some() {
        return Ok(answer);
    }
    let missing = NotTranslatable::new("output", "there is no answer");
    let mut chars = 0;
    let mut logprobs = Vec::new();
    for raw in fields.list("output")?.ok_or(missing)? {
        item(raw, &mut answer, &mut chars, &mut logprobs, warnings)?;
    }
    // One list of all texts', written once: for each text it would grow again.
    if !logprobs.is_empty() {
        answer.choice.logprobs = serde_json::value::to_raw_value(&logprobs).ok();
    }
    let status = fields.text("status")?;
    answer.choice.stop = stop_of(status.as_deref(), &mut fields, &answer.choice.parts)?;
    if status.as_deref() == Some("failed") {
        let unnamed = || Mishap {
            status: 502,
            code: None,
            message: "the provider failed".to_owned(),
        };
        answer.mishap = Some(mishap_of(502, body).unwrap_or_else(unnamed));
    }
    fields.leave_said(is_usual, warnings);
    Ok(answer)
}

/// What no client misses of a response: what it repeats of its request, and the state of it all.
pub(super) fn is_usual(name: &str, _value: &RawValue) -> bool {
    match name {
        "id" | "object" | "created_at" | "completed_at" | "status" | "type" | "role" => true,
        "model" | "output" | "usage" | "service_tier" | "billing" => true,
        "background" | "error" | "incomplete_details" | "store" | "truncation" => true,
        "prompt_cache_options" | "prompt_cache_retention" => true,
        name => ECHOED.contains(&name),
    }
}

/// What no client misses of an item, or of a part of one.
pub(super) fn is_usual_within(name: &str, _value: &RawValue) -> bool {
    matches!(name, "id" | "status" | "type" | "role" | "content")
}

/// `chars`: how many characters of text the answer has so far. `logprobs`: the log-probabilities of their tokens.
fn item<'a>(
    raw: &'a RawValue,
    answer: &mut Answer,
    chars: &mut u64,
    logprobs: &mut Vec<&'a RawValue>,
    warnings: &mut Warnings,
) -> Read<()> {
    let mut fields = Fields::of(raw, "output")?;
    match fields.kind()?.as_str() {
        "message" => {
            for raw in fields.list("content")?.unwrap_or_default() {
                let mut part = Fields::of(raw, "output")?;
                match part.kind()?.as_str() {
                    "output_text" => {
                        if let Some(raw) = part.take("logprobs") {
                            logprobs.extend(listed(raw, "logprobs", warnings));
                        }
                        if let Some(raw) = part.take("annotations") {
                            for raw in listed(raw, "annotations", warnings) {
                                let cited = citation(raw, *chars, warnings);
                                answer.choice.citations.extend(cited);
                            }
                        }
                        let text = part.needed_text("text")?;
                        *chars += text.chars().count() as u64;
                        answer.choice.parts.push(Part::Text(text));
                    }
                    "refusal" => {
                        let text = part.needed_text("refusal")?;
                        answer.choice.parts.push(Part::Refusal(text));
                    }
                    kind => {
                        warnings.dropped(kind);
                        continue;
                    }
                }
                part.leave_said(is_usual_within, warnings);
            }
        }
        "function_call" => answer
            .choice
            .parts
            .push(Part::Call(item::call(&mut fields)?)),
        "reasoning" => {
            let thinking = item::thinking(&mut fields, warnings)?;
            answer.choice.parts.extend(thinking.map(Part::Thinking));
        }
        // What the provider's own tools did, for which nobody can have asked.
        kind => {
            warnings.dropped(kind);
            return Ok(());
        }
    }
    fields.leave_said(is_usual_within, warnings);
    Ok(())
}

/// Which tier of service a response names.
pub(super) fn tier(fields: &mut Fields<'_>) -> Option<Tier> {
    let name = fields.take("service_tier").and_then(text);
    // What was asked for, as long as none serves.
    name.filter(|name| name != "auto").and_then(Tier::named)
}

/// The page that an annotation names, if it does; others are named in the warnings. `before`: how many characters of text stand
/// before its part.
pub(super) fn citation(
    annotation: &RawValue,
    before: u64,
    warnings: &mut Warnings,
) -> Option<Citation> {
    let page = || {
        let mut fields = Fields::of(annotation, "output").ok()?;
        if fields.kind().ok()? != CITATION {
            return None;
        }
        let mut place = |name| Some(fields.whole(name).ok()?.unwrap_or(0).saturating_add(before));
        let (start, end) = (place("start_index")?, place("end_index")?);
        Some(Citation {
            url: fields.text("url").ok()??,
            title: fields.text("title").ok()?,
            start,
            end,
        })
    };
    let page = page();
    if page.is_none() {
        warnings.dropped("annotations");
    }
    page
}

/// The annotation for a page. `before`: as with [`citation`].
pub(super) fn annotation(citation: &Citation, before: u64) -> Object {
    Object::typed(CITATION)
        .with("start_index", citation.start.saturating_sub(before))
        .with("end_index", citation.end.saturating_sub(before))
        .with("url", &citation.url)
        .with("title", citation.title.as_deref().unwrap_or_default())
}

const CITATION: &str = "url_citation";

fn stop_of(status: Option<&str>, fields: &mut Fields<'_>, parts: &[Part]) -> Read<Stop> {
    if status == Some("incomplete") {
        let details = fields.object("incomplete_details")?;
        let reason = details.map(|mut it| it.text("reason")).transpose()?;
        return Ok(match reason.flatten().as_deref() {
            Some("content_filter") => Stop::Refusal,
            _ => Stop::Length,
        });
    }
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let refuses = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    Ok(match (calls, refuses) {
        (true, _) => Stop::Tools,
        (false, true) => Stop::Refusal,
        (false, false) => Stop::End,
    })
}

/// The stop of a stream that ended with this response. `parts`: whether there were calls, and a refusal.
pub(super) fn stop_at_end(response: &mut Fields<'_>, calls: bool, refuses: bool) -> Read<Stop> {
    let status = response.text("status")?;
    let parts: Vec<Part> = [
        calls.then(|| Part::Call(Call::default())),
        refuses.then(|| Part::Refusal(String::new())),
    ]
    .into_iter()
    .flatten()
    .collect();
    stop_of(status.as_deref(), response, &parts)
}

pub(super) fn write(
    answer: &Answer,
    asked: &Asked,
    stamp: &Stamp,
    _warnings: &mut Warnings,
) -> Read<String> {
    let names = Names::new(answer.id.as_deref(), stamp);
    let mut logprobs = answer.choice.logprobs.as_deref();
    let mut items = Vec::new();
    // Providers count differently, and in no order that is promised: none of them gets lost.
    let mut sorted = answer.choice.citations.clone();
    sorted.sort_by_key(|it| it.start);
    let mut citations = sorted.as_slice();
    let last_text = answer
        .choice
        .parts
        .iter()
        .rposition(|it| matches!(it, Part::Text(_)));
    let mut before = 0;
    for (index, part) in answer.choice.parts.iter().enumerate() {
        let place = items.len();
        items.push(match part {
            Part::Text(text) => {
                let end = before + text.chars().count() as u64;
                let cited = match Some(index) == last_text {
                    true => citations.len(),
                    false => citations.partition_point(|it| it.start < end),
                };
                let (these, rest) = citations.split_at(cited);
                citations = rest;
                let annotations = these.iter().map(|it| annotation(it, before));
                let logprobs = logprobs.take().map(Json::from);
                let content = text_part(text, array(annotations), logprobs);
                before = end;
                message(&names.item("msg_", place), COMPLETED, Some(content))
            }
            Part::Refusal(text) => {
                let content = Object::typed("refusal").with("refusal", text);
                message(&names.item("msg_", place), COMPLETED, Some(content))
            }
            Part::Thinking(thinking) => reasoning(thinking, &names.item("rs_", place)),
            Part::Call(call) => {
                function_call(call, &asked.echo, &names.item("fc_", place), COMPLETED)
            }
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => continue,
        });
    }
    let created_s = answer.created_s.unwrap_or(stamp.at_s);
    let response = Response {
        id: &names.response,
        model: &answer.model,
        created_s,
        end: Some((&answer.choice.stop, stamp.at_s.max(created_s))),
        output: array(items),
        usage: answer.usage.as_ref(),
        tier: answer.tier.as_ref(),
        asked,
    };
    Ok(response.write().end())
}

pub(super) const COMPLETED: &str = "completed";
pub(super) const IN_PROGRESS: &str = "in_progress";

/// The ids of a response and its items.
pub(super) struct Names {
    pub(super) response: String,
}

impl Names {
    pub(super) fn new(theirs: Option<&str>, stamp: &Stamp) -> Self {
        Self {
            response: named(ID, theirs, stamp),
        }
    }

    pub(super) fn item(&self, prefix: &str, place: usize) -> String {
        let rest = self.response.strip_prefix(ID).unwrap_or(&self.response);
        format!("{prefix}{rest}_{place}")
    }
}

pub(super) fn text_part(text: &str, annotations: Json, logprobs: Option<Json>) -> Object {
    Object::typed("output_text")
        .with("text", text)
        .with("annotations", annotations)
        .with("logprobs", logprobs.unwrap_or_else(none))
}

pub(super) fn message(id: &str, status: &str, content: Option<Object>) -> Object {
    Object::typed("message")
        .with("id", id)
        .with("status", status)
        .with("role", "assistant")
        .with("content", array(content))
}

pub(super) fn function_call(call: &Call, echo: &Echo, id: &str, status: &str) -> Object {
    item::write_call(call, echo)
        .with("id", id)
        .with("status", status)
}

pub(super) fn reasoning(thinking: &Thinking, id: &str) -> Object {
    item::write_thinking(thinking, id)
}

/// A response with every field that its schema knows.
pub(super) struct Response<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) created_s: i64,
    /// How and when it ended; `None`: it is being made.
    pub(super) end: Option<(&'a Stop, i64)>,
    pub(super) output: Json,
    pub(super) usage: Option<&'a Usage>,
    /// `None`: none is named.
    pub(super) tier: Option<&'a Tier>,
    pub(super) asked: &'a Asked,
}

impl Response<'_> {
    pub(super) fn write(self) -> Object {
        let reason = match self.end {
            Some((Stop::Length, _)) => Some("max_output_tokens"),
            Some((Stop::Refusal, _)) => Some("content_filter"),
            _ => None,
        };
        let status = match (self.end, reason) {
            (None, _) => IN_PROGRESS,
            (Some(_), None) => COMPLETED,
            (Some(_), Some(_)) => "incomplete",
        };
        let completed_at = self.end.filter(|_| reason.is_none()).map(|(_, at_s)| at_s);
        let said = |name: &str| self.asked.echo.get(name).map(Json::from);
        let or = |name: &str, usual: Json| said(name).unwrap_or(usual);
        let one = || Json::from(&serde_json::Number::from(1));
        let zero = || Json::from(0_u64);
        let plain = Object::new().with("format", Object::typed("text"));
        let no_reasoning = Object::new()
            .with("effort", Json::null())
            .with("summary", Json::null());
        Object::new()
            .with("id", self.id)
            .with("object", "response")
            .with("created_at", self.created_s)
            .with("status", status)
            .with("background", false)
            .with("completed_at", completed_at)
            .with("error", Json::null())
            .with("frequency_penalty", or("frequency_penalty", zero()))
            .with(
                "incomplete_details",
                reason.map(|reason| Object::new().with("reason", reason)),
            )
            .with("instructions", said("instructions"))
            .with("max_output_tokens", said("max_output_tokens"))
            .with("max_tool_calls", said("max_tool_calls"))
            .with("model", self.model)
            .with("output", self.output)
            .with(
                "parallel_tool_calls",
                or("parallel_tool_calls", true.into()),
            )
            .with("presence_penalty", or("presence_penalty", zero()))
            .with("previous_response_id", Json::null())
            .with("prompt_cache_key", said("prompt_cache_key"))
            .with("reasoning", or("reasoning", no_reasoning.into()))
            .with("safety_identifier", said("safety_identifier"))
            .with("service_tier", self.tier.map_or("default", Tier::as_str))
            .with("store", false)
            .with("temperature", or("temperature", one()))
            .with("text", or("text", plain.into()))
            .with("tool_choice", or("tool_choice", "auto".into()))
            .with("tools", or("tools", none()))
            .with("top_logprobs", or("top_logprobs", zero()))
            .with("top_p", or("top_p", one()))
            .with("truncation", "disabled")
            .with("usage", self.usage.map(write_usage))
            .with("user", said("user"))
            .with("metadata", or("metadata", Object::new().into()))
    }
}

/// OpenAI counts what the cache held within the input.
fn write_usage(usage: &Usage) -> Object {
    let input = all_input(usage);
    let cache = Object::new()
        .with("cached_tokens", usage.cached_input_tokens)
        .with("cache_write_tokens", usage.cache_write_tokens);
    let output = Object::new().with("reasoning_tokens", usage.reasoning_tokens);
    Object::new()
        .with("input_tokens", input)
        .with("input_tokens_details", cache)
        .with("output_tokens", usage.output_tokens)
        .with("output_tokens_details", output)
        .with("total_tokens", input.saturating_add(usage.output_tokens))
}
