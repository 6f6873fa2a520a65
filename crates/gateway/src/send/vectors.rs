//! Vectors as base64, where the client asked for them so and the provider wrote numbers.
//!
//! OpenAI's SDK for JavaScript asks for base64 unless told otherwise and reads whatever comes as that: numbers become a
//! vector of zeros, and nobody notices. Many providers ignore the wish, so it is fulfilled here: each
//! `embedding` is the little-endian 32-bit floats of its numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use llm::format::FormatId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::translation::missed;
use super::{Answer, Content, Kind, Missed, Next, Parcel, read_on};
use crate::Plane;
use crate::error::Failure;
use crate::room::Room;

/// The longest answer that is encoded; a longer one of numbers is refused.
const MAX_BYTES: usize = 32 << 20;

/// So far into an answer its first vector is looked for; one that begins without any passes as it comes.
const MAX_PRELUDE_BYTES: usize = 64 * 1024;

/// What an answer's vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Nothing is to be seen of them yet.
    NotYet,
    Numbers,
    /// Base64, or whatever else is not ours to change.
    Otherwise,
}

/// Whether the client of this request reads vectors as base64.
pub(super) fn wanted(parcel: &Parcel) -> bool {
    #[derive(Deserialize)]
    struct Wish<'a> {
        #[serde(borrow)]
        encoding_format: Option<&'a RawValue>,
    }
    parcel.call.format == FormatId::OpenaiEmbeddings
        && serde_json::from_slice::<Wish<'_>>(&parcel.body).is_ok_and(|wish| {
            wish.encoding_format
                .is_some_and(|it| it.get() == "\"base64\"")
        })
}

/// Encodes the vectors of an answer if they are numbers. What is base64 already passes as it comes; what is numbers is
/// read to its end first, as long as nothing of it is with the client. What is not told then was made all the same, so
/// it is metered.
pub(super) async fn encode_in(
    answer: &mut Answer,
    parcel: &Parcel,
    plane: &Plane,
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
    let format = FormatId::OpenaiEmbeddings;
    let missed = |why, read: &[u8]| missed(answer.status, (parcel.call, format), why, read);
    let mut room = Room::of(&plane.body_memory);
    let mut read = BytesMut::from(&first[..]);
    let mut written = Written::NotYet;
    let times = (plane.config.timeouts.idle(), parcel.ends_at);
    let goes_on = |read: &[u8]| {
        if written == Written::NotYet {
            written = match self::written(read) {
                Written::NotYet if read.len() > MAX_PRELUDE_BYTES => Written::Otherwise,
                written => written,
            };
        }
        if written == Written::Otherwise {
            // It passes as it is, and takes no room here.
            return Ok(false);
        }
        // No more than a piece beyond the limits: what is refused shows that an answer began.
        if read.len() > MAX_BYTES {
            return Err((Failure::UpstreamNotEncodable, Next::Told));
        }
        // Once as it came, and once as it is encoded, which is shorter for what models make.
        room.grow(2 * read.len())
            .map_err(|failure| (failure, Next::Told))?;
        Ok(true)
    };
    let outcome = read_on(body, &mut read, times, goes_on).await;
    *whole = outcome.map_err(|why| missed(why, &read))?;
    let read = read.freeze();
    let ready = match written {
        Written::Numbers => encoded(&read)
            .ok_or_else(|| missed((Failure::UpstreamNotEncodable, Next::Told), &read))?,
        Written::NotYet | Written::Otherwise => read,
    };
    *first = room.around(ready);
    Ok(())
}

/// What the first vector is in the beginning of an answer.
fn written(beginning: &[u8]) -> Written {
    const FIELD: &[u8] = b"\"embedding\"";
    let places = beginning
        .windows(FIELD.len())
        .enumerate()
        .filter(|(_, window)| *window == FIELD);
    for (at, _) in places {
        // As a value it says what an object is.
        let rest = beginning[at + FIELD.len()..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":") else {
            continue;
        };
        return match value.trim_ascii_start().first() {
            None => Written::NotYet,
            Some(b'[') => Written::Numbers,
            Some(_) => Written::Otherwise,
        };
    }
    Written::NotYet
}

