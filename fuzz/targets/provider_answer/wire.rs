#[path = "../../../crates/gateway/src/upstream/wire/head.rs"]
#[rustfmt::skip]
mod head;
#[path = "../../rules/provider_answer.rs"]
pub(crate) mod rule;
