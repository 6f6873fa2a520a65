//! No message that leaves has the key in it, wherever frames and pieces are cut, and until it stops all passes as it came.
//! A first byte below 128 stands before frames as they are; else three bytes make a frame with a part of the key.

use std::sync::Arc;

use scrub::Needles;

use super::guard::{Guard, Stop};

const KEY: &[u8] = b"sk-0123456789abcdef";

fn frames_of(input: &[u8]) -> Vec<u8> {
    match input.split_first() {
        Some((first, raw)) if *first < 128 => raw.to_vec(),
        Some((_, parts)) => {
            let mut bytes = Vec::new();
            for part in parts.chunks_exact(3) {
                let from = usize::from(part[1]) % (KEY.len() + 1);
                let length = usize::from(part[2]) % (KEY.len() + 1 - from);
                bytes.extend([part[0], u8::try_from(length).expect("a key is short")]);
                bytes.extend_from_slice(&KEY[from..from + length]);
            }
            bytes
        }
        None => Vec::new(),
    }
}

/// The payloads of messages and those of control frames, as far as they are there.
fn messages(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut message) = (Vec::new(), Vec::new());
    while let [first, second, ..] = *rest {
        let extended = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((head, behind)) = rest.split_at_checked(2 + extended) else {
            break;
        };
        let length = match extended {
            0 => u64::from(second),
            _ => head[2..]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let there = usize::try_from(length).map_or(behind.len(), |it| it.min(behind.len()));
        let payload = &behind[..there];
        if first & 0x08 != 0 {
            all.push(payload.to_vec());
        } else {
            message.extend_from_slice(payload);
            if first & 0x80 != 0 && there as u64 == length {
                all.push(std::mem::take(&mut message));
            }
        }
        rest = &behind[there..];
    }
    all.push(message);
    all
}

fn passed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Stop>) {
    let mut guard = Guard::new(&Arc::new(Needles::new(KEY)));
    let mut out = Vec::new();
    for piece in pieces {
        let (ready, stop) = guard.take(piece);
        out.extend_from_slice(&ready);
        if stop.is_some() {
            let _ = guard.stopped_between_frames();
            return (out, stop);
        }
    }
    let _ = guard.is_between_frames();
    let _ = guard.consumed();
    (out, None)
}

pub(crate) fn holds(input: &[u8]) {
    let bytes = frames_of(input);
    let (whole, stop) = passed([&bytes[..]].into_iter());
    let at = input.len() * 7 % (bytes.len() + 1);
    let split = [
        passed(bytes.chunks(1)),
        passed([&bytes[..at], &bytes[at..]].into_iter()),
    ];
    for (out, its_stop) in split.iter().chain([&(whole.clone(), stop)]) {
        assert!(bytes.starts_with(out), "all passes as it came");
        for message in messages(out) {
            assert!(
                !message.windows(KEY.len()).any(|it| it == KEY),
                "the key passes"
            );
        }
        assert_eq!(*its_stop, stop);
        if stop.is_none() {
            assert_eq!(*out, whole);
        }
    }
}
