use bytes::Bytes;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const MODEL: &str = "Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1";
const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nID3\r\n--x\r\n";

fn boundary() -> Boundary {
    Boundary::of(b"multipart/form-data; boundary=b0").expect("a boundary")
}

/// A form of these parts.
fn form(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| format!("--b0\r\n{part}\r\n"));
    parts.collect::<String>() + "--b0--\r\n"
}

fn refusal(body: &str) -> HeadError {
    read(body.as_bytes(), &boundary()).expect_err(body)
}

#[test]
fn the_model_is_found_wherever_it_stands_and_only_its_bytes_change() {
    for parts in [[MODEL, FILE], [FILE, MODEL]] {
        let body = Bytes::from(form(&parts));
        let head = read(&body, &boundary()).expect("a form");
        assert_eq!((head.model.as_str(), head.stream), ("whisper-1", false));
        assert_eq!(&body[head.model_spans[0].clone()], b"whisper-1");
        assert_eq!(head::with_model(&body, &head, "whisper-1"), body);
        let changed = head::with_model(&body, &head, "a\"b");
        let expected = form(&parts).replace("whisper-1", "a\"b");
        assert_eq!(changed, expected.as_bytes());
        // What is sent out is read as what it stands for.
        assert_eq!(read(&changed, &boundary()).expect("a form").model, "a\"b");
    }
}

#[test]
fn headers_of_parts_are_read_as_clients_write_them() {
    for part in [
        "content-disposition:form-data;name=model\r\n\r\nm",
        "CONTENT-DISPOSITION: Form-Data; NAME=\"model\"\r\ncontent-type: text/plain\r\n\r\nm",
        "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: form-data ; name=\"model\"\r\n\r\nm",
        "X-Other: a: b\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Length: 1\r\n\r\nm",
    ] {
        let body = form(&[
            part,
            "Content-Disposition: form-data; name=\"file\"; filename=\"C:\\x y;é.mp3\"; filename*=utf-8''x\r\n\r\n",
        ]);
        let head = read(body.as_bytes(), &boundary()).expect(part);
        assert_eq!(head.model, "m", "{part}");
    }
    for (value, stream) in [
        ("true", true),
        ("True", true),
        ("1", true),
        ("false", false),
        ("0", false),
        ("", false),
    ] {
        let part = format!("Content-Disposition: form-data; name=\"stream\"\r\n\r\n{value}");
        let head = read(form(&[MODEL, &part]).as_bytes(), &boundary());
        assert_eq!(head.expect(value).stream, stream);
    }
}

#[test]
fn the_end_may_have_a_line_end_or_none() {
    let body = form(&[MODEL]);
    let bare = body.strip_suffix("\r\n").expect("a line end");
    assert!(read(bare.as_bytes(), &boundary()).is_ok());
}

#[test]
fn a_boundary_in_the_middle_of_a_line_is_content() {
    let file = FILE.replace("--x", "x--b0--b0\r\n-b0");
    assert!(read(form(&[MODEL, &file]).as_bytes(), &boundary()).is_ok());
}