/// The answer with its vectors as base64 and every other byte as it was; `None`: they are not all lists of numbers that
/// such a float can hold, or strings.
fn encoded(answer: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Vectors<'a> {
        #[serde(borrow)]
        data: Vec<Vector<'a>>,
    }
    #[derive(Deserialize)]
    struct Vector<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
    }
    let vectors: Vectors<'_> = serde_json::from_slice(answer).ok()?;
    let mut changed = BytesMut::with_capacity(answer.len() / 2);
    let mut done = 0;
    for Vector { embedding } in vectors.data {
        let raw = embedding.get();
        if raw.starts_with('"') {
            continue;
        }
        // It is borrowed from the answer, so the difference of the addresses is its place there.
        let start = raw.as_ptr().addr() - answer.as_ptr().addr();
        changed.extend_from_slice(&answer[done..start]);
        changed.extend_from_slice(base64_of(raw)?.as_bytes());
        done = start + raw.len();
    }
    changed.extend_from_slice(&answer[done..]);
    Some(changed.freeze())
}

/// A list of numbers as a JSON string of base64.
fn base64_of(list: &str) -> Option<String> {
    let numbers: Vec<f32> = serde_json::from_str(list).ok()?;
    if !numbers.iter().all(|number| number.is_finite()) {
        return None;
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    Some(format!("\"{}\"", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_little_endian_floats() {
        for (list, base64) in [
            ("[]", ""),
            ("[0.5]", "AAAAPw=="),
            ("[ 1 , -2.5e0,0]", "AACAPwAAIMAAAAAA"),
            // The closest float.
            ("[0.1]", "zczMPQ=="),
            ("[-0.0]", "AAAAgA=="),
            ("[1e-50]", "AAAAAA=="),
        ] {
            assert_eq!(base64_of(list), Some(format!("\"{base64}\"")), "{list}");
        }
        for list in [
            "[1e39]", "[1e400]", "[null]", "[[1]]", "[\"1\"]", "{}", "[1",
        ] {
            assert_eq!(base64_of(list), None, "{list}");
        }
    }

    #[test]
    fn every_float_survives() {
        let numbers = [f32::MIN, f32::MAX, f32::MIN_POSITIVE, 1.0e-45, 0.123_456_79];
        let text = base64_of(&serde_json::to_string(&numbers).expect("numbers"));
        let bytes = STANDARD.decode(text.expect("encoded").trim_matches('"'));
        let bytes = bytes.expect("base64");
        let read = bytes
            .chunks_exact(4)
            .map(|it| f32::from_le_bytes(it.try_into().expect("four")));
        assert_eq!(read.collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn only_the_vectors_change() {
        let answer = r#"{ "object":"list", "data":[{"object":"embedding","embedding":[0.5, 1],"index":0} ,{"embedding":"AAAAPw==","x":[1]},{"embedding":[]}],"usage":{"prompt_tokens":1} }"#;
        let expected = r#"{ "object":"list", "data":[{"object":"embedding","embedding":"AAAAPwAAgD8=","index":0} ,{"embedding":"AAAAPw==","x":[1]},{"embedding":""}],"usage":{"prompt_tokens":1} }"#;
        let changed = encoded(&Bytes::from_static(answer.as_bytes()));
        assert_eq!(changed.as_deref(), Some(expected.as_bytes()));
        for answer in [
            r#"{"data":{"embedding":[1]}}"#,
            r#"{"data":[{"embedding":[1],"embedding":[2]}]}"#,
            r#"{"data":[{"embedding":[[1]]}]}"#,
            r#"{"data":[{"embedding":[1]}]"#,
        ] {
            assert_eq!(
                encoded(&Bytes::from_static(answer.as_bytes())),
                None,
                "{answer}"
            );
        }
    }

    #[test]
    fn the_first_vector_tells_how_they_are_written() {
        for (beginning, is) in [
            ("", Written::NotYet),
            (r#"{"data":[{"object":"embedding","#, Written::NotYet),
            (
                r#"{"data":[{"object":"embedding","embedding" : "#,
                Written::NotYet,
            ),
            (
                r#"{"data":[{"object":"embedding","embedding" : ["#,
                Written::Numbers,
            ),
            (r#"{"data":[{"embedding":"AA"#, Written::Otherwise),
            (r#"{"data":[{"embedding":null"#, Written::Otherwise),
        ] {
            assert_eq!(written(beginning.as_bytes()), is, "{beginning}");
        }
    }
}
