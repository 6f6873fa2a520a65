//! The events of content, to and from what happens in all formats.

mod read;
mod write;

pub(super) use read::Reader;
pub(super) use write::Writer;
