//! Counts the generated text in a JSON document on its way, without keeping any of it.

use crate::json::scan::{NESTS, run_between, run_in_string, string_end};

/// Deeper lists and objects are passed over. What is followed in answers is at most a dozen deep.
const MAX_DEPTH: usize = 32;
/// A longer beginning is not remembered.
const MAX_ALIKE: usize = 1024;
/// No field that is followed has a longer name.
const MAX_NAME: usize = 24;

/// What counts as generated text in a value of a document.
pub(crate) struct Shape {
    /// How a text counts.
    pub(crate) text: Option<Slot>,
    /// The fields that are followed. Lists are always followed: each element has the list's shape.
    pub(crate) fields: &'static [(&'static str, &'static Shape)],
    /// Whether an object or a list counts as the JSON text that it is.
    pub(crate) json: bool,
}

/// What a text counts as. Some providers send the same reasoning under two names; it is counted once.
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    Text = 0,
    Reasoning = 1,
    ReasoningAgain = 2,
}

/// A text.
pub(crate) static TEXT: Shape = text(Slot::Text);
/// A text, or a list of parts each of which has its text.
pub(crate) static PARTS: Shape = Shape {
    text: Some(Slot::Text),
    fields: &[("text", &PARTS), ("thinking", &PARTS)],
    json: false,
};
/// An object that is itself generated.
pub(crate) static JSON: Shape = Shape {
    text: None,
    fields: &[],
    json: true,
};

/// A document of which nothing is counted.
pub(crate) static NOTHING: Shape = fields(&[]);

/// A text that counts as `slot`.
pub(crate) const fn text(slot: Slot) -> Shape {
    Shape {
        text: Some(slot),
        fields: &[],
        json: false,
    }
}

/// An object of which these fields are followed.
pub(crate) const fn fields(fields: &'static [(&'static str, &'static Shape)]) -> Shape {
    Shape {
        text: None,
        fields,
        json: false,
    }
}

impl Shape {
    /// Whether nothing in such a value is counted.
    pub(super) fn counts_nothing(&self) -> bool {
        self.text.is_none() && self.fields.is_empty() && !self.json
    }
}

/// How many bytes of text were seen.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    slots: [u64; 3],
    /// Whether a followed field was seen at all.
    begun: bool,
}

impl Tally {
    pub(crate) fn bytes(self) -> u64 {
        let [text, reasoning, again] = self.slots;
        text.saturating_add(reasoning.max(again))
    }

    pub(crate) fn begun(self) -> bool {
        self.begun
    }

    fn add(&mut self, slot: Slot, bytes: usize) {
        let slot = &mut self.slots[slot as usize];
        *slot = slot.saturating_add(bytes as u64);
    }
}

/// Reads one document in any pieces and counts the bytes of its texts, escapes resolved.
///
/// A document that is no JSON gives some count that is not greater than its length.
pub(crate) struct TextCounter {
    top: &'static Shape,
    open: Vec<Open>,
    /// How many lists and objects are open that are passed over: those that nobody follows, and those beyond [`MAX_DEPTH`].
    beyond: u64,
    /// What the next value is, if it is followed.
    next: Option<&'static Shape>,
    reading: Reading,
    name: Vec<u8>,
    /// How deep the object stands that counts as JSON text.
    json_from: Option<usize>,
    /// How the document before began.
    alike: Option<Alike>,
}

/// The beginning of a document, up to behind the quote before the first text that counts, and where that stands. The
/// events of a stream begin alike.
struct Alike {
    beginning: Vec<u8>,
    open: Vec<Open>,
    next: &'static Shape,
}

/// A list or an object that has not ended.
#[derive(Clone, Copy)]
struct Open {
    shape: Option<&'static Shape>,
    object: bool,
    /// In an object: a field's name is due.
    name_due: bool,
}

/// Where the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Between,
    Name,
    Text,
    /// Behind a backslash in a text, or in a name.
    Escape {
        name: bool,
    },
    /// In the digits of `\u`.
    Hex {
        digits: u8,
        value: u16,
    },
}

