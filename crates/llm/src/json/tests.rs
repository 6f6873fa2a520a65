use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::*;

/// Whether the reader accepts a document.
fn accepts(document: &[u8]) -> bool {
    let mut reader = Reader::new(document);
    let read = reader.skip().map(<[u8]>::len);
    read.and_then(|_| reader.end()).is_ok()
}

/// Whether serde_json does, where it decodes every text and number.
fn is_sound(document: &[u8]) -> bool {
    let mut parser = serde_json::Deserializer::from_slice(document);
    let read = Strict.deserialize(&mut parser);
    read.and_then(|()| parser.end()).is_ok()
}

#[track_caller]
fn judges_alike(document: impl AsRef<[u8]>) -> bool {
    let document = document.as_ref();
    let sound = is_sound(document);
    let shown = String::from_utf8_lossy(&document[..document.len().min(200)]);
    assert_eq!(accepts(document), sound, "{shown}");
    sound
}

#[test]
fn every_byte_is_judged_alike_at_every_place_of_a_text() {
    for before in 0..70 {
        for byte in 0..=u8::MAX {
            for behind in [0, 40] {
                let inner = [&vec![b'a'; before][..], &[byte], &vec![b'n'; behind]].concat();
                judges_alike([b"\"", &inner[..], b"\""].concat());
                judges_alike([b"[\"\\n\xc3\xa9", &inner[..], b"\",1]"].concat());
            }
        }
    }
}

