//! What turns a provider's answer back into the client's format.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::{RequestId, Timestamp};
use http::{HeaderMap, StatusCode};
use llm::failure;
use llm::format::{FormatId, Metered};
use llm::head;
use llm::provider::Provider;
use llm::translate::{
    self, Beside, MAX_ANSWER_BYTES, Plan, Stamp, StreamTranslator, Target, Translated, Warnings,
};
use scrub::{Needles, Scrubber};

use super::{Answer, Content, Kind, Missed, Next, Parcel, read_on};
use crate::Plane;
use crate::endpoint::{self, Call, Priced};
use crate::error::Failure;
use crate::headers;
use crate::plan::way::Way;
use crate::room::Room;

/// How an answer is translated, and what its request had to leave out, and of a whole answer the answer itself.
#[derive(Debug)]
pub(crate) struct Translation {
    plan: Plan,
    warnings: Warnings,
    /// What the request's input is estimated to be, which the client is told where nobody reports it.
    input_tokens: u64,
    /// A whole answer, if it was read before the client gets any of it: as it came, and as it is written.
    whole: Option<(Bytes, Bytes)>,
    /// What a whole answer takes of the memory for bodies until it is sent.
    pub(super) room: Option<Room>,
}

/// An answer on its way to the client's format. Bounded: a stream keeps what its translator does, a body as much as
/// [`MAX_ANSWER_BYTES`].
pub(crate) struct Rewriting {
    writer: Writer,
    /// Formats that repeat a text as a whole would put an echo of the key together that came in pieces.
    scrubber: Scrubber,
}

enum Writer {
    Stream(Box<StreamTranslator>),
    Body {
        plan: Plan,
        stamp: Stamp,
        held: BytesMut,
        /// As in [`Translation`].
        whole: Option<(Bytes, Bytes)>,
        room: Option<Room>,
    },
}

/// How many times its length a request takes while it is translated, at a guess: as it came, as it was understood, and
/// as it is written.
const WRITE_TIMES: usize = 4;

/// The request in the provider's format, and its share of the memory for bodies. `None`: it is the client's.
pub(crate) fn translated(
    plane: &Plane,
    way: &Way,
    parcel: &Parcel,
) -> Result<Option<(Translated, Room)>, Failure> {
    let client = parcel.call.format;
    if way.speaks == client {
        return Ok(None);
    }
    let mut room = Room::of(&plane.body_memory);
    room.grow(parcel.body.len().saturating_mul(WRITE_TIMES))?;
    let provider = plane.registry.get(&way.target.provider);
    let (id, model) = (&way.target.provider, &way.target.model);
    let target = Target {
        token_limit: provider.map(Provider::token_limit).unwrap_or_default(),
        max_output_tokens: plane.registry.max_output_tokens(id, model),
        thinking: provider.map_or_else(Default::default, |it| it.thinking(model)),
        stream_usage: provider.is_some_and(|it| it.takes_stream_options),
    };
    let body = head::with_model(&parcel.body, &parcel.head, model);
    let beside = Beside {
        model,
        stream: parcel.head.stream,
        listed: parcel.listed,
    };
    let into = |format| translate::request_beside(client, format, Some(beside), &body, &target);
    let mut others = way.also.iter().map(|(format, _)| *format);
    into(way.speaks)
        .or_else(|why| others.find_map(|it| into(it).ok()).ok_or(why))
        .map(|translated| {
            room.shrink(translated.body.len());
            Some((translated, room))
        })
        .map_err(|why| Failure::NotTranslatable {
            why,
            endpoint: endpoint::main(way.speaks).map(|call| call.path),
        })
}

/// How many times its length an answer takes while it is read, at a guess.
const READ_TIMES: usize = 8;

/// What became of an answer that may have to be read to its end.
pub(super) enum Read {
    /// It is a stream and translated as it comes.
    Flows,
    /// It is there, and what it takes of the memory for bodies until it is sent.
    Whole(Room),
    /// An error stands in its place, which stands for this status, in the provider's words.
    Refused(StatusCode, Bytes),
}

