//! Links in a provider's answer that its SDK follows, so that they lead back here.
//!
//! Anthropic's SDKs fetch the results of a batch from the `results_url` that its answer names, with the API key that they
//! call us with (`batches.results` of the SDKs for Python 2.11.0 and JavaScript 1.11.0). Passed as it came, that link
//! takes one of our API keys to the provider, which refuses it. Without the base URL of the provider it is relative to
//! the one that the SDK has, whatever stands in front of us.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::translation::missed;
use super::{Answer, Content, Kind, Missed, Parcel, next_piece};
use crate::Plane;
use crate::pass;
use crate::room::Room;

/// The longest answer that is changed; a longer one passes as it came. A page of a thousand batches has less than one.
const MAX_BYTES: usize = 8 << 20;

/// Whether an answer from this path of a provider is about batches of messages.
pub(super) fn wanted(parcel: &Parcel, path: &str) -> bool {
    parcel.call.operation == pass::OPERATION && path.contains("/messages/batches")
}

/// Takes the base URL of the provider from the links of an answer, which is read to its end first, as long as nothing of
/// it is with the client.
pub(super) async fn turn_back(
    answer: &mut Answer,
    parcel: &Parcel,
    plane: &Plane,
    base_url: &str,
) -> Result<(), Missed> {
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
    let reading = async {
        let idle = plane.config.timeouts.idle();
        while read.len() <= MAX_BYTES {
            let Some(data) = next_piece(body, idle, parcel.ends_at).await? else {
                *whole = true;
                break;
            };
            read.extend_from_slice(&data);
            // Once as it came, and once with other links. Where there is no room the answer goes on as it came: what it tells
            // of was made, and would be made once more.
            if room.grow(2 * read.len()).is_err() {
                break;
            }
        }
        Ok(())
    };
    let about = (parcel.call, parcel.call.format);
    let outcome = reading.await;
    outcome.map_err(|why| missed(answer.status, about, why, &read))?;
    let read = read.freeze();
    let ready = whole.then(|| relative(&read, base_url)).flatten();
    *first = room.around(ready.unwrap_or(read));
    Ok(())
}

/// The answer with its links below this base URL relative to it and every other byte as it was; `None`: it has none.
fn relative(answer: &Bytes, base_url: &str) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow, default)]
        results_url: Option<&'a RawValue>,
        #[serde(borrow, default)]
        data: Vec<Batch<'a>>,
    }
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        results_url: Option<&'a RawValue>,
    }
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let page: Page<'_> = serde_json::from_slice(answer).ok()?;
    let listed = page.data.into_iter().map(|batch| batch.results_url);
    let mut changed = BytesMut::new();
    let mut done = 0;
    for link in [page.results_url].into_iter().chain(listed).flatten() {
        let text: String = serde_json::from_str(link.get()).ok()?;
        let Some(below) = text
            .strip_prefix(base_url)
            .filter(|below| below.starts_with('/'))
        else {
            continue;
        };
        // It is borrowed from the answer, so the difference of the addresses is its place there.
        let start = link.get().as_ptr().addr() - answer.as_ptr().addr();
        // An answer that is a batch and a list at once is nobody's.
        changed.extend_from_slice(answer.get(done..start)?);
        changed.extend_from_slice(serde_json::to_string(below).ok()?.as_bytes());
        done = start + link.get().len();
    }
    changed.extend_from_slice(&answer[done..]);
    (done > 0).then(|| changed.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://api.anthropic.com";

    fn turned(answer: &'static str) -> Option<String> {
        let turned = relative(&Bytes::from_static(answer.as_bytes()), BASE)?;
        Some(String::from_utf8(turned.into()).expect("text"))
    }

    #[test]
    fn links_below_the_base_url_lose_it_and_nothing_else_changes() {
        let batch = r#"{"id": "b", "results_url" : "https://api.anthropic.com/v1/messages/batches/b/results", "x":1.0}"#;
        let relative = r#"{"id": "b", "results_url" : "/v1/messages/batches/b/results", "x":1.0}"#;
        assert_eq!(turned(batch).as_deref(), Some(relative));
        let list = r#"{"data":[{"results_url":null},{"results_url":"https:\/\/api.anthropic.com/a"},{"results_url":"https://api.anthropic.com/b"},{}],"has_more":false}"#;
        let relative = r#"{"data":[{"results_url":null},{"results_url":"/a"},{"results_url":"/b"},{}],"has_more":false}"#;
        assert_eq!(turned(list).as_deref(), Some(relative));
    }

    #[test]
    fn whatever_else_there_is_passes_as_it_came() {
        for answer in [
            "",
            "[]",
            "{}",
            r#"{"results_url":null}"#,
            r#"{"results_url":1}"#,
            r#"{"results_url":"https://api.anthropic.com"}"#,
            r#"{"results_url":"https://api.anthropic.com.example/a"}"#,
            r#"{"results_url":"https://elsewhere.example/a"}"#,
            r#"{"metadata":{"results_url":"https://api.anthropic.com/a"}}"#,
            r#"{"data":[{"results_url":"https://api.anthropic.com/a"}],"results_url":"https://api.anthropic.com/b"}"#,
        ] {
            assert_eq!(turned(answer), None, "{answer}");
        }
    }
}
