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
    /// The candidate that is being told, and its number.
    choice: Choice,
    number: u64,
    /// The others that have begun.
    others: Vec<(u64, Choice)>,
    usage: Option<Usage>,
    fault: Option<Mishap>,
    warnings: Warnings,
    /// What the last event says that was left out.
    left_out: Option<String>,
}

/// What the client was told of one candidate.
#[derive(Default)]
struct Choice {
    open: Option<Block>,
    /// The arguments of the call that is open.
    arguments: String,
    /// The call before could not be written: it was cut off, or the answer is none.
    broken: bool,
    /// The proof of the thought that is open.
    proof: Option<Proof>,
    /// Of the words that come next.
    logprobs: Option<Box<RawValue>>,
    /// Told in its last event. `None`: nothing was said of its end.
    stop: Option<Stop>,
}

impl Writer {
    pub(in super::super) fn new(asked: Asked, stamp: Stamp) -> Self {
        Self {
            stamp,
            separator: asked.listed.then_some("["),
            id: String::new(),
            model: String::new(),
            choice: Choice::default(),
            number: 0,
            others: Vec::new(),
            usage: None,
            fault: None,
            warnings: Warnings::default(),
            left_out: None,
        }
    }

    /// Adds an event with this part. `stop`: it is the last of its candidate. `last`: and of all.
    fn event(&mut self, part: Object, stop: Option<&Stop>, last: bool, out: &mut String) {
        let content = Object::new()
            .with("parts", array([part]))
            .with("role", "model");
        let result = self.choice.logprobs.take();
        let result = result.as_deref().and_then(logprobs::write);
        let candidate = Object::new()
            .with("content", content)
            .maybe("finishReason", stop.map(reason_of))
            .with("index", self.number)
            .maybe("logprobsResult", result);
        let usage = self.usage.as_ref().filter(|_| last);
        let event = Object::new()
            .with("candidates", array([candidate]))
            .maybe(REPORT, usage.map(write_usage))
            .maybe("modelVersion", self.begun().then_some(&self.model))
            .maybe("responseId", self.begun().then_some(&self.id))
            .maybe(WARNINGS, self.left_out.as_deref().filter(|_| last));
        let (before, behind) = match self.separator {
            Some(separator) if last => (separator, "]"),
            Some(separator) => (separator, ""),
            None => ("data: ", "\n\n"),
        };
        for text in [before, &event.line(), behind] {
            out.push_str(text);
        }
        self.separator = self.separator.map(|_| BETWEEN);
    }

    /// Goes on with another candidate.
    fn turn_to(&mut self, number: u64) {
        let found = self.others.iter().position(|(it, _)| *it == number);
        let next = found.map(|at| self.others.swap_remove(at).1);
        let before = std::mem::replace(&mut self.choice, next.unwrap_or_default());
        let number = std::mem::replace(&mut self.number, number);
        self.others.push((number, before));
    }

    /// The last event of each candidate that the provider told of; of the first one where it told of none.
    fn end(&mut self, out: &mut String) {
        let others = self.others.iter().map(|(number, it)| (*number, it));
        let all = others.chain([(self.number, &self.choice)]);
        let told = all.filter(|(_, it)| it.stop.is_some());
        let mut numbers: Vec<u64> = told.map(|(number, _)| number).collect();
        if numbers.is_empty() {
            numbers.push(self.number);
        }
        numbers.sort_unstable();
        let last = numbers.last().copied();
        for number in numbers {
            if number != self.number {
                self.turn_to(number);
            }
            let stop = self.choice.stop.take().unwrap_or_default();
            self.event(write_text("", None), Some(&stop), Some(number) == last, out);
        }
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
        match (delta, self.choice.open.as_ref()?) {
            (Delta::Text(text), Block::Text | Block::Refusal) => Some(write_text(&text, None)),
            (Delta::Text(text), Block::Thinking) => Some(write_thought(&text, None)),
            (Delta::Text(text), Block::Call { .. }) => {
                self.choice.arguments.push_str(&text);
                None
            }
            (Delta::Proof(proof), _) => {
                let before = self.choice.proof.take();
                self.choice.proof = Some(proof.behind(before));
                None
            }
            // Grounding counts bytes of a text that is gone.
            (Delta::Citation(_), _) => {
                self.warnings.dropped("citations");
                None
            }
            (Delta::Logprobs(logprobs), _) => {
                self.choice.logprobs = Some(logprobs);
                None
            }
        }
    }

    fn close(&mut self) -> Option<Object> {
        match self.choice.open.take()? {
            Block::Text | Block::Refusal => None,
            Block::Thinking => match self.choice.proof.take()? {
                Proof::Thought(signature) => Some(write_text("", Some(&signature))),
                proof => Some(write_thought("", Some(&proof))),
            },
            Block::Call { id, name } => {
                let arguments = std::mem::take(&mut self.choice.arguments);
                let call = write_call(
                    &Call {
                        id,
                        name,
                        arguments,
                    },
                    None,
                );
                self.choice.broken = call.is_none();
                call
            }
        }
    }

    /// A call that could not be written is the last of an answer that became too long. Anywhere else it is a fault.
    fn judge(&mut self, cut: bool) {
        let broken = std::mem::take(&mut self.choice.broken);
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
                self.choice.open = Some(block);
                None
            }
            Happening::Delta(delta) => self.delta(delta),
            Happening::Close => self.close(),
            Happening::Choice(number) => {
                self.turn_to(number);
                None
            }
            Happening::Stop(stop) => {
                self.judge(stop == Stop::Length);
                self.choice.stop = Some(stop);
                None
            }
            Happening::Usage(usage) => {
                self.usage = Some(usage);
                None
            }
            Happening::Tier(_) => None,
            Happening::End => {
                self.end(out);
                None
            }
            Happening::Failed(mishap) => {
                self.error(&mishap, out);
                None
            }
        };
        if let Some(part) = part {
            self.event(part, None, false, out);
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
        let others = self.others.iter().map(|(_, it)| it.kept_bytes());
        self.choice.kept_bytes() + others.sum::<usize>()
    }
}

impl Choice {
    fn kept_bytes(&self) -> usize {
        let logprobs = self.logprobs.as_ref().map_or(0, |it| it.get().len());
        let proof = self.proof.as_ref().map_or(0, Proof::bytes);
        self.arguments.len() + proof + logprobs
    }
}
