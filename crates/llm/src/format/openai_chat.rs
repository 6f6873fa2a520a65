//! OpenAI's chat completions, `POST /v1/chat/completions`, also spoken by most other providers.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>.

use std::sync::LazyLock;

use bytes::Bytes;
use domain::{Terms, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::openai_error::Failed;
use super::{
    ErrorBody, FormatId, Opening, Passage, TokenLimit, UsageTap, WireFormat, json, usage_wish,
};
use crate::sse::Event;
use crate::tap::{
    self, BodyTap, Count, Ended, EventReader, PARTS, Shape, Slot, StreamTap, TEXT, fields,
    is_other_tier, or_zero, text,
};

mod answer;
mod dialect;
mod request;
mod stream;

/// The format; see the module.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiChat;

impl WireFormat for OpenaiChat {
    fn id(&self) -> FormatId {
        FormatId::OpenaiChat
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        let body = json(&Failed::new(error));
        format!("\n\ndata: {body}\n\n").into()
    }

    fn passage(&self, event: Event<'_>) -> Passage {
        if is_done(event) {
            return Passage::Last;
        }
        // Inside a JSON string the quotes would be escaped, so these are names of fields.
        let names = |name: &Finder<'_>| name.find(event.data).is_some();
        if !names(&FINISH_REASON) && !names(&USAGE) {
            return Passage::Part;
        }
        let Ok(progress) = serde_json::from_slice::<Progress<'_>>(event.data) else {
            return Passage::Part;
        };
        match progress.choices {
            Some(choices) if choices.is_empty() && progress.usage.is_some() => Passage::Usage,
            Some(choices) => match choices.iter().filter(|choice| choice.ended()).count() {
                0 => Passage::Part,
                ended => Passage::Ends(ended),
            },
            None => Passage::Part,
        }
    }

    fn says_end(&self) -> bool {
        true
    }

    fn opening(&self, event: Event<'_>) -> Opening {
        tap::opening(&CHUNK, self.passage(event), event)
    }

    fn with_usage(&self, body: &Bytes) -> Option<Bytes> {
        usage_wish::with_usage(body)
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(StreamTap::<Chunks>::new())
        } else {
            Box::new(BodyTap::new(read_report, &BODY).with_tier())
        }
    }

    fn probe_body(&self, model: &str, limit: TokenLimit) -> Bytes {
        let mut body = serde_json::json!({
            "model": model,
            "messages": [{"role": "user", "content": "hi"}],
        });
        body[limit.as_str()] = 1.into();
        json(&body).into()
    }
}

/// What a model generates in a message and, piece by piece, in a delta.
///
/// `content` is a list of parts with Mistral's reasoning models. Reasoning stands in `reasoning_content`
/// (DeepSeek, xAI) or `reasoning` (Groq, OpenRouter), with some servers in both.
static MESSAGE: Shape = fields(&[
    ("content", &PARTS),
    ("refusal", &TEXT),
    ("reasoning_content", &text(Slot::Reasoning)),
    ("reasoning", &text(Slot::ReasoningAgain)),
    ("tool_calls", &fields(&[("function", &FUNCTION)])),
    ("function_call", &FUNCTION),
    ("audio", &fields(&[("transcript", &TEXT)])),
]);
static FUNCTION: Shape = fields(&[("name", &TEXT), ("arguments", &TEXT)]);
static BODY: Shape = fields(&[("choices", &fields(&[("message", &MESSAGE)]))]);
static CHUNK: Shape = fields(&[("choices", &fields(&[("delta", &MESSAGE)]))]);

/// What finds a field in an event is made once, which costs more than to search an event.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static FINISH_REASON: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"\"finish_reason\""));

/// The latest report of a stream. Some providers report in each chunk, cumulatively, some in the last.
#[derive(Default)]
struct Chunks {
    latest: Option<Usage>,
    /// How much text the stream had brought when it was reported.
    at_text_bytes: u64,
    /// Whether the chunk with the report names another tier than the standard one.
    is_other_tier: bool,
    /// How many answers were said to be at their end.
    ended: u64,
    done: bool,
}

