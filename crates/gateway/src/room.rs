//! Shares of the memory for bodies, for what is made here of requests and answers.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Failure;

const KIB: usize = 1024;

/// A share, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// An empty share of this memory, which is counted in KiB.
    pub(crate) fn of(memory: &Arc<Semaphore>) -> Self {
        Self {
            memory: Arc::clone(memory),
            share: None,
        }
    }

    /// Makes room for so many bytes in all.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] if others have too much of it. What there was stays.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let missing = bytes.div_ceil(KIB).saturating_sub(self.kib());
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Failure::Overloaded)?;
        let more = Arc::clone(&self.memory)
            .try_acquire_many_owned(missing)
            .map_err(|_| Failure::Overloaded)?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }

    /// Gives back what is more than so many bytes need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let spare = self.kib().saturating_sub(bytes.div_ceil(KIB));
        if let Some(share) = &mut self.share {
            drop(share.split(spare));
        }
    }

    /// These bytes, which keep as much of the room as they need until the last of them is gone, wherever that is.
    pub(crate) fn around(mut self, bytes: Bytes) -> Bytes {
        self.shrink(bytes.len());
        Bytes::from_owner(Held { bytes, _room: self })
    }

    fn kib(&self) -> usize {
        self.share
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

struct Held {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back_with_the_last_byte() {
        let memory = Arc::new(Semaphore::new(10));
        let mut room = Room::of(&memory);
        room.grow(1).expect("room");
        room.grow(1024).expect("room");
        assert_eq!(memory.available_permits(), 9);
        room.grow(8 * 1024 + 1).expect("room");
        assert_eq!(memory.available_permits(), 1);
        let too_much = room.grow(10 * 1024 + 1).map_err(|failure| failure.code());
        assert_eq!(too_much, Err("overloaded"));
        assert_eq!(memory.available_permits(), 1);
        let mut bytes = room.around(Bytes::from(vec![7; 2_000]));
        assert_eq!(memory.available_permits(), 8);
        let last = bytes.split_off(1_999);
        drop(bytes);
        assert_eq!((memory.available_permits(), &last[..]), (8, &[7][..]));
        drop(last);
        assert_eq!(memory.available_permits(), 10);
    }
}
