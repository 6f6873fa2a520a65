//! Tests of the rules that span several files. The ids in the comments are those of the threat model.

mod boxed;
mod boxes;
mod contents;
mod document;
mod envelopes;
mod intake;
mod properties;
mod purposes;
mod rebinding;
mod release;
mod root_keys;
mod rotation;
mod support;
mod vectors;
