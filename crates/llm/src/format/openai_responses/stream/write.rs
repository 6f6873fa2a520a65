//! The client reads the events of responses.

use domain::Usage;
use serde_json::value::RawValue;

use super::super::answer::{
    COMPLETED, IN_PROGRESS, Names, Response, annotation, function_call, message, reasoning,
    text_part,
};
use crate::neutral::Proof;
use crate::neutral::{
    Block, Call, Citation, Delta, Happening, Json, Mishap, Object, Stop, Thinking, Tier, array,
    list, none,
};
use crate::translate::{Asked, Stamp, StreamWriter};

/// What the client was told up to here. All of it is told once more at the end.
pub(in super::super) struct Writer {
    asked: Asked,
    stamp: Stamp,
    names: Names,
    model: String,
    created_s: i64,
    sequence: u64,
    items: Vec<Json>,
    items_bytes: usize,
    open: Option<Open>,
    logprobs: Option<Box<RawValue>>,
    stop: Stop,
    usage: Option<Usage>,
    tier: Option<Tier>,
    /// How many characters of text the items before the one that is open have.
    chars: u64,
}

/// The item that is open.
struct Open {
    block: Block,
    id: String,
    text: String,
    thinking: Thinking,
    /// The log-probabilities of its text, each a JSON text.
    logprobs: Vec<Json>,
    /// The pages that its text cites, each a JSON text.
    annotations: Vec<Json>,
    /// How many bytes those two take: they are many, and asked for at every sign of life.
    beside_bytes: usize,
    /// Whether the first part of a summary has begun.
    begun: bool,
}

impl Writer {
    pub(in super::super) fn new(asked: Asked, stamp: Stamp) -> Self {
        Self {
            asked,
            names: Names::new(None, &stamp),
            model: String::new(),
            created_s: stamp.at_s,
            stamp,
            sequence: 0,
            items: Vec::new(),
            items_bytes: 0,
            open: None,
            logprobs: None,
            stop: Stop::End,
            usage: None,
            tier: None,
            chars: 0,
        }
    }

    /// Writes an event with its number.
    fn event(&mut self, out: &mut String, kind: &str, fields: impl FnOnce(Object) -> Object) {
        let data = Object::typed(kind).with("sequence_number", self.sequence);
        self.sequence += 1;
        let data = fields(data).line();
        out.push_str(&format!("event: {kind}\ndata: {data}\n\n"));
    }

    fn response(&self, end: Option<&Stop>) -> Object {
        Response {
            id: &self.names.response,
            model: &self.model,
            created_s: self.created_s,
            end: end.map(|stop| (stop, self.stamp.at_s.max(self.created_s))),
            output: array(self.items.iter().cloned()),
            usage: self.usage.as_ref(),
            tier: self.tier.as_ref(),
            asked: &self.asked,
        }
        .write()
    }

    fn open(&mut self, block: Block, out: &mut String) {
        let place = self.items.len();
        let (prefix, part) = match &block {
            Block::Text => ("msg_", Some(text_part("", none(), None))),
            Block::Refusal => ("msg_", Some(Object::typed("refusal").with("refusal", ""))),
            Block::Thinking => ("rs_", None),
            Block::Call { .. } => ("fc_", None),
        };
        let id = self.names.item(prefix, place);
        let item = match &block {
            Block::Text | Block::Refusal => message(&id, IN_PROGRESS, None),
            Block::Thinking => reasoning(&Thinking::default(), &id),
            Block::Call { id: call, name } => {
                let call = Call {
                    id: call.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                };
                function_call(&call, &self.asked.echo, &id, IN_PROGRESS)
            }
        };
        self.event(out, "response.output_item.added", |event| {
            event.with("output_index", place).with("item", item)
        });
        if let Some(part) = part {
            let at = at(&id, place);
            self.event(out, "response.content_part.added", |event| {
                at(event).with("content_index", 0_u64).with("part", part)
            });
        }
        self.open = Some(Open {
            block,
            id,
            text: String::new(),
            thinking: Thinking::default(),
            logprobs: Vec::new(),
            annotations: Vec::new(),
            beside_bytes: 0,
            begun: false,
        });
    }

