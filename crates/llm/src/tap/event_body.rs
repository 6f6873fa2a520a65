//! Metering a stream whose events are too long to be kept: each is metered as a JSON body of its own.

use domain::Usage;
use serde_json::value::RawValue;

use super::text::Shape;
use super::{BodyTap, Metered};
use crate::format::UsageTap;

const DATA: &[u8] = b"data:";

/// Finds the top-level `usage` of the events of a stream, of which none is kept. The last report counts.
///
/// An event that the stream's end cuts off before its blank line counts, as with [`crate::sse::Decoder`].
pub(crate) struct EventBodyTap {
    read: fn(&RawValue) -> Option<Usage>,
    shape: &'static Shape,
    /// The data of the event that has not ended; `None`: none came.
    data: Option<BodyTap>,
    /// What was learned from the events before it.
    told: Metered,
    line: Line,
    /// The last byte was a carriage return; a line feed right after it belongs to it.
    after_return: bool,
}

/// Where in its line the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So much of [`DATA`] has come, and nothing else.
    Name(usize),
    /// Right behind [`DATA`], where a blank does not count.
    Blank,
    /// In the data.
    Data,
    /// In a line that holds no data.
    Other,
}

impl EventBodyTap {
    /// `read` reads the report; `shape` says where an event has its generated text.
    pub(crate) fn new(read: fn(&RawValue) -> Option<Usage>, shape: &'static Shape) -> Self {
        Self {
            read,
            shape,
            data: None,
            told: Metered::default(),
            line: Line::Name(0),
            after_return: false,
        }
    }

    fn end_line(&mut self) {
        if self.line == Line::Name(0) {
            self.end_event();
        }
        self.line = Line::Name(0);
    }

    fn end_event(&mut self) {
        let Some(data) = self.data.take() else {
            return;
        };
        let event = Box::new(data).finish();
        let told = &mut self.told;
        if event.reported.is_some() {
            told.reported = event.reported;
            told.complete = event.complete;
        }
        told.output_bytes = told.output_bytes.saturating_add(event.output_bytes);
        told.begun |= event.begun;
    }

    fn begin_data(&mut self) {
        self.line = Line::Blank;
        match &mut self.data {
            Some(data) => data.push(b"\n"),
            None => self.data = Some(BodyTap::new(self.read, self.shape)),
        }
    }

    /// Takes what stands before the end of the line.
    fn inside_line(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            match self.line {
                Line::Name(at) if *byte == DATA[at] => {
                    self.line = Line::Name(at + 1);
                    if at + 1 == DATA.len() {
                        self.begin_data();
                    }
                }
                Line::Name(_) => self.line = Line::Other,
                Line::Blank => {
                    self.line = Line::Data;
                    if *byte != b' ' {
                        continue;
                    }
                }
                Line::Data => {
                    if let Some(data) = &mut self.data {
                        data.push(bytes);
                    }
                    return;
                }
                Line::Other => return,
            }
            bytes = rest;
        }
    }
}

impl UsageTap for EventBodyTap {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                return self.inside_line(bytes);
            };
            self.inside_line(&bytes[..end]);
            self.after_return = bytes[end] == b'\r';
            self.end_line();
            bytes = &bytes[end + 1..];
        }
    }

    fn finish(mut self: Box<Self>) -> Metered {
        self.end_event();
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NOTHING, TEXT};
    use super::*;

    fn read(report: &RawValue) -> Option<Usage> {
        Some(Usage {
            input_tokens: report.get().parse().ok()?,
            ..Usage::default()
        })
    }

    fn tapped<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<u64> {
        let mut tap = Box::new(EventBodyTap::new(read, &NOTHING));
        for piece in pieces {
            tap.push(piece);
        }
        let metered = tap.finish();
        assert_eq!(metered.complete, metered.reported.is_some());
        metered.reported.map(|usage| usage.input_tokens)
    }

    #[test]
    fn the_last_report_of_a_stream_counts_wherever_it_is_cut() {
        for (stream, report) in [
            ("data: {\"usage\":1}\n\n", Some(1)),
            ("data:{\"usage\":1}\r\n\r\n", Some(1)),
            ("data: {\"usage\":1}\r\r", Some(1)),
            ("data: {\"usage\":1}", Some(1)),
            ("data: {\"usage\":\ndata: 12}\n\n", Some(12)),
            (
                "event: a\ndata: {\"usage\":1}\nid: 7\n\ndata: {\"usage\":2}\n\n",
                Some(2),
            ),
            ("data: {\"usage\":1}\n\ndata: {\"a\":2}\n\n", Some(1)),
            ("data: {\"usage\":1}\n\ndata: {\"usage\":-2}\n\n", Some(1)),
            ("data: {\"usage\":1\n\n", None),
            ("data: {\"a\":{\"usage\":1}}\n\n", None),
            (": {\"usage\":1}\n\n", None),
            ("dat: {\"usage\":1}\ndatax: {\"usage\":1}\n\n", None),
            ("data\n\ndata:\n\n", None),
            ("\n\n\n", None),
            ("", None),
        ] {
            let stream = stream.as_bytes();
            assert_eq!(tapped([stream]), report, "{stream:?}");
            assert_eq!(tapped(stream.chunks(1)), report, "{stream:?}");
            for cut in 0..=stream.len() {
                let (head, tail) = stream.split_at(cut);
                assert_eq!(tapped([head, tail]), report, "{stream:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_event_of_any_length_is_read_and_costs_no_memory() {
        let picture = "x".repeat(20 << 20);
        let stream = format!("data: {{\"b64_json\":\"{picture}\",\"usage\":3}}\n\n");
        assert_eq!(tapped(stream.as_bytes().chunks(16 * 1024)), Some(3));
    }

    #[test]
    fn texts_of_all_events_are_counted() {
        static TEXTS: Shape = super::super::fields(&[("text", &TEXT)]);
        let mut tap = Box::new(EventBodyTap::new(read, &TEXTS));
        tap.push(b"data: {\"text\":\"four\"}\n\ndata: {\"text\":\"two\"}\n\n");
        let metered = tap.finish();
        assert_eq!((metered.output_bytes, metered.begun), (7, true));
    }
}
