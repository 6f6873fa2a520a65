//! A whole message of Anthropic's, to and from the form that all formats share.

use domain::Usage;
use serde_json::value::RawValue;

use super::block;
use crate::neutral::{
    Answer, Choice, Citation, Fields, Json, NotTranslatable, Object, Part, Stop, Tier, Warnings,
    array, listed, text, whole,
};
use crate::tap::{BYTES_PER_TOKEN, Count};
use crate::translate::{Asked, Stamp, mishap_of_event, named};

type Read<T> = Result<T, NotTranslatable>;

pub(super) const ID: &str = "msg_";

pub(super) fn read(body: &[u8], warnings: &mut Warnings) -> Read<Answer> {
    let mut fields = Fields::of(whole(body)?, "")?;
    let mut counts = Counts::default();
    if let Some(report) = fields.take("usage") {
        counts.report(report);
    }
    let reason = fields.text("stop_reason")?;
    let sequence = fields.text("stop_sequence")?;
    let mut answer = Answer {
        id: fields.text("id")?,
        model: fields.text("model")?.unwrap_or_default(),
        created_s: None,
        choice: Choice {
            stop: stop_of(reason.as_deref(), sequence),
            ..Choice::default()
        },
        others: Vec::new(),
        usage: counts.usage(),
        tier: counts.tier(),
        mishap: mishap_of_event(body),
    };
    if answer.mishap.is_some() {
        return Ok(answer);
    }
    let missing = NotTranslatable::new("content", "there is no answer");
    let blocks = fields.list("content")?.ok_or(missing)?;
    fields.leave_said(is_usual, warnings);
    let mut chars = 0;
    for raw in blocks {
        let mut fields = Fields::of(raw, "content")?;
        let part = match fields.kind()?.as_str() {
            "text" => {
                let text = fields.needed_text("text")?;
                let before = chars;
                chars += text.chars().count() as u64;
                if let Some(cited) = fields.take("citations") {
                    for raw in listed(cited, "citations", warnings) {
                        let page = citation(raw, warnings);
                        let place = |page: Page| page.at(before, chars);
                        answer.choice.citations.extend(page.map(place));
                    }
                }
                Part::Text(text)
            }
            kind @ ("thinking" | "redacted_thinking") => {
                Part::Thinking(block::thinking(kind, &mut fields)?)
            }
            "tool_use" => Part::Call(block::call(&mut fields)?),
            // What the provider's own tools did, for which nobody can have asked.
            kind => {
                warnings.dropped(kind);
                continue;
            }
        };
        fields.leave_said(is_usual, warnings);
        answer.choice.parts.push(part);
    }
    Ok(answer)
}

/// What no client misses of a message, of its blocks and of the beginning of either in a stream.
pub(super) fn is_usual(name: &str, value: &RawValue) -> bool {
    match name {
        "type" | "role" | "content" | "stop_reason" | "stop_sequence" => true,
        // Blocks have no ids that other blocks name, but for calls.
        "id" => true,
        // Whether the model called the tool itself.
        "caller" => value.get().contains("\"direct\""),
        "context_management" => value.get() == r#"{"applied_edits":[]}"#,
        _ => false,
    }
}

/// A page that a block of text cites. Other formats say where.
#[derive(Debug, Clone)]
pub(super) struct Page {
    url: String,
    title: Option<String>,
}

impl Page {
    /// Cited by all of the block, which lies here in the text, in characters.
    pub(super) fn at(self, start: u64, end: u64) -> Citation {
        Citation {
            url: self.url,
            title: self.title,
            start,
            end,
        }
    }
}

/// The page that a citation names, if it names one of the web. What it quotes, and the proof of it, has no counterpart; nor
/// has a place in a document.
pub(super) fn citation(raw: &RawValue, warnings: &mut Warnings) -> Option<Page> {
    let page = || {
        let mut fields = Fields::of(raw, "content").ok()?;
        if fields.kind().ok()? != "web_search_result_location" {
            return None;
        }
        Some(Page {
            url: fields.text("url").ok()??,
            title: fields.text("title").ok()?,
        })
    };
    let page = page();
    match page {
        Some(_) => warnings.changed("approximated", "citations"),
        None => warnings.dropped("citations"),
    }
    page
}

pub(super) fn stop_of(reason: Option<&str>, sequence: Option<String>) -> Stop {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
        Some("stop_sequence") => Stop::Sequence(sequence),
        Some("tool_use") => Stop::Tools,
        Some("refusal") => Stop::Refusal,
        _ => Stop::End,
    }
}

/// The reason, and the sequence that stopped the answer.
pub(super) fn reason_of(stop: &Stop) -> (&'static str, Option<&String>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::Length => ("max_tokens", None),
        Stop::Sequence(sequence) => ("stop_sequence", sequence.as_ref()),
        Stop::Tools => ("tool_use", None),
        Stop::Refusal => ("refusal", None),
    }
}

