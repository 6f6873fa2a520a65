//! The messages of a session, put together from the frames that they come in.

use super::session::{Consumed, Session};
use crate::sse::MAX_EVENT_BYTES;
use crate::ws::{End, Kind, Part};

/// A message up to this length leaves its memory to the next one.
const KEPT_BYTES: usize = 64 * 1024;

/// Meters a session by what the provider says in it.
///
/// Memory is bounded: a message of [`MAX_EVENT_BYTES`]. What a longer one says is not known, and what is consumed counts
/// as estimated then.
#[derive(Default)]
pub struct SessionMeter {
    session: Session,
    /// The beginning of a message of text.
    message: Vec<u8>,
    /// It is too long.
    too_long: bool,
}

impl SessionMeter {
    /// A meter at the beginning of a session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part of a frame. Any split gives the same result.
    pub fn read(&mut self, part: &Part<'_>) {
        if part.kind != Kind::Text {
            return;
        }
        let ends = part.end == End::Message;
        if ends && self.message.is_empty() && !self.too_long {
            self.session.event(part.payload);
            return;
        }
        self.too_long |= self.message.len() + part.payload.len() > MAX_EVENT_BYTES;
        if self.too_long {
            self.message = Vec::new();
        } else {
            self.message.extend_from_slice(part.payload);
        }
        if !ends {
            return;
        }
        if std::mem::take(&mut self.too_long) {
            self.session.unreadable();
            return;
        }
        self.session.event(&self.message);
        self.message.clear();
        self.message.shrink_to(KEPT_BYTES);
    }

    /// What was consumed up to here.
    pub fn finish(self) -> Consumed {
        self.session.end()
    }
}
