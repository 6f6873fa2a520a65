//! Requests that are forms: `multipart/form-data`, with files among the fields.
//!
//! Sources: RFC 2046 section 5.1, RFC 7578. Deliberately stricter: whatever another parser could read as another form is
//! refused, so that what was checked is what is forwarded. Nothing stands before the first boundary or behind the last,
//! line ends are whole, and no quote is escaped. [`Reader`] reads a form while it comes.

use memchr::memmem;

use crate::head::{self, Head, HeadError};

mod reader;

pub use reader::Reader;

/// Most parts of a form.
pub const MAX_PARTS: usize = 128;
/// Longest head of a part, in bytes.
pub const MAX_PART_HEAD_BYTES: usize = 8 * 1024;
/// Most headers of a part.
pub const MAX_PART_HEADERS: usize = 16;
/// Longest boundary, in bytes.
const MAX_BOUNDARY_BYTES: usize = 70;

const CRLF: &[u8] = b"\r\n";

/// What stands between the parts of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// The boundary that this `Content-Type` names. The caller has seen that it is `multipart/form-data`.
    ///
    /// # Errors
    /// [`HeadError::Form`]: none, several, or one that cannot be.
    pub fn of(content_type: &[u8]) -> Result<Self, HeadError> {
        let start = content_type.iter().position(|byte| *byte == b';');
        let parameters = parameters(&content_type[start.unwrap_or(content_type.len())..])?;
        let named = |it: &&Parameter<'_>| it.is("boundary");
        let boundary = parameters.iter().find(named);
        let boundary = boundary.ok_or(HeadError::Form("the media type names no boundary"))?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
        let fits = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.value.len())
            && boundary.value.iter().all(allowed)
            && !boundary.value.ends_with(b" ");
        let text = str::from_utf8(boundary.value).ok().filter(|_| fits);
        let text = text.ok_or(HeadError::Form("the boundary cannot be one"))?;
        Ok(Self(text.to_owned()))
    }

    /// The media type of a form with this boundary, for a header.
    pub fn media_type(&self) -> String {
        if self.0.bytes().all(is_token) {
            format!("multipart/form-data; boundary={}", self.0)
        } else {
            format!("multipart/form-data; boundary=\"{}\"", self.0)
        }
    }
}

/// Reads a whole form that names a model. Files and other fields pass unread.
///
/// # Errors
/// [`HeadError`] for the first rule that the form breaks; all of them are the client's to mend.
pub fn read(body: &[u8], boundary: &Boundary) -> Result<Head, HeadError> {
    let mut reader = Reader::new(boundary);
    reader.push(body)?;
    reader.finish()
}

/// What the head of a part says.
struct PartHead<'a> {
    name: &'a [u8],
    /// Whether the value is a text and no file.
    plain: bool,
}

fn part_head(head: &[u8]) -> Result<PartHead<'_>, HeadError> {
    let mut disposition: Option<&[u8]> = None;
    let mut media_type: Option<&[u8]> = None;
    for (count, line) in lines(head).enumerate() {
        let (name, value) =
            header(line)
                .filter(|_| count < MAX_PART_HEADERS)
                .ok_or(HeadError::Form(
                    "a part has a header that is none, or too many",
                ))?;
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"content-disposition" => &mut disposition,
            b"content-type" => &mut media_type,
            b"content-transfer-encoding" if is_as_it_is(value) => continue,
            b"content-transfer-encoding" => {
                return Err(HeadError::Form("a part is encoded"));
            }
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(HeadError::Form("a header stands in a part twice"));
        }
    }
    let nameless = HeadError::Form("a part does not say which field it is");
    let disposition = disposition.ok_or(nameless.clone())?;
    let kind = disposition.iter().position(|byte| *byte == b';');
    let (kind, rest) = disposition.split_at(kind.ok_or(nameless.clone())?);
    let parameters = parameters(rest)?;
    let named = |name: &str| parameters.iter().find(|it| it.is(name));
    let name = named("name").filter(|it| !it.value.contains(&b'\\'));
    let name = name.filter(|_| kind.trim_ascii().eq_ignore_ascii_case(b"form-data"));
    // Parts of a name that are written apart make another name for readers that join them.
    let joined = |it: &&Parameter<'_>| it.name.contains(&b'*') && !it.is("filename*");
    if parameters.iter().any(|it| joined(&it)) || name.is_some_and(|it| it.value.is_empty()) {
        return Err(nameless);
    }
    let is_file = named("filename").is_some() || named("filename*").is_some();
    Ok(PartHead {
        name: name.ok_or(nameless)?.value,
        plain: !is_file && media_type.is_none_or(is_plain_text),
    })
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match memmem::find(text, CRLF) {
            Some(end) => (&text[..end], Some(&text[end + CRLF.len()..])),
            None => (text, None),
        };
        rest = after;
        Some(line)
    })
}

