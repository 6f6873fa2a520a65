//! The readers of hostile bytes hold their rules of everything that the fuzzer kept.

#[path = "../../../fuzz/play.rs"]
mod play;

#[path = "../../../fuzz/rules/base_url.rs"]
mod base_url;
#[path = "../../../fuzz/rules/form.rs"]
mod form;
#[path = "../../../fuzz/rules/head.rs"]
mod head;
#[path = "../../../fuzz/rules/kept.rs"]
mod kept;
#[path = "../../../fuzz/rules/listed.rs"]
mod listed;
#[path = "../../../fuzz/rules/provider_file.rs"]
mod provider_file;
#[path = "../../../fuzz/rules/provider_words.rs"]
mod provider_words;
#[path = "../../../fuzz/rules/sse.rs"]
mod sse;
#[path = "../../../fuzz/rules/translate.rs"]
mod translate;
#[path = "../../../fuzz/rules/usage_taps.rs"]
mod usage_taps;
#[path = "../../../fuzz/rules/ws.rs"]
mod ws;

#[test]
fn base_url_seeds_hold() {
    play::seeds("base_url", base_url::holds);
}

#[test]
fn form_seeds_hold() {
    play::seeds("form", form::holds);
}

#[test]
fn head_seeds_hold() {
    play::seeds("head", head::holds);
}

#[test]
fn kept_seeds_hold() {
    play::seeds("kept", kept::holds);
}

#[test]
fn listed_seeds_hold() {
    play::seeds("listed", listed::holds);
}

#[test]
fn provider_file_seeds_hold() {
    play::seeds("provider_file", provider_file::holds);
}

#[test]
fn provider_words_seeds_hold() {
    play::seeds("provider_words", provider_words::holds);
}

#[test]
fn sse_seeds_hold() {
    play::seeds("sse", sse::holds);
}

#[test]
fn translate_seeds_hold() {
    play::seeds("translate", translate::holds);
}

#[test]
fn usage_taps_seeds_hold() {
    play::seeds("usage_taps", usage_taps::holds);
}

#[test]
fn ws_seeds_hold() {
    play::seeds("ws", ws::holds);
}
