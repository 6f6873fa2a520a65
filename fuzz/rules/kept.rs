//! Ids that are read from answers, from events and from bodies can be ids; the beginning of an answer tells the first of
//! what the whole tells; a stream may be split anywhere; and a body that is read as a request names what it names else.

use llm::head;
use llm::kept::{StreamedItems, id_in, is_id, made};

fn items<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut items = StreamedItems::default();
    pieces.for_each(|piece| items.push(piece));
    items.ids()
}

fn are_ids(ids: &[String], most: usize) {
    assert!(ids.len() <= most);
    for id in ids {
        assert!(is_id(id) && (1..=256).contains(&id.len()));
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'[')
        );
    }
}

pub(crate) fn holds(input: &[u8]) {
    let cut = usize::from(input.first().copied().unwrap_or(0)) % (input.len() + 1);
    for is_stream in [false, true] {
        let whole = made(input, is_stream);
        are_ids(&whole, 32);
        for end in [cut, input.len() / 2, input.len().saturating_sub(1)] {
            let first = made(&input[..end], is_stream);
            assert!(
                whole.starts_with(&first),
                "{first:?} is not what {whole:?} begins with"
            );
        }
    }
    let whole = items([input].into_iter());
    are_ids(&whole, 32);
    assert!((1..whole.len()).all(|at| !whole[..at].contains(&whole[at])));
    assert_eq!(items(input.chunks(1)), whole);
    assert_eq!(items([&input[..cut], &input[cut..]].into_iter()), whole);

    let named = head::named(input);
    are_ids(&named.ids, head::MAX_NAMED);
    let first = head::named(&input[..cut]);
    assert!(named.ids.starts_with(&first.ids));
    let read = [head::read(input), head::read_beside(input, "m", false)];
    for read in read.into_iter().flatten() {
        are_ids(&read.named, head::MAX_NAMED);
        assert!(named.is_all && read.named == named.ids);
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Some(id) = id_in(text)
    {
        assert!(is_id(id) && id_in(id) == Some(id));
        assert!(text.trim_end_matches('/').ends_with(id));
    }
}
