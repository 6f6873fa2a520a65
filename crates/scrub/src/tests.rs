//! T54, T55 and T175: every form of the key is removed at every split, and nothing else changes.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

const KEY: &[u8] = b"sk-proj/Ab+9_~%41=\xe0zzaabbaabbc?>";

fn key() -> Vec<u8> {
    // Visible ASCII only, as the vault guarantees.
    KEY.iter()
        .map(|b| if b.is_ascii() { *b } else { b'k' })
        .collect()
}

fn scrub(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut scrubber = Scrubber::new(Arc::new(Needles::new(key)));
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&scrubber.finish());
    out
}

/// The ways in which a key comes back.
fn forms(key: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = |upper: bool| -> Vec<u8> {
        let digits = key.iter().map(|b| {
            if upper {
                format!("{b:02X}")
            } else {
                format!("{b:02x}")
            }
        });
        digits.collect::<String>().into_bytes()
    };
    let percent = |all: bool| -> Vec<u8> {
        let keep = |b: u8| !all && (b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
        let parts = key.iter().map(|b| {
            if keep(*b) {
                char::from(*b).to_string()
            } else {
                format!("%{b:02x}")
            }
        });
        parts.collect::<String>().into_bytes()
    };
    let json = |prefix: &str, slash: &str, all: bool| -> Vec<u8> {
        let part = |b: &u8| match b {
            b'/' if !all => format!("{slash}/"),
            b if all || b"<>&+=".contains(b) => format!("{prefix}u{b:04X}"),
            b => char::from(*b).to_string(),
        };
        key.iter().map(part).collect::<String>().into_bytes()
    };
    let mut forms = vec![
        ("raw", key.to_vec()),
        ("hex", hex(false)),
        ("upper hex", hex(true)),
        ("percent", percent(false)),
        ("all percent", percent(true)),
        ("json", json("\\", "\\", false)),
        ("all json", json("\\", "\\", true)),
        ("json in json", json("\\\\", "\\\\\\", false)),
    ];
    forms.push(("part in colour", in_colour(key, 5..12)));
    forms.push(("its end in colour", in_colour(key, 12..key.len())));
    let each = key
        .iter()
        .flat_map(|b| [b"\x1b[1m", &[*b][..], b"\x1b[m"].concat());
    forms.push(("each character in colour", each.collect()));
    for before in ["", "x", "xy"] {
        let text = [before.as_bytes(), key].concat();
        forms.push(("base64", STANDARD.encode(&text).into_bytes()));
        forms.push(("base64url", URL_SAFE_NO_PAD.encode(&text).into_bytes()));
        let escaped = STANDARD.encode(&text).replace('/', "\\/");
        forms.push(("base64 in json", escaped.into_bytes()));
        let encoded = STANDARD
            .encode(&text)
            .replace('+', "%2B")
            .replace('/', "%2F");
        forms.push(("base64 in a URL", encoded.into_bytes()));
    }
    forms
}

/// As `grep --color` shows what it found.
fn in_colour(text: &[u8], part: std::ops::Range<usize>) -> Vec<u8> {
    let (before, rest) = text.split_at(part.start);
    let (part, behind) = rest.split_at(part.len());
    [before, b"\x1b[01;31m\x1b[K", part, b"\x1b[m\x1b[K", behind].concat()
}

/// No run of the secret form that is long enough to matter is left.
fn leaks(out: &[u8], form: &[u8]) -> bool {
    // Ends of base64 and of `%`-forms that hold bits of the neighbours may stay: at most 4 characters.
    let core = &form[4..form.len() - 4];
    out.windows(core.len()).any(|window| window == core)
}

#[test]
fn every_form_is_removed_at_every_split() {
    let key = key();
    for (name, form) in forms(&key) {
        let body = [
            b"{\"error\":\"no key \xf0\x9f\x94\x91 ",
            form.as_slice(),
            b"\\n at 100%\"}",
        ]
        .concat();
        let whole = scrub(&key, &[&body]);
        assert!(
            !leaks(&whole, &form),
            "{name}: {}",
            String::from_utf8_lossy(&whole)
        );
        assert!(
            whole.starts_with(b"{\"error\":\"no key \xf0\x9f\x94\x91 "),
            "{name}"
        );
        assert!(whole.ends_with(b"\\n at 100%\"}"), "{name}");
        assert!(
            whole
                .windows(REDACTED.len())
                .any(|window| window == REDACTED),
            "{name}"
        );
        for cut in 0..=body.len() {
            assert_eq!(
                scrub(&key, &[&body[..cut], &body[cut..]]),
                whole,
                "{name} at {cut}"
            );
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(scrub(&key, &bytes), whole, "{name} byte by byte");
    }
}

#[test]
fn echoes_side_by_side_are_all_removed() {
    let key = key();
    let body = [key.as_slice(), &key, b"-", &key].concat();
    assert_eq!(scrub(&key, &[&body]), b"[redacted][redacted]-[redacted]");
}

#[test]
fn an_echo_after_its_own_beginning_is_found() {
    let body = b"aabaabaacaabaabaadx";
    assert_eq!(scrub(b"aabaabaad", &[body]), b"aabaabaac[redacted]x");
    assert_eq!(scrub(b"aaaaaaab", &[b"aaaaaaaaaaaab"]), b"aaaaa[redacted]");
}

#[test]
fn a_piece_without_a_trace_is_passed_on_without_a_copy() {
    let mut scrubber = Scrubber::new(Arc::new(Needles::new(b"QQQQQQQQQQ")));
    let piece = Bytes::from_static(b"data: {\"text\":\"hello\"}\n\n");
    assert_eq!(scrubber.push(piece.clone()).as_ptr(), piece.as_ptr());
    assert_eq!(scrubber.removed(), 0);
}

#[test]
fn only_a_possible_beginning_is_held_back() {
    let key = key();
    let mut scrubber = Scrubber::new(Arc::new(Needles::new(&key)));
    let out = scrubber.push(Bytes::from_static(b"data: hello sk-pro"));
    assert_eq!(out.as_ref(), b"data: hello ");
    assert_eq!(
        scrubber.push(Bytes::from_static(b"be\n")).as_ref(),
        b"sk-probe\n"
    );
    // An endless run of backslashes does not grow the buffer.
    let out = scrubber.push(Bytes::from(vec![b'\\'; 100_000]));
    assert!(out.len() > 99_000);
}

/// T175
#[test]
fn a_terminal_keeps_its_colours() {
    let key = key();
    let body = [b"a \x1b[4m", in_colour(&key, 5..12).as_slice(), b"\x1b[m b"].concat();
    let expected = b"a \x1b[4m[redacted]\x1b[01;31m\x1b[K\x1b[m\x1b[K\x1b[m b";
    assert_eq!(scrub(&key, &[&body]), expected);
    // What begins as a sequence and is none does not hide what follows.
    let body = [b"\x1b[1".repeat(40).as_slice(), b"\x1b\x1b[\n", &key].concat();
    assert!(scrub(&key, &[&body]).ends_with(b"\x1b\x1b[\n[redacted]"));
    // Nor does an endless one grow the buffer.
    let mut scrubber = Scrubber::new(Arc::new(Needles::new(&key)));
    let endless = [b"s\x1b[".as_slice(), &[b';'; 100_000]].concat();
    assert!(scrubber.push(Bytes::from(endless)).len() > 99_000);
}

/// T175
#[test]
fn what_is_released_is_out_and_the_rest_of_an_echo_is_not() {
    let key = key();
    let mut scrubber = Scrubber::new(Arc::new(Needles::new(&key)));
    assert_eq!(scrubber.push(Bytes::from_static(b"$ sk")), &b"$ "[..]);
    assert_eq!(scrubber.release(), &b"sk"[..]);
    assert_eq!(scrubber.held_bytes(), 0);
    let rest = [&key[2..], b"!"].concat();
    assert_eq!(scrubber.push(Bytes::from(rest)), &b"[redacted]!"[..]);
    assert_eq!(scrubber.removed(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cuts_never_matter_and_echoes_never_stay(
        parts in prop::collection::vec((0usize..27, prop::collection::vec(any::<u8>(), 0..12)), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let key = key();
        let forms = forms(&key);
        let mut body = Vec::new();
        for (form, text) in &parts {
            body.extend_from_slice(text);
            match forms.get(*form) {
                Some((_, form)) => body.extend_from_slice(form),
                // A beginning of the key that is no echo.
                None => body.extend_from_slice(&key[..form % key.len()]),
            }
        }
        let whole = scrub(&key, &[&body]);
        for (_, form) in &forms {
            prop_assert!(!leaks(&whole, form));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&body[from..cut]);
            from = cut;
        }
        pieces.push(&body[from..]);
        prop_assert_eq!(scrub(&key, &pieces), whole);
    }

    #[test]
    fn one_reading_speaks_for_all_until_an_escape_comes(
        key in "[ab%/]{3,7}",
        body in prop::collection::vec(prop::sample::select(b"aab%%\\/\x1b[m615u02fYWJx".to_vec()), 0..60),
    ) {
        let needles = Arc::new(Needles::new(key.as_bytes()));
        let (mut together, mut apart) = (Scrubber::new(Arc::clone(&needles)), Scrubber::new(needles));
        for byte in body {
            let byte = Bytes::copy_from_slice(&[byte]);
            if !apart.apart {
                apart.part();
            }
            prop_assert_eq!(together.push(byte.clone()), apart.push(byte));
            prop_assert_eq!(together.held_bytes(), apart.held_bytes());
        }
        prop_assert_eq!(together.finish(), apart.finish());
        prop_assert_eq!(together.removed(), apart.removed());
    }

    #[test]
    fn bytes_without_the_key_are_unchanged(body in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(scrub(&key(), &[&body]), body);
    }

    #[test]
    fn what_is_released_is_unchanged(body in "[skproj/Ab%41\\\\u0\u{1b}\\[m]{0,100}", size in 1usize..9) {
        let mut scrubber = Scrubber::new(Arc::new(Needles::new(&key())));
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            out.extend_from_slice(&scrubber.push(Bytes::copy_from_slice(piece)));
            out.extend_from_slice(&scrubber.release());
        }
        prop_assert_eq!(out, body.as_bytes());
    }

    #[test]
    fn text_that_looks_like_keys_is_unchanged(body in "[skproj/Ab+9_~%41=z\\\\u0\"\u{1b}\\[m]{0,200}") {
        prop_assert_eq!(scrub(&key(), &[body.as_bytes()]), body.as_bytes());
    }
}

proptest! {
    /// What is skipped at once is what a search byte by byte finds nothing in: of a piece of one byte nothing is known of what
    /// comes behind an escape.
    #[test]
    fn escapes_that_mean_nothing_hide_nothing(
        parts in prop::collection::vec((0usize..32, "[a-c7sk\\n\"]{0,9}"), 1..12),
        key in prop::sample::select(vec![
            &b"s/k+-0123456789abcdefghijkl"[..],
            b"sk-proj/Ab+9_~%41=zzaabbaabbc?>",
            b"sk-x7c7c7c7c7",
            b"cabcabcabcabcab",
            b"\\skskskskskskskskskskskskskskskskskskx",
        ]),
    ) {
        let escapes: [&[u8]; 22] = [
            b"\\n", b"\\\"", b"\\\\n", b"\\\\", b"\\/", b"\\u0073", b"\\\\u006B", b"\\u00e9", b"\\u0437", b"\\u7361",
            b"\\u00", b"\\u",
            b"%", b"%%", b"%73", b"%6b", b"%E9", b"%7", b"% ", b"\\%6b", b"%\\u002d", b"\x1b[m",
        ];
        let forms = forms(key);
        let mut body = Vec::new();
        for (part, text) in &parts {
            body.extend_from_slice(escapes.get(*part).copied().unwrap_or(match part {
                22..25 => key,
                25 => b"736b2d",
                26 => b"a long text in which nothing stands that any key begins with, so that vectors are of use",
                _ => &forms[(part + text.len()) % forms.len()].1,
            }));
            body.extend_from_slice(text.as_bytes());
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(scrub(key, &[&body]), scrub(key, &bytes));
    }
}

#[test]
fn what_begins_within_an_escape_is_no_echo() {
    // Read from within the first escape it would be the key in hex.
    let body = b"\\u736b2d\\u0037\\u0038";
    assert_eq!(scrub(b"sk-x", &[body]), body);
    let long = [&[b' '; 8000][..], body].concat();
    assert_eq!(scrub(b"sk-x", &[&long]), long);
}

#[test]
fn an_escape_in_the_beginning_of_a_key_hides_nothing() {
    let key = b"s/k+-0123456789abcdefghijkl";
    let rest = b"0123456789abcdefghijkl, and so on, for as long as vectors are of use in a text that has nothing";
    for begins in [
        "s%2fk+-",
        "s\\/k+-",
        "s\\\\u002Fk+-",
        "%73/k+-",
        "s/\\u006b%2b-",
        "s/\\u006b+-",
    ] {
        for before in ["", "\\n\\\"\\u0430%20\\\\n", "100%, "] {
            let before = before.repeat(40);
            let body = [before.as_bytes(), begins.as_bytes(), rest].concat();
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            let out = scrub(key, &[&body]);
            assert_eq!(out, scrub(key, &bytes), "{begins}");
            let is_mixed = begins.contains('u') && begins.contains('%');
            let is_there = out.windows(22).any(|it| it == b"0123456789abcdefghijkl");
            assert_eq!(is_there, is_mixed, "{begins}");
        }
    }
}

#[test]
fn every_form_is_removed_from_a_long_text() {
    let key = key();
    let text =
        b"{\"content\":\"words that say nothing of it, and many more of them than a vector holds; ";
    for (name, form) in forms(&key) {
        let body = [text.as_slice(), text, form.as_slice(), text, b"\\n\"}"].concat();
        let out = scrub(&key, &[&body]);
        assert!(!leaks(&out, &form), "{name}");
        assert!(out.starts_with(&[text.as_slice(), text].concat()), "{name}");
        assert!(
            out.ends_with(&[text.as_slice(), b"\\n\"}"].concat()),
            "{name}"
        );
    }
}
