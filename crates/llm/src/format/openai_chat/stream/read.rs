//! The provider sends chunks.

use domain::Usage;
use serde_json::value::RawValue;

use super::super::answer::{citations, is_usual, left_of_logprobs, stop_of, texts, tier};
use super::super::read_report;
use super::calls::{Calls, Piece};
use crate::neutral::{Block, Delta, Fields, Happening, Mishap, Stop, Warnings, text};
use crate::sse::Event;
use crate::translate::{Choices, StreamReader, mishap_of_event};

/// What the chunks have told up to here.
pub(in super::super) struct Reader {
    id: Option<String>,
    begun: bool,
    choices: Choices<Choice>,
    usage: Option<Usage>,
    warnings: Warnings,
    over: bool,
}

/// What the chunks have told of one choice.
#[derive(Default)]
struct Choice {
    open: Option<Open>,
    calls: Calls,
    stop: Option<Stop>,
}

/// The block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Thinking,
    /// The first call that was not told to its end.
    Call,
}

impl StreamReader for Reader {
    fn event(&mut self, event: Event<'_>, happened: &mut Vec<Happening>) {
        if event.data.trim_ascii() == b"[DONE]" {
            // Some servers do not say why the answer ended, only that it did.
            if self.begun && self.choices.is_empty() {
                self.choices.turn_to(0, happened);
            }
            for choice in self.choices.iter_mut() {
                choice.stop.get_or_insert(match choice.calls.is_empty() {
                    true => Stop::End,
                    false => Stop::Tools,
                });
            }
            return self.finish(happened);
        }
        if self.over {
            return;
        }
        if let Some(mishap) = mishap_of_event(event.data) {
            return self.fail(mishap, happened);
        }
        if self.chunk(event.data, happened).is_none() {
            self.fail(unreadable(), happened);
        }
    }

    /// Servers that leave `[DONE]` out have said why the answer ended.
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

    fn kept_bytes(&self) -> usize {
        let choices = self.choices.iter();
        choices.map(|it| it.calls.kept_bytes()).sum()
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

    /// `None`: it is no chunk.
    fn chunk(&mut self, data: &[u8], happened: &mut Vec<Happening>) -> Option<()> {
        let raw: &RawValue = serde_json::from_slice(data).ok()?;
        let mut fields = Fields::of(raw, "").ok()?;
        if !self.begun {
            self.begun = true;
            self.id = fields.text("id").ok()?;
            let created = fields.whole("created").ok().flatten();
            happened.extend(tier(&mut fields).map(Happening::Tier));
            happened.push(Happening::Start {
                id: self.id.clone(),
                model: fields.text("model").ok()?.unwrap_or_default(),
                created_s: created.and_then(|it| i64::try_from(it).ok()),
                usage: None,
            });
        }
        // Where Groq reports.
        let groq = fields.object("x_groq").ok().flatten();
        let groq = groq.and_then(|mut groq| groq.take("usage"));
        if let Some(report) = fields.take("usage").or(groq) {
            self.usage = read_report(report).or(self.usage);
            // Servers that do not know it before say it at the end.
            happened.extend(tier(&mut fields).map(Happening::Tier));
        }
        let choices = fields.list("choices").ok()?.unwrap_or_default();
        fields.leave_said(is_usual, &mut self.warnings);
        for raw in choices {
            let mut choice = Fields::of(raw, "choices").ok()?;
            let number = choice.whole("index").ok()?.unwrap_or(0);
            let Some(known) = self.choices.turn_to(number, happened) else {
                self.warnings.dropped("choices");
                continue;
            };
            let id = self.id.as_deref();
            known.take(choice, id, &mut self.warnings, happened)?;
        }
        Some(())
    }

    fn fail(&mut self, mishap: Mishap, happened: &mut Vec<Happening>) {
        self.over = true;
        happened.push(Happening::Failed(mishap));
    }
}

impl Choice {
    /// Takes what a chunk says of it. `answer`: the id of the whole.
    fn take(
        &mut self,
        mut choice: Fields<'_>,
        answer: Option<&str>,
        warnings: &mut Warnings,
        happened: &mut Vec<Happening>,
    ) -> Option<()> {
        let mut logprobs = None;
        if let Some(mut given) = choice.object("logprobs").ok()? {
            logprobs = given.take("content");
            left_of_logprobs(given, warnings);
        }
        if let Some(mut delta) = choice.object("delta").ok()? {
            let thought = delta.take("reasoning_content").and_then(text);
            let again = delta.take("reasoning").and_then(text);
            if let Some(text) = thought.or(again) {
                self.say(Open::Thinking, text, happened);
            }
            let content = delta.take("content");
            let said = content.map(|it| texts(it, warnings));
            for (is_thinking, text) in said.unwrap_or_default() {
                let open = if is_thinking {
                    Open::Thinking
                } else {
                    Open::Text
                };
                // Once: for each part they would grow out of all proportion to the event.
                if !is_thinking && let Some(logprobs) = logprobs.take() {
                    self.open(open, Block::Text, happened);
                    happened.push(Happening::Delta(Delta::Logprobs(logprobs.to_owned())));
                }
                self.say(open, text, happened);
            }
            // They stand behind the words that cite.
            if let Some(annotations) = delta.take("annotations") {
                for citation in citations(annotations, warnings) {
                    // The calls of an answer come behind all of its text.
                    if self.open == Some(Open::Call) {
                        warnings.dropped("annotations");
                        continue;
                    }
                    self.open(Open::Text, Block::Text, happened);
                    happened.push(Happening::Delta(Delta::Citation(citation)));
                }
            }
            if let Some(text) = delta.text("refusal").ok()? {
                self.say(Open::Refusal, text, happened);
            }
            for raw in delta.list("tool_calls").ok()?.unwrap_or_default() {
                let piece = Piece::of(Fields::of(raw, "choices").ok()?, warnings)?;
                self.call(&piece, answer, happened)?;
            }
            delta.leave_said(is_usual, warnings);
        }
        // Some servers send an empty text as long as there is no reason.
        let reason = choice.text("finish_reason").ok()?;
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            self.stop = Some(stop_of(&reason));
        }
        choice.leave_said(is_usual, warnings);
        Some(())
    }

    fn say(&mut self, open: Open, text: String, happened: &mut Vec<Happening>) {
        if text.is_empty() {
            return;
        }
        let block = match open {
            Open::Thinking => Block::Thinking,
            Open::Refusal => Block::Refusal,
            Open::Text | Open::Call => Block::Text,
        };
        self.open(open, block, happened);
        happened.push(Happening::Delta(Delta::Text(text)));
    }

    fn call(
        &mut self,
        piece: &Piece,
        answer: Option<&str>,
        happened: &mut Vec<Happening>,
    ) -> Option<()> {
        if self.open != Some(Open::Call) && self.calls.begins(piece) {
            self.close(happened);
        }
        self.calls.take(piece, answer, happened)?;
        if self.calls.is_open() {
            self.open = Some(Open::Call);
        }
        Some(())
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
        match self.open.take() {
            Some(Open::Call) => self.calls.close(happened),
            Some(_) => happened.push(Happening::Close),
            None => {}
        }
    }
}

fn unreadable() -> Mishap {
    Mishap {
        status: 502,
        code: Some("upstream_invalid_response".to_owned()),
        message: "a chunk cannot be read".to_owned(),
    }
}
