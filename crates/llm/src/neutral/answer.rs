//! An answer in no format, whole and as it is made.

use domain::Usage;
use serde_json::value::RawValue;

use super::{Part, Proof};

/// The longest name of a tier of service, in bytes.
const MAX_TIER_BYTES: usize = 32;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The provider's id for it, if it gave one.
    pub(crate) id: Option<String>,
    pub(crate) model: String,
    /// When it was made, in seconds since 1970, if the provider said so.
    pub(crate) created_s: Option<i64>,
    pub(crate) choice: Choice,
    /// Those that were asked for beside it.
    pub(crate) others: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
    pub(crate) tier: Option<Tier>,
    /// The error in the answer's place.
    pub(crate) mishap: Option<Mishap>,
}

/// What was said. Where several answers were asked for, one of them.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) parts: Vec<Part>,
    pub(crate) stop: Stop,
    /// The log-probabilities of the text's tokens: a JSON list in OpenAI's form.
    pub(crate) logprobs: Option<Box<RawValue>>,
    /// Pages that its text cites.
    pub(crate) citations: Vec<Citation>,
}

impl Choice {
    /// Whether the limit of its length cut the answer off in the part at this place.
    pub(crate) fn cuts_off(&self, at: usize) -> bool {
        self.stop == Stop::Length && at + 1 == self.parts.len()
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Stop {
    /// The model had said everything.
    #[default]
    End,
    /// The limit of its length, or of the model's context.
    Length,
    /// One of the stop sequences; which one, if that is known.
    Sequence(Option<String>),
    /// Tools are to be called.
    Tools,
    /// The model or its provider declined.
    Refusal,
}

/// One step of an answer that is on its way. Blocks of one choice come one after the other, each between `Open` and `Close`.
#[derive(Debug)]
pub(crate) enum Happening {
    Start {
        id: Option<String>,
        model: String,
        created_s: Option<i64>,
        /// What is known of the input.
        usage: Option<Usage>,
    },
    /// The provider is alive.
    Ping,
    /// What is opened, added, closed or stopped from here on is of the choice with this number. Up to the first of these it is
    /// number 0, and where one answer was asked for there are none. One that stands before `Start` says which choice begins.
    Choice(u64),
    Open(Block),
    Delta(Delta),
    Close,
    Stop(Stop),
    Usage(Usage),
    /// Which tier of service serves, as far as is known.
    Tier(Tier),
    /// The answer is whole.
    End,
    /// The provider failed in the middle.
    Failed(Mishap),
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Text,
    Refusal,
    Thinking,
    Call { id: String, name: String },
}

/// More of the block that is open.
#[derive(Debug)]
pub(crate) enum Delta {
    /// Of text, refusals and thinking: the words. Of calls: their arguments.
    Text(String),
    /// The log-probabilities of the words that came last.
    Logprobs(Box<RawValue>),
    Proof(Proof),
    /// A page that the text cites.
    Citation(Citation),
}

/// A page that a text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    /// Where the text cites it, in characters from the beginning of all of the answer's text.
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A tier of service, in OpenAI's words: `default`, `flex`, `priority`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tier(String);

impl Tier {
    /// `None`: it is no name of one.
    pub(crate) fn named(name: String) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let fits = (1..=MAX_TIER_BYTES).contains(&name.len()) && name.bytes().all(plain);
        fits.then_some(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A provider's error, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mishap {
    /// The status that it stands for.
    pub(crate) status: u16,
    /// Its name.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}