/// An attempt whose answer was read up to here, in the format of what was called, and is not told to the client.
pub(super) fn missed(
    status: StatusCode,
    (call, format): (&Call, FormatId),
    (failure, next): (Failure, Next),
    read: &[u8],
) -> Missed {
    Missed {
        status: Some(status),
        metered: match next {
            Next::Told => untold(call, format, read),
            // It is made once more.
            _ => None,
        },
        ..Missed::new(failure, next)
    }
}

/// What was read of a body in this format that the client is not told, metered: the model made it all the same.
fn untold(call: &Call, format: FormatId, read: &[u8]) -> Option<Box<Metered>> {
    if call.priced == Priced::Unknown {
        return None;
    }
    let mut tap = format.format().usage_tap(false);
    tap.push(read);
    Some(Box::new(tap.finish()))
}

impl Translation {
    pub(super) fn of(translated: &Translated, parcel: &Parcel) -> Self {
        let mut warnings = translated.warnings.clone();
        // They ask the provider for more than the body does.
        headers::betas(&parcel.headers)
            .chain(parcel.beta.then_some("beta"))
            .for_each(|name| warnings.dropped(name));
        Self {
            plan: translated.plan.clone(),
            warnings,
            input_tokens: Metered::input_only(parcel.input_bytes(Some(translated))).input_tokens,
            whole: None,
            room: None,
        }
    }

    /// Reads a body to its end, as long as another key can still take over: what is no answer must not be told as one. A
    /// stream is left as it is. The model made what is not told all the same, so it is metered.
    pub(super) async fn read_whole(
        &mut self,
        answer: &mut Answer,
        parcel: &Parcel,
        plane: &Plane,
    ) -> Result<Read, Box<Missed>> {
        let Content::Flowing {
            kind: Kind::Json,
            first,
            whole,
            body,
            ..
        } = &mut answer.content
        else {
            return Ok(Read::Flows);
        };
        let format = self.upstream();
        let missed = |why, read: &[u8]| missed(answer.status, (parcel.call, format), why, read);
        let unreadable = (Failure::UpstreamUnreadable, Next::Told);
        let mut room = Room::of(&plane.body_memory);
        let mut read = BytesMut::from(&first[..]);
        let times = (plane.config.timeouts.idle(), parcel.ends_at);
        let goes_on = |read: &[u8]| {
            if read.len() > MAX_ANSWER_BYTES {
                return Err((Failure::UpstreamUnreadable, Next::Told));
            }
            room.grow(read.len())
                .map_err(|failure| (failure, Next::Told))?;
            Ok(true)
        };
        let outcome = read_on(body, &mut read, times, goes_on).await;
        // Understanding it takes several times its length.
        let outcome = outcome.and_then(|_| {
            room.grow(read.len().saturating_mul(READ_TIMES))
                .map_err(|failure| (failure, Next::Told))
        });
        outcome.map_err(|why| missed(why, &read))?;
        let read = read.freeze();
        if let Some(status) = failure::status_of_event(&read) {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Ok(Read::Refused(status, read));
        }
        let stamp = stamp(parcel.request, plane.sources.now(), self.input_tokens);
        let written = self.plan.answer_alone(&read, &stamp, &mut self.warnings);
        let written = written.map_err(|_| missed(unreadable, &read))?;
        self.whole = Some((read.clone(), written));
        *first = read;
        *whole = true;
        Ok(Read::Whole(room))
    }

    /// The provider's format.
    pub(crate) fn upstream(&self) -> FormatId {
        self.plan.upstream()
    }

    /// Whether the client wants a stream as a list.
    pub(crate) fn is_listed(&self) -> bool {
        self.plan.is_listed()
    }

