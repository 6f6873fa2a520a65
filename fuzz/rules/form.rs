//! What is read of a form stands in it, and another model takes the first one's place without a change to any other
//! byte; and it reads alike however it is split. The first line of the input is the media type, the rest is the form.

use bytes::Bytes;
use llm::form::{self, Boundary, Reader};
use llm::head::with_model;

const OTHER: &str = "another-model";

pub(crate) fn holds(input: &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (media_type, body) = (&input[..end], &input[end + 1..]);
    let Ok(boundary) = Boundary::of(media_type) else {
        return;
    };
    assert_eq!(
        Boundary::of(boundary.media_type().as_bytes()).as_ref(),
        Ok(&boundary)
    );
    let whole = form::read(body, &boundary);
    for length in [1, 1 + body.len() % 61] {
        let mut reader = Reader::new(&boundary);
        let pushed = body.chunks(length).try_for_each(|piece| reader.push(piece));
        assert_eq!(pushed.and_then(|()| reader.finish()), whole);
    }
    let Ok(head) = whole else {
        return;
    };
    let [span] = head.model_spans.as_slice() else {
        panic!("a form names its model once");
    };
    assert_eq!(&body[span.clone()], head.model.as_bytes());
    let changed = with_model(&Bytes::copy_from_slice(body), &head, OTHER);
    assert_eq!(
        *changed,
        [&body[..span.start], OTHER.as_bytes(), &body[span.end..]].concat()
    );
    let again = form::read(&changed, &boundary).expect("another model breaks no rule");
    assert_eq!((again.model.as_str(), again.stream), (OTHER, head.stream));
}