    fn delta(&mut self, delta: Delta, out: &mut String) {
        let place = self.items.len();
        let Some(mut open) = self.open.take() else {
            return;
        };
        match delta {
            Delta::Text(text) => {
                open.text.push_str(&text);
                self.words(&mut open, &text, place, out);
            }
            Delta::Logprobs(logprobs) => self.logprobs = Some(logprobs),
            Delta::Citation(citation) => self.cite(&mut open, &citation, place, out),
            Delta::Proof(proof) => {
                let before = open.thinking.proof.take();
                open.thinking.proof = Some(proof.behind(before));
            }
        }
        self.open = Some(open);
    }

    fn cite(&mut self, open: &mut Open, citation: &Citation, place: usize, out: &mut String) {
        let at = at(&open.id, place);
        let number = open.annotations.len();
        let annotation = Json::from(annotation(citation, self.chars));
        self.event(out, "response.output_text.annotation.added", |event| {
            at(event)
                .with("content_index", 0_u64)
                .with("annotation_index", number)
                .with("annotation", annotation.clone())
        });
        open.beside_bytes += annotation.as_str().len();
        open.annotations.push(annotation);
    }

    fn words(&mut self, open: &mut Open, text: &str, place: usize, out: &mut String) {
        let at = at(&open.id, place);
        match open.block {
            Block::Text => {
                let logprobs = self.logprobs.take();
                let logprobs = logprobs.as_deref().and_then(list).unwrap_or_default();
                let logprobs: Vec<Json> = logprobs.into_iter().map(Json::from).collect();
                self.event(out, "response.output_text.delta", |event| {
                    at(event)
                        .with("content_index", 0_u64)
                        .with("delta", text)
                        .with("logprobs", array(logprobs.iter().cloned()))
                });
                let bytes = logprobs.iter().map(|it| it.as_str().len());
                open.beside_bytes += bytes.sum::<usize>();
                open.logprobs.extend(logprobs);
            }
            Block::Refusal => self.event(out, "response.refusal.delta", |event| {
                at(event).with("content_index", 0_u64).with("delta", text)
            }),
            Block::Thinking => {
                if !std::mem::replace(&mut open.begun, true) {
                    let part = Object::typed("summary_text").with("text", "");
                    self.event(out, "response.reasoning_summary_part.added", |event| {
                        at(event).with("summary_index", 0_u64).with("part", part)
                    });
                }
                self.event(out, "response.reasoning_summary_text.delta", |event| {
                    at(event).with("summary_index", 0_u64).with("delta", text)
                });
            }
            Block::Call { .. } => {
                self.event(out, "response.function_call_arguments.delta", |event| {
                    at(event).with("delta", text)
                });
            }
        }
    }

