//! The frames of a WebSocket are those that a reader of the whole finds, however they are split, and each part stands
//! where it says.

use llm::ws::{End, FrameReader, Kind};

/// A frame: what it belongs to, its payload as far as it is there, and what ends with it.
type Frames = Vec<(Kind, Vec<u8>, End)>;

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Frames, bool, bool) {
    let mut reader = FrameReader::new();
    let mut frames = Frames::new();
    let mut is_open = false;
    let mut is_broken = false;
    for piece in pieces {
        let mut after = 0;
        let outcome = reader.push(piece, |part| {
            assert!(part.at >= after, "parts stand in their order");
            after = part.at + part.payload.len();
            assert_eq!(&piece[part.at..after], part.payload);
            match frames.last_mut().filter(|_| is_open) {
                Some((kind, payload, end)) => {
                    assert_eq!(*kind, part.kind);
                    payload.extend_from_slice(part.payload);
                    *end = part.end;
                }
                None => frames.push((part.kind, part.payload.to_vec(), part.end)),
            }
            is_open = part.end == End::Open;
        });
        assert!(outcome.is_err() || !is_broken, "it stays broken");
        is_broken = outcome.is_err();
    }
    // A frame that ends in the next piece may have a part without bytes before.
    if is_open && frames.last().is_some_and(|it| it.1.is_empty()) {
        frames.pop();
    }
    (frames, is_broken, reader.is_between_frames())
}

/// The same, as the standard says it (RFC 6455, 5.2), from all bytes at once.
fn expected(mut rest: &[u8]) -> (Frames, bool, bool) {
    let mut frames = Frames::new();
    let mut message = None;
    while !rest.is_empty() {
        let [first, second, ..] = *rest else {
            return (frames, false, false);
        };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if second >= 0x80 {
            return (frames, true, false);
        }
        let Some((head, behind)) = rest.split_at_checked(2 + extended) else {
            return (frames, false, false);
        };
        let length = match extended {
            0 => u64::from(second),
            2 => u64::from(u16::from_be_bytes([head[2], head[3]])),
            _ => u64::from_be_bytes(head[2..].try_into().expect("eight bytes")),
        };
        let is_last = first >= 0x80;
        let kind = match (first & 0x0f, message) {
            (0, Some(kind)) => kind,
            (1, None) => Kind::Text,
            (2, None) => Kind::Binary,
            (8..=10, _) => Kind::Control,
            _ => return (frames, true, false),
        };
        let is_long = kind == Kind::Control && (length > 125 || !is_last);
        if first & 0x70 != 0 || is_long || length >= 1 << 63 {
            return (frames, true, false);
        }
        if kind != Kind::Control {
            message = (!is_last).then_some(kind);
        }
        let there = usize::try_from(length).map_or(behind.len(), |it| it.min(behind.len()));
        let end = match there as u64 == length {
            false => End::Open,
            true if is_last => End::Message,
            true => End::Frame,
        };
        if end != End::Open || there > 0 {
            frames.push((kind, behind[..there].to_vec(), end));
        }
        if end == End::Open {
            return (frames, false, false);
        }
        rest = &behind[there..];
    }
    (frames, false, true)
}

pub(crate) fn holds(input: &[u8]) {
    let expected = expected(input);
    assert_eq!(read([input].into_iter()), expected);
    assert_eq!(read(input.chunks(1)), expected);
    let at = usize::from(input.first().copied().unwrap_or(0)) % (input.len() + 1);
    assert_eq!(read([&input[..at], &input[at..]].into_iter()), expected);
}
