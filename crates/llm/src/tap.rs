//! The two ways of reading usage that all formats share: from a whole JSON body, and from a stream.

use domain::Usage;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

use crate::format::UsageTap;
use crate::sse::{Decoder, Event};

mod body;

pub(crate) use body::BodyTap;
#[cfg(test)]
pub(crate) use body::MAX_REPORT_BYTES;

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

/// What a format learns from one event after the other.
pub(crate) trait EventReader: Send {
    fn event(&mut self, event: Event<'_>);
    fn usage(self) -> Option<Usage>;
}

/// Feeds the events of a stream to a format's reader.
#[derive(Default)]
pub(crate) struct StreamTap<R> {
    decoder: Decoder,
    reader: R,
}

impl<R: EventReader> UsageTap for StreamTap<R> {
    fn push(&mut self, bytes: &[u8]) {
        let reader = &mut self.reader;
        // A stream that cannot be read on is told again at its end.
        let _ = self.decoder.push(bytes, |event| reader.event(event));
    }

    fn finish(self: Box<Self>) -> Option<Usage> {
        let Self {
            decoder,
            mut reader,
        } = *self;
        decoder.finish(|event| reader.event(event)).ok()?;
        reader.usage()
    }
}