#[test]
fn what_another_parser_could_read_otherwise_is_refused() {
    let plain = form(&[MODEL]);
    for (body, why) in [
        (String::new(), "nothing"),
        (format!("\r\n{plain}"), "a preamble"),
        (format!("x\r\n{plain}"), "a preamble"),
        (plain.replace("--b0--\r\n", ""), "no end"),
        (plain.replace("--b0--\r\n", "--b0\r\n"), "no end"),
        (format!("{plain}\r\n"), "an epilogue"),
        (format!("{plain}{plain}"), "a second form"),
        (plain.replacen("--b0\r\n", "--b0 \r\n", 1), "padding"),
        (plain.replacen("--b0\r\n", "--b0\n", 1), "half a line end"),
        (plain.replace("\r\n--b0--", "\n--b0--"), "half a line end"),
        (plain.replace("\r\n--b0--", "\r--b0--"), "half a line end"),
        (
            form(&[&MODEL.replace("whisper-1", "a\r\n--b0x\r\nb")]),
            "a longer boundary",
        ),
        (form(&["", MODEL]), "an empty part"),
        (
            plain.replacen("--b0\r\n", "--b0\r\n--b0\r\n", 1),
            "a part without a head",
        ),
        (form(&["\r\n\r\nm", MODEL]), "a part without headers"),
        (
            form(&["Content-Type: text/plain\r\n\r\nm", MODEL]),
            "no disposition",
        ),
        (
            form(&[&MODEL.replace("form-data", "attachment")]),
            "another disposition",
        ),
        (form(&[&MODEL.replace("; name=\"model\"", "")]), "no name"),
        (
            form(&[&MODEL.replace("\"model\"", "\"model")]),
            "an open quote",
        ),
        (
            form(&[&MODEL.replace("\"model\"", "\"model\"x")]),
            "text behind a quote",
        ),
        (
            form(&[&MODEL.replace("\"model\"", "\"mod\\el\"")]),
            "an escape in a name",
        ),
        (
            form(&[&MODEL.replace("name=\"model\"", "filename=\"x\\\"; name=\\\"model\"")]),
            "an escaped quote",
        ),
        (
            form(&[&MODEL.replace("name=", "name=\"a\"; name=")]),
            "a name twice",
        ),
        (
            form(&[&MODEL.replace("name=", "name*=utf-8''a; name=")]),
            "an extended name",
        ),
        (
            form(&[&MODEL.replace("name=", "name*0=\"mod\"; name*1=\"el\"; name=")]),
            "a name in parts",
        ),
        (
            form(&[&MODEL.replace("name=", "filename*0=\"a\"; name=")]),
            "a file's name in parts",
        ),
        (
            form(&[&MODEL.replace("name=\"model\"", "name=\"\"")]),
            "an empty name",
        ),
        (
            form(&[&MODEL.replace("name=\"model\"", "name=\"model\";")]),
            "an open parameter",
        ),
        (
            form(&[&format!(
                "Content-Disposition: form-data; name=\"a\"\r\n{MODEL}"
            )]),
            "two dispositions",
        ),
        (
            form(&[&MODEL.replace("; name", ";\r\n name")]),
            "a folded header",
        ),
        (form(&[&format!("X-A : b\r\n{MODEL}")]), "a blank in a name"),
        (
            form(&[&format!("X-A: \0\r\n{MODEL}")]),
            "a control character",
        ),
        (
            form(&[&format!("X-A: a\nb\r\n{MODEL}")]),
            "half a line end in a head",
        ),
        (
            form(&[&format!("Content-Transfer-Encoding: base64\r\n{MODEL}")]),
            "an encoding",
        ),
        (
            form(&[
                MODEL,
                "Content-Disposition: form-data; name=\"_charset_\"\r\n\r\nutf-16",
            ]),
            "a charset",
        ),
    ] {
        assert!(
            matches!(refusal(&body), HeadError::Form(_)),
            "{why}: {:?}",
            refusal(&body)
        );
    }
}

#[test]
fn fields_that_matter_stand_once_under_their_name_and_are_texts() {
    let stream = MODEL.replace("\"model\"", "\"stream\"");
    for (parts, error) in [
        (vec![FILE], HeadError::ModelMissing),
        (vec![MODEL, FILE, MODEL], HeadError::Repeated("model")),
        (
            vec![&MODEL.replace("\"model\"", "\"Model\"")],
            HeadError::Case("model"),
        ),
        (
            vec![MODEL, &MODEL.replace("\"model\"", "\"model[]\"")],
            HeadError::Case("model"),
        ),
        (
            vec![MODEL, &MODEL.replace("\"model\"", "\" model\"")],
            HeadError::Case("model"),
        ),
        (
            vec![MODEL, &stream.replace("stream", "\u{17f}tream")],
            HeadError::Case("stream"),
        ),
        (
            vec![MODEL, &MODEL.replace("\"model\"", "\"models\"")],
            HeadError::ModelsNotTaken,
        ),
        (
            vec![&MODEL.replace("\"model\"", "\"models[]\""), MODEL],
            HeadError::ModelsNotTaken,
        ),
        (
            vec![MODEL, &MODEL.replace("\"model\"", "\"Models[0]\"")],
            HeadError::ModelsNotTaken,
        ),
        (vec![MODEL, &stream], HeadError::Stream),
        (
            vec![
                MODEL,
                &stream.replace("whisper-1", "true"),
                &stream.replace("whisper-1", "true"),
            ],
            HeadError::Repeated("stream"),
        ),
        (
            vec![&MODEL.replace("\"model\"", "\"model\"; filename=\"m\"")],
            HeadError::Model,
        ),
        (
            vec![&MODEL.replace("\r\n\r\n", "\r\nContent-Type: application/json\r\n\r\n")],
            HeadError::Model,
        ),
        (
            vec![&MODEL.replace(
                "\r\n\r\n",
                "\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n",
            )],
            HeadError::Model,
        ),
        (vec![&MODEL.replace("whisper-1", "")], HeadError::Model),
        (
            vec![&MODEL.replace("whisper-1", "a\r\nb")],
            HeadError::Model,
        ),
        (
            vec![&MODEL.replace("whisper-1", &"x".repeat(257))],
            HeadError::Model,
        ),
    ] {
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        assert_eq!(refusal(&form(&parts)), error, "{parts:?}");
    }
}

