//! A request for content, to and from the form that all formats share.

mod config;
mod read;
mod schema;
mod turns;
mod write;
mod write_turns;

pub(super) use read::read;
pub(super) use write::write;

/// A name of the format's for one that other formats have, too: fields that choose how the tokens are sampled.
const EXTRAS: [(&str, &str); 4] = [
    ("topK", "top_k"),
    ("seed", "seed"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
];