impl TextCounter {
    pub(crate) fn new(top: &'static Shape) -> Self {
        Self {
            top,
            open: Vec::new(),
            beyond: 0,
            next: Some(top),
            reading: Reading::Between,
            name: Vec::with_capacity(MAX_NAME + 1),
            json_from: None,
            alike: None,
        }
    }

    /// Forgets where in the document before the next byte would be, to read another one.
    fn restart(&mut self) {
        self.open.clear();
        self.beyond = 0;
        self.next = Some(self.top);
        self.reading = Reading::Between;
        self.json_from = None;
    }

    /// Reads on.
    pub(crate) fn push(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        while !bytes.is_empty() {
            bytes = self.step(bytes, tally);
        }
    }

    /// Reads another document, all of it. One that begins as the one before did, up to the first text that counts, is read
    /// from there.
    pub(crate) fn push_document(&mut self, document: &[u8], tally: &mut Tally) {
        self.restart();
        if let Some(alike) = &self.alike
            && let Some(rest) = document.strip_prefix(alike.beginning.as_slice())
        {
            self.open.clone_from(&alike.open);
            self.next = Some(alike.next);
            self.reading = Reading::Text;
            // The name of a field led there.
            tally.begun |= self.open.iter().any(|open| open.object);
            return self.push(rest, tally);
        }
        let before = tally.slots;
        let mut rest = document;
        while !rest.is_empty() && tally.slots == before {
            rest = self.step(rest, tally);
            let read = document.len() - rest.len();
            if read <= MAX_ALIKE
                && self.json_from.is_none()
                && self.beyond == 0
                && self.reading == Reading::Text
                && let Some(next) = self.next.filter(|next| next.text.is_some())
            {
                self.alike = Some(Alike {
                    beginning: document[..read].to_vec(),
                    open: self.open.clone(),
                    next,
                });
                break;
            }
        }
        self.push(rest, tally);
    }

