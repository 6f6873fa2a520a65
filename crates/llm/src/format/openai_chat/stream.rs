//! The chunks of a chat completion, to and from what happens in all formats.

mod calls;
mod read;
mod write;

pub(super) use read::Reader;
pub(super) use write::Writer;
