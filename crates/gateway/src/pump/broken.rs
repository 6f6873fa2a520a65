//! An answer that does not come to its end.

use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use llm::format::{Metered, UsageTap};

use super::Relay;
use super::numbers::Numbers;
use crate::BoxError;
use crate::error::Failure;
use crate::send::Kind;
use crate::settle::Settlement;

/// A stream that ended without its end.
pub(super) enum Cut {
    /// The provider itself told the client of an error.
    Told,
    /// Nobody did.
    Untold,
}

/// What the tap learned of a stream that has to bring so many `answers` to their end, and whether it is without its end;
/// `None`: its end says nothing. However a stream ended, nothing that it reported before its end is the last word.
pub(super) fn learned(tap: Box<dyn UsageTap>, answers: Option<u64>) -> (Metered, bool) {
    let mut metered = tap.finish();
    let cut_off = answers.is_some_and(|answers| !metered.ended.is_whole(answers));
    metered.complete &= !cut_off;
    (metered, cut_off)
}

impl Relay {
    /// Whether the provider's stream ended without its end, however well the connection did.
    pub(super) fn is_cut_off(&mut self) -> Option<Cut> {
        let (metered, cut_off) = learned(self.tap.take()?, self.answers);
        self.metered = Some(metered);
        cut_off.then_some(match metered.refused {
            true => Cut::Told,
            false => Cut::Untold,
        })
    }

    /// The answer cannot go on. A stream ends with an error event that the client's SDK understands; any
    /// other body is cut, so that nobody takes half of it for the whole.
    pub(super) fn break_off(
        &mut self,
        failure: Failure,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let rest = self.scrubber.finish();
        // Whatever it was the beginning of has no end that could be translated.
        let rest = match &self.rewriting {
            Some(_) => Bytes::new(),
            None => rest,
        };
        self.break_off_behind(&rest, failure)
    }

    /// As [`break_off`](Self::break_off), behind the last that the provider sent.
    pub(super) fn break_off_behind(
        &mut self,
        rest: &[u8],
        failure: Failure,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let request = self.settlement.as_ref().map(Settlement::request);
        let mut last = BytesMut::new();
        match self.tail.take() {
            Some(mut tail) => {
                tail.append(rest);
                last.extend_from_slice(&tail.finish());
            }
            None => last.extend_from_slice(rest),
        }
        match (self.kind, request) {
            (Kind::EventStream, Some(request)) => {
                if let Some(numbers) = &mut self.numbers {
                    numbers.push(rest);
                }
                let rewriting = self.rewriting.as_mut();
                let event = rewriting.and_then(|it| it.break_off(&failure));
                let number = self.numbers.as_ref().and_then(Numbers::next);
                let event =
                    event.unwrap_or_else(|| failure.stream_event(self.format, request, number));
                last.extend_from_slice(&event);
                self.sent_bytes += last.len() as u64;
                self.end(Some(failure.code()));
                Poll::Ready(Some(Ok(Frame::data(last.freeze()))))
            }
            _ => {
                self.end(Some(failure.code()));
                Poll::Ready(Some(Err(failure.into())))
            }
        }
    }
}