    /// Takes some of the next bytes, which there are. Returns the others. Inlined, since a step is a few instructions.
    #[inline(always)]
    fn step<'a>(&mut self, bytes: &'a [u8], tally: &mut Tally) -> &'a [u8] {
        // What is too deep to be followed counts all the same where JSON text is counted as it stands.
        if self.beyond > 0 && self.json_from.is_none() && self.reading == Reading::Between {
            return self.pass_over(bytes);
        }
        let run = match self.reading {
            Reading::Text | Reading::Name => run_in_string(bytes),
            Reading::Between => run_between(bytes),
            Reading::Escape { .. } | Reading::Hex { .. } => 0,
        };
        if run > 0 {
            let (run, rest) = bytes.split_at(run);
            self.run(run, tally);
            return rest;
        }
        self.take(bytes[0], tally);
        &bytes[1..]
    }

    /// Passes over lists and objects of which nothing counts, to their end. Returns what stands behind it.
    fn pass_over<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some(at) = bytes.iter().position(|byte| NESTS[usize::from(*byte)]) {
            let byte = bytes[at];
            bytes = &bytes[at + 1..];
            match byte {
                b'{' | b'[' => self.beyond += 1,
                b'"' => match string_end(bytes) {
                    Some(end) => bytes = &bytes[end + 1..],
                    // It is read to the end of this piece as every other text, to know how the next one begins.
                    None => {
                        self.reading = Reading::Text;
                        return bytes;
                    }
                },
                _ => {
                    self.beyond -= 1;
                    if self.beyond == 0 {
                        return bytes;
                    }
                }
            }
        }
        &[]
    }

    /// Takes a part of a text or of a name that has neither its end nor an escape, or of what stands between them.
    fn run(&mut self, run: &[u8], tally: &mut Tally) {
        if self.reading == Reading::Text {
            self.count(run.len(), tally);
            return;
        }
        if self.json_from.is_some() {
            tally.add(Slot::Text, run.len());
        }
        if self.reading == Reading::Name {
            let room = (MAX_NAME + 1).saturating_sub(self.name.len());
            self.name.extend_from_slice(&run[..run.len().min(room)]);
        }
    }

    fn take(&mut self, byte: u8, tally: &mut Tally) {
        if self.json_from.is_some() {
            tally.add(Slot::Text, 1);
        }
        match self.reading {
            Reading::Between => self.between(byte, tally),
            Reading::Name => match byte {
                b'"' => self.reading = Reading::Between,
                _ => self.reading = Reading::Escape { name: true },
            },
            Reading::Text => match byte {
                b'"' => self.reading = Reading::Between,
                // Its meaning is counted when it is known.
                _ => self.reading = Reading::Escape { name: false },
            },
            // A name that is spelled with escapes is another name.
            Reading::Escape { name: true } => {
                self.name.resize(MAX_NAME + 1, 0);
                self.reading = Reading::Name;
            }
            Reading::Escape { name: false } => {
                self.reading = if byte == b'u' {
                    let (digits, value) = (0, 0);
                    Reading::Hex { digits, value }
                } else {
                    self.count_meaning(1, tally);
                    Reading::Text
                };
            }
            Reading::Hex { digits, value } => self.hex(byte, digits, value, tally),
        }
    }

    fn between(&mut self, byte: u8, tally: &mut Tally) {
        match byte {
            b'"' if self.open.last().is_some_and(|open| open.name_due) && self.beyond == 0 => {
                self.name.clear();
                self.reading = Reading::Name;
            }
            b'"' => self.reading = Reading::Text,
            b'{' | b'[' => self.begin(byte == b'{', tally),
            b'}' | b']' => self.end(),
            b':' if self.beyond == 0 => self.named(tally),
            b',' if self.beyond == 0 => {
                if let Some(open) = self.open.last_mut() {
                    open.name_due = open.object;
                    self.next = open.shape.filter(|_| !open.object);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, object: bool, tally: &mut Tally) {
        let counts = self.next.is_some() || self.json_from.is_some();
        if !counts || self.open.len() == MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        if self.json_from.is_none() && self.next.is_some_and(|shape| shape.json) {
            self.json_from = Some(self.open.len());
            tally.add(Slot::Text, 1);
        }
        self.open.push(Open {
            shape: self.next,
            object,
            name_due: object,
        });
        self.next = self.next.filter(|_| !object);
    }

    fn end(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        self.open.pop();
        self.next = None;
        if self.json_from == Some(self.open.len()) {
            self.json_from = None;
        }
    }

    /// A field's name is complete: its value is followed if the object's shape knows the name.
    fn named(&mut self, tally: &mut Tally) {
        let Some(open) = self.open.last_mut().filter(|open| open.name_due) else {
            return;
        };
        open.name_due = false;
        let known = open.shape.map_or(&[][..], |shape| shape.fields);
        let known = known.iter().find(|(name, _)| name.as_bytes() == self.name);
        self.next = known.map(|(_, shape)| *shape);
        tally.begun |= self.next.is_some();
    }

    fn hex(&mut self, byte: u8, digits: u8, value: u16, tally: &mut Tally) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            // It is no JSON. The text ends where it ends for whoever passes over it.
            self.reading = match byte {
                b'"' => Reading::Between,
                b'\\' => Reading::Escape { name: false },
                _ => Reading::Text,
            };
            return;
        };
        let value = (value << 4) | u16::try_from(digit).unwrap_or(0);
        if digits < 3 {
            let digits = digits + 1;
            self.reading = Reading::Hex { digits, value };
            return;
        }
        self.reading = Reading::Text;
        let bytes = match value {
            0..0x80 => 1,
            0x80..0x800 => 2,
            // Half of a character that takes four bytes.
            0xd800..0xe000 => 2,
            _ => 3,
        };
        self.count_meaning(bytes, tally);
    }

    /// Bytes of a text as they stand in the document.
    fn count(&self, bytes: usize, tally: &mut Tally) {
        if self.json_from.is_some() {
            tally.add(Slot::Text, bytes);
        } else {
            self.count_meaning(bytes, tally);
        }
    }

    /// Bytes that a text has once it is read. What counts as JSON text was counted as it stands.
    fn count_meaning(&self, bytes: usize, tally: &mut Tally) {
        if self.beyond > 0 || self.json_from.is_some() {
            return;
        }
        if let Some(slot) = self.next.and_then(|shape| shape.text) {
            tally.add(slot, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