    fn close(&mut self, out: &mut String) {
        let place = self.items.len();
        let Some(open) = self.open.take() else {
            return;
        };
        let Open { id, text, .. } = &open;
        let at = at(id, place);
        let item = match &open.block {
            Block::Text => {
                let logprobs = || array(open.logprobs.iter().cloned());
                self.event(out, "response.output_text.done", |event| {
                    at(event)
                        .with("content_index", 0_u64)
                        .with("text", text)
                        .with("logprobs", logprobs())
                });
                let annotations = || array(open.annotations.iter().cloned());
                let part = || text_part(text, annotations(), Some(logprobs()));
                self.chars = self.chars.saturating_add(text.chars().count() as u64);
                self.event(out, "response.content_part.done", |event| {
                    at(event).with("content_index", 0_u64).with("part", part())
                });
                message(id, COMPLETED, Some(part()))
            }
            Block::Refusal => {
                self.event(out, "response.refusal.done", |event| {
                    at(event).with("content_index", 0_u64).with("refusal", text)
                });
                let part = || Object::typed("refusal").with("refusal", text);
                self.event(out, "response.content_part.done", |event| {
                    at(event).with("content_index", 0_u64).with("part", part())
                });
                message(id, COMPLETED, Some(part()))
            }
            Block::Thinking => {
                if open.begun {
                    self.event(out, "response.reasoning_summary_text.done", |event| {
                        at(event).with("summary_index", 0_u64).with("text", text)
                    });
                    let part = Object::typed("summary_text").with("text", text);
                    self.event(out, "response.reasoning_summary_part.done", |event| {
                        at(event).with("summary_index", 0_u64).with("part", part)
                    });
                }
                let thinking = Thinking {
                    text: text.clone(),
                    proof: open.thinking.proof.clone(),
                };
                reasoning(&thinking, id)
            }
            Block::Call { id: call, name } => {
                let short = self.asked.echo.in_namespace(name);
                let short = short.map_or(name.as_str(), |(_, name)| name).to_owned();
                self.event(out, "response.function_call_arguments.done", |event| {
                    at(event).with("name", &short).with("arguments", text)
                });
                let call = Call {
                    id: call.clone(),
                    name: name.clone(),
                    arguments: text.clone(),
                };
                function_call(&call, &self.asked.echo, id, COMPLETED)
            }
        };
        let item = Json::from(item);
        self.event(out, "response.output_item.done", |event| {
            event.with("output_index", place).with("item", item.clone())
        });
        self.items_bytes += item.as_str().len();
        self.items.push(item);
    }

    /// The event as documented, flat, and with the object by which the official SDKs know it.
    fn failed(&mut self, mishap: &Mishap, out: &mut String) {
        let error = || {
            Object::new()
                .with("code", mishap.code.as_ref().map(Json::from))
                .with("message", &mishap.message)
                .with("param", Json::null())
        };
        // Stands alone, whatever came before.
        out.push_str("\n\n");
        self.event(out, "error", |event| {
            event
                .with("code", mishap.code.as_ref().map(Json::from))
                .with("message", &mishap.message)
                .with("param", Json::null())
                .with("error", error())
        });
    }
}

/// Adds the place of an item to its event.
fn at(id: &str, place: usize) -> impl Fn(Object) -> Object + use<> {
    let id = id.to_owned();
    move |event| event.with("item_id", &id).with("output_index", place)
}

impl StreamWriter for Writer {
    fn write(&mut self, happening: Happening, out: &mut String) {
        match happening {
            Happening::Start {
                id,
                model,
                created_s,
                ..
            } => {
                self.names = Names::new(id.as_deref(), &self.stamp);
                self.model = model;
                self.created_s = created_s.unwrap_or(self.stamp.at_s);
                for kind in ["response.created", "response.in_progress"] {
                    let response = self.response(None);
                    self.event(out, kind, |event| event.with("response", response));
                }
            }
            Happening::Ping => out.push_str(": ping\n\n"),
            Happening::Open(block) => self.open(block, out),
            Happening::Delta(delta) => self.delta(delta, out),
            Happening::Close => self.close(out),
            // Several cannot be asked for.
            Happening::Choice(_) => {}
            Happening::Stop(stop) => self.stop = stop,
            Happening::Usage(usage) => self.usage = Some(usage),
            Happening::Tier(tier) => self.tier = Some(tier),
            Happening::End => {
                let kind = match self.stop {
                    Stop::Length | Stop::Refusal => "response.incomplete",
                    Stop::End | Stop::Sequence(_) | Stop::Tools => "response.completed",
                };
                let response = self.response(Some(&self.stop));
                self.event(out, kind, |event| event.with("response", response));
            }
            Happening::Failed(mishap) => self.failed(&mishap, out),
        }
    }

    fn kept_bytes(&self) -> usize {
        let open = self.open.as_ref();
        let proof = |open: &Open| open.thinking.proof.as_ref().map_or(0, Proof::bytes);
        let open = open.map_or(0, |open| open.text.len() + open.beside_bytes + proof(open));
        self.items_bytes + open
    }
}