/// A header's name and value; `None`: it is none, or its line is folded.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let fits = !name.is_empty() && name.iter().copied().all(is_token);
    let visible = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    (fits && value.iter().all(visible)).then_some((name, value))
}

/// A parameter of a header.
struct Parameter<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl Parameter<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// What follows a header's first word: `; name=value; name="value"`, each name once.
fn parameters(text: &[u8]) -> Result<Vec<Parameter<'_>>, HeadError> {
    let broken = HeadError::Form("a header's parameters cannot be read");
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(text) = rest.strip_prefix(b";") {
        let text = text.trim_ascii_start();
        let name = text.iter().position(|byte| !is_token(*byte));
        let (name, text) = text.split_at(name.unwrap_or(text.len()));
        let text = text.strip_prefix(b"=").ok_or(broken.clone())?;
        let value = match text.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|byte| *byte == b'"');
                let value = &quoted[..end.ok_or(broken.clone())?];
                rest = &quoted[value.len() + 1..];
                // Half of the world takes the quote behind a backslash for the end of the text.
                if value.ends_with(b"\\") {
                    return Err(broken);
                }
                value
            }
            None => {
                let end = text.iter().position(|byte| !is_token(*byte));
                let (value, after) = text.split_at(end.unwrap_or(text.len()));
                rest = after;
                if value.is_empty() {
                    return Err(broken);
                }
                value
            }
        };
        let twice = parameters
            .iter()
            .any(|it| it.name.eq_ignore_ascii_case(name));
        if name.is_empty() || twice {
            return Err(broken);
        }
        parameters.push(Parameter { name, value });
        rest = rest.trim_ascii_start();
    }
    if rest.is_empty() {
        Ok(parameters)
    } else {
        Err(broken)
    }
}

/// The field that another parser could take `name` for.
fn lookalike(name: &[u8]) -> Option<&'static str> {
    let text = str::from_utf8(name).ok()?;
    // `model[]` is a list named `model` to some.
    let stem = text.split('[').next().unwrap_or(text).trim();
    match stem {
        "model" if stem != text => Some("model"),
        "stream" if stem != text => Some("stream"),
        // Also as it is.
        "models" => Some("models"),
        _ => head::lookalike(stem),
    }
}

fn is_true(value: &[u8]) -> Result<bool, HeadError> {
    match value.to_ascii_lowercase().as_slice() {
        b"true" | b"1" => Ok(true),
        b"false" | b"0" | b"" => Ok(false),
        _ => Err(HeadError::Stream),
    }
}

/// Whether a transfer encoding changes nothing.
fn is_as_it_is(encoding: &[u8]) -> bool {
    let encoding = encoding.to_ascii_lowercase();
    [&b"7bit"[..], b"8bit", b"binary"].contains(&encoding.as_slice())
}

fn is_plain_text(media_type: &[u8]) -> bool {
    let end = media_type.iter().position(|byte| *byte == b';');
    let (kind, rest) = media_type.split_at(end.unwrap_or(media_type.len()));
    let Ok(parameters) = parameters(rest) else {
        return false;
    };
    let charset = parameters.iter().find(|it| it.is("charset"));
    let known = |it: &Parameter<'_>| {
        let charset = it.value.to_ascii_lowercase();
        [&b"utf-8"[..], b"us-ascii"].contains(&charset.as_slice())
    };
    kind.trim_ascii().eq_ignore_ascii_case(b"text/plain") && charset.is_none_or(known)
}

/// Whether it may stand in a word of a header without quotes.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
