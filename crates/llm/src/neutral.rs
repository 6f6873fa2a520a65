//! What the formats of conversations have in common: a request, an answer and the events of a stream.
//!
//! A format that can be translated reads its own bytes into these types and writes its own bytes out of them. What
//! has no place here is refused or named in the [`Warnings`]; nothing is left out in silence. JSON that a model
//! reads or wrote (schemas, arguments of tools) is kept as the text that it was, the order of its fields included.

use domain::Usage;
use serde_json::Number;
use serde_json::value::RawValue;

mod answer;
mod carrier;
mod fields;
mod json;
mod warnings;

pub(crate) use answer::{Answer, Block, Choice, Citation, Delta, Happening, Mishap, Stop, Tier};
pub(crate) use carrier::{Carrier, media_of, to_data_url, without_data_url};
pub(crate) use fields::{Fields, asked_for, list, listed, text, whole};
pub(crate) use json::{Json, Object, array, none};
pub use warnings::{NotTranslatable, Warnings};

/// The longest `user` that OpenAI takes, in characters (seen in its error `string_above_max_length`, 2026-06).
const MAX_USER_CHARS: usize = 64;

/// The most answers that are told of one call: OpenAI's `n` goes no further.
pub(crate) const MAX_ANSWERS: u64 = 128;

/// A request in no format.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once, where the client says so.
    pub(crate) parallel_tools: Option<bool>,
    pub(crate) shape: Shape,
    pub(crate) reasoning: Reasoning,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) temperature: Option<Number>,
    pub(crate) top_p: Option<Number>,
    pub(crate) stop_sequences: Vec<String>,
    /// How many answers are wanted.
    pub(crate) answers: u64,
    /// The client's name for its own user.
    pub(crate) user: Option<String>,
    pub(crate) logprobs: Logprobs,
    pub(crate) verbosity: Option<String>,
    /// Whether a stream is to tell its usage, in formats that leave the choice.
    pub(crate) reports_usage: bool,
    /// Top-level fields that a sister format knows by the same name and form, as they stood.
    pub(crate) extras: Vec<(&'static str, Box<RawValue>)>,
}

/// Something that one side said, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) parts: Vec<Part>,
}

/// Who speaks. What tools returned is the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// A piece of a turn or of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    /// The model's words when it declines.
    Refusal(String),
    Image {
        source: Source,
        detail: Option<String>,
    },
    File {
        source: Source,
        name: Option<String>,
    },
    Thinking(Thinking),
    Call(Call),
    Outcome {
        call: String,
        parts: Vec<Part>,
        failed: bool,
    },
}

/// Where the bytes of an image or a file are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Data { media_type: String, base64: String },
    Url(String),
    Text(String),
}

/// What a model thought before it spoke, and its maker's proof of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thinking {
    pub(crate) text: String,
    pub(crate) proof: Option<Proof>,
}

/// Without its proof no maker takes back what its model thought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Anthropic's signature of the text.
    Signature(String),
    /// Anthropic's thinking itself, sealed.
    Sealed(String),
    /// OpenAI's reasoning itself, sealed, under its id.
    Encrypted { id: String, content: String },
    /// Gemini's signature of what it thought, which stands in the part that came after.
    Thought(String),
}

impl Proof {
    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Signature(text) | Self::Sealed(text) | Self::Thought(text) => text.len(),
            Self::Encrypted { id, content } => id.len() + content.len(),
        }
    }

    /// The proof that `before` and this one make together: a signature may come in pieces.
    pub(crate) fn behind(self, before: Option<Self>) -> Self {
        match (before, self) {
            (Some(Self::Signature(before)), Self::Signature(more)) => {
                Self::Signature(before + &more)
            }
            (_, proof) => proof,
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON as the model wrote it, which may be none.
    pub(crate) arguments: String,
}

/// A tool that the client runs.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The JSON schema of its arguments.
    pub(crate) schema: Option<Box<RawValue>>,
    pub(crate) strict: Option<bool>,
}

