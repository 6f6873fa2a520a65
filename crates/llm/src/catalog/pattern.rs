//! Names of models in the price catalog.

use std::borrow::Cow;

use serde::Deserialize;

/// One of the rules by which a model is known, for names in lower case.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Rule {
    /// `*` stands for any run of characters, `#` for a digit, everything else for itself.
    Like(Box<str>),
    /// The same, except for names that fit another pattern.
    Unlike {
        like: Box<str>,
        unlike: Vec<Box<str>>,
    },
}

impl Rule {
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Like(pattern) => fits(pattern, name),
            Self::Unlike { like, unlike } => {
                fits(like, name) && !unlike.iter().any(|pattern| fits(pattern, name))
            }
        }
    }
}

/// Whether `name` fits `pattern`, in time that is at most the product of their lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Behind the last `*`, and where the name went on then: if what follows does not fit, the `*` takes one more.
    let mut retry = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, read));
                continue;
            }
            Some(b'#') if name[read].is_ascii_digit() => {}
            Some(byte) if *byte == name[read] && *byte != b'#' => {}
            _ => {
                let Some((behind, from)) = retry else {
                    return false;
                };
                (at, read) = (behind, from + 1);
                retry = Some((at, read));
                continue;
            }
        }
        at += 1;
        read += 1;
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The name with each date like `-20251211` written as `-2025-12-11`, the way in which the catalog knows dated models.
/// `None`: it has none.
pub(super) fn dashed(name: &str) -> Option<Cow<'_, str>> {
    let mut dashed = Cow::Borrowed(name);
    let mut at = 0;
    while let Some(found) = dashed.get(at..).and_then(|rest| rest.find('-')) {
        at += found + 1;
        let digits = dashed.get(at..at + 8).filter(|digits| is_date(digits));
        let ends = matches!(dashed.as_bytes().get(at + 8), None | Some(b'-' | b':'));
        if digits.is_some() && ends {
            dashed.to_mut().insert(at + 6, '-');
            dashed.to_mut().insert(at + 4, '-');
            at += 10;
        }
    }
    match dashed {
        Cow::Borrowed(_) => None,
        Cow::Owned(_) => Some(dashed),
    }
}

/// Whether eight characters are a day of the years from 2000 to 2099.
fn is_date(digits: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().ok();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (
        number(&digits[..4]),
        number(&digits[4..6]),
        number(&digits[6..]),
    ) else {
        return false;
    };
    // Within these years every fourth one is a leap year.
    let days = match month {
        2 if year % 4 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (2000..2100).contains(&year) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_star_is_any_run_and_a_hash_is_a_digit() {
        for (pattern, name, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5*", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini-x", false),
            ("*5-*", "gpt-5-mini", true),
            ("a*b*b", "a-b", false),
            ("a*b*b", "a-b-b-b", true),
            ("v-####-##", "v-2025-12", true),
            ("v-####-##", "v-2025-1x", false),
            ("v-####-##", "v-2025-1", false),
            ("v-#*", "v-1-preview", true),
            ("v-#*", "v-preview", false),
            ("v-#", "v-#", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        let all_but = r#"{"like":"gemini-*","unlike":["*-tts","*-tts-*"]}"#;
        let all_but: Rule = serde_json::from_str(all_but).expect("a rule");
        assert!(all_but.fits("gemini-3") && all_but.fits("gemini-ttsx"));
        assert!(!all_but.fits("gemini-tts") && !all_but.fits("gemini-tts-1"));
    }

    #[test]
    fn only_days_that_exist_are_written_with_dashes() {
        for (name, expected) in [
            ("gpt-5.2-20251211", Some("gpt-5.2-2025-12-11")),
            ("a-20240229:free", Some("a-2024-02-29:free")),
            ("a-20251211-20251212-x", Some("a-2025-12-11-2025-12-12-x")),
            ("a-20250229", None),
            ("a-20251301", None),
            ("a-20250100", None),
            ("a-19991211", None),
            ("a-2025121", None),
            ("a-202512111", None),
            ("a20251211", None),
            ("a-20251211x", None),
            ("a-2025-12-11", None),
            ("a-+2025121", None),
            ("-é-日本語-", None),
            ("", None),
        ] {
            assert_eq!(dashed(name).as_deref(), expected, "{name}");
        }
    }

    /// The plain definition, exponential at worst.
    fn defined(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), _) => {
                (0..=name.len()).any(|taken| defined(after, &name[taken..]))
            }
            (Some((byte, after)), Some((one, rest))) => {
                let same = if *byte == b'#' {
                    one.is_ascii_digit()
                } else {
                    byte == one
                };
                same && defined(after, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab1*#]{0,7}", name in "[ab1#*]{0,9}") {
            prop_assert_eq!(fits(&pattern, &name), defined(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn any_name_is_read_without_panic(name in "\\PC{0,12}|(-?[0-9]{0,9}[é:-]?){0,4}") {
            if let Some(dashed) = dashed(&name) {
                prop_assert_eq!(dashed.replace('-', ""), name.replace('-', ""));
            }
        }
    }
}
