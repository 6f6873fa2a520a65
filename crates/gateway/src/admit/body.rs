//! A request body as it is read: all of it, or its beginning while the rest flows.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use llm::form;
use llm::head::{self, Head, Listed};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::edge::InboundError;
use crate::endpoint::Call;
use crate::error::Failure;
use crate::room::Room;
use crate::upload::{HELD_BYTES, Source, Upload, WINDOW_BYTES};
use crate::{Body, BoxError, Plane};

/// What holds and what carries a body.
pub(super) struct Arrived {
    pub(super) upload: Option<Upload>,
    /// `None`: the upload has it.
    pub(super) room: Option<Room>,
}

/// Reads a JSON body, to its end. `model`: as the path names it.
pub(super) async fn read_json<B>(
    plane: &Plane,
    body: B,
    model: Option<&str>,
    call: &Call,
) -> Result<(Arrived, Listed), Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send,
{
    let limit = plane.config.limits.body_bytes;
    let to_its_end = |_: &[u8], _: usize| Ok(false);
    let Collected { bytes, room, .. } =
        collect(&mut pin!(body), limit, &plane.body_memory, to_its_end).await?;
    let listed = match model {
        None => head::read_listed(bytes),
        Some(model) => head::read_beside_listed(bytes, model, call.streams()),
    };
    let listed = listed.map_err(Failure::InvalidRequest)?;
    let arrived = Arrived {
        upload: None,
        room: Some(room),
    };
    Ok((arrived, listed))
}

/// Reads so much of a body that the call can go on, and no more of a long one. `form`: it is a form, and this reads it;
/// then its model must be known.
pub(super) async fn read_beginning(
    plane: &Plane,
    mut body: Body,
    mut form: Option<form::Reader>,
    call_ends: Instant,
) -> Result<(Arrived, Listed), Failure> {
    let limit = plane.config.limits.body_bytes;
    let timeouts = &plane.config.timeouts;
    let deadline = call_ends.min(Instant::now() + timeouts.upload());
    let length = http_body::Body::size_hint(&body).exact();
    let enough = |piece: &[u8], held: usize| {
        let Some(form) = &mut form else {
            return Ok(held >= HELD_BYTES);
        };
        form.push(piece).map_err(Failure::InvalidRequest)?;
        Ok(held >= HELD_BYTES && form.head().is_some())
    };
    let memory = &plane.body_memory;
    let Collected {
        bytes,
        mut room,
        whole,
    } = collect(&mut body, limit, memory, enough).await?;
    let head = match &form {
        None => Head::of_unread_body(),
        Some(form) if whole => form.finish().map_err(Failure::InvalidRequest)?,
        Some(form) => form.head().ok_or(Failure::Internal)?,
    };
    let arrived = if whole {
        Arrived {
            upload: None,
            room: Some(room),
        }
    } else {
        room.grow(bytes.len() + WINDOW_BYTES)?;
        let source = Source {
            body,
            check: form,
            held: bytes.len(),
            length,
            limit,
            deadline,
            call_ends,
            room,
        };
        Arrived {
            upload: Some(Upload::new(source, timeouts)),
            room: None,
        }
    };
    Ok((arrived, alone(bytes, head)))
}

pub(super) fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Body::new(body.map_err(Into::into))
}

/// Whether nothing more comes, as far as that can be seen without waiting.
pub(crate) fn is_at_end<B: http_body::Body>(body: &B) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

/// A request that names one model at most.
fn alone(body: Bytes, head: Head) -> Listed {
    Listed {
        body,
        head,
        others: Vec::new(),
    }
}

const KIB: usize = 1024;
/// A body of up to this length does not move while it grows.
const AT_ONCE: usize = 128 * KIB;

/// What was read of a body.
struct Collected {
    bytes: Bytes,
    room: Room,
    /// Whether that is all of it.
    whole: bool,
}

/// Reads a body to its end, or until there is `enough`, which is told each piece and the length of all.
async fn collect<B>(
    body: &mut B,
    limit: usize,
    memory: &Arc<Semaphore>,
    mut enough: impl FnMut(&[u8], usize) -> Result<bool, Failure> + Send,
) -> Result<Collected, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    let too_large = Failure::BodyTooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    // What is announced need not come: pages that are not written to cost nothing.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut bytes = BytesMut::with_capacity(announced.min(AT_ONCE));
    let mut room = Room::of(memory);
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(too_large);
        }
        bytes.extend_from_slice(&data);
        room.grow(bytes.len())?;
        if enough(&data, bytes.len())? {
            whole = is_at_end(body);
            break;
        }
    }
    Ok(Collected {
        bytes: bytes.freeze(),
        room,
        whole,
    })
}

pub(crate) fn broken(error: impl Into<BoxError>) -> Failure {
    let error: BoxError = error.into();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(InboundError::TooSlow) = error.downcast_ref() {
            return Failure::BodyTooSlow;
        }
        cause = error.source();
    }
    Failure::BodyBroken
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    async fn collected(
        bytes: usize,
        limit: usize,
        memory_kib: usize,
    ) -> Result<usize, &'static str> {
        let memory = Arc::new(Semaphore::new(memory_kib));
        let mut body = Full::new(Bytes::from(vec![b'x'; bytes]));
        let held = collect(&mut body, limit, &memory, |_, _| Ok(false))
            .await
            .map_err(|failure| failure.code())?;
        assert_eq!(memory.available_permits(), memory_kib - bytes.div_ceil(KIB));
        let length = held.bytes.len();
        drop(held);
        assert_eq!(memory.available_permits(), memory_kib);
        Ok(length)
    }

    #[tokio::test]
    async fn bodies_have_a_limit_each_and_in_all() {
        // T119
        assert_eq!(collected(1000, 1000, 10).await, Ok(1000));
        assert_eq!(collected(1001, 1000, 10).await, Err("request_too_large"));
        assert_eq!(collected(5000, 10_000, 4).await, Err("overloaded"));
    }
}
