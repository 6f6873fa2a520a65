//! The client reads chunks.

use domain::Usage;
use serde_json::value::RawValue;

use super::super::OpenaiChat;
use super::super::answer::{ID, annotation, detail, reason_of, write_usage};
use crate::format::WireFormat;
use crate::neutral::{Block, Delta, Happening, Json, Object, Proof, Thinking, Tier, array, none};
use crate::translate::{Asked, Stamp, StreamWriter, named, with_error};

/// What the client was told up to here.
pub(in super::super) struct Writer {
    asked: Asked,
    stamp: Stamp,
    id: String,
    model: String,
    created_s: i64,
    /// The choice that is being told, and its number.
    choice: Choice,
    number: u64,
    /// The others that have begun.
    others: Vec<(u64, Choice)>,
    usage: Option<Usage>,
    tier: Option<Tier>,
}

/// What the client was told of one choice.
#[derive(Default)]
struct Choice {
    open: Option<Block>,
    calls: u64,
    logprobs: Option<Box<RawValue>>,
    /// What was thought, for the detail that carries its proof.
    thought: Thinking,
    thoughts: usize,
}

impl Writer {
    pub(in super::super) fn new(asked: Asked, stamp: Stamp) -> Self {
        Self {
            asked,
            id: String::new(),
            model: String::new(),
            created_s: stamp.at_s,
            stamp,
            choice: Choice::default(),
            number: 0,
            others: Vec::new(),
            usage: None,
            tier: None,
        }
    }

    fn chunk(&self, choices: Json, usage: Option<&Usage>) -> String {
        let chunk = Object::new()
            .with("id", &self.id)
            .with("object", "chat.completion.chunk")
            .with("created", self.created_s)
            .with("model", &self.model)
            .with("choices", choices)
            .maybe("service_tier", self.tier.as_ref().map(Tier::as_str));
        let chunk = match self.asked.reports_usage {
            true => chunk.with("usage", usage.map(write_usage)),
            false => chunk,
        };
        format!("data: {}\n\n", chunk.line())
    }

    fn choice(&mut self, delta: Object, reason: Option<&str>) -> String {
        let logprobs = self.choice.logprobs.take().map(|content| {
            Object::new()
                .with("content", content)
                .with("refusal", Json::null())
        });
        let choice = Object::new()
            .with("index", self.number)
            .with("delta", delta)
            .with("logprobs", logprobs)
            .with("finish_reason", reason);
        self.chunk(array([choice]), None)
    }

    fn delta(&mut self, delta: Delta) -> Option<Object> {
        let open = self.choice.open.as_ref()?;
        match delta {
            Delta::Text(text) => Some(match open {
                Block::Text => Object::new().with("content", &text),
                Block::Refusal => Object::new().with("refusal", &text),
                Block::Thinking => {
                    self.choice.thought.text.push_str(&text);
                    Object::new().with("reasoning_content", &text)
                }
                Block::Call { .. } => {
                    let function = Object::new().with("arguments", &text);
                    let call = Object::new()
                        .with("index", self.choice.calls.saturating_sub(1))
                        .with("function", function);
                    Object::new().with("tool_calls", array([call]))
                }
            }),
            Delta::Citation(citation) => {
                Some(Object::new().with("annotations", array([annotation(&citation)])))
            }
            Delta::Logprobs(logprobs) => {
                self.choice.logprobs = Some(logprobs);
                None
            }
            Delta::Proof(proof) => {
                let before = self.choice.thought.proof.take();
                self.choice.thought.proof = Some(proof.behind(before));
                None
            }
        }
    }

    fn open(&mut self, block: Block) -> Option<Object> {
        let delta = match &block {
            Block::Call { id, name } => {
                self.choice.calls += 1;
                let function = Object::new().with("name", name).with("arguments", "");
                let call = Object::new()
                    .with("index", self.choice.calls - 1)
                    .with("id", id)
                    .with("type", "function")
                    .with("function", function);
                Some(Object::new().with("tool_calls", array([call])))
            }
            Block::Text | Block::Refusal | Block::Thinking => None,
        };
        self.choice.open = Some(block);
        delta
    }

    fn close(&mut self) -> Option<Object> {
        if self.choice.open.take() != Some(Block::Thinking) {
            return None;
        }
        let thinking = std::mem::take(&mut self.choice.thought);
        let detail = detail(&thinking, self.choice.thoughts)?;
        self.choice.thoughts += 1;
        Some(Object::new().with("reasoning_details", array([detail])))
    }
}

impl Writer {
    /// Goes on with another choice. A new one begins as the first one did.
    fn turn_to(&mut self, number: u64) -> Option<Object> {
        let found = self.others.iter().position(|(it, _)| *it == number);
        let (next, is_new) = match found {
            Some(at) => (self.others.swap_remove(at).1, false),
            None => (Choice::default(), true),
        };
        let before = std::mem::replace(&mut self.choice, next);
        let number = std::mem::replace(&mut self.number, number);
        self.others.push((number, before));
        is_new.then(beginning)
    }
}

fn beginning() -> Object {
    Object::new().with("role", "assistant").with("content", "")
}

impl StreamWriter for Writer {
    fn write(&mut self, happening: Happening, out: &mut String) {
        let delta = match happening {
            Happening::Start {
                id,
                model,
                created_s,
                ..
            } => {
                self.id = named(ID, id.as_deref(), &self.stamp);
                self.model = model;
                self.created_s = created_s.unwrap_or(self.stamp.at_s);
                Some(beginning())
            }
            // Nothing was told of another one.
            Happening::Choice(number) if self.id.is_empty() => {
                self.number = number;
                None
            }
            Happening::Choice(number) => self.turn_to(number),
            Happening::Ping => {
                out.push_str(": ping\n\n");
                None
            }
            Happening::Open(block) => self.open(block),
            Happening::Delta(delta) => self.delta(delta),
            Happening::Close => self.close(),
            Happening::Stop(stop) => {
                let chunk = self.choice(Object::new(), Some(reason_of(&stop)));
                out.push_str(&chunk);
                None
            }
            Happening::Usage(usage) => {
                self.usage = Some(usage);
                None
            }
            Happening::Tier(tier) => {
                self.tier = Some(tier);
                None
            }
            Happening::End => {
                if self.asked.reports_usage && self.usage.is_some() {
                    out.push_str(&self.chunk(none(), self.usage.as_ref()));
                }
                out.push_str("data: [DONE]\n\n");
                None
            }
            Happening::Failed(mishap) => {
                let error = with_error(&mishap, &self.stamp, |it| OpenaiChat.stream_error(it));
                out.push_str(&String::from_utf8_lossy(&error));
                None
            }
        };
        if let Some(delta) = delta {
            let chunk = self.choice(delta, None);
            out.push_str(&chunk);
        }
    }

    fn kept_bytes(&self) -> usize {
        let others = self.others.iter().map(|(_, it)| it.kept_bytes());
        self.choice.kept_bytes() + others.sum::<usize>()
    }
}

impl Choice {
    fn kept_bytes(&self) -> usize {
        let proof = self.thought.proof.as_ref().map_or(0, Proof::bytes);
        self.thought.text.len() + proof
    }
}
