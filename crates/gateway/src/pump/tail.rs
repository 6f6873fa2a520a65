//! What an answer passes before it goes out: its end, where credits pay, is held back until the call is settled, and
//! a report of usage that the client did not ask for is taken out.

use bytes::{Bytes, BytesMut};
use llm::format::{Passage, WireFormat};
use llm::sse::Decoder;
use memchr::memmem;

use crate::send::{Asked, Kind};

/// What is held back of an answer: without it no client takes the answer for whole.
pub(super) struct Tail {
    /// Whether the end is held back.
    holds: bool,
    /// `None`: a body, of which the last byte is held.
    events: Option<Events>,
    /// The last byte of a body so far, in the memory that it came in.
    last: Bytes,
    held: BytesMut,
}

/// The events of a stream, of which those from the end of the answers on are held.
struct Events {
    format: &'static dyn WireFormat,
    /// Whether the end is held back.
    holds: bool,
    /// How many answers have not ended.
    open: u64,
    /// Whether the client did not ask for the report of usage.
    hides_usage: bool,
    /// The beginning of an event that has not ended.
    event: BytesMut,
    /// Whether nothing stands in the present line so far.
    at_line_start: bool,
    /// The last byte was a carriage return; a line feed right after it belongs to it.
    after_return: bool,
    /// The present event is too long to be looked at and passes as it comes.
    flows: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Passing,
    Holding,
    /// What was held became too much: everything passes.
    LetGo,
}

/// The longest event that is looked at, and the most that is held.
const MAX_HELD: usize = 64 * 1024;

impl Tail {
    /// The tail of an answer to a call that asked for this; `None`: it goes out as it comes. `holds`: its end shall be
    /// held back.
    pub(super) fn of(
        kind: Kind,
        format: &'static dyn WireFormat,
        asked: Asked,
        holds: bool,
    ) -> Option<Self> {
        let hides = kind == Kind::EventStream && !asked.usage;
        (holds || hides).then(|| Self::new(kind, format, asked, holds))
    }

    fn new(kind: Kind, format: &'static dyn WireFormat, asked: Asked, holds: bool) -> Self {
        let events = || Events {
            format,
            holds,
            open: asked.answers.max(1),
            hides_usage: !asked.usage,
            event: BytesMut::new(),
            at_line_start: true,
            after_return: false,
            flows: false,
            state: State::Passing,
        };
        Self {
            holds,
            events: (kind == Kind::EventStream).then(events),
            last: Bytes::new(),
            held: BytesMut::new(),
        }
    }

    /// Whether the end is held back until the call is settled.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Takes the next piece and returns what may go out.
    ///
    /// Of a stream an event passes when it is whole. From the event on with which the last answer ends, all are held,
    /// up to a bound. Of a body the first piece passes without a copy: one that was made here is all in it, and has its
    /// share of the memory for bodies until it is sent.
    pub(super) fn hold_back(&mut self, mut piece: Bytes) -> Bytes {
        if piece.is_empty() {
            return piece;
        }
        match &mut self.events {
            None => {
                let last = piece.split_off(piece.len() - 1);
                let before = std::mem::replace(&mut self.last, last);
                match before.is_empty() {
                    true => piece,
                    false => [before, piece].concat().into(),
                }
            }
            Some(events) => events.take(&piece, &mut self.held),
        }
    }

    /// Adds what came last.
    pub(super) fn append(&mut self, rest: &[u8]) {
        if let Some(events) = &mut self.events {
            // What passes now stood before what is held, or was held itself.
            let mut all = BytesMut::from(&events.take(rest, &mut self.held)[..]);
            all.unsplit(self.held.split());
            all.unsplit(events.end());
            self.held = all;
        } else {
            self.held.extend_from_slice(&std::mem::take(&mut self.last));
            self.held.extend_from_slice(rest);
        }
    }

    /// How many bytes are held.
    pub(super) fn len(&self) -> u64 {
        (self.last.len() + self.held.len()) as u64
    }

    /// What was held back, to the last byte.
    pub(super) fn finish(mut self) -> Bytes {
        if let Some(events) = &mut self.events {
            self.held.extend_from_slice(&events.end());
        }
        self.held.extend_from_slice(&self.last);
        self.held.freeze()
    }
}

impl Events {
    /// Reads on. Returns what passes; what does not is in `held`, or waits for the end of its event.
    fn take(&mut self, mut bytes: &[u8], held: &mut BytesMut) -> Bytes {
        let mut out = BytesMut::new();
        while !bytes.is_empty() {
            let (line, ends_event) = self.next_line(bytes);
            self.event.extend_from_slice(&bytes[..line]);
            bytes = &bytes[line..];
            if !ends_event && !self.flows && self.event.len() <= MAX_HELD {
                continue;
            }
            let event = self.event.split();
            let passage = match ends_event && !self.flows {
                true => self.passage(&event),
                false => Passage::Part,
            };
            self.flows = !ends_event;
            self.sort(passage, &event, held, &mut out);
        }
        out.freeze()
    }

