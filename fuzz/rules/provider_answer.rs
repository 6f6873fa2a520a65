//! The head of an answer ends at one place, which is found however its bytes come; and a chunked body has the same data,
//! however it is split.

use bytes::Bytes;

use super::head::{Framing, framing, has_end, parsed};

/// What was read of a body: its data, whether it is over, and how many bytes came behind it. `None`: it is wrong.
fn body<'a>(
    head: &Bytes,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Option<(Vec<u8>, bool, usize)> {
    let (read, _) = parsed(head)
        .expect("it was read before")
        .expect("it is whole");
    let Ok((Framing::Chunked(mut chunks), _)) = framing(&read) else {
        panic!("it was chunked before");
    };
    let (mut data, mut behind) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() && !chunks.is_over() {
            let before = rest.len();
            // What is wrong behind data is told when it is taken alone.
            let taken = chunks.take(&mut rest).ok()?;
            assert!(
                taken.len() <= before - rest.len(),
                "no more comes out than went in"
            );
            assert!(!taken.is_empty() || rest.is_empty() || chunks.is_over());
            data.extend_from_slice(&taken);
        }
        behind += rest.len();
    }
    Some((data, chunks.is_over(), behind))
}

pub(crate) fn holds(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    let Ok(Some((head, length))) = parsed(&bytes) else {
        return;
    };
    assert!((1..=input.len()).contains(&length));
    // Nobody would look for the end of a head where this says that there is none.
    for seen in 0..length {
        assert!(
            has_end(&input[..length], seen),
            "its end is not seen behind {seen} of {length} bytes"
        );
        let beginning = parsed(&bytes.slice(..seen));
        assert!(
            matches!(beginning, Ok(None)),
            "it ends at {seen}, not at {length}"
        );
    }
    let alone = bytes.slice(..length);
    let (again, its_length) = parsed(&alone).expect("a head").expect("a whole head");
    assert_eq!(
        (again.status, again.version, its_length),
        (head.status, head.version, length)
    );
    assert_eq!(again.headers, head.headers);
    if let Ok((Framing::Chunked(_), _)) = framing(&head) {
        let rest = &input[length..];
        let whole = body(&alone, [rest].into_iter());
        assert_eq!(body(&alone, rest.chunks(1)), whole);
        let at = input.len() % (rest.len() + 1);
        assert_eq!(body(&alone, [&rest[..at], &rest[at..]].into_iter()), whole);
    }
}
