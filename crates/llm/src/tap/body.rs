//! Metering a JSON body on its way: of the whole body only the value of the top-level field that reports usage is kept,
//! and its generated text is counted.

use bytes::Bytes;
use domain::{Terms, Usage};
use serde_json::value::RawValue;

use super::text::{Shape, Tally, TextCounter};
use super::{Ended, Metered, is_other_tier};
use crate::format::UsageTap;
use crate::json::scan::{run_in_string, string_end};

/// A longer report is not read. Real ones have a few hundred bytes.
pub(crate) const MAX_REPORT_BYTES: usize = 64 * 1024;

/// What the field is called in most formats.
const USAGE: &str = "usage";

/// What the field with the tier of service is called.
const TIER: &str = "service_tier";
/// A longer one is none that is known.
const MAX_TIER_BYTES: usize = 32;

/// So much of a body is kept to be counted should it have no report, and in so many pieces; a longer one is counted.
const MAX_UNCOUNTED_BYTES: usize = 128 * 1024;
const MAX_UNCOUNTED_PIECES: usize = 32;
/// A smaller piece is copied: it would keep all that was read with it, which may be much more.
const SMALL_PIECE_BYTES: usize = 16 * 1024;

/// Finds the one top-level field with the report and hands its value to the format's reader.
///
/// It looks only at strings and brackets, as much as it takes to know what is top-level. A body that is cut
/// off, names the field twice or reports at too great length reports nothing. Of a list of bodies the latest report
/// counts, and one that is cut off has no last word.
pub(crate) struct BodyTap {
    /// The field's name.
    name: &'static str,
    list: List,
    /// What the bodies of a list before the present one reported, and whether the last of them did.
    before: (Option<Usage>, bool),
    place: Place,
    /// How many objects and lists are open.
    depth: u64,
    in_string: bool,
    /// The byte before was a backslash in a string.
    escaped: bool,
    /// How much of the name that is looked for stood there so far; `None`: it is another name.
    named: Option<usize>,
    /// The same of [`TIER`], where that is looked for.
    tier_named: Option<usize>,
    /// What the current value is kept as.
    keeping: Keeping,
    report: Option<Vec<u8>>,
    read: fn(&RawValue) -> Option<Usage>,
    read_terms: Option<fn(&RawValue) -> Terms>,
    looks_for_tier: bool,
    tier: Vec<u8>,
    terms: Terms,
    counter: TextCounter,
    tally: Tally,
    /// A body whose report will be believed, as long as its text is not counted: most bodies come in a few pieces, with a
    /// report.
    uncounted: Vec<Bytes>,
    /// Whether text is counted as it comes.
    counts: bool,
}

/// Whether several bodies may come as a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// They may not, or the list has ended.
    No,
    May,
    Within,
}

/// What is kept of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Nothing,
    Report,
    Tier,
}

/// Where in the body the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the object.
    Before,
    /// In the object, where a field's name or the end is due.
    Name,
    /// Between a field's name and its colon.
    Colon,
    /// In a field's value.
    Value,
    /// Behind the object.
    Behind,
    /// Nothing can be reported any more.
    Lost,
}

/// The bytes that matter where only the end of a value is looked for.
static VALUE: [bool; 256] = {
    let mut matters = [false; 256];
    let all = b"\"{}[],";
    let mut at = 0;
    while at < all.len() {
        matters[all[at] as usize] = true;
        at += 1;
    }
    matters
};

impl BodyTap {
    /// `read` reads the report; `shape` says where the body has its generated text.
    pub(crate) fn new(read: fn(&RawValue) -> Option<Usage>, shape: &'static Shape) -> Self {
        Self {
            name: USAGE,
            list: List::No,
            before: (None, false),
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            named: None,
            tier_named: None,
            keeping: Keeping::Nothing,
            report: None,
            read,
            read_terms: None,
            looks_for_tier: false,
            tier: Vec::new(),
            terms: Terms::default(),
            counter: TextCounter::new(shape),
            tally: Tally::default(),
            uncounted: Vec::new(),
            counts: false,
        }
    }

