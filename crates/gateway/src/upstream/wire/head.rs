//! The head of an answer: where it ends, what it says, and where the body behind it ends.

use std::io;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use memchr::memmem;

use super::super::chunks::Chunks;
use super::super::connection::MAX_HEADERS;

/// Where the body of an answer ends.
pub(super) enum Framing {
    Length(u64),
    Chunked(Chunks),
    /// With the connection.
    ToEnd,
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

/// Whether a head may end in these bytes, of which the first were looked at.
pub(super) fn has_end(bytes: &[u8], seen: usize) -> bool {
    let new = &bytes[seen.saturating_sub(3).min(bytes.len())..];
    memmem::find(new, b"\n\r\n").is_some() || memmem::find(new, b"\n\n").is_some()
}

/// The head at the beginning of these bytes, and its length; `None`: it is not all there.
///
/// The values of its headers are parts of these bytes, not copies.
pub(super) fn parsed(bytes: &Bytes) -> io::Result<Option<(Head, usize)>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let read = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut lines);
    let length = match read.map_err(|_| invalid())? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.and_then(|it| StatusCode::from_u16(it).ok());
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for line in response.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| invalid())?;
        let value = bytes.slice_ref(line.value);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| invalid())?;
        headers.append(name, value);
    }
    let head = Head {
        status: status.ok_or_else(invalid)?,
        version: match response.version {
            Some(1) => Version::HTTP_11,
            _ => Version::HTTP_10,
        },
        headers,
    };
    Ok(Some((head, length)))
}

/// Where the body behind a head ends (RFC 9112, 6.3), and whether the connection is closed then.
pub(super) fn framing(head: &Head) -> io::Result<(Framing, bool)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let Head {
        status,
        version,
        headers,
    } = head;
    let said = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        words.any(|it| it.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let closes = *version != Version::HTTP_11 || said(header::CONNECTION, "close");
    if *status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((Framing::Length(0), true));
    }
    if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(status) {
        return Ok((Framing::Length(0), closes));
    }
    let has_length = headers.contains_key(header::CONTENT_LENGTH);
    if let Some(last) = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .next_back()
    {
        if *version != Version::HTTP_11 {
            return Err(invalid());
        }
        let coding = last.as_bytes().rsplit(|byte| *byte == b',').next();
        let coding = coding.unwrap_or_default().trim_ascii();
        return Ok(match coding.eq_ignore_ascii_case(b"chunked") {
            true => (Framing::Chunked(Chunks::default()), closes || has_length),
            false => (Framing::ToEnd, true),
        });
    }
    if has_length {
        let length = content_length(headers).ok_or_else(invalid)?;
        return Ok((Framing::Length(length), closes));
    }
    Ok((Framing::ToEnd, true))
}

/// The one length that all lines name; `None`: they name none, or several.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut known = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for text in value.to_str().ok()?.split(',') {
            let text = text.trim_ascii();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let length = text.parse().ok()?;
            if *known.get_or_insert(length) != length {
                return None;
            }
        }
    }
    known
}
