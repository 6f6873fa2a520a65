//! What an LLM API looks like: wire formats, streams, providers.
//!
//! Nothing here does I/O, knows a tenant or holds a key: bytes and texts come in, facts and bytes go out.
//! Everything is written for hostile input, because both the client's body and the provider's answer are.
//!
//! Start reading at [`format`](mod@format) (what differs between the formats) and [`registry`] (which
//! provider knows a model).

pub mod base_url;
pub mod catalog;
pub mod defaults;
pub mod effects;
pub mod failure;
pub mod form;
pub mod format;
pub mod head;
pub mod kept;
pub mod links;
pub mod provider;
pub mod registry;
pub mod sse;
pub mod surcharge;
pub mod translate;
pub mod ws;

mod json;
mod neutral;
mod tap;
