//! Names for what a provider's answer has no name for, or one of another format.

use super::Stamp;

/// What formats put before the ids of answers.
const PREFIXES: [&str; 3] = ["chatcmpl-", "msg_", "resp_"];
/// The longest id that is taken over.
const MAX_ID_BYTES: usize = 128;

/// An id that begins with `prefix`: made from the provider's if that is usable, else from the request's.
pub(crate) fn named(prefix: &str, theirs: Option<&str>, stamp: &Stamp) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let usable = |id: &&str| (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(plain);
    let bare = theirs.map(|id| {
        let prefix = PREFIXES.iter().find(|prefix| id.starts_with(**prefix));
        &id[prefix.map_or(0, |prefix| prefix.len())..]
    });
    let ours = stamp.request.strip_prefix("req_");
    let rest = bare.filter(usable).or(ours).unwrap_or(&stamp.request);
    format!("{prefix}{rest}")
}

/// The longest name of a model that is taken over: some formats repeat it in every event.
const MAX_MODEL_BYTES: usize = 256;

/// The provider's name of the model, cut off where it is no name any more.
pub(crate) fn model_name(theirs: &mut String) {
    let end = theirs.floor_char_boundary(MAX_MODEL_BYTES);
    theirs.truncate(end);
}

/// An id for a call that came without one.
pub(crate) fn call_name(answer: Option<&str>, place: u64) -> String {
    match answer.filter(|answer| answer.len() <= MAX_ID_BYTES) {
        Some(answer) => format!("call_{answer}_{place}"),
        None => format!("call_{place}"),
    }
}
