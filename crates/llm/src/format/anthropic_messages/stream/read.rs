//! The provider sends Anthropic's events.

use serde_json::value::RawValue;

use super::super::answer::{Counts, Page, citation, is_usual, stop_of};
use crate::neutral::{Block, Carrier, Delta, Fields, Happening, Mishap, Proof, Warnings, list};
use crate::sse::Event;
use crate::translate::{StreamReader, mishap_of_event};

/// What the events have told up to here.
#[derive(Default)]
pub(in super::super) struct Reader {
    counts: Counts,
    open: Option<Open>,
    /// The block is a call of which no argument has come.
    without_input: bool,
    /// How many characters of text came before the block that is open, and with it.
    chars_before: u64,
    chars: u64,
    /// Pages that the block cites. Where it ends is not known before.
    pages: Vec<Page>,
    pages_bytes: usize,
    warnings: Warnings,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Block,
    /// Something that has no counterpart.
    Skipped,
}

impl StreamReader for Reader {
    fn event(&mut self, event: Event<'_>, happened: &mut Vec<Happening>) {
        if self.over {
            return;
        }
        let mishap = mishap_of_event(event.data);
        let failed = mishap.or_else(|| match self.step(event.data, happened) {
            Some(()) => None,
            None => Some(Mishap {
                status: 502,
                code: Some("upstream_invalid_response".to_owned()),
                message: "an event cannot be read".to_owned(),
            }),
        });
        if let Some(mishap) = failed {
            self.over = true;
            happened.push(Happening::Failed(mishap));
        }
    }

    /// Without `message_stop` a message is not whole.
    fn finish(&mut self, _happened: &mut Vec<Happening>) {}

    fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    fn kept_bytes(&self) -> usize {
        self.pages_bytes
    }
}

impl Reader {
    /// `None`: the event cannot be read.
    fn step(&mut self, data: &[u8], happened: &mut Vec<Happening>) -> Option<()> {
        let raw: &RawValue = serde_json::from_slice(data).ok()?;
        let mut fields = Fields::of(raw, "").ok()?;
        match fields.kind().ok()?.as_str() {
            "message_start" => {
                let mut message = fields.object("message").ok()??;
                if let Some(report) = message.take("usage") {
                    self.counts.report(report);
                }
                happened.extend(self.counts.tier().map(Happening::Tier));
                happened.push(Happening::Start {
                    id: message.text("id").ok()?,
                    model: message.text("model").ok()?.unwrap_or_default(),
                    created_s: None,
                    usage: self.counts.usage(),
                });
                message.leave_said(is_usual, &mut self.warnings);
            }
            "content_block_start" => {
                self.close(happened);
                self.start(fields.object("content_block").ok()??, happened)?;
            }
            "content_block_delta" if self.open == Some(Open::Block) => {
                let delta = self.delta(fields.object("delta").ok()??)?;
                self.without_input &= delta.is_none();
                if let Some(Delta::Text(text)) = &delta {
                    self.chars = self.chars.saturating_add(text.chars().count() as u64);
                }
                happened.extend(delta.map(Happening::Delta));
            }
            "content_block_stop" => self.close(happened),
            "message_delta" => {
                if let Some(report) = fields.take("usage") {
                    self.counts.report(report);
                }
                let mut delta = fields.object("delta").ok()??;
                let sequence = delta.text("stop_sequence").ok()?;
                if let Some(reason) = delta.text("stop_reason").ok()? {
                    self.close(happened);
                    happened.push(Happening::Stop(stop_of(Some(&reason), sequence)));
                }
                delta.leave_said(is_usual, &mut self.warnings);
                fields.leave_said(is_usual, &mut self.warnings);
            }
            "message_stop" => self.end(happened),
            "ping" => happened.push(Happening::Ping),
            _ => {}
        }
        Some(())
    }

    fn start(&mut self, mut block: Fields<'_>, happened: &mut Vec<Happening>) -> Option<()> {
        self.open = Some(Open::Block);
        self.chars_before = self.chars;
        let first;
        let opened = match block.kind().ok()?.as_str() {
            "text" => {
                first = block.text("text").ok()?;
                for raw in block.take("citations").and_then(list).unwrap_or_default() {
                    self.cite(raw);
                }
                Block::Text
            }
            "thinking" => {
                first = block.text("thinking").ok()?;
                block.take("signature");
                Block::Thinking
            }
            "redacted_thinking" => {
                let data = block.text("data").ok()??;
                happened.push(Happening::Open(Block::Thinking));
                happened.push(Happening::Delta(Delta::Proof(Proof::Sealed(data))));
                return Some(());
            }
            "tool_use" => {
                // It comes in pieces, but for servers that send it whole.
                let input = block.take("input").map(RawValue::get);
                first = input.filter(|it| *it != "{}").map(str::to_owned);
                Block::Call {
                    id: block.text("id").ok()??,
                    name: block.text("name").ok()??,
                }
            }
            kind => {
                self.warnings.dropped(kind);
                self.open = Some(Open::Skipped);
                return Some(());
            }
        };
        block.leave_said(is_usual, &mut self.warnings);
        let first = first.filter(|text| !text.is_empty());
        self.without_input = first.is_none() && matches!(opened, Block::Call { .. });
        if let (Block::Text, Some(text)) = (&opened, &first) {
            self.chars = self.chars.saturating_add(text.chars().count() as u64);
        }
        happened.push(Happening::Open(opened));
        happened.extend(first.map(|text| Happening::Delta(Delta::Text(text))));
        Some(())
    }

    fn close(&mut self, happened: &mut Vec<Happening>) {
        if self.open.take() == Some(Open::Block) {
            // A call without arguments has an empty object, which other formats write out.
            if std::mem::take(&mut self.without_input) {
                happened.push(Happening::Delta(Delta::Text("{}".to_owned())));
            }
            self.pages_bytes = 0;
            for page in self.pages.drain(..) {
                let citation = page.at(self.chars_before, self.chars);
                happened.push(Happening::Delta(Delta::Citation(citation)));
            }
            happened.push(Happening::Close);
        }
    }

    fn end(&mut self, happened: &mut Vec<Happening>) {
        self.close(happened);
        self.over = true;
        happened.extend(self.counts.usage().map(Happening::Usage));
        happened.push(Happening::End);
    }

    /// More of a block; the inner `None`: nothing that is told now. The outer one: it cannot be read.
    fn delta(&mut self, mut delta: Fields<'_>) -> Option<Option<Delta>> {
        let name = match delta.kind().ok()?.as_str() {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "input_json_delta" => "partial_json",
            "signature_delta" => {
                let signature = delta.text("signature").ok()?.unwrap_or_default();
                return Some(Carrier::Signature.read(&signature, "").map(Delta::Proof));
            }
            "citations_delta" => {
                if let Some(raw) = delta.take("citation") {
                    self.cite(raw);
                }
                return Some(None);
            }
            kind => {
                self.warnings.dropped(kind);
                return Some(None);
            }
        };
        let text = delta.text(name).ok()?.unwrap_or_default();
        Some((!text.is_empty()).then_some(Delta::Text(text)))
    }

    fn cite(&mut self, raw: &RawValue) {
        if let Some(page) = citation(raw, &mut self.warnings) {
            self.pages_bytes = self.pages_bytes.saturating_add(raw.get().len());
            self.pages.push(page);
        }
    }
}
