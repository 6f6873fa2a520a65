//! How a JSON document is built, by its quotes and brackets alone. Nothing is judged: whether it is JSON, others find out.

/// A name or a short value ends before a search by vectors would have begun.
const SHORT: usize = 16;

/// How many bytes of a string stand before its end or its next escape.
pub(crate) fn run_in_string(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    let short = &bytes[..bytes.len().min(SHORT)];
    short.iter().position(ends).unwrap_or_else(|| {
        let rest = &bytes[short.len()..];
        short.len() + memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
    })
}

/// How many bytes between strings say nothing of how the document is built: numbers, blanks and the like.
pub(crate) fn run_between(bytes: &[u8]) -> usize {
    let builds = |byte: &u8| BUILDS[usize::from(*byte)];
    bytes.iter().position(builds).unwrap_or(bytes.len())
}

/// The bytes that build a document.
static BUILDS: [bool; 256] = table(b"\"{}[],:");

/// The bytes that matter where only the end of a list or of an object is looked for.
pub(crate) static NESTS: [bool; 256] = table(b"\"{}[]");

/// Says of each byte whether it is one of these.
const fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

/// Where a string ends of which these are the next bytes; `None`: not in them.
pub(crate) fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += run_in_string(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at),
            // Whatever stands behind a backslash does not end it.
            _ => at += 2,
        }
    }
}