    /// Tells the client that it was translated.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers::translated(headers, self.upstream(), &self.warnings);
    }

    /// A provider's refusal in the client's format, in the provider's words. `None`: it has none that can be read.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        text: &[u8],
        request: RequestId,
        now: Timestamp,
    ) -> Option<Bytes> {
        // An error tells no usage.
        let stamp = stamp(request, now, 0);
        self.plan.error(status.as_u16(), text, &stamp)
    }

    /// Begins to rewrite an answer to this call. `None`: no translation is known after all.
    pub(crate) fn begin(
        self,
        kind: Kind,
        needles: &Arc<Needles>,
        request: RequestId,
        now: Timestamp,
    ) -> Option<Rewriting> {
        let stamp = stamp(request, now, self.input_tokens);
        let writer = match kind {
            Kind::Raw => return None,
            Kind::EventStream => Writer::Stream(Box::new(self.plan.stream(stamp)?)),
            Kind::Json => Writer::Body {
                plan: self.plan,
                stamp,
                held: BytesMut::new(),
                whole: self.whole,
                room: self.room,
            },
        };
        Some(Rewriting {
            writer,
            scrubber: Scrubber::new(Arc::clone(needles)),
        })
    }
}

impl Rewriting {
    /// Takes what the provider sent and returns what the client gets for it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Bytes, Failure> {
        let written = self.writer.push(bytes)?;
        Ok(self.scrubber.push(written))
    }

    /// The provider's answer is at its end. Returns the last that the client gets.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Failure> {
        let written = self.writer.finish()?;
        let mut last = BytesMut::from(&self.scrubber.push(written)[..]);
        last.extend_from_slice(&self.scrubber.finish());
        Ok(last.freeze())
    }

    /// What a whole answer takes of the memory for bodies, for the bytes that it has become.
    pub(crate) fn take_room(&mut self) -> Option<Room> {
        match &mut self.writer {
            Writer::Stream(_) => None,
            Writer::Body { room, .. } => room.take(),
        }
    }

    /// Whether the client of a stream was told that it failed.
    pub(crate) fn failed(&self) -> bool {
        match &self.writer {
            Writer::Stream(translator) => translator.is_over() && !translator.is_whole(),
            Writer::Body { .. } => false,
        }
    }

    /// The last of a stream that cannot go on. `None`: it is no stream.
    pub(crate) fn break_off(&mut self, failure: &Failure) -> Option<Bytes> {
        let Writer::Stream(translator) = &mut self.writer else {
            return None;
        };
        let status = failure.status().as_u16();
        let text = translator.break_off(status, failure.code(), &failure.to_string());
        let mut last = BytesMut::from(&self.scrubber.finish()[..]);
        last.extend_from_slice(text.as_bytes());
        Some(last.freeze())
    }
}

impl Writer {
    fn push(&mut self, bytes: &[u8]) -> Result<Bytes, Failure> {
        match self {
            Self::Stream(translator) => Ok(translator.push(bytes).into()),
            Self::Body { held, .. } => {
                if held.len() + bytes.len() > MAX_ANSWER_BYTES {
                    return Err(Failure::UpstreamUnreadable);
                }
                held.extend_from_slice(bytes);
                Ok(Bytes::new())
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, Failure> {
        match self {
            Self::Stream(translator) => Ok(translator.finish().into()),
            Self::Body {
                plan,
                stamp,
                held,
                whole,
                ..
            } => {
                let held = held.split();
                match whole.take() {
                    // No echo of the key was taken out of it meanwhile.
                    Some((read, written)) if read == held => Ok(written),
                    _ => plan
                        .answer(&held, stamp)
                        .map_err(|_| Failure::UpstreamUnreadable),
                }
            }
        }
    }
}

fn stamp(request: RequestId, now: Timestamp, input_tokens: u64) -> Stamp {
    Stamp {
        input_tokens,
        request: request.to_string(),
        at_s: now.millis().div_euclid(1_000),
    }
}
