//! Frames at every split, and what is none.

use super::*;

/// What was read: kind, payload and end of each frame, its parts put together.
type Read = Vec<(Kind, Vec<u8>, End)>;

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Read, bool), FrameError> {
    let mut reader = FrameReader::new();
    let mut frames: Read = Vec::new();
    let mut open = false;
    for piece in pieces {
        reader.push(piece, |part| {
            assert_eq!(&piece[part.at..part.at + part.payload.len()], part.payload);
            if !open {
                frames.push((part.kind, Vec::new(), End::Open));
            }
            let frame = frames.last_mut().expect("one");
            frame.1.extend_from_slice(part.payload);
            frame.2 = part.end;
            open = part.end == End::Open;
        })?;
    }
    Ok((frames, reader.is_between_frames()))
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(short as u8),
        medium @ 126..=65_535 => {
            bytes.push(126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn frames_are_the_same_for_every_split_of_the_bytes() {
    let medium = vec![b'm'; 300];
    let bytes = [
        frame(0x81, b"hello"),
        frame(0x01, b"be"),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x80, b"gin"),
        frame(0x82, &medium),
        frame(0x81, b""),
        frame(0x88, &[3, 233]),
    ]
    .concat();
    let expected: Read = vec![
        (Kind::Text, b"hello".to_vec(), End::Message),
        (Kind::Text, b"be".to_vec(), End::Frame),
        (Kind::Control, b"ping".to_vec(), End::Message),
        (Kind::Text, Vec::new(), End::Frame),
        (Kind::Text, b"gin".to_vec(), End::Message),
        (Kind::Binary, medium.clone(), End::Message),
        (Kind::Text, Vec::new(), End::Message),
        (Kind::Control, vec![3, 233], End::Message),
    ];
    let expected = Ok((expected, true));
    assert_eq!(read([bytes.as_slice()]), expected);
    assert_eq!(read(bytes.chunks(1)), expected);
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read([head, tail]), expected, "cut at {cut}");
    }
}

#[test]
fn long_frames_are_read_and_a_frame_that_is_cut_is_not_at_its_end() {
    let long = vec![b'x'; 70_000];
    let bytes = frame(0x82, &long);
    let whole = vec![(Kind::Binary, long, End::Message)];
    assert_eq!(read(bytes.chunks(4096)), Ok((whole, true)));
    for cut in [1, 2, 9, 10, 11, bytes.len() - 1] {
        let (_, between) = read([&bytes[..cut]]).expect("frames");
        assert!(!between, "{cut}");
    }
}

#[test]
fn what_no_such_server_sends_is_refused_from_there_on() {
    for wrong in [
        &[0x81, 0x80, 0, 0, 0, 0][..],
        &[0xc1, 0],
        &[0xa1, 0],
        &[0x91, 0],
        &[0x80, 0],
        &[0x00, 0],
        &[0x83, 0],
        &[0x8b, 0],
        &[0x09, 0],
        &[0x89, 126, 0, 126],
        &[0x01, 0, 0x81, 0],
        &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(read([wrong]), Err(FrameError), "{wrong:?}");
        assert_eq!(read(wrong.chunks(1)), Err(FrameError), "{wrong:?}");
    }
    let mut reader = FrameReader::new();
    assert!(reader.push(&[0xc1, 0], |_| ()).is_err());
    assert!(reader.push(&[0x81, 0], |_| ()).is_err());
    assert!(!reader.is_between_frames());
}

#[test]
fn the_close_frame_is_a_frame() {
    let away = close_frame(CloseCode::GoingAway);
    let expected = vec![(Kind::Control, vec![3, 233], End::Message)];
    assert_eq!(read([away.as_slice()]), Ok((expected, true)));
    assert_eq!(close_frame(CloseCode::InternalError)[2..], [3, 243]);
}
