//! A relay whose client speaks another format than the provider.

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;

use super::Relay;
use crate::BoxError;
use crate::error::Failure;
use crate::send::Rewriting;

impl Relay {
    /// What the client gets for these bytes of the provider.
    pub(super) fn rewrite(&mut self, bytes: Bytes) -> Result<Bytes, Failure> {
        match &mut self.rewriting {
            Some(rewriting) => rewriting.push(&bytes),
            None => Ok(bytes),
        }
    }

    /// What the client gets at the end, with the last bytes of the provider.
    pub(super) fn rewrite_last(&mut self, bytes: Bytes) -> Result<Bytes, Failure> {
        let Some(rewriting) = &mut self.rewriting else {
            return Ok(bytes);
        };
        let before = rewriting.push(&bytes)?;
        let last = rewriting.finish()?;
        Ok([before, last].concat().into())
    }

    /// The last bytes of an answer. Those of a translated one keep their share of the memory for bodies until they are
    /// sent, however slowly the client takes them.
    pub(super) fn with_room(&mut self, last: Bytes) -> Bytes {
        let room = self.rewriting.as_mut().and_then(Rewriting::take_room);
        match room {
            Some(room) => room.around(last),
            None => last,
        }
    }

    /// Whether the client was told that a translated stream failed.
    pub(super) fn gave_up(&self) -> bool {
        self.rewriting.as_ref().is_some_and(Rewriting::failed)
    }

    /// The last of a stream whose client was told that it failed.
    pub(super) fn end_with(&mut self, last: Bytes) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let last = match self.tail.take() {
            Some(mut tail) => {
                tail.append(&last);
                tail.finish()
            }
            None => last,
        };
        self.sent_bytes += last.len() as u64;
        self.end(Some(Failure::UpstreamBroken.code()));
        Poll::Ready((!last.is_empty()).then(|| Ok(Frame::data(last))))
    }
}
