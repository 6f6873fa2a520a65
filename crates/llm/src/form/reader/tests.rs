use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const HEAD: &str = "Content-Disposition: form-data; name=";

fn boundary() -> Boundary {
    Boundary::of(b"multipart/form-data; boundary=b0").expect("a boundary")
}

fn field(name: &str, value: &str) -> String {
    format!("--b0\r\n{HEAD}\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(value: &str) -> String {
    field("file\"; filename=\"a", value)
}

/// What is read of a form that comes in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Head, HeadError> {
    let mut reader = Reader::new(&boundary());
    for piece in pieces {
        reader.push(piece)?;
        assert!(reader.pending.len() <= 32 * 1024, "too much is held");
    }
    reader.finish()
}

/// Where the parts stand, found by looking at the whole form at once: another parser to compare with.
fn parts(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    for at in memmem::find_iter(body, b"--b0") {
        let before = &body[..at];
        if before.last().is_some_and(|it| !CRLF.contains(it)) {
            continue;
        }
        match start {
            None if at > 0 => return None,
            None => {}
            Some(start) if before.ends_with(CRLF) && start + 2 <= at => parts.push(start..at - 2),
            Some(_) => return None,
        }
        let after = &body[at + 4..];
        if after.starts_with(CRLF) {
            start = Some(at + 6);
        } else {
            let rest = after.strip_prefix(b"--")?;
            return [&b""[..], CRLF].contains(&rest).then_some(parts);
        }
    }
    None
}

#[test]
fn a_form_is_read_alike_at_every_split() {
    let good = [
        field("model", "m-1"),
        field("stream", "true"),
        file("\r\n--b\r\n--b1--b0\r"),
        "--b0--\r\n".to_owned(),
    ];
    let good = good.concat();
    let whole = read([good.as_bytes()]).expect("a form");
    assert_eq!((whole.model.as_str(), whole.stream), ("m-1", true));
    let late = [file("\r\n\r\nx"), field("model", "m-1")].concat();
    for form in [
        good.clone(),
        format!("{late}--b0--"),
        format!("{good}{}", field("model", "m-2")),
        late.clone(),
        format!("{late}{late}--b0--\r\n"),
        format!("{late}{}--b0--\r\n", field("model[]", "m-2")),
        good.replace("\r\n--b0--", "\n--b0--"),
        good.replace("m-1", &"m".repeat(257)),
        good.replace("m-1", ""),
    ] {
        let form = form.as_bytes();
        let whole = read([form]);
        for split in 0..=form.len() {
            assert_eq!(read([&form[..split], &form[split..]]), whole);
        }
        assert_eq!(read(form.chunks(1)), whole);
        assert_eq!(read(form.chunks(7)), whole);
    }
}

#[test]
fn of_two_offences_the_same_is_told_at_every_split() {
    for length in MAX_MODEL_BYTES - 2..=MAX_MODEL_BYTES + 6 {
        let value = "m".repeat(length);
        let form = format!("--b0\r\n{HEAD}\"model\"\r\n\r\n{value}\n--b0--");
        let form = form.as_bytes();
        let whole = read([form]);
        assert!(whole.is_err());
        assert_eq!(read(form.chunks(1)), whole, "{length}");
        for split in 0..=form.len() {
            let split = read([&form[..split], &form[split..]]);
            assert_eq!(split, whole, "{length}");
        }
    }
}

#[test]
fn the_model_is_known_when_its_field_has_ended() {
    let mut reader = Reader::new(&boundary());
    let model = field("model", "m-1");
    reader.push(model.as_bytes()).expect("no offence");
    assert_eq!(reader.head(), None);
    reader.push(b"--b0").expect("no offence");
    let head = reader.head().expect("known");
    assert_eq!(head.model, "m-1");
    assert_eq!(&model[head.model_spans[0].clone()], "m-1");
    assert!(reader.finish().is_err());
}

#[test]
fn an_offence_is_told_when_it_comes() {
    let cases = [
        ("x".to_owned(), "a preamble"),
        ("--b1".to_owned(), "another boundary"),
        ("--b0x".to_owned(), "a longer boundary"),
        (format!("{}--b0--\r\nx", field("model", "m")), "an epilogue"),
        (
            format!("--b0\r\n{}", "x".repeat(MAX_PART_HEAD_BYTES + 8)),
            "an endless head",
        ),
        (
            format!("--b0\r\n{HEAD}\"model\"\r\n\r\n{}", "m".repeat(300)),
            "an endless model",
        ),
        (
            field("a", "").repeat(MAX_PARTS) + "--b0\r\n",
            "a part too many",
        ),
        (
            [field("model", "m"), file("x"), field("model", "m")].concat(),
            "a second model",
        ),
        (format!("--b0\r\n{HEAD}\"Model\"\r\n\r\n"), "a lookalike"),
        (
            format!("--b0\r\n{HEAD}\"a\"\r\n\r\n--b0"),
            "a boundary behind a head",
        ),
        (
            format!("--b0\r\n--b0: x\r\n{HEAD}\"model\"\r\n\r\n"),
            "a boundary as a header",
        ),
    ];
    for (beginning, why) in cases {
        let mut reader = Reader::new(&boundary());
        assert!(reader.push(beginning.as_bytes()).is_err(), "{why}");
        let mut reader = Reader::new(&boundary());
        let mut bytes = beginning.as_bytes().chunks(1);
        assert!(bytes.any(|byte| reader.push(byte).is_err()), "{why}");
    }
}

#[test]
fn a_long_file_is_not_held() {
    let begin = [
        field("model", "m"),
        format!("--b0\r\n{HEAD}\"file\"\r\n\r\n"),
    ];
    let piece = "\r\n--b".repeat(20_000);
    let begin = begin.concat();
    let pieces = [&begin, &piece, &piece, "\r\n--b0--"];
    assert!(read(pieces.map(str::as_bytes)).is_ok());
}

proptest! {
    #[test]
    fn boundaries_are_found_where_another_parser_finds_them(
        picks in prop::collection::vec(0..8usize, 0..40),
        piece in 1..9usize,
        plain in any::<bool>(),
    ) {
        let words = ["\r\n", "--b0", "\r", "\n", "-", "x", "Content-Disposition: form-data; name=\"a\"\r\n\r\n", "--b"];
        let noise: String = picks.iter().map(|pick| words[*pick]).collect();
        let form = match plain {
            true => noise,
            false => format!("{}{}--b0--", field("model", "m"), file(&noise)),
        };
        let read = read(form.as_bytes().chunks(piece));
        let parts = parts(form.as_bytes());
        if let Ok(head) = &read {
            let parts = parts.as_deref().unwrap_or_default();
            prop_assert!(parts.iter().any(|part| part.end == head.model_spans[0].end));
        }
        // The heads of parts are another matter.
        if let Err(HeadError::ModelMissing) = &read {
            prop_assert!(parts.is_some());
        }
        if parts.is_none() {
            prop_assert!(read.is_err());
        }
    }

    #[test]
    fn any_split_reads_alike(
        file in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1..40usize, 1..20),
    ) {
        let begin = [field("model", "m-1"), format!("--b0\r\n{HEAD}\"file\"\r\n\r\n")].concat();
        let body = [begin.as_bytes(), &file, b"\r\n--b0--"].concat();
        let mut pieces = Vec::new();
        let mut rest = &body[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let whole = read([&body[..]]);
        prop_assert_eq!(read(pieces), whole);
    }
}