#[test]
fn every_escape_is_judged_alike() {
    for byte in 0..=u8::MAX {
        judges_alike([b"\"\\", &[byte][..], b"\""].concat());
        judges_alike([b"\"\\u00e", &[byte][..], b"\""].concat());
    }
    for (text, is_sound) in [
        (r#""\ud83d\ude80""#, true),
        (r#""\uD83D\uDE80x""#, true),
        (r#""\ud800""#, false),
        (r#""\udc00""#, false),
        (r#""\ud800\ud800""#, false),
        (r#""\ud800\udc00\udc00""#, false),
        (r#""\ud800x""#, false),
        (r#""\ud800\n""#, false),
        (r#""\ud800\u0041""#, false),
        (r#""\ud800\uDFFF""#, true),
        (r#""\udbff\udfff\ud7ff\ue000""#, true),
        (r#""\u12"#, false),
        (r#""\u12""#, false),
        (r#""\u+123""#, false),
        (r#""\ud800\u"#, false),
        (r#""\"#, false),
        (r#""\""#, false),
        (r#""\u0000\u001f""#, true),
    ] {
        assert_eq!(judges_alike(text), is_sound, "{text}");
    }
    for unit in (0..=0xffff_u32).step_by(0x3f) {
        judges_alike(format!(r#""\u{unit:04x}""#));
        judges_alike(format!(r#""\ud8aa\u{unit:04X}""#));
        judges_alike(format!(r#""\u{unit:04x}\udcaa""#));
    }
}

#[test]
fn what_is_no_utf8_is_judged_alike() {
    for bytes in [
        &b"\xc3\xa9"[..],
        b"\xc3",
        b"\xa9",
        b"\xc3\\u00a9",
        b"\\n\xa9",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x9a\x80",
        b"\xf0\x9f\x9a",
        b"\xf5\x80\x80\x80",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xff",
        b"\x7f",
    ] {
        judges_alike([b"\"", bytes, b"\""].concat());
        judges_alike([b"{\"", bytes, b"\":0}"].concat());
        let long = [&[b'x'; 33][..], bytes, &[b'y'; 33]].concat();
        judges_alike([b"\"", &long[..], b"\""].concat());
    }
}

#[test]
fn numbers_and_words_are_judged_alike() {
    for (number, is_sound) in [
        ("0", true),
        ("-0", true),
        ("-0.0e-0", true),
        ("01", false),
        ("-", false),
        ("-01", false),
        (".1", false),
        ("1.", false),
        ("1.e1", false),
        ("1e", false),
        ("1e+", false),
        ("1E+2", true),
        ("+1", false),
        ("18446744073709551616", true),
        ("1e308", true),
        ("1e309", false),
        ("-1.8e308", false),
        ("1e-400", true),
        ("0e999999999999999999999", true),
        ("1e999999999999999999999", false),
        ("1e-999999999999999999999", true),
        ("0x1", false),
        ("1_0", false),
        ("NaN", false),
        ("Infinity", false),
        ("-Infinity", false),
        ("true", true),
        ("false", true),
        ("null", true),
        ("tru", false),
        ("nul", false),
        ("True", false),
        ("nullx", false),
        ("true false", false),
    ] {
        assert_eq!(judges_alike(number), is_sound, "{number}");
        judges_alike(format!("[{number}]"));
        judges_alike(format!("{{\"a\":{number},\"b\":{number} }}"));
    }
    for digits in 295..320 {
        for digit in ["1", "2", "9"] {
            judges_alike(digit.repeat(digits));
            judges_alike(format!("-{}.5", digit.repeat(digits)));
            judges_alike(format!("0.{}", digit.repeat(digits)));
        }
    }
}

#[test]
fn the_depth_is_counted_alike() {
    for depth in 1..=130 {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            judges_alike(format!("{open}1{close}"));
            judges_alike(format!("[{open}1{close},{open}1{close}]"));
        }
    }
    assert!(accepts(
        format!("{}{}", "[".repeat(127), "]".repeat(127)).as_bytes()
    ));
    assert!(!accepts("[".repeat(1_000_000).as_bytes()));
}

#[test]
fn what_stands_around_values_is_judged_alike() {
    for document in [
        "",
        " ",
        "[]",
        " [ ] ",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1",
        "[1}",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" : 1}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1]",
        "{\"a\"",
        "{\"a\":1}}",
        "{}\0",
        "\u{feff}{}",
        "{}\u{b}",
        "\u{a0}{}",
        "1 //",
        "\t\r\n1\t\r\n",
    ] {
        judges_alike(document);
    }
}

#[test]
fn values_are_read_as_they_are() {
    let document = " {\"a\\u0062\" : \"x\\n\u{e9}\" , \"n\":[ 7,-7,1e2] ,\"\":true}";
    let mut reader = Reader::new(document.as_bytes());
    let mut seen = Vec::new();
    let read = reader.object(|reader, name| {
        seen.push(name.to_owned());
        match reader.kind()? {
            Kind::Text => seen.push(reader.text()?.into_owned()),
            Kind::List => reader.list(|reader| {
                seen.push(reader.number()?.to_string());
                Ok(())
            })?,
            _ => {
                let raw = reader.skip()?;
                seen.push(String::from_utf8_lossy(raw).into_owned());
            }
        }
        Ok(())
    });
    assert_eq!(read.and_then(|()| reader.end()), Ok(()));
    assert_eq!(
        seen,
        ["ab", "x\n\u{e9}", "n", "7", "-7", "100.0", "", "true"]
    );
    let mut other = Reader::new(b"7");
    assert_eq!(other.object(|_, _| Ok(())), Err(Broken));
    assert_eq!(other.list(|_| Ok(())), Err(Broken));
    assert_eq!(other.text(), Err(Broken));
}

#[test]
fn serde_json_says_what_is_wrong_with_an_object() {
    assert!(fault(b"{\"a\":[1,\"x\"]}").is_none());
    let error = fault(b"{\"a\":\n\"\\ud800\"}").expect("half a character");
    assert_eq!((error.line(), error.column()), (2, 8));
    assert!(fault(b"[]").expect("no object").is_data());
}

/// Pieces of which broken and sound documents are made.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\\"",
            "\\u",
            "\\ud83d",
            "\\ude80",
            "\\n",
            " ",
            "\n",
            "\u{e9}",
            "\u{1f680}",
            "0",
            "-1",
            "1e9",
            "1.5",
            "true",
            "null",
            "\"a\":",
            "\"a\"",
            "[1]",
            "{\"a\":1}",
            "e",
            "+",
        ]
        .map(|piece| piece.as_bytes().to_vec())
        .to_vec(),
    );
    let long = (0..80_usize).prop_map(|length| vec![b'a'; length]);
    prop_oneof![
        6 => known,
        1 => prop::collection::vec(any::<u8>(), 1..3),
        1 => long,
    ]
}

proptest! {
    #[test]
    fn any_pieces_are_judged_alike(pieces in prop::collection::vec(piece(), 0..12)) {
        let document = pieces.concat();
        prop_assert_eq!(accepts(&document), is_sound(&document));
        let text = [b"\"", &document[..], b"\""].concat();
        prop_assert_eq!(accepts(&text), is_sound(&text));
        let text = serde_json::from_slice::<String>(&text).ok().zip(Some(text));
        if let Some((read, text)) = text {
            prop_assert_eq!(Reader::new(&text).text().map(Cow::into_owned), Ok(read));
        }
    }

    #[test]
    fn a_sound_document_with_a_byte_changed_is_judged_alike(
        texts in prop::collection::vec(".{0,70}", 1..4),
        number in any::<f64>(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\ue0-".to_vec())],
        how in 0..3,
    ) {
        let document = serde_json::json!({"a": texts, "b": {"": number, "c": [null, true, -1]}, "d": texts[0]});
        for document in [document.to_string(), format!("{document:#}")] {
            let mut document = document.into_bytes();
            prop_assert_eq!(accepts(&document), true);
            let at = at.index(document.len());
            match how {
                0 => document[at] = byte,
                1 => document.insert(at, byte),
                _ => document.truncate(at),
            }
            prop_assert_eq!(accepts(&document), is_sound(&document));
        }
    }

    #[test]
    fn numbers_of_any_make_are_judged_alike(number in "[-+]?[0-9]{0,3}[.eE]?[-+]?[0-9]{0,4}[.eE]?[-+]?[0-9]{0,4}") {
        prop_assert_eq!(accepts(number.as_bytes()), is_sound(number.as_bytes()));
    }
}