impl EventReader for Chunks {
    fn shape() -> &'static Shape {
        &CHUNK
    }

    fn event(&mut self, event: Event<'_>, text_bytes: u64) {
        // Inside a JSON string the quotes would be escaped, so this is a field's name.
        if USAGE.find(event.data).is_some() {
            self.report(event.data, text_bytes);
        }
        self.done |= is_done(event);
        if may_end(event.data)
            && let Passage::Ends(answers) = OpenaiChat.passage(event)
        {
            self.ended = self.ended.saturating_add(answers as u64);
        }
    }

    /// Not every server says `[DONE]`.
    fn ended(&self) -> Ended {
        match (self.done, self.ended) {
            (true, _) => Ended::Whole,
            (false, 0) => Ended::Unsaid,
            (false, answers) => Ended::Answers(answers),
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            is_other_tier: self.is_other_tier,
            ..Terms::default()
        }
    }

    /// A report behind which there was more text was not the last one.
    fn usage(self, text_bytes: u64) -> Option<(Usage, bool)> {
        let last = self.at_text_bytes == text_bytes;
        self.latest.map(|usage| (usage, last))
    }
}

impl Chunks {
    fn report(&mut self, json: &[u8], text_bytes: u64) {
        match serde_json::from_slice::<Chunk<'_>>(json) {
            Ok(chunk) => {
                let groq = chunk.x_groq.and_then(|groq| groq.usage);
                if let Some(report) = chunk.usage.or(groq) {
                    self.latest = read_report(report);
                    self.is_other_tier |= is_other_tier(chunk.service_tier);
                    self.at_text_bytes = text_bytes;
                }
            }
            Err(_) => self.latest = None,
        }
    }
}

/// Whether an event is the last one of a stream.
fn is_done(event: Event<'_>) -> bool {
    event.data.trim_ascii() == b"[DONE]"
}

/// Whether a chunk may say that an answer is at its end. Most have `"finish_reason": null`.
fn may_end(chunk: &[u8]) -> bool {
    FINISH_REASON.find_iter(chunk).any(|at| {
        let mut rest = chunk[at + FINISH_REASON.needle().len()..].iter();
        rest.find(|byte| !byte.is_ascii_whitespace() && **byte != b':') != Some(&b'n')
    })
}

/// How far a stream is with one chunk.
#[derive(Deserialize)]
struct Progress<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Some servers send an empty text as long as there is no reason.
    fn ended(&self) -> bool {
        self.finish_reason.is_some_and(|it| it.get() != "\"\"")
    }
}

/// One chunk of a stream.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    /// Where Groq reports, if the client did not ask for usage in the standard place.
    #[serde(borrow)]
    x_groq: Option<Groq<'a>>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Report {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached input.
    prompt_cache_hit_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    /// OpenRouter's, for providers that count writes to their cache.
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
}

/// `None` if a count cannot be true: more cached than sent, or a value that [`Count`] refuses.
fn read_report(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    let prompt = report.prompt_tokens.0;
    let completion = report.completion_tokens.0;
    let details = report.prompt_tokens_details;
    let cached = details
        .as_ref()
        .and_then(|details| details.cached_tokens)
        .or(report.prompt_cache_hit_tokens);
    let cache_write = details.and_then(|details| details.cache_write_tokens);
    let (cached, cache_write) = (or_zero(cached), or_zero(cache_write));
    let reasoning = report
        .completion_tokens_details
        .and_then(|details| details.reasoning_tokens);
    let reasoning = or_zero(reasoning);
    // xAI leaves reasoning out of the completion; its total gives it away.
    let apart = reasoning > 0
        && report.total_tokens.map(|total| total.0) == Some(prompt + completion + reasoning);
    let output = if apart {
        completion + reasoning
    } else {
        completion
    };
    if reasoning > output {
        return None;
    }
    Some(Usage {
        input_tokens: prompt.checked_sub(cached + cache_write)?,
        cached_input_tokens: cached,
        cache_write_tokens: cache_write,
        output_tokens: output,
        reasoning_tokens: reasoning,
    })
}