    /// Decides where a piece of the stream goes.
    fn sort(&mut self, passage: Passage, event: &[u8], held: &mut BytesMut, out: &mut BytesMut) {
        match passage {
            Passage::Part => {}
            Passage::Ends(answers) => self.open = self.open.saturating_sub(answers as u64),
            Passage::Last => self.open = 0,
            Passage::Usage if self.hides_usage => return,
            Passage::Usage => {}
        }
        if self.holds && self.state == State::Passing && self.open == 0 {
            self.state = State::Holding;
        }
        if self.state == State::Holding && held.len() + event.len() > MAX_HELD {
            self.state = State::LetGo;
            out.unsplit(held.split());
        }
        match self.state {
            State::Holding => held.extend_from_slice(event),
            State::Passing | State::LetGo => out.extend_from_slice(event),
        }
    }

    /// The length of the rest of the present line with its end, or of everything; and whether it ends an event.
    fn next_line(&mut self, bytes: &[u8]) -> (usize, bool) {
        if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
            return (1, false);
        }
        let ends_line = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let Some(end) = bytes.iter().position(ends_line) else {
            self.at_line_start = false;
            return (bytes.len(), false);
        };
        let empty = self.at_line_start && end == 0;
        self.at_line_start = true;
        // The line feed goes with its carriage return if it is there already: a client may wait for it.
        if bytes[end..].starts_with(b"\r\n") {
            return (end + 2, empty);
        }
        self.after_return = bytes[end] == b'\r';
        (end + 1, empty)
    }

    fn passage(&self, event: &[u8]) -> Passage {
        let mut passage = Passage::Part;
        if !self.holds && !may_report(event) {
            return passage;
        }
        // Shorter than any limit of the decoder.
        let _ = Decoder::new().push(event, |event| passage = self.format.passage(event));
        passage
    }

    /// The event that was cut off.
    fn end(&mut self) -> BytesMut {
        self.event.split()
    }
}

/// Whether an event may be a report of usage. Those that are asked for one have `"usage": null` in all others.
fn may_report(event: &[u8]) -> bool {
    const NAME: &[u8] = b"\"usage\"";
    memmem::find_iter(event, NAME).any(|at| {
        let mut rest = event[at + NAME.len()..].iter();
        rest.find(|byte| !byte.is_ascii_whitespace() && **byte != b':') == Some(&b'{')
    })
}

#[cfg(test)]
mod tests {
    use llm::format::{AnthropicMessages, OpenaiChat};

    use super::*;

    const PART: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    const ONE: Asked = Asked {
        answers: 1,
        usage: true,
    };

    fn chat(answers: u64, hides_usage: bool) -> Tail {
        let usage = !hides_usage;
        Tail::new(
            Kind::EventStream,
            &OpenaiChat,
            Asked { answers, usage },
            true,
        )
    }

    fn passed(tail: &mut Tail, pieces: &[&str]) -> Vec<String> {
        let pass = |piece: &&str| {
            let passed = tail.hold_back(Bytes::copy_from_slice(piece.as_bytes()));
            String::from_utf8(passed.to_vec()).expect("text")
        };
        pieces.iter().map(pass).collect()
    }

    #[test]
    fn of_a_body_the_last_byte_is_held() {
        let mut tail = Tail::new(Kind::Json, &OpenaiChat, ONE, true);
        assert_eq!(
            passed(&mut tail, &["{\"a\"", "", ":1", "}"]),
            ["{\"a", "", "\":", "1"]
        );
        assert_eq!(tail.finish(), "}");
    }

    #[test]
    fn of_a_stream_everything_from_the_end_of_the_answer_is_held_and_nothing_before_it() {
        let mut tail = chat(1, false);
        assert_eq!(
            passed(&mut tail, &[PART, END, USAGE, DONE]),
            [PART, "", "", ""]
        );
        let held = [END, USAGE, DONE].concat();
        assert_eq!(tail.len(), held.len() as u64);
        assert_eq!(tail.finish(), held);
        let mut tail = Tail::new(Kind::EventStream, &AnthropicMessages, ONE, true);
        let delta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
        let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
        assert_eq!(passed(&mut tail, &[ping, delta, stop]), [ping, "", ""]);
        assert_eq!(tail.finish(), [delta, stop].concat());
    }

    #[test]
    fn of_several_answers_the_last_end_counts() {
        let mut tail = chat(2, false);
        assert_eq!(
            passed(&mut tail, &[PART, END, PART, END, DONE]),
            [PART, END, PART, "", ""]
        );
    }

    #[test]
    fn a_report_that_nobody_asked_for_is_left_out() {
        for (hides_usage, held) in [
            (true, [END, DONE].concat()),
            (false, [END, USAGE, DONE].concat()),
        ] {
            let mut tail = chat(1, hides_usage);
            passed(&mut tail, &[PART, END, USAGE, DONE]);
            assert_eq!(tail.finish(), held);
        }
    }