    /// As [`new`](Self::new), for a report in the field `name`, of one body or of a list of them.
    pub(crate) fn of_list(
        name: &'static str,
        read: fn(&RawValue) -> Option<Usage>,
        shape: &'static Shape,
    ) -> Self {
        Self {
            name,
            list: List::May,
            ..Self::new(read, shape)
        }
    }

    /// The same, where the report says the terms as well.
    pub(crate) fn with_terms(mut self, read: fn(&RawValue) -> Terms) -> Self {
        self.read_terms = Some(read);
        self
    }

    /// The same, where the tier of service stands beside the report.
    pub(crate) fn with_tier(mut self) -> Self {
        self.looks_for_tier = true;
        self
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.keep(&[byte]);
            self.inside_string(byte);
            return;
        }
        match (self.place, byte) {
            (Place::Lost, _) => {}
            (Place::Value, b',') if self.depth == 1 => self.place = Place::Name,
            (Place::Name | Place::Value, b'}') if self.depth == 1 => {
                self.depth = 0;
                self.place = Place::Behind;
            }
            (Place::Value, _) => {
                self.keep(&[byte]);
                self.inside_value(byte);
            }
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (Place::Before, b'[') if self.list == List::May => self.list = List::Within,
            (Place::Before | Place::Behind, b']') if self.list == List::Within => {
                self.list = List::No;
                self.place = Place::Behind;
            }
            (Place::Behind, b',') if self.list == List::Within => self.next_body(),
            (Place::Before, b'{') => {
                self.depth = 1;
                self.place = Place::Name;
            }
            (Place::Name, b'"') => {
                self.in_string = true;
                self.named = Some(0);
                self.tier_named = self.looks_for_tier.then_some(0);
            }
            (Place::Colon, b':') => self.value_begins(),
            _ => self.lose(),
        }
    }

    fn inside_string(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            if self.place == Place::Name {
                self.place = Place::Colon;
            }
            return;
        }
        // A name that is spelled with escapes is another name.
        self.spelled(&[byte]);
    }

    /// Compares a part of a name with the one that is looked for.
    fn spelled(&mut self, part: &[u8]) {
        let goes_on = |named: Option<usize>, name: &str| {
            let at = named.filter(|at| name.as_bytes()[*at..].starts_with(part));
            at.map(|at| at + part.len())
        };
        self.named = goes_on(self.named, self.name);
        self.tier_named = goes_on(self.tier_named, TIER);
    }

    fn inside_value(&mut self, byte: u8) {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            b'}' | b']' => self.lose(),
            _ => {}
        }
    }

    fn value_begins(&mut self) {
        self.place = Place::Value;
        self.keeping = match (self.named, self.tier_named) {
            (Some(at), _) if at == self.name.len() => Keeping::Report,
            (_, Some(at)) if at == TIER.len() => Keeping::Tier,
            _ => Keeping::Nothing,
        };
        if self.keeping == Keeping::Tier {
            self.tier.clear();
        }
        if self.keeping != Keeping::Report {
            return;
        }
        if self.report.is_some() {
            self.lose();
        } else {
            self.report = Some(Vec::new());
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.place != Place::Value {
            return;
        }
        match self.keeping {
            Keeping::Nothing => return,
            Keeping::Report => {}
            Keeping::Tier => {
                let room = MAX_TIER_BYTES.saturating_sub(self.tier.len());
                return self.tier.extend_from_slice(&part[..part.len().min(room)]);
            }
        }
        match &mut self.report {
            Some(report) if report.len() + part.len() <= MAX_REPORT_BYTES => {
                report.extend_from_slice(part);
            }
            _ => self.lose(),
        }
    }

    /// How many of the next bytes are of one string and change nothing but what is kept and how a name is spelled.
    fn run(&self, rest: &[u8]) -> usize {
        match self.in_string && !self.escaped {
            true => run_in_string(rest),
            false => 0,
        }
    }

    /// Passes over a value. Returns the bytes from where it ends, or from the string in it that does not.
    fn pass_value<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while let Some(at) = bytes.iter().position(|byte| VALUE[usize::from(*byte)]) {
            let rest = &bytes[at + 1..];
            match bytes[at] {
                b'{' | b'[' => self.depth += 1,
                b'"' => match string_end(rest) {
                    Some(end) => {
                        bytes = &rest[end + 1..];
                        continue;
                    }
                    // The quote is taken as every other byte, and so is what comes behind it.
                    None => return &bytes[at..],
                },
                _ if self.depth == 1 => return &bytes[at..],
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            bytes = rest;
        }
        &[]
    }

    /// The next body of a list begins.
    fn next_body(&mut self) {
        self.note();
        self.place = Place::Before;
    }

    /// Takes down what the present body reported. One without a report leaves that of those before it standing.
    fn note(&mut self) {
        let report = self.report.take();
        self.before = match report {
            Some(report) => {
                let report = serde_json::from_slice(&report).ok();
                if let (Some(report), Some(read)) = (report, self.read_terms) {
                    self.terms = read(report);
                }
                (report.and_then(self.read), true)
            }
            None => (self.before.0, false),
        };
    }

    /// What is reported, and whether it is the last word.
    fn reported(&mut self) -> (Option<Usage>, bool) {
        if self.place == Place::Behind {
            self.note();
        }
        let (usage, by_the_last) = match (self.place, self.list) {
            (Place::Behind, List::No | List::May) => self.before,
            (_, List::Within) => (self.before.0, false),
            _ => (None, false),
        };
        (usage, by_the_last && usage.is_some())
    }

    fn lose(&mut self) {
        self.place = Place::Lost;
        self.in_string = false;
        self.report = None;
        self.before = (None, false);
    }

    /// Whether this piece can be left out for now. The first one can be, however long it is: it is there anyway.
    fn has_room(&self, piece: &Bytes) -> bool {
        let held: usize = self.uncounted.iter().map(Bytes::len).sum();
        let fits = held + piece.len() <= MAX_UNCOUNTED_BYTES;
        self.uncounted.is_empty() || fits && self.uncounted.len() < MAX_UNCOUNTED_PIECES
    }

    /// Counts the text that was left out so far.
    fn count_all(&mut self) {
        for piece in std::mem::take(&mut self.uncounted) {
            self.counter.push(&piece, &mut self.tally);
        }
    }

    /// Looks for the report in the next bytes.
    fn look(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            if self.place == Place::Lost {
                return;
            }
            if self.place == Place::Value && !self.in_string {
                let value = rest;
                rest = self.pass_value(value);
                self.keep(&value[..value.len() - rest.len()]);
                if let [byte, after @ ..] = rest {
                    self.take(*byte);
                    rest = after;
                }
                continue;
            }
            match self.run(rest) {
                0 => {
                    self.take(*byte);
                    rest = after;
                }
                run => {
                    let (run, after) = rest.split_at(run);
                    match self.place {
                        Place::Name => self.spelled(run),
                        _ => self.keep(run),
                    }
                    rest = after;
                }
            }
        }
    }
}

impl UsageTap for BodyTap {
    fn push(&mut self, bytes: &[u8]) {
        self.counts = true;
        self.count_all();
        self.counter.push(bytes, &mut self.tally);
        self.look(bytes);
    }

    fn push_believing(&mut self, bytes: &Bytes) {
        if self.counts || !self.has_room(bytes) {
            return self.push(bytes);
        }
        self.uncounted.push(match bytes.len() {
            0..SMALL_PIECE_BYTES if !self.uncounted.is_empty() => Bytes::copy_from_slice(bytes),
            _ => bytes.clone(),
        });
        self.look(bytes);
    }

    fn finish(mut self: Box<Self>) -> Metered {
        let (reported, complete) = self.reported();
        // What is cut off is no tier that is known.
        self.terms.is_other_tier |= !self.tier.trim_ascii().is_empty()
            && serde_json::from_slice(&self.tier).map_or(true, |tier| is_other_tier(Some(tier)));
        if !complete {
            self.count_all();
        }
        Metered {
            reported,
            complete,
            terms: self.terms,
            output_bytes: self.tally.bytes(),
            begun: self.tally.begun(),
            refused: false,
            ended: Ended::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests;
