//! The client reads Gemini's events, or the same as the elements of a list. A call stands in one of them, whole.

use domain::Usage;
use serde_json::value::RawValue;

use super::super::answer::{reason_of, write_usage};
use super::super::part::{write_call, write_text, write_thought};
use super::super::{GeminiGenerateContent, REPORT, logprobs};
use crate::format::WireFormat;
use crate::neutral::{Block, Call, Delta, Happening, Mishap, Object, Proof, Stop, Warnings, array};
use crate::translate::{Asked, Stamp, StreamWriter, named, with_error};

/// What stands between two elements of a list.
const BETWEEN: &str = ",\r\n";

/// The field that names what the answer left out.
const WARNINGS: &str = "keybearerWarnings";

/// What the client was told up to here.
pub(in super::super) struct Writer {
    stamp: Stamp,
    /// What stands before the next element of a list; `None`: events are wanted.
    separator: Option<&'static str>,
    id: String,
    model: String,
    open: Option<Block>,
    /// The arguments of the call that is open.
    arguments: String,
    /// The call before could not be written: it was cut off, or the answer is none.
    broken: bool,
    /// The proof of the thought that is open.
    proof: Option<Proof>,
    /// Of the words that come next.
    logprobs: Option<Box<RawValue>>,
    stop: Stop,
    usage: Option<Usage>,
    fault: Option<Mishap>,
    warnings: Warnings,
    /// What the last event says that was left out.
    left_out: Option<String>,
}

impl Writer {
    pub(in super::super) fn new(asked: Asked, stamp: Stamp) -> Self {
        Self {
            stamp,
            separator: asked.listed.then_some("["),
            id: String::new(),
            model: String::new(),
            open: None,
            arguments: String::new(),
            broken: false,
            proof: None,
            logprobs: None,
            stop: Stop::End,
            usage: None,
            fault: None,
            warnings: Warnings::default(),
            left_out: None,
        }
    }

    /// Adds an event with this part. `stop`: it is the last.
    fn event(&mut self, part: Object, stop: Option<&Stop>, out: &mut String) {
        let content = Object::new()
            .with("parts", array([part]))
            .with("role", "model");
        let result = self.logprobs.take();
        let result = result.as_deref().and_then(logprobs::write);
        let candidate = Object::new()
            .with("content", content)
            .maybe("finishReason", stop.map(reason_of))
            .with("index", 0_u64)
            .maybe("logprobsResult", result);
        let usage = self.usage.as_ref().filter(|_| stop.is_some());
        let event = Object::new()
            .with("candidates", array([candidate]))
            .maybe(REPORT, usage.map(write_usage))
            .maybe("modelVersion", self.begun().then_some(&self.model))
            .maybe("responseId", self.begun().then_some(&self.id))
            .maybe(
                WARNINGS,
                self.left_out.as_deref().filter(|_| stop.is_some()),
            );
        let (before, behind) = match self.separator {
            Some(separator) if stop.is_some() => (separator, "]"),
            Some(separator) => (separator, ""),
            None => ("data: ", "\n\n"),
        };
        for text in [before, &event.line(), behind] {
            out.push_str(text);
        }
        self.separator = self.separator.map(|_| BETWEEN);
    }

    /// Whether the answer has a name. Signs of life may come before.
    fn begun(&self) -> bool {
        !self.id.is_empty()
    }

    /// Adds an error, which is the last.
    fn error(&self, mishap: &Mishap, out: &mut String) {
        let format = &GeminiGenerateContent;
        let error = with_error(mishap, &self.stamp, |it| match self.separator {
            Some(_) => format.error(it),
            None => format.stream_error(it),
        });
        let error = String::from_utf8_lossy(&error);
        let end = self.separator.map_or("", |_| "]");
        for text in [self.separator.unwrap_or_default(), &error, end] {
            out.push_str(text);
        }
    }

    fn delta(&mut self, delta: Delta) -> Option<Object> {
        match (delta, self.open.as_ref()?) {
            (Delta::Text(text), Block::Text | Block::Refusal) => Some(write_text(&text, None)),
            (Delta::Text(text), Block::Thinking) => Some(write_thought(&text, None)),
            (Delta::Text(text), Block::Call { .. }) => {
                self.arguments.push_str(&text);
                None
            }
            (Delta::Proof(proof), _) => {
                let before = self.proof.take();
                self.proof = Some(proof.behind(before));
                None
            }
            // Grounding counts bytes of a text that is gone.
            (Delta::Citation(_), _) => {
                self.warnings.dropped("citations");
                None
            }
            (Delta::Logprobs(logprobs), _) => {
                self.logprobs = Some(logprobs);
                None
            }
        }
    }

    fn close(&mut self) -> Option<Object> {
        match self.open.take()? {
            Block::Text | Block::Refusal => None,
            Block::Thinking => match self.proof.take()? {
                Proof::Thought(signature) => Some(write_text("", Some(&signature))),
                proof => Some(write_thought("", Some(&proof))),
            },
            Block::Call { id, name } => {
                let arguments = std::mem::take(&mut self.arguments);
                let call = write_call(
                    &Call {
                        id,
                        name,
                        arguments,
                    },
                    None,
                );
                self.broken = call.is_none();
                call
            }
        }
    }

    /// A call that could not be written is the last of an answer that became too long. Anywhere else it is a fault.
    fn judge(&mut self, cut: bool) {
        let broken = std::mem::take(&mut self.broken);
        if broken && cut {
            self.warnings.dropped("tool_calls");
        } else if broken {
            self.fault = Some(Mishap {
                status: 502,
                code: Some("upstream_invalid_response".to_owned()),
                message: "the arguments of a call are no JSON object".to_owned(),
            });
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, happening: Happening, out: &mut String) {
        let part = match happening {
            Happening::Start { id, model, .. } => {
                self.id = named("", id.as_deref(), &self.stamp);
                self.model = model;
                None
            }
            // Some of the format's clients take every line for JSON, comments too (google-genai 2 for Python), others stumble
            // over blank lines (Firebase's), and all know an event without words.
            Happening::Ping => Some(write_text("", None)),
            Happening::Open(block) => {
                self.judge(false);
                self.open = Some(block);
                None
            }
            Happening::Delta(delta) => self.delta(delta),
            Happening::Close => self.close(),
            Happening::Stop(stop) => {
                self.judge(stop == Stop::Length);
                self.stop = stop;
                None
            }
            Happening::Usage(usage) => {
                self.usage = Some(usage);
                None
            }
            Happening::Tier(_) => None,
            Happening::End => {
                let stop = std::mem::take(&mut self.stop);
                self.event(write_text("", None), Some(&stop), out);
                None
            }
            Happening::Failed(mishap) => {
                self.error(&mishap, out);
                None
            }
        };
        if let Some(part) = part {
            self.event(part, None, out);
        }
    }

    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }

    /// In a field of the last event, as its clients stumble over comments and pass over fields.
    fn warn(&mut self, warnings: &Warnings, _out: &mut String) {
        self.left_out = Some(warnings.to_string());
    }

    fn fault(&self) -> Option<Mishap> {
        self.fault.clone()
    }

    fn kept_bytes(&self) -> usize {
        let logprobs = self.logprobs.as_ref().map_or(0, |it| it.get().len());
        let proof = self.proof.as_ref().map_or(0, Proof::bytes);
        self.arguments.len() + proof + logprobs
    }
}
