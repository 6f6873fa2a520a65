//! A request for a message, to and from the form that all formats share.

mod read;
mod thinking;
mod turns;
mod write;

pub(super) use read::read;
pub(super) use write::write;