    #[test]
    fn where_nothing_is_held_only_the_report_is_taken_out() {
        let asked = |usage| Asked { answers: 1, usage };
        let stream = |usage| Tail::of(Kind::EventStream, &OpenaiChat, asked(usage), false);
        assert!(stream(true).is_none());
        assert!(Tail::of(Kind::Json, &OpenaiChat, asked(false), false).is_none());
        let null = PART.replace("]}", "], \"usage\": null}");
        let both = END.replace("]}", "],\"usage\" : {\"prompt_tokens\":7}}");
        let spaced = USAGE.replace("\"usage\":", "\"usage\" :\t");
        let all = [PART, &null, &spaced, END, USAGE, &both, DONE];
        let mut tail = stream(false).expect("it hides the report");
        assert!(!tail.holds());
        let kept = [PART, &null, "", END, "", &both, DONE];
        assert_eq!(passed(&mut tail, &all), kept);
        // A stream that is cut off goes out to its last byte.
        assert_eq!(passed(&mut tail, &["data: {\"usa"]), [""]);
        tail.append(b"ge\": ");
        assert_eq!(tail.finish(), "data: {\"usage\": ");
        let whole = all.concat();
        for size in 1..whole.len() {
            let mut tail = stream(false).expect("it hides the report");
            let mut out = Vec::new();
            for piece in whole.as_bytes().chunks(size) {
                out.extend_from_slice(&tail.hold_back(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&tail.finish());
            assert_eq!(
                String::from_utf8(out).expect("text"),
                kept.concat(),
                "{size}"
            );
        }
    }

    #[test]
    fn text_that_reads_like_an_end_holds_nothing() {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n";
        let comment = ": data: [DONE]\n\n";
        let mut tail = chat(1, false);
        assert_eq!(
            passed(&mut tail, &[text, comment, PART]),
            [text, comment, PART]
        );
        assert_eq!(tail.len(), 0);
    }

    #[test]
    fn any_split_and_any_line_end_give_the_same() {
        let stream = [PART, END, USAGE, DONE].concat();
        for line_end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', line_end);
            for size in 1..stream.len() {
                let mut tail = chat(1, true);
                let mut out = Vec::new();
                for piece in stream.as_bytes().chunks(size) {
                    out.extend_from_slice(&tail.hold_back(Bytes::copy_from_slice(piece)));
                }
                let passed = String::from_utf8(out).expect("text");
                assert_eq!(passed.trim_end(), PART.trim_end(), "{line_end:?} {size}");
                let held = String::from_utf8(tail.finish().to_vec()).expect("text");
                assert!(
                    held.contains("stop") && held.contains("[DONE]") && !held.contains("usage")
                );
            }
        }
    }

    #[test]
    fn an_event_passes_with_the_last_byte_of_its_end() {
        for line_end in ["\n", "\r\n", "\r"] {
            let [part, end] = [PART, END].map(|event| event.replace('\n', line_end));
            let mut tail = chat(1, false);
            assert_eq!(passed(&mut tail, &[&part, &part, &end]), [&part, &part, ""]);
            assert_eq!(tail.finish(), end);
        }
    }

    #[test]
    fn no_more_than_the_bound_is_held() {
        let mut tail = chat(1, false);
        let long = format!("data: {}\n\n", "x".repeat(1000));
        assert_eq!(passed(&mut tail, &[END]), [""]);
        let mut out = 0;
        for _ in 0..100 {
            out += tail.hold_back(Bytes::from(long.clone())).len();
            assert!(tail.len() <= MAX_HELD as u64);
        }
        assert_eq!(out, END.len() + 100 * long.len(), "all was let go");
        assert_eq!(tail.finish(), "");
        // An event that never ends flows.
        let mut tail = chat(1, false);
        let mut out = 0;
        for _ in 0..100 {
            out += tail.hold_back(Bytes::from("x".repeat(2000))).len();
            let waiting = tail.events.as_ref().map_or(0, |it| it.event.len());
            assert!(waiting <= MAX_HELD + 2000);
        }
        out += tail.hold_back(Bytes::from(format!("\n\n{PART}"))).len();
        assert_eq!(out, 200_000 + 2 + PART.len());
        assert_eq!(passed(&mut tail, &[END]), [""]);
    }

    #[test]
    fn what_is_cut_off_in_the_middle_is_not_lost() {
        let mut tail = chat(1, false);
        assert_eq!(passed(&mut tail, &[PART, "data: {\"ha"]), [PART, ""]);
        assert_eq!(tail.finish(), "data: {\"ha");
        let mut tail = chat(1, false);
        assert_eq!(passed(&mut tail, &[PART]), [PART]);
        tail.append(b"data: [DO");
        assert_eq!(tail.finish(), "data: [DO");
    }
}