#[test]
fn forms_have_limits() {
    let other = "Content-Disposition: form-data; name=\"a\"\r\n\r\n";
    let mut parts = vec![other; MAX_PARTS - 1];
    parts.push(MODEL);
    assert!(read(form(&parts).as_bytes(), &boundary()).is_ok());
    parts.push(other);
    assert!(matches!(refusal(&form(&parts)), HeadError::Form(_)));
    for (headers, fits) in [(MAX_PART_HEADERS - 1, true), (MAX_PART_HEADERS, false)] {
        let part = "a: b\r\n".repeat(headers) + MODEL;
        assert_eq!(read(form(&[&part]).as_bytes(), &boundary()).is_ok(), fits);
    }
    for (bytes, fits) in [(8_000, true), (MAX_PART_HEAD_BYTES, false)] {
        let part = format!("a: {}\r\n{MODEL}", "x".repeat(bytes));
        assert_eq!(read(form(&[&part]).as_bytes(), &boundary()).is_ok(), fits);
    }
}

#[test]
fn a_boundary_is_named_once_and_can_be_one() {
    let of = |text: &str| Boundary::of(text.as_bytes()).map(|boundary| boundary.media_type());
    let longest = "x".repeat(70);
    for (given, passed) in [
        (
            "multipart/form-data; boundary=b0",
            "multipart/form-data; boundary=b0",
        ),
        (
            "multipart/form-data;Boundary=\"b0\"; charset=utf-8",
            "multipart/form-data; boundary=b0",
        ),
        (
            "multipart/form-data; boundary=\"b (0)\"",
            "multipart/form-data; boundary=\"b (0)\"",
        ),
        (
            &format!("multipart/form-data; boundary={longest}"),
            &format!("multipart/form-data; boundary={longest}"),
        ),
    ] {
        assert_eq!(of(given).as_deref(), Ok(passed), "{given}");
    }
    for wrong in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"b \"",
        "multipart/form-data; boundary=\"b\\\"\"",
        "multipart/form-data; boundary=b@",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a, b",
        &format!("multipart/form-data; boundary={longest}x"),
    ] {
        assert!(matches!(of(wrong), Err(HeadError::Form(_))), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_file_is_content_and_no_bytes_are_a_panic(
        file in prop::collection::vec(any::<u8>(), 0..200), model_first in any::<bool>(), cut in any::<prop::sample::Index>(),
    ) {
        let head = b"Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        let file = [&head[..], &file].concat();
        let (first, second) = if model_first { (MODEL.as_bytes(), &file[..]) } else { (&file[..], MODEL.as_bytes()) };
        let body = [b"--b0\r\n", first, b"\r\n--b0\r\n", second, b"\r\n--b0--"].concat();
        prop_assert_eq!(read(&body, &boundary()).expect("a form").model, "whisper-1");
        // No beginning of it is a form.
        prop_assert!(read(&body[..cut.index(body.len())], &boundary()).is_err());
    }
}
