//! The provider sends the events of responses.

use serde_json::value::RawValue;

use super::super::answer::{citation, is_usual, is_usual_within, stop_at_end, tier};
use super::super::{item, read_report};
use crate::neutral::{Block, Delta, Fields, Happening, Mishap, Warnings};
use crate::sse::Event;
use crate::translate::{StreamReader, mishap_of, mishap_of_event};

/// What the events have told up to here.
#[derive(Default)]
pub(in super::super) struct Reader {
    open: Option<Block>,
    /// Whether more than its beginning came of the block that is open.
    filled: bool,
    /// How many characters of text came before the block that is open, and with it.
    chars_before: u64,
    chars: u64,
    calls: bool,
    refuses: bool,
    warnings: Warnings,
    over: bool,
}

impl StreamReader for Reader {
    fn event(&mut self, event: Event<'_>, happened: &mut Vec<Happening>) {
        if self.over {
            return;
        }
        if self.step(event.data, happened).is_none() {
            let unreadable = || Mishap {
                status: 502,
                code: Some("upstream_invalid_response".to_owned()),
                message: "an event cannot be read".to_owned(),
            };
            let mishap = mishap_of_event(event.data).unwrap_or_else(unreadable);
            self.fail(mishap, happened);
        }
    }

    /// Without its last event a response is not whole.
    fn finish(&mut self, _happened: &mut Vec<Happening>) {}

    fn warnings(&self) -> &Warnings {
        &self.warnings
    }
}

impl Reader {
    /// `None`: the event cannot be read, or is an error.
    fn step(&mut self, data: &[u8], happened: &mut Vec<Happening>) -> Option<()> {
        let raw: &RawValue = serde_json::from_slice(data).ok()?;
        let mut fields = Fields::of(raw, "").ok()?;
        match fields.kind().ok()?.as_str() {
            "response.created" => {
                let mut response = fields.object("response").ok()??;
                let created = response.take("created_at").map(RawValue::get);
                // Some servers write it as a decimal number.
                let created = created.and_then(|it| it.split('.').next()?.parse().ok());
                happened.extend(tier(&mut response).map(Happening::Tier));
                happened.push(Happening::Start {
                    id: response.text("id").ok()?,
                    model: response.text("model").ok()?.unwrap_or_default(),
                    created_s: created,
                    usage: None,
                });
            }
            "response.output_item.added" => {
                let mut item = fields.object("item").ok()??;
                match item.kind().ok()?.as_str() {
                    "function_call" => {
                        let call = item::call(&mut item).ok()?;
                        let (id, name) = (call.id, call.name);
                        self.open(Block::Call { id, name }, happened);
                    }
                    "reasoning" => self.open(Block::Thinking, happened),
                    _ => self.close(happened),
                }
            }
            "response.content_part.added" => {
                let mut part = fields.object("part").ok()??;
                match part.kind().ok()?.as_str() {
                    "output_text" => self.open(Block::Text, happened),
                    "refusal" => self.open(Block::Refusal, happened),
                    // Thoughts, whose words come by events of their own.
                    "reasoning_text" | "summary_text" => {}
                    kind => self.warnings.dropped(kind),
                }
            }
            "response.output_text.delta" => {
                if self.open != Some(Block::Text) {
                    self.open(Block::Text, happened);
                }
                let logprobs = fields.take("logprobs").filter(|it| it.get() != "[]");
                let logprobs = logprobs.map(|it| Delta::Logprobs(it.to_owned()));
                happened.extend(logprobs.map(Happening::Delta));
                self.say(fields.text("delta").ok()?, happened);
            }
            "response.output_text.annotation.added" => {
                let annotation = fields.take("annotation");
                let before = self.chars_before;
                let cited = annotation.and_then(|it| citation(it, before, &mut self.warnings));
                let cited = cited.map(|it| Happening::Delta(Delta::Citation(it)));
                match self.open {
                    Some(Block::Text) => happened.extend(cited),
                    _ if cited.is_some() => self.warnings.dropped("annotations"),
                    _ => {}
                }
            }
            "response.refusal.delta" => {
                if self.open != Some(Block::Refusal) {
                    self.open(Block::Refusal, happened);
                }
                self.say(fields.text("delta").ok()?, happened);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if self.open != Some(Block::Thinking) {
                    self.open(Block::Thinking, happened);
                }
                self.say(fields.text("delta").ok()?, happened);
            }
            // Paragraphs of one summary.
            "response.reasoning_summary_part.added"
                if self.filled && self.open == Some(Block::Thinking) =>
            {
                self.say(Some("\n\n".to_owned()), happened);
            }
            "response.function_call_arguments.delta" => {
                if matches!(self.open, Some(Block::Call { .. })) {
                    self.say(fields.text("delta").ok()?, happened);
                }
            }
            "response.content_part.done" => {
                if matches!(self.open, Some(Block::Text | Block::Refusal)) {
                    self.close(happened);
                }
            }
            "response.output_item.done" => self.done(fields.object("item").ok()??, happened)?,
            "response.completed" | "response.incomplete" => {
                let mut response = fields.object("response").ok()??;
                self.close(happened);
                self.over = true;
                let stop = stop_at_end(&mut response, self.calls, self.refuses).ok()?;
                happened.extend(tier(&mut response).map(Happening::Tier));
                happened.push(Happening::Stop(stop));
                let usage = response.take("usage").and_then(read_report);
                happened.extend(usage.map(Happening::Usage));
                response.leave_said(is_usual, &mut self.warnings);
                happened.push(Happening::End);
            }
            "response.failed" => {
                let status = crate::failure::status_of_response(data);
                let mishap = mishap_of(status, data).unwrap_or(Mishap {
                    status,
                    code: None,
                    message: "the provider failed".to_owned(),
                });
                self.fail(mishap, happened);
            }
            "error" => return self.flat_error(data, happened),
            _ => {}
        }
        Some(())
    }

