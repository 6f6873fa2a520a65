//! Whether a whole answer is an error, told by how it begins.
//!
//! Some providers say 200 in the head and put the error into the body. A usual answer costs one search for a word; only
//! where that is found its place is looked at.

use std::sync::LazyLock;

use memchr::{memchr2, memmem};

/// What the beginning of a JSON body says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing yet: its first field has no name so far.
    Unsaid,
    /// No error stands in its place as far as is known.
    Answer,
    /// An error that says something begins, or what would be one as far as it goes:
    /// [`status_of_event`](super::status_of_event) of the whole decides.
    Error,
}

/// Made once: for a short body that costs more than the search.
static NAME: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(b"\"error\""));

/// What a body is that begins so. Only a field of the body itself, or of the first of a list, is its error: a model may
/// write the same into the arguments of a tool.
pub fn beginning(bytes: &[u8]) -> Beginning {
    let rest = bytes.trim_ascii_start();
    let rest = rest.strip_prefix(b"[").unwrap_or(rest).trim_ascii_start();
    let Some(fields) = rest.strip_prefix(b"{") else {
        return match rest.is_empty() {
            true => Beginning::Unsaid,
            false => Beginning::Answer,
        };
    };
    let first = match fields.trim_ascii_start() {
        [] => return Beginning::Unsaid,
        [b'"', text @ ..] => text_end(text),
        _ => return Beginning::Answer,
    };
    match first {
        None => Beginning::Unsaid,
        Some(_) if NAME.find(fields).is_some() && has_error(fields) => Beginning::Error,
        Some(_) => Beginning::Answer,
    }
}

/// Whether one of these fields, themselves and not in what they hold, is an error that says something.
fn has_error(fields: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = fields;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return false,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let Some(end) = text_end(rest) else {
                    return false;
                };
                let is_error = depth == 0 && &rest[..end] == b"error";
                rest = &rest[end + 1..];
                // As a value it says what an object is.
                match rest.trim_ascii_start() {
                    _ if !is_error => {}
                    [] => return true,
                    [b':', value @ ..] => return says_something(value.trim_ascii_start()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    false
}

fn says_something(value: &[u8]) -> bool {
    matches!(value, [] | [b'{' | b'"', ..]) && !value.starts_with(b"\"\"")
}

/// Where the text ends that begins here, behind its first quote.
fn text_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_field_of_the_body_itself() {
        for (bytes, is) in [
            ("", Beginning::Unsaid),
            (" \n[ ", Beginning::Unsaid),
            ("{", Beginning::Unsaid),
            (r#"{ "err"#, Beginning::Unsaid),
            (r#"{"a\"#, Beginning::Unsaid),
            (r#"{"error""#, Beginning::Error),
            (r#"{"error" : "#, Beginning::Error),
            (r#"{"error":{"#, Beginning::Error),
            (r#"{"error":"no"}"#, Beginning::Error),
            (r#" [ { "error":{}}]"#, Beginning::Error),
            (r#"{"a":[{"b":"}]\""}],"error":{}}"#, Beginning::Error),
            (r#"{"type":"error","error":{}}"#, Beginning::Error),
            (r#"{"error":"#, Beginning::Error),
            (r#"{"error":null}"#, Beginning::Answer),
            (r#"{"error":false}"#, Beginning::Answer),
            (r#"{"error":""}"#, Beginning::Answer),
            (r#"{"a":{"error":{}}}"#, Beginning::Answer),
            (r#"{"a":["error",{"error":{}}]}"#, Beginning::Answer),
            (r#"[{"a":1},{"error":{}}]"#, Beginning::Answer),
            (r#"{"a":"\"error\":{}"}"#, Beginning::Answer),
            (r#"{"object":"error"}"#, Beginning::Answer),
            (r#"{"a":"error","b":"cut"#, Beginning::Answer),
            (r#"{"id":"#, Beginning::Answer),
            ("{}", Beginning::Answer),
            ("{1", Beginning::Answer),
            ("7", Beginning::Answer),
            (r#""error""#, Beginning::Answer),
        ] {
            assert_eq!(beginning(bytes.as_bytes()), is, "{bytes}");
        }
    }
}
