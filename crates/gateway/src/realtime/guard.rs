//! What of a provider's frames may go to the client.
//!
//! A frame says its length first, so an echo of the key cannot be replaced as in other answers: the session ends
//! before a byte of it has left. The bytes are held back while they may be the beginning of one, wherever frames and
//! pieces are cut. All other bytes pass as they are.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use llm::format::{Consumed, SessionMeter};
use llm::ws::{End, FrameReader, Kind, Part};
use scrub::{Needles, Scrubber};

/// More than this is not held back: no echo of a key is cut into so many pieces.
const MOST_HELD_BYTES: usize = 64 * 1024;

/// Why nothing more of a provider passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The key stands in a frame.
    Echo,
    /// The bytes are no frames, or would have to be held back without end.
    Broken,
}

/// Reads what the provider sends.
pub(super) struct Guard {
    frames: FrameReader,
    messages: Lane,
    controls: Lane,
    meter: SessionMeter,
    /// What came and did not go out yet.
    held: BytesMut,
    /// Position of the first held byte.
    held_from: u64,
    /// Position of the next byte.
    next: u64,
    /// Where the frame began that came last.
    frame_from: u64,
}

impl Guard {
    /// A guard for the key behind `needles`.
    pub(super) fn new(needles: &Arc<Needles>) -> Self {
        Self {
            frames: FrameReader::new(),
            messages: Lane::new(needles),
            controls: Lane::new(needles),
            meter: SessionMeter::new(),
            held: BytesMut::new(),
            held_from: 0,
            next: 0,
            frame_from: 0,
        }
    }

    /// Takes the next bytes. What may go out is returned, also where nothing may behind it: then it ends with a frame,
    /// unless the beginning of the one that is stopped has left.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (Bytes, Option<Stop>) {
        let Self {
            frames,
            messages,
            controls,
            meter,
            next,
            frame_from,
            ..
        } = self;
        let begun_at = *next;
        let mut echo = false;
        let read = frames.push(bytes, |part| {
            if echo {
                return;
            }
            let at = begun_at + part.at as u64;
            let lane = match part.kind {
                Kind::Control => &mut *controls,
                Kind::Text | Kind::Binary => &mut *messages,
            };
            echo = lane.echoes(&part, at);
            if !echo {
                meter.read(&part);
                if part.end != End::Open {
                    *frame_from = at + part.payload.len() as u64;
                }
            }
        });
        self.held.extend_from_slice(bytes);
        self.next += bytes.len() as u64;
        let stop = match read {
            _ if echo => Some(Stop::Echo),
            Err(_) => Some(Stop::Broken),
            Ok(()) => None,
        };
        let until = match stop {
            // The beginning of an echo may stand in the frame before, which the scrubber has forgotten by now.
            Some(Stop::Echo) => {
                let lanes = [&self.messages, &self.controls].into_iter();
                let first = lanes
                    .filter_map(|lane| lane.places.front())
                    .map(|it| it.start);
                first.min().unwrap_or(self.next).min(self.frame_from)
            }
            Some(Stop::Broken) => self.cut().min(self.frame_from),
            None => self.cut(),
        };
        let ready = until.saturating_sub(self.held_from);
        let ready = self.held.split_to(usize::try_from(ready).unwrap_or(0));
        self.held_from += ready.len() as u64;
        let stop = stop.or((self.held.len() > MOST_HELD_BYTES).then_some(Stop::Broken));
        (ready.freeze(), stop)
    }

    /// Whether a frame of ours may be put behind what went out.
    pub(super) fn is_between_frames(&self) -> bool {
        self.held.is_empty() && self.frames.is_between_frames()
    }

    /// As [`is_between_frames`](Self::is_between_frames), after a stop.
    pub(super) fn stopped_between_frames(&self) -> bool {
        self.held_from == self.frame_from
    }

    /// What the provider said that it did, up to here.
    pub(super) fn consumed(self) -> Consumed {
        self.meter.finish()
    }

    /// Position of the first byte that must not go out yet.
    fn cut(&self) -> u64 {
        let lanes = [self.messages.cut(), self.controls.cut()];
        lanes.into_iter().flatten().min().unwrap_or(self.next)
    }
}

/// The payloads that are searched as one text: those of a message, whatever control frames come between.
struct Lane {
    scrubber: Scrubber,
    /// Where the payload stands that is held back, and perhaps some before it.
    places: VecDeque<Range<u64>>,
}

impl Lane {
    fn new(needles: &Arc<Needles>) -> Self {
        Self {
            scrubber: Scrubber::new(Arc::clone(needles)),
            places: VecDeque::new(),
        }
    }

    /// Searches a payload that stands at `at`.
    fn echoes(&mut self, part: &Part<'_>, at: u64) -> bool {
        // Most parts hold nothing back: what comes out is what went in.
        let _ready = self.scrubber.push(Bytes::copy_from_slice(part.payload));
        if self.scrubber.removed() > 0 {
            return true;
        }
        if part.end == End::Message {
            let _rest = self.scrubber.finish();
            self.places.clear();
            return false;
        }
        // An empty payload has no place: there may be any number of them, and each would be looked at for every next one.
        if !part.payload.is_empty() {
            self.places.push_back(at..at + part.payload.len() as u64);
            self.forget();
        }
        false
    }

    /// Forgets the places of which nothing is held back.
    fn forget(&mut self) {
        let mut held = self.scrubber.held_bytes();
        let needed = self.places.iter().rev().take_while(|place| {
            let more = held > 0;
            held = held.saturating_sub(place.end - place.start);
            more
        });
        let needed = needed.count();
        self.places.drain(..self.places.len() - needed);
    }

    /// Position of the first byte that is held back.
    fn cut(&self) -> Option<u64> {
        let mut held = self.scrubber.held_bytes();
        if held == 0 {
            return None;
        }
        for place in self.places.iter().rev() {
            let bytes = place.end - place.start;
            if held <= bytes {
                return Some(place.end - held);
            }
            held -= bytes;
        }
        self.places.front().map(|place| place.start)
    }
}

#[cfg(test)]
mod tests;
