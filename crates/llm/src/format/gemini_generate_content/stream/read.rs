//! The provider sends Gemini's events, each an answer of its own with what is new.

use domain::Usage;
use serde_json::value::RawValue;

use super::super::answer::{Said, is_blocked, is_usual, reason, said, stop_of};
use super::super::{REPORT, logprobs, read_report};
use crate::neutral::{Block, Call, Delta, Fields, Happening, Mishap, Proof, Stop, Warnings};
use crate::sse::Event;
use crate::translate::{Choices, StreamReader, call_name, mishap_of_event};

/// What the events have told up to here.
pub(in super::super) struct Reader {
    id: Option<String>,
    begun: bool,
    choices: Choices<Choice>,
    usage: Option<Usage>,
    warnings: Warnings,
    over: bool,
}

/// What the events have told of one candidate.
#[derive(Default)]
struct Choice {
    open: Option<Open>,
    /// How many calls there were.
    calls: u64,
    stop: Option<Stop>,
}

/// The block that is open. Calls come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

impl StreamReader for Reader {
    fn event(&mut self, event: Event<'_>, happened: &mut Vec<Happening>) {
        if self.over {
            return;
        }
        let mishap = mishap_of_event(event.data);
        let failed = mishap.or_else(|| match self.chunk(event.data, happened) {
            Some(()) => None,
            None => Some(unreadable()),
        });
        if let Some(mishap) = failed {
            self.fail(mishap, happened);
        }
    }

    /// The end of the stream is the end of the answer, if it was said why.
    fn finish(&mut self, happened: &mut Vec<Happening>) {
        let ended = self.choices.iter().all(|it| it.stop.is_some());
        if self.over || self.choices.is_empty() || !ended {
            return;
        }
        self.choices.each(happened, |choice, happened| {
            choice.close(happened);
            happened.extend(choice.stop.take().map(Happening::Stop));
        });
        happened.extend(self.usage.map(Happening::Usage));
        happened.push(Happening::End);
        self.over = true;
    }

    fn warnings(&self) -> &Warnings {
        &self.warnings
    }
}

impl Reader {
    pub(in super::super) fn new(answers: u64) -> Self {
        Self {
            id: None,
            begun: false,
            choices: Choices::new(answers),
            usage: None,
            warnings: Warnings::default(),
            over: false,
        }
    }

    /// `None`: it cannot be read, or holds what has no counterpart.
    fn chunk(&mut self, data: &[u8], happened: &mut Vec<Happening>) -> Option<()> {
        let raw: &RawValue = serde_json::from_slice(data).ok()?;
        let mut fields = Fields::of(raw, "").ok()?;
        self.usage = fields.take(REPORT).and_then(read_report).or(self.usage);
        if !self.begun {
            self.begun = true;
            self.id = fields.text("responseId").ok()?;
            happened.push(Happening::Start {
                id: self.id.clone(),
                model: fields.text("modelVersion").ok()?.unwrap_or_default(),
                created_s: None,
                usage: self.usage,
            });
        }
        if is_blocked(&mut fields, &mut self.warnings).ok()? {
            self.choices.turn_to(0, happened)?.stop = Some(Stop::Refusal);
        }
        let candidates = fields.list("candidates").ok()?.unwrap_or_default();
        fields.leave_said(is_usual, &mut self.warnings);
        for raw in candidates {
            let mut candidate = Fields::of(raw, "candidates").ok()?;
            let number = candidate.whole("index").ok()?.unwrap_or(0);
            let Some(choice) = self.choices.turn_to(number, happened) else {
                self.warnings.dropped("choices");
                continue;
            };
            let id = self.id.as_deref();
            let taken = choice.take(candidate, id, &mut self.warnings, happened)?;
            if let Err(mishap) = taken {
                self.fail(mishap, happened);
                break;
            }
        }
        Some(())
    }

    fn fail(&mut self, mishap: Mishap, happened: &mut Vec<Happening>) {
        if !std::mem::replace(&mut self.over, true) {
            happened.push(Happening::Failed(mishap));
        }
    }
}

impl Choice {
    /// Takes what an event says of it. `answer`: the id of the whole. `Err`: it is no answer.
    fn take(
        &mut self,
        mut candidate: Fields<'_>,
        answer: Option<&str>,
        warnings: &mut Warnings,
        happened: &mut Vec<Happening>,
    ) -> Option<Result<(), Mishap>> {
        let result = candidate.take("logprobsResult");
        let mut logprobs = result.and_then(logprobs::read);
        if result.is_some() && logprobs.is_none() {
            warnings.dropped("logprobs");
        }
        if let Some(mut content) = candidate.object("content").ok()? {
            let parts = content.list("parts").ok()?.unwrap_or_default();
            content.leave_said(is_usual, warnings);
            for raw in parts {
                for said in said(raw, warnings).ok()? {
                    match said {
                        Said::Thought(text, proof) => self.think(text, proof, happened),
                        Said::Text(text) => {
                            self.open(Open::Text, Block::Text, happened);
                            // Once: for each part they would grow out of all proportion to the event.
                            let logprobs = logprobs.take().map(Delta::Logprobs);
                            happened.extend(logprobs.map(Happening::Delta));
                            happened.push(Happening::Delta(Delta::Text(text)));
                        }
                        Said::Call(call) => self.call(call, answer, happened),
                    }
                }
            }
        }
        // Of words that came before.
        if self.open == Some(Open::Text) {
            happened.extend(logprobs.map(|it| Happening::Delta(Delta::Logprobs(it))));
        }
        let mut outcome = Ok(());
        if let Some(reason) = reason(&mut candidate).ok()? {
            match stop_of(&reason, self.calls > 0) {
                Ok(stop) => self.stop = Some(stop),
                Err(mishap) => outcome = Err(mishap),
            }
        }
        // Where in the text the pages of its grounding belong cannot be told of an event: it counts from the text's beginning.
        candidate.leave_said(is_usual, warnings);
        Some(outcome)
    }

    fn think(&mut self, text: String, proof: Option<Proof>, happened: &mut Vec<Happening>) {
        if text.is_empty() && proof.is_none() {
            return;
        }
        self.open(Open::Thinking, Block::Thinking, happened);
        if !text.is_empty() {
            happened.push(Happening::Delta(Delta::Text(text)));
        }
        if let Some(proof) = proof {
            happened.push(Happening::Delta(Delta::Proof(proof)));
            // What is thought afterwards has a proof of its own.
            self.close(happened);
        }
    }

    fn call(&mut self, call: Call, answer: Option<&str>, happened: &mut Vec<Happening>) {
        self.close(happened);
        let id = match call.id.is_empty() {
            true => call_name(answer, self.calls),
            false => call.id,
        };
        self.calls += 1;
        let name = call.name;
        happened.push(Happening::Open(Block::Call { id, name }));
        happened.push(Happening::Delta(Delta::Text(call.arguments)));
        happened.push(Happening::Close);
    }

    /// Opens this block unless it is open.
    fn open(&mut self, open: Open, block: Block, happened: &mut Vec<Happening>) {
        if self.open == Some(open) {
            return;
        }
        self.close(happened);
        self.open = Some(open);
        happened.push(Happening::Open(block));
    }

    fn close(&mut self, happened: &mut Vec<Happening>) {
        if self.open.take().is_some() {
            happened.push(Happening::Close);
        }
    }
}

fn unreadable() -> Mishap {
    Mishap {
        status: 502,
        code: Some("upstream_invalid_response".to_owned()),
        message: "an event cannot be read".to_owned(),
    }
}