/// Whether a tool must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    Any,
    Named(String),
}

/// What the text of the answer must look like.
#[derive(Debug, Default)]
pub(crate) enum Shape {
    #[default]
    Text,
    /// Some JSON object.
    Json,
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
}

/// How much the model is to think.
#[derive(Debug, Default)]
pub(crate) struct Reasoning {
    /// OpenAI's and Anthropic's common words: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub(crate) effort: Option<String>,
    /// Whether the model may think as it sees fit, with or without an effort.
    pub(crate) adaptive: bool,
    pub(crate) budget_tokens: Option<u64>,
    /// Whether the client wants to read a summary of it.
    pub(crate) summary: Option<String>,
    /// Whether the client asked for proofs.
    pub(crate) proofs: bool,
}

/// Log-probabilities of the answer's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Logprobs {
    pub(crate) wanted: bool,
    pub(crate) alternatives: Option<u64>,
}

impl Request {
    /// An empty request for this model.
    pub(crate) fn new(model: String) -> Self {
        Self {
            model,
            stream: false,
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tools: None,
            shape: Shape::Text,
            reasoning: Reasoning::default(),
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            stop_sequences: Vec::new(),
            answers: 1,
            user: None,
            logprobs: Logprobs::default(),
            verbosity: None,
            reports_usage: true,
            extras: Vec::new(),
        }
    }

    /// The client's name for its own user, where OpenAI takes it; longer ones it refuses.
    pub(crate) fn short_user(&self, warnings: &mut Warnings) -> Option<&String> {
        let user = self.user.as_ref()?;
        if user.chars().count() > MAX_USER_CHARS {
            warnings.dropped("user");
            return None;
        }
        Some(user)
    }

    /// What both sides said: turns but the system's. One that says nothing is named in the warnings and left out for
    /// formats that refuse an empty text; where that would leave none, there is no such request.
    pub(crate) fn spoken(&self, warnings: &mut Warnings) -> Result<Vec<&Turn>, NotTranslatable> {
        let of_both = |turn: &&Turn| !matches!(turn.role, Role::System | Role::Developer);
        let (spoken, silent): (Vec<_>, Vec<_>) = self
            .turns
            .iter()
            .filter(of_both)
            .partition(|turn| turn.says_something());
        if spoken.is_empty() && !silent.is_empty() {
            return Err(NotTranslatable::new("messages", "no turn says anything"));
        }
        if !silent.is_empty() {
            warnings.dropped("content");
        }
        Ok(spoken)
    }

    /// Takes the extra field of this name.
    pub(crate) fn take_extra(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.extras.iter().position(|(it, _)| *it == name)?;
        Some(self.extras.remove(at).1)
    }

    /// Names the extra fields that the target has no place for.
    pub(crate) fn drop_extras(&mut self, warnings: &mut Warnings) {
        for (name, _) in self.extras.drain(..) {
            warnings.dropped(name);
        }
    }
}

impl Reasoning {
    /// Whether any is asked for. Whoever only wants to read a summary leaves it to the model.
    pub(crate) fn wanted(&self) -> bool {
        let effort = self.effort.as_deref().is_some_and(|it| it != "none");
        effort || self.adaptive || self.budget_tokens.is_some()
    }
}

impl Turn {
    pub(crate) fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts }
    }

    fn says_something(&self) -> bool {
        let is_empty = |part: &Part| match part {
            Part::Text(text) | Part::Refusal(text) => text.is_empty(),
            _ => false,
        };
        !self.parts.iter().all(is_empty)
    }
}

/// Input tokens with those of the cache, as OpenAI counts them.
pub(crate) fn all_input(usage: &Usage) -> u64 {
    usage
        .input_tokens
        .saturating_add(usage.cached_input_tokens)
        .saturating_add(usage.cache_write_tokens)
}
