//! Answers with [links](llm::links) that an SDK follows with one of our API keys: they are read to their end, so that the
//! links lead back here.

use bytes::BytesMut;
use llm::links::relative;

use super::translation::missed;
use super::{Answer, Content, Kind, Missed, Parcel, read_on};
use crate::Plane;
use crate::pass;
use crate::room::Room;

/// The longest answer that is changed; a longer one passes as it came. A page of a thousand batches has less than one.
const MAX_BYTES: usize = 8 << 20;

/// Whether an answer from this path of a provider is about batches of messages.
pub(super) fn wanted(parcel: &Parcel, path: &str) -> bool {
    parcel.call.operation == pass::OPERATION && llm::links::has_some(path)
}

/// Takes the base URL of the provider from the links of an answer, which is read to its end first, as long as nothing of
/// it is with the client.
pub(super) async fn turn_back(
    answer: &mut Answer,
    parcel: &Parcel,
    plane: &Plane,
    base_url: &str,
) -> Result<(), Box<Missed>> {
    let Content::Flowing {
        kind: Kind::Json,
        first,
        whole,
        body,
        ..
    } = &mut answer.content
    else {
        return Ok(());
    };
    let mut room = Room::of(&plane.body_memory);
    let mut read = BytesMut::from(&first[..]);
    let times = (plane.config.timeouts.idle(), parcel.ends_at);
    // Once as it came, and once with other links. Where there is no room the answer goes on as it came: what it tells of
    // was made, and would be made once more.
    let goes_on = |read: &[u8]| Ok(read.len() <= MAX_BYTES && room.grow(2 * read.len()).is_ok());
    let outcome = read_on(body, &mut read, times, goes_on).await;
    let about = (parcel.call, parcel.call.format);
    *whole = outcome.map_err(|why| missed(answer.status, about, why, &read))?;
    let read = read.freeze();
    let ready = whole.then(|| relative(&read, base_url)).flatten();
    *first = room.around(ready.unwrap_or(read));
    Ok(())
}
