//! Any split of a stream gives the same events, and no event is longer than the cap.

use llm::sse::{Decoder, MAX_EVENT_BYTES, TooLong};

type Events = Vec<(Vec<u8>, Vec<u8>)>;

/// The events of a stream that arrives in these pieces, and whether it was read to its end.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Events, Result<(), TooLong>) {
    let mut events = Events::new();
    let mut decoder = Decoder::new();
    for piece in pieces {
        // An error repeats at the end.
        let _ = decoder.push(piece, |it| {
            events.push((it.name.to_vec(), it.data.to_vec()))
        });
    }
    let end = decoder.finish(|it| events.push((it.name.to_vec(), it.data.to_vec())));
    (events, end)
}

pub(crate) fn holds(input: &[u8]) {
    let whole = read([input]);
    for (name, data) in &whole.0 {
        assert!(name.len() <= MAX_EVENT_BYTES && data.len() <= MAX_EVENT_BYTES);
        assert!(!name.contains(&b'\n') && !data.contains(&b'\r'));
    }
    assert_eq!(read(input.chunks(1)), whole);
    let at = input
        .first()
        .map_or(0, |first| usize::from(*first) % input.len());
    let (before, after) = input.split_at(at);
    assert_eq!(read([before, after]), whole);
}