pub(super) fn write(
    answer: &Answer,
    _asked: &Asked,
    stamp: &Stamp,
    warnings: &mut Warnings,
) -> Read<String> {
    // Its own citations prove what was read, which others' do not, and nobody can ask for log-probabilities.
    if !answer.choice.citations.is_empty() {
        warnings.dropped("citations");
    }
    if answer.choice.logprobs.is_some() {
        warnings.dropped("logprobs");
    }
    let mut blocks = Vec::new();
    for (at, part) in answer.choice.parts.iter().enumerate() {
        blocks.push(match part {
            Part::Text(text) | Part::Refusal(text) => Object::typed("text").with("text", text),
            Part::Thinking(thinking) => block::write_thinking(thinking),
            Part::Call(call) => match block::write_call(call) {
                Some(call) => call,
                None if answer.choice.cuts_off(at) => {
                    warnings.dropped("tool_calls");
                    continue;
                }
                None => return Err(NotTranslatable::new("arguments", "they are no JSON object")),
            },
            Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => continue,
        });
    }
    // The format has no way to say that usage is not known, and a zero would be false.
    let counted = || estimate(stamp, answer.choice.parts.iter().map(part_bytes).sum());
    let (reason, sequence) = reason_of(&answer.choice.stop);
    let body = Object::new()
        .with("id", &named(ID, answer.id.as_deref(), stamp))
        .with("type", "message")
        .with("role", "assistant")
        .with("model", &answer.model)
        .with("content", array(blocks))
        .with("stop_reason", reason)
        .with("stop_sequence", sequence.map(Json::from))
        .with("usage", {
            let usage = write_usage(&answer.usage.unwrap_or_else(counted));
            usage.maybe("service_tier", answer.tier.as_ref().and_then(tier))
        });
    Ok(body.end())
}

/// The usage of an answer of which none was reported, with so many bytes of text.
pub(super) fn estimate(stamp: &Stamp, text_bytes: usize) -> Usage {
    Usage {
        input_tokens: stamp.input_tokens,
        output_tokens: (text_bytes as u64).div_ceil(BYTES_PER_TOKEN),
        ..Usage::default()
    }
}

/// How much text the model wrote for this part.
fn part_bytes(part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Refusal(text) => text.len(),
        Part::Thinking(thinking) => thinking.text.len(),
        Part::Call(call) => call.name.len() + call.arguments.len(),
        Part::Image { .. } | Part::File { .. } | Part::Outcome { .. } => 0,
    }
}

/// Anthropic counts what the cache held beside the input.
pub(super) fn write_usage(usage: &Usage) -> Object {
    let thought = usage.reasoning_tokens;
    let details = (thought > 0).then(|| Object::new().with("thinking_tokens", thought));
    Object::new()
        .with("input_tokens", usage.input_tokens)
        .with("cache_creation_input_tokens", usage.cache_write_tokens)
        .with("cache_read_input_tokens", usage.cached_input_tokens)
        .with("output_tokens", usage.output_tokens)
        .maybe("output_tokens_details", details)
}

/// Anthropic's word for a tier of service, if it has one.
pub(super) fn tier(tier: &Tier) -> Option<&'static str> {
    match tier.as_str() {
        "default" => Some(STANDARD),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

/// The tier that OpenAI calls `default`.
const STANDARD: &str = "standard";

/// The counts of one report or of several, of which a later one replaces an earlier.
#[derive(Debug, Default)]
pub(super) struct Counts {
    seen: bool,
    usage: Usage,
    tier: Option<Tier>,
}

impl Counts {
    /// Takes a report. A count that cannot be true is not taken.
    pub(super) fn report(&mut self, report: &RawValue) {
        let Ok(mut fields) = Fields::of(report, "usage") else {
            return;
        };
        let mut count = |name: &str| {
            let raw = fields.take(name)?;
            let count: Count = serde_json::from_str(raw.get()).ok()?;
            Some(count.0)
        };
        let usage = &mut self.usage;
        for (name, place) in [
            ("input_tokens", &mut usage.input_tokens),
            ("cache_read_input_tokens", &mut usage.cached_input_tokens),
            ("cache_creation_input_tokens", &mut usage.cache_write_tokens),
            ("output_tokens", &mut usage.output_tokens),
        ] {
            if let Some(count) = count(name) {
                *place = count;
                self.seen = true;
            }
        }
        let tier = fields.take("service_tier").and_then(text);
        let tier = tier.map(|name| match name.as_str() {
            STANDARD => "default".to_owned(),
            _ => name,
        });
        self.tier = tier.and_then(Tier::named).or(self.tier.take());
        let details = fields.object("output_tokens_details").ok().flatten();
        let thought = details.and_then(|mut it| it.whole("thinking_tokens").ok()?);
        if let Some(thought) = thought {
            usage.reasoning_tokens = thought.min(usage.output_tokens);
        }
    }

    pub(super) fn tier(&self) -> Option<Tier> {
        self.tier.clone()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.seen.then_some(self.usage)
    }
}
