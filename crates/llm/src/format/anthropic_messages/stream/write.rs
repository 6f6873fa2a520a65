//! The client reads Anthropic's events.

use domain::Usage;

use super::super::AnthropicMessages;
use super::super::answer::{ID, estimate, reason_of, tier, write_usage};
use crate::format::WireFormat;
use crate::neutral::{Block, Carrier, Delta, Happening, Json, Object, Stop, Tier, Warnings, none};
use crate::translate::{Stamp, StreamWriter, named, with_error};

/// What the client was told up to here.
pub(in super::super) struct Writer {
    stamp: Stamp,
    begun: bool,
    open: Option<Block>,
    /// The place of the block that is open, or of the next one.
    place: u64,
    /// Told at the end together with the usage.
    stop: Stop,
    /// `None`: none was reported.
    usage: Option<Usage>,
    tier: Option<Tier>,
    /// How much text was told.
    text_bytes: usize,
    warnings: Warnings,
}

impl Writer {
    pub(in super::super) fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            begun: false,
            open: None,
            place: 0,
            stop: Stop::End,
            usage: None,
            tier: None,
            text_bytes: 0,
            warnings: Warnings::default(),
        }
    }

    fn delta(&mut self, delta: Delta) -> Option<Object> {
        let open = self.open.as_ref()?;
        let delta = match delta {
            Delta::Text(text) => match open {
                Block::Text | Block::Refusal => Object::typed("text_delta").with("text", &text),
                Block::Thinking => Object::typed("thinking_delta").with("thinking", &text),
                Block::Call { .. } => Object::typed("input_json_delta").with("partial_json", &text),
            },
            Delta::Proof(proof) => Object::typed("signature_delta")
                .with("signature", &Carrier::Signature.write(&proof)),
            // Nobody can ask for them in this format.
            Delta::Logprobs(_) => {
                self.warnings.dropped("logprobs");
                return None;
            }
            // Its own citations prove what was read, which others' do not.
            Delta::Citation(_) => {
                self.warnings.dropped("citations");
                return None;
            }
        };
        Some(
            Object::typed("content_block_delta")
                .with("index", self.place)
                .with("delta", delta),
        )
    }

    fn open(&mut self, block: Block) -> Object {
        let start = match &block {
            Block::Text | Block::Refusal => Object::typed("text").with("text", ""),
            Block::Thinking => Object::typed("thinking")
                .with("thinking", "")
                .with("signature", ""),
            Block::Call { id, name } => Object::typed("tool_use")
                .with("id", id)
                .with("name", name)
                .with("input", Object::new()),
        };
        self.open = Some(block);
        Object::typed("content_block_start")
            .with("index", self.place)
            .with("content_block", start)
    }

    /// What was reported up to here, or an estimate: no start is free, and no zero would be true.
    fn usage(&self) -> Object {
        let estimate = || estimate(&self.stamp, self.text_bytes);
        write_usage(&self.usage.unwrap_or_else(estimate))
    }

    fn start(&self, id: Option<&str>, model: &str) -> Object {
        let message = Object::new()
            .with("id", &named(ID, id, &self.stamp))
            .with("type", "message")
            .with("role", "assistant")
            .with("model", model)
            .with("content", none())
            .with("stop_reason", Json::null())
            .with("stop_sequence", Json::null())
            .with("usage", {
                let tier = self.tier.as_ref().and_then(tier);
                self.usage().maybe("service_tier", tier)
            });
        Object::typed("message_start").with("message", message)
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, happening: Happening, out: &mut String) {
        match happening {
            Happening::Start {
                id, model, usage, ..
            } => {
                self.begun = true;
                self.usage = usage;
                event(out, "message_start", self.start(id.as_deref(), &model));
            }
            // Before the message has begun some clients expect no event but its start.
            Happening::Ping if !self.begun => out.push_str(": ping\n\n"),
            Happening::Ping => event(out, "ping", Object::typed("ping")),
            Happening::Open(block) => {
                if let Block::Call { name, .. } = &block {
                    self.text_bytes = self.text_bytes.saturating_add(name.len());
                }
                let start = self.open(block);
                event(out, "content_block_start", start);
            }
            Happening::Delta(delta) => {
                if let Delta::Text(text) = &delta {
                    self.text_bytes = self.text_bytes.saturating_add(text.len());
                }
                if let Some(delta) = self.delta(delta) {
                    event(out, "content_block_delta", delta);
                }
            }
            Happening::Close => {
                let stop = Object::typed("content_block_stop").with("index", self.place);
                event(out, "content_block_stop", stop);
                self.open = None;
                self.place += 1;
            }
            // Several cannot be asked for.
            Happening::Choice(_) => {}
            Happening::Stop(stop) => self.stop = stop,
            Happening::Usage(usage) => self.usage = Some(usage),
            Happening::Tier(tier) => self.tier = Some(tier),
            Happening::End => {
                let (reason, sequence) = reason_of(&self.stop);
                let delta = Object::new()
                    .with("stop_reason", reason)
                    .with("stop_sequence", sequence.map(Json::from));
                let last = Object::typed("message_delta")
                    .with("delta", delta)
                    .with("usage", self.usage());
                event(out, "message_delta", last);
                event(out, "message_stop", Object::typed("message_stop"));
            }
            Happening::Failed(mishap) => {
                let error = with_error(&mishap, &self.stamp, |it| {
                    AnthropicMessages.stream_error(it)
                });
                out.push_str(&String::from_utf8_lossy(&error));
            }
        }
    }

    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }
}

fn event(out: &mut String, name: &str, data: Object) {
    out.push_str(&format!("event: {name}\ndata: {}\n\n", data.end()));
}
