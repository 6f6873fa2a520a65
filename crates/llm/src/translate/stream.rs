//! A stream of one format that becomes a stream of another on its way.

use super::names::model_name;
use super::{StreamReader, StreamWriter};
use crate::neutral::{Happening, Mishap};
use crate::sse::{Decoder, Said, TooLong};

/// The most that is kept of an answer, in bytes: some formats repeat all of it at the end, and calls whose arguments come in
/// turns are told one after the other.
pub const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// The most that one piece of the provider's bytes may become, in bytes.
const MAX_AT_ONCE_BYTES: usize = 64 * 1024 * 1024;

/// Takes the provider's bytes and gives the client's. Any split of the same bytes gives the same text in all.
///
/// Memory is bounded: an event of the provider, [`MAX_KEPT_BYTES`], and what one piece becomes.
pub struct StreamTranslator {
    decoder: Decoder,
    relay: Relay,
}

struct Relay {
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    happened: Vec<Happening>,
    /// Nothing more is said: the answer is whole, or failed.
    over: bool,
    /// Whether it is whole.
    whole: bool,
}

impl StreamTranslator {
    pub(super) fn new(reader: Box<dyn StreamReader>, writer: Box<dyn StreamWriter>) -> Self {
        let relay = Relay {
            reader,
            writer,
            happened: Vec::new(),
            over: false,
            whole: false,
        };
        Self {
            decoder: Decoder::new(),
            relay,
        }
    }

    /// Takes the next bytes and returns what the client gets for them.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        let Self { decoder, relay } = self;
        let read = decoder.read(bytes, |said| relay.take(said, &mut out));
        if let Err(TooLong) = read {
            relay.fail(broken("the provider's stream cannot be read"), &mut out);
        }
        out
    }

    /// The provider's stream is at its end. Returns the last that the client gets.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        let decoder = std::mem::take(&mut self.decoder);
        let relay = &mut self.relay;
        // A stream that could not be read was given up before.
        let _ = decoder.read_last(|said| relay.take(said, &mut out));
        relay.reader.finish(&mut relay.happened);
        relay.write(&mut out);
        relay.fail(
            broken("the provider broke off in the middle of its answer"),
            &mut out,
        );
        out
    }

    /// Ends a stream that cannot go on with an error that has this code. Returns the text of it, empty if the client
    /// was told of an end before.
    pub fn break_off(&mut self, status: u16, code: &str, message: &str) -> String {
        let mut out = String::new();
        let mishap = Mishap {
            status,
            code: Some(code.to_owned()),
            message: message.to_owned(),
        };
        self.relay.fail(mishap, &mut out);
        out
    }

    /// Whether the client got the whole answer.
    pub fn is_whole(&self) -> bool {
        self.relay.whole
    }

    /// Whether the client was told that the answer is at its end or failed. Nothing more is said to it then.
    pub fn is_over(&self) -> bool {
        self.relay.over
    }
}

impl Relay {
    fn take(&mut self, said: Said<'_>, out: &mut String) {
        match said {
            Said::Event(event) => self.reader.event(event, &mut self.happened),
            Said::Comment => self.happened.push(Happening::Ping),
        }
        self.write(out);
    }

    fn write(&mut self, out: &mut String) {
        // The first choice that a provider tells of is the one that begins, whatever its number.
        let start = |it: &Happening| matches!(it, Happening::Start { .. });
        if let Some(at) = self.happened.iter().position(start)
            && matches!(self.happened.get(at + 1), Some(Happening::Choice(_)))
        {
            self.happened.swap(at, at + 1);
        }
        for mut happening in self.happened.drain(..) {
            if self.over || out.len() > MAX_AT_ONCE_BYTES {
                continue;
            }
            if let Happening::Start { model, .. } = &mut happening {
                model_name(model);
            }
            self.whole = matches!(happening, Happening::End);
            if self.whole {
                warn(&*self.reader, &mut *self.writer, out);
            }
            self.over = self.whole || matches!(happening, Happening::Failed(_));
            self.writer.write(happening, out);
            if let Some(mishap) = self.writer.fault().filter(|_| !self.over) {
                self.over = true;
                self.writer.write(Happening::Failed(mishap), out);
            }
        }
        let kept = self
            .reader
            .kept_bytes()
            .saturating_add(self.writer.kept_bytes());
        if kept > MAX_KEPT_BYTES || out.len() > MAX_AT_ONCE_BYTES {
            self.fail(broken("the answer is too long to be translated"), out);
        }
    }

    /// Ends a stream that is not at its end.
    fn fail(&mut self, mishap: Mishap, out: &mut String) {
        if !std::mem::replace(&mut self.over, true) {
            self.writer.write(Happening::Failed(mishap), out);
        }
    }
}

/// Tells what was left out of an answer that is about to end.
fn warn(reader: &dyn StreamReader, writer: &mut dyn StreamWriter, out: &mut String) {
    let mut warnings = reader.warnings().clone();
    if let Some(more) = writer.warnings() {
        warnings.extend(more);
    }
    if !warnings.is_empty() {
        writer.warn(&warnings, out);
    }
}

fn broken(message: &str) -> Mishap {
    Mishap {
        status: 502,
        code: Some("upstream_broken".to_owned()),
        message: message.to_owned(),
    }
}
