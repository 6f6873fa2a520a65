//! What passes, wherever it is cut.

use super::*;
use crate::realtime::guard;

#[path = "../../../../../fuzz/rules/realtime_guard.rs"]
mod rule;

const KEY: &[u8] = b"sk-0123456789abcdef";

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut bytes = vec![first];
    if length < 126 {
        bytes.push(length as u8);
    } else {
        bytes.push(126);
        bytes.extend_from_slice(&length.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn guard() -> Guard {
    Guard::new(&Arc::new(Needles::new(KEY)))
}

/// What went out, why it stopped, and whether a frame may stand behind it.
fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Stop>, bool) {
    let mut guard = guard();
    let mut out = Vec::new();
    for piece in pieces {
        let (ready, stop) = guard.take(piece);
        out.extend_from_slice(&ready);
        if stop.is_some() {
            return (out, stop, guard.stopped_between_frames());
        }
    }
    (out, None, guard.is_between_frames())
}

fn at_every_cut(bytes: &[u8], check: impl Fn(&(Vec<u8>, Option<Stop>, bool))) {
    check(&passed([bytes]));
    check(&passed(bytes.chunks(1)));
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        check(&passed([head, tail]));
    }
}

#[test]
fn frames_without_the_key_pass_as_they_are() {
    let bytes = [
        frame(0x81, br#"{"type":"a"}"#),
        frame(0x01, b"sk-0123"),
        frame(0x89, b"sk-0123456789"),
        frame(0x80, b"x"),
        frame(0x82, &vec![0xff; 1000]),
        frame(0x81, b"sk-0123456789abcde"),
        frame(0x81, b"f"),
        frame(0x88, &[3, 232]),
    ]
    .concat();
    at_every_cut(&bytes, |passed| {
        assert_eq!(*passed, (bytes.clone(), None, true));
    });
}

#[test]
fn no_byte_of_the_key_passes_wherever_frames_and_pieces_are_cut() {
    // T54
    let before = frame(0x81, b"before");
    for at in 0..=KEY.len() {
        let (head, tail) = KEY.split_at(at);
        for bytes in [
            frame(0x81, &[b"a ", KEY, b" b"].concat()),
            frame(0x89, KEY),
            [
                frame(0x01, &[b"a ", head].concat()),
                frame(0x8a, b""),
                frame(0x00, b""),
                frame(0x80, &[tail, b" b"].concat()),
            ]
            .concat(),
        ] {
            let bytes = [before.clone(), bytes, frame(0x81, b"behind")].concat();
            at_every_cut(&bytes, |(out, stop, _)| {
                assert_eq!(*stop, Some(Stop::Echo));
                assert!(bytes.starts_with(out) && out.starts_with(&before));
                // The head of its frame and what stands before it may have left, and nothing of it.
                assert!(!out.ends_with(b"s"), "{out:?}");
                assert!(memchr::memmem::find(out, b"sk").is_none(), "{out:?}");
            });
        }
    }
    let whole = [before.clone(), frame(0x81, KEY)].concat();
    assert_eq!(passed([whole.as_slice()]), (before, Some(Stop::Echo), true));
}

#[test]
fn what_is_no_frame_does_not_pass() {
    // T126
    let good = frame(0x81, b"good");
    let bytes = [good.clone(), frame(0xc1, b"compressed")].concat();
    at_every_cut(&bytes, |(out, stop, _)| {
        assert_eq!(*stop, Some(Stop::Broken));
        assert!(out.len() <= good.len() + 1 && bytes.starts_with(out));
    });
    let endless = [frame(0x01, b"s"), frame(0x00, b"").repeat(40_000)].concat();
    let (out, stop, _) = passed(endless.chunks(4096));
    assert_eq!((out.len(), stop), (2, Some(Stop::Broken)));
}

#[test]
fn empty_frames_leave_nothing_to_look_through() {
    let mut guard = guard();
    guard.take(&[frame(0x01, b"s"), frame(0x00, b"").repeat(1_000)].concat());
    assert_eq!(guard.messages.places.len(), 1);
}

#[test]
fn reports_are_metered_wherever_they_are_cut() {
    let report = b"{\n\"type\":\"response.done\",\r\n\"response\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":5}}}";
    let (head, tail) = report.split_at(40);
    let bytes = [
        frame(0x81, report),
        frame(0x82, report),
        frame(0x01, head),
        frame(0x89, b"ping"),
        frame(0x80, tail),
    ]
    .concat();
    for size in [1, 3, 50, bytes.len()] {
        let mut guard = guard();
        for piece in bytes.chunks(size) {
            assert_eq!(guard.take(piece).1, None);
        }
        let counted = guard.consumed().responses.expect("metered");
        let usage = counted.usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (14, 10));
        assert!(!counted.estimated);
    }
}

#[test]
fn a_message_beyond_the_bound_makes_an_estimate_of_what_is_reported_behind_it() {
    let report =
        br#"{"type":"response.done","response":{"usage":{"input_tokens":7,"output_tokens":5}}}"#;
    let piece = [b"x".repeat(60_000)].concat();
    let mut guard = guard();
    guard.take(&frame(0x01, br#"{"type":"response.done","#));
    for _ in 0..20 {
        guard.take(&frame(0x00, &piece));
    }
    guard.take(&frame(0x80, b"}"));
    guard.take(&frame(0x81, report));
    let counted = guard.consumed().responses.expect("metered");
    assert_eq!((counted.usage.input_tokens, counted.estimated), (7, true));
}

#[test]
fn realtime_guard_seeds_hold() {
    crate::tests::play::seeds("realtime_guard", rule::holds);
}
