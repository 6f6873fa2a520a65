//! Gemini's content, `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens`.
//!
//! Source: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/tokens>.

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::gemini_error::Failed;
use super::{ErrorBody, FormatId, Opening, Passage, TokenLimit, UsageTap, WireFormat, json};
use crate::sse::Event;
use crate::surcharge;
use crate::tap::{
    self, BodyTap, Count, Ended, EventReader, JSON, Shape, StreamTap, TEXT, fields, or_zero,
};

mod answer;
mod dialect;
mod grounding;
mod logprobs;
mod part;
mod request;
mod stream;

/// The format; see the module. A stream is one of events (`alt=sse`), or a list of bodies that comes piece by piece.
#[derive(Debug, Clone, Copy)]
pub struct GeminiGenerateContent;

/// The field with the report.
pub(super) const REPORT: &str = "usageMetadata";

impl WireFormat for GeminiGenerateContent {
    fn id(&self) -> FormatId {
        FormatId::GeminiGenerateContent
    }

    fn action(&self) -> Option<&'static str> {
        Some("generateContent")
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        json(&Failed::new(error)).into()
    }

    fn stream_error(&self, error: &ErrorBody<'_>) -> Bytes {
        let body = json(&Failed::new(error));
        format!("\n\ndata: {body}\n\n").into()
    }

    fn passage(&self, event: Event<'_>) -> Passage {
        match chunk(event) {
            Ok(Some(chunk)) => chunk.passage(),
            Ok(None) | Err(_) => Passage::Part,
        }
    }

    fn says_end(&self) -> bool {
        true
    }

    fn opening(&self, event: Event<'_>) -> Opening {
        // A picture is no text, and yet the answer.
        if memchr::memmem::find(event.data, b"\"inlineData\"").is_some() {
            return Opening::Output;
        }
        tap::opening(&BODY, self.passage(event), event)
    }

    fn surcharge(&self, body: &[u8]) -> Option<&'static str> {
        surcharge::find_gemini(body)
    }

    fn usage_tap(&self, streamed: bool) -> Box<dyn UsageTap> {
        if streamed {
            Box::new(StreamTap::<Chunks>::new())
        } else {
            Box::new(BodyTap::of_list(REPORT, read_report, &BODY))
        }
    }

    /// The format has one name for the limit, so `limit` changes nothing; the path names the model.
    fn probe_body(&self, _model: &str, _limit: TokenLimit) -> Bytes {
        json(&serde_json::json!({
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 1},
        }))
        .into()
    }
}

/// What a model generates in a part: text (thoughts too), calls and code. Its results are the provider's.
static PART: Shape = fields(&[
    ("text", &TEXT),
    ("functionCall", &fields(&[("name", &TEXT), ("args", &JSON)])),
    ("executableCode", &fields(&[("code", &TEXT)])),
]);
static BODY: Shape = fields(&[(
    "candidates",
    &fields(&[("content", &fields(&[("parts", &PART)]))]),
)]);

/// The latest report of a stream. Each is cumulative.
#[derive(Default)]
struct Chunks {
    latest: Option<Usage>,
    /// How much text the stream had brought when it was reported.
    at_text_bytes: u64,
    /// What was said of answers' ends.
    ended: Ended,
}

impl EventReader for Chunks {
    fn shape() -> &'static Shape {
        &BODY
    }

    fn event(&mut self, event: Event<'_>, text_bytes: u64) {
        match chunk(event) {
            Ok(Some(chunk)) => {
                self.ended = match (chunk.passage(), self.ended) {
                    (Passage::Last, _) | (_, Ended::Whole) => Ended::Whole,
                    (Passage::Ends(more), Ended::Answers(so_far)) => {
                        Ended::Answers(so_far.saturating_add(more as u64))
                    }
                    (Passage::Ends(first), _) => Ended::Answers(first as u64),
                    (_, so_far) => so_far,
                };
                if let Some(report) = chunk.usage {
                    self.latest = read_report(report);
                    self.at_text_bytes = text_bytes;
                }
            }
            Ok(None) => {}
            Err(_) => self.latest = None,
        }
    }

    fn ended(&self) -> Ended {
        self.ended
    }

    /// Every chunk reports, so what was reported before an answer's end is not the last word, nor what more text followed.
    fn usage(self, text_bytes: u64) -> Option<(Usage, bool)> {
        let last = self.ended != Ended::Unsaid && self.at_text_bytes == text_bytes;
        self.latest.map(|usage| (usage, last))
    }
}

/// One chunk of a stream.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, rename = "promptFeedback")]
    feedback: Option<Feedback<'a>>,
    #[serde(borrow, rename = "usageMetadata")]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Candidate<'a> {
    #[serde(borrow, rename = "finishReason")]
    finish: Option<&'a RawValue>,
}

/// What is said of a prompt that got no answer.
#[derive(Deserialize)]
struct Feedback<'a> {
    #[serde(borrow, rename = "blockReason")]
    block: Option<&'a RawValue>,
}

/// `None`: an event without anything that matters here.
fn chunk(event: Event<'_>) -> serde_json::Result<Option<Chunk<'_>>> {
    // Inside a JSON string the quotes would be escaped, so these are names of fields.
    let names = |name: &[u8]| memchr::memmem::find(event.data, name).is_some();
    if !names(b"\"usageMetadata\"") && !names(b"\"finishReason\"") && !names(b"\"blockReason\"") {
        return Ok(None);
    }
    serde_json::from_slice(event.data).map(Some)
}

impl Chunk<'_> {
    fn passage(&self) -> Passage {
        let said = |reason: Option<&RawValue>| {
            reason.is_some_and(|it| !it.get().ends_with("REASON_UNSPECIFIED\""))
        };
        if self.feedback.as_ref().is_some_and(|it| said(it.block)) {
            return Passage::Last;
        }
        let candidates = self.candidates.as_deref().unwrap_or_default();
        match candidates.iter().filter(|it| said(it.finish)).count() {
            0 => Passage::Part,
            ended => Passage::Ends(ended),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Cached input is a part of it.
    prompt_token_count: Count,
    cached_content_token_count: Option<Count>,
    /// What the results of the provider's own tools added to the input.
    tool_use_prompt_token_count: Option<Count>,
    candidates_token_count: Option<Count>,
    thoughts_token_count: Option<Count>,
    total_token_count: Option<Count>,
}

/// `None` if a count cannot be true: more cached than sent, or a value that [`Count`] refuses.
pub(super) fn read_report(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    let prompt = report.prompt_token_count.0;
    let cached = or_zero(report.cached_content_token_count);
    let tools = or_zero(report.tool_use_prompt_token_count);
    let candidates = or_zero(report.candidates_token_count);
    let thoughts = or_zero(report.thoughts_token_count);
    // Thoughts stand beside the candidates' tokens; where they are a part of them, the total gives it away.
    let total = report.total_token_count.map(|total| total.0);
    let within = thoughts > 0 && total == Some(prompt + tools + candidates);
    let output = if within {
        candidates
    } else {
        candidates + thoughts
    };
    if thoughts > output {
        return None;
    }
    Some(Usage {
        input_tokens: prompt.checked_sub(cached)? + tools,
        cached_input_tokens: cached,
        cache_write_tokens: 0,
        output_tokens: output,
        reasoning_tokens: thoughts,
    })
}