    fn flat_error(&mut self, data: &[u8], happened: &mut Vec<Happening>) -> Option<()> {
        let status = crate::failure::status_of_response(data);
        let mishap = mishap_of_event(data).or_else(|| mishap_of(status, data))?;
        self.fail(mishap, happened);
        Some(())
    }

    /// What stands only in the whole item: the proof of reasoning, and arguments of servers that send them at once.
    fn done(&mut self, mut item: Fields<'_>, happened: &mut Vec<Happening>) -> Option<()> {
        match item.kind().ok()?.as_str() {
            "reasoning" => {
                let thinking = item::thinking(&mut item, &mut self.warnings).ok()?;
                if self.open != Some(Block::Thinking) {
                    self.open(Block::Thinking, happened);
                }
                if let Some(thinking) = thinking {
                    if !self.filled && !thinking.text.is_empty() {
                        self.say(Some(thinking.text), happened);
                    }
                    let proof = thinking.proof.map(Delta::Proof);
                    happened.extend(proof.map(Happening::Delta));
                }
            }
            "function_call" => {
                // Its beginning said them; servers need not repeat them.
                for name in ["namespace", "name", "call_id"] {
                    item.take(name);
                }
                if !self.filled {
                    let arguments = item.text("arguments").ok()?;
                    self.say(arguments, happened);
                }
                item.take("arguments");
            }
            "message" => {}
            // What the provider's own tools did, for which nobody can have asked.
            kind => {
                self.warnings.dropped(kind);
                self.close(happened);
                return Some(());
            }
        }
        item.leave_said(is_usual_within, &mut self.warnings);
        self.close(happened);
        Some(())
    }

    fn open(&mut self, block: Block, happened: &mut Vec<Happening>) {
        self.close(happened);
        self.calls |= matches!(block, Block::Call { .. });
        self.refuses |= block == Block::Refusal;
        self.filled = false;
        self.chars_before = self.chars;
        self.open = Some(block.clone());
        happened.push(Happening::Open(block));
    }

    fn say(&mut self, text: Option<String>, happened: &mut Vec<Happening>) {
        if let Some(text) = text.filter(|text| !text.is_empty() && self.open.is_some()) {
            self.filled = true;
            if self.open == Some(Block::Text) {
                self.chars = self.chars.saturating_add(text.chars().count() as u64);
            }
            happened.push(Happening::Delta(Delta::Text(text)));
        }
    }

    fn close(&mut self, happened: &mut Vec<Happening>) {
        if self.open.take().is_some() {
            happened.push(Happening::Close);
        }
    }

    fn fail(&mut self, mishap: Mishap, happened: &mut Vec<Happening>) {
        self.over = true;
        happened.push(Happening::Failed(mishap));
    }
}
