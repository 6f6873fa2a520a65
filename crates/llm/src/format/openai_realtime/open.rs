//! What has begun in a session and not ended.

use std::collections::VecDeque;

use crate::tap::BYTES_PER_TOKEN;

/// So much is told apart at once; what more there is counts with the last. A conversation has one response at a time,
/// and a few may run beside it.
const MAX_OPEN: usize = 32;
/// No id is longer; a longer one is taken for none.
const MAX_ID_BYTES: usize = 128;

/// What has begun and not ended, the oldest first.
#[derive(Default)]
pub(super) struct Opened(VecDeque<(Box<str>, Begun)>);

/// What came of something that has begun.
#[derive(Clone, Copy, Default)]
pub(super) struct Begun {
    pub(super) text_bytes: u64,
    pub(super) sound_bytes: u64,
}

impl Opened {
    /// What has this id. It begins if it has not.
    pub(super) fn of(&mut self, id: &str) -> &mut Begun {
        let id = short(id);
        let place = match self.place(id) {
            Some(place) => place,
            None if self.0.len() >= MAX_OPEN => self.0.len() - 1,
            None => {
                self.0.push_back((id.into(), Begun::default()));
                self.0.len() - 1
            }
        };
        &mut self.0[place].1
    }

    /// Ends what has this id, or the oldest if that has none.
    pub(super) fn end(&mut self, id: &str) -> Option<Begun> {
        let id = short(id);
        let place = self.place(id).or(id.is_empty().then_some(0))?;
        self.0.remove(place).map(|(_, begun)| begun)
    }

    /// Ends all.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Begun> + use<> {
        std::mem::take(&mut self.0)
            .into_iter()
            .map(|(_, begun)| begun)
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.0.iter().position(|(it, _)| **it == *id)
    }
}

fn short(id: &str) -> &str {
    if id.len() <= MAX_ID_BYTES { id } else { "" }
}

impl Begun {
    pub(super) fn text(&mut self, bytes: u64) {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
    }

    pub(super) fn sound(&mut self, bytes: u64) {
        self.sound_bytes = self.sound_bytes.saturating_add(bytes);
    }

    pub(super) fn has_output(&self) -> bool {
        self.text_bytes > 0 || self.sound_bytes > 0
    }

    pub(super) fn text_tokens(&self) -> u64 {
        self.text_bytes.div_ceil(BYTES_PER_TOKEN)
    }
}
