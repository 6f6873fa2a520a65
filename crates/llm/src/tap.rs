//! The two ways of metering an answer that all formats share: as a whole JSON body, and as a stream.

use std::borrow::Cow;
use std::sync::LazyLock;

use domain::{Terms, Usage};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Unexpected};
use serde_json::value::RawValue;

use crate::failure;
use crate::format::{Opening, Passage, UsageTap};
use crate::sse::{Decoder, Event};

mod body;
mod event_body;
mod input;
mod metered;
mod text;

pub(crate) use body::BodyTap;
#[cfg(test)]
pub(crate) use body::MAX_REPORT_BYTES;
pub(crate) use event_body::EventBodyTap;
pub(crate) use input::input_bytes;
pub(crate) use metered::BYTES_PER_TOKEN;
pub use metered::{Ceiling, Ended, Metered};
pub(crate) use text::{JSON, NOTHING, PARTS, Shape, Slot, TEXT, fields, text};
use text::{Tally, TextCounter};

/// The name of the field with an error. What finds it is made once, which costs more than to search an event.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// More tokens than any call can use; a greater count is a lie. Low enough that sums and costs fit 64 bits.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// A believable number of model tokens: a whole JSON number from 0 to [`MAX_TOKENS`].
#[derive(Clone, Copy)]
pub(crate) struct Count(pub(crate) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tokens = u64::deserialize(deserializer)?;
        if tokens <= MAX_TOKENS {
            Ok(Self(tokens))
        } else {
            let given = Unexpected::Unsigned(tokens);
            Err(D::Error::invalid_value(given, &"a believable token count"))
        }
    }
}

/// The count, or 0 where the provider left it out or wrote `null`.
pub(crate) fn or_zero(count: Option<Count>) -> u64 {
    count.map_or(0, |count| count.0)
}

/// Tiers of service at the list price: OpenAI's `default`, Anthropic's `standard`, Groq's `on_demand`. A tier that is not
/// known here may cost anything.
const STANDARD_TIERS: [&str; 4] = ["auto", "default", "on_demand", "standard"];

/// Whether an answer names another tier of service than the standard one: `flex`, `priority`, `batch`, `scale`.
pub(crate) fn is_other_tier(tier: Option<&RawValue>) -> bool {
    let named = tier.filter(|tier| tier.get() != "null");
    named.is_some_and(|tier| {
        let name = serde_json::from_str::<Cow<'_, str>>(tier.get());
        name.map_or(true, |name| !STANDARD_TIERS.contains(&&*name))
    })
}

/// What a format learns from one event after the other.
pub(crate) trait EventReader: Default + Send {
    /// Where the generated text stands in an event.
    fn shape() -> &'static Shape;

    /// Takes an event. `text_bytes`: how much text the stream has brought, with this event.
    fn event(&mut self, event: Event<'_>, text_bytes: u64);

    /// What the events said of the stream's end.
    fn ended(&self) -> Ended {
        Ended::Unsaid
    }

    /// What the events said of the terms.
    fn terms(&self) -> Terms {
        Terms::default()
    }

    /// What was reported, and whether that is the last word on a stream that brought `text_bytes`.
    fn usage(self, text_bytes: u64) -> Option<(Usage, bool)>;
}

/// Feeds the events of a stream to a format's reader and counts their text.
pub(crate) struct StreamTap<R> {
    decoder: Decoder,
    told: Told<R>,
}

/// What the events have told up to here.
struct Told<R> {
    reader: R,
    counter: TextCounter,
    tally: Tally,
    refused: bool,
}

/// The error in an event, with all formats.
#[derive(Deserialize)]
struct Refusal<'a> {
    error: Option<IgnoredAny>,
    /// OpenAI's responses write the error flat.
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
}

impl Refusal<'_> {
    fn refuses(&self) -> bool {
        self.error.is_some() || self.r#type.as_deref() == Some("error")
    }
}

/// What an event of this `passage` is at the beginning of a stream whose text stands where `shape` says.
pub(crate) fn opening(shape: &'static Shape, passage: Passage, event: Event<'_>) -> Opening {
    if let Some(status) = failure::status_of_event(event.data) {
        return Opening::Refused(status);
    }
    if passage != Passage::Part {
        return Opening::Output;
    }
    let mut tally = Tally::default();
    TextCounter::new(shape).push(event.data, &mut tally);
    match tally.bytes() {
        0 => Opening::Prelude,
        _ => Opening::Output,
    }
}

/// What an event is at the beginning of a stream that has no prelude.
pub(crate) fn opening_unless_refused(event: Event<'_>) -> Opening {
    match failure::status_of_event(event.data) {
        Some(status) => Opening::Refused(status),
        None => Opening::Output,
    }
}

impl<R: EventReader> StreamTap<R> {
    pub(crate) fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            told: Told {
                reader: R::default(),
                counter: TextCounter::new(R::shape()),
                tally: Tally::default(),
                refused: false,
            },
        }
    }
}

impl<R: EventReader> Told<R> {
    fn event(&mut self, event: Event<'_>) {
        self.counter.push_document(event.data, &mut self.tally);
        self.reader.event(event, self.tally.bytes());
        // Inside a JSON string the quotes would be escaped, so this is a field's name or a whole text.
        self.refused |= ERROR.find(event.data).is_some()
            && serde_json::from_slice::<Refusal<'_>>(event.data).is_ok_and(|it| it.refuses());
    }
}

impl<R: EventReader> UsageTap for StreamTap<R> {
    fn push(&mut self, bytes: &[u8]) {
        let told = &mut self.told;
        // A stream that cannot be read on is told again at its end.
        let _ = self.decoder.push(bytes, |event| told.event(event));
    }

    fn finish(self: Box<Self>) -> Metered {
        let Self { decoder, mut told } = *self;
        // What stands behind a line that was too long is not known, so no report before it is the last word.
        let whole = decoder.finish(|event| told.event(event)).is_ok();
        let output_bytes = told.tally.bytes();
        let ended = match whole {
            true => told.reader.ended(),
            false => Ended::Unread,
        };
        let terms = told.reader.terms();
        let usage = told.reader.usage(output_bytes);
        Metered {
            reported: usage.map(|(reported, _)| reported),
            complete: whole && usage.is_some_and(|(_, last)| last),
            terms,
            output_bytes,
            begun: told.tally.begun(),
            refused: told.refused,
            ended,
        }
    }
}
