//! What a provider says in its headers of what is left of a key's limits.
//!
//! OpenAI's form, which many have (<https://platform.openai.com/docs/guides/rate-limits>), and Anthropic's
//! (<https://docs.anthropic.com/en/api/rate-limits>). What is written otherwise is passed by.

use domain::Timestamp;
use http::{HeaderMap, HeaderName};

/// `x-ratelimit-remaining-*` and `x-ratelimit-reset-*`, the latter as a span of time.
const OPENAI: [(&str, &str); 2] = [
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
];

/// `anthropic-ratelimit-*-remaining` and `anthropic-ratelimit-*-reset`, the latter as a moment.
const ANTHROPIC: [(&str, &str); 4] = [
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// How long the key is of no use, because nothing is left of a limit; the longest, if that is so of several. `None`: as far as is
/// said, it is.
pub(super) fn rests_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    // To look at the few names that there are is less than to look for those that might be.
    let limits = |name: &HeaderName| name.as_str().contains("ratelimit-");
    if !headers.keys().any(limits) {
        return None;
    }
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let spent = |remaining: &str| text(remaining).is_some_and(|it| it == "0");
    let spans = OPENAI
        .iter()
        .filter(|(remaining, _)| spent(remaining))
        .filter_map(|(_, reset)| span_ms(text(reset)?));
    let moments = ANTHROPIC
        .iter()
        .filter(|(remaining, _)| spent(remaining))
        .filter_map(|(_, reset)| Some(text(reset)?.parse::<Timestamp>().ok()?.millis_since(now)));
    spans.chain(moments).max().filter(|millis| *millis > 0)
}

/// A span of time as Go writes it: `1s`, `6m0s`, `20ms`, `1h2m3.5s`.
fn span_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let unit = rest[number..]
            .find(|it: char| it.is_ascii_digit() || it == '.')
            .map_or(rest.len(), |it| number + it);
        let millis = match &rest[number..unit] {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            "ns" => 0.000_001,
            _ => return None,
        };
        total += rest[..number].parse::<f64>().ok()? * millis;
        rest = &rest[unit..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and the sleep that follows is bounded"
    )]
    (!text.is_empty()).then_some(total.ceil() as i64)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn rests(pairs: &[(&'static str, &'static str)]) -> Option<i64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        rests_ms(&headers, NOW)
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, millis) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("20ms", Some(20)),
            ("7.66s", Some(7_660)),
            ("2m59.56s", Some(179_560)),
            ("1h0m0.5s", Some(3_600_500)),
            ("0s", Some(0)),
            ("1us", Some(1)),
            ("", None),
            ("12", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("99999999999999999999h", Some(i64::MAX)),
        ] {
            assert_eq!(span_ms(text), millis, "{text}");
        }
    }

    #[test]
    fn a_key_without_requests_or_tokens_left_rests_until_the_reset() {
        let (requests, tokens) = OPENAI.into();
        assert_eq!(
            rests(&[(requests.0, "0"), (requests.1, "6m0s")]),
            Some(360_000)
        );
        assert_eq!(rests(&[(tokens.0, "0"), (tokens.1, "20ms")]), Some(20));
        let both = [
            (requests.0, "0"),
            (requests.1, "1s"),
            (tokens.0, "0"),
            (tokens.1, "3s"),
        ];
        assert_eq!(rests(&both), Some(3_000));
        for (remaining, reset) in ANTHROPIC {
            let headers = [(remaining, "0"), (reset, "2023-11-14T22:13:25Z")];
            assert_eq!(rests(&headers), Some(5_000), "{remaining}");
        }
    }

    #[test]
    fn what_is_left_or_not_told_puts_no_key_to_rest() {
        let (requests, tokens) = OPENAI.into();
        let (remaining, reset) = ANTHROPIC[0];
        for headers in [
            &[][..],
            &[(requests.0, "1"), (requests.1, "6m0s")],
            &[(requests.0, "0")],
            &[(requests.0, "0"), (tokens.1, "6m0s")],
            &[(requests.0, "0"), (requests.1, "soon")],
            &[(requests.0, ""), (requests.1, "1s")],
            &[(requests.0, "0"), (requests.1, "0s")],
            &[(remaining, "0"), (reset, "2023-11-14T22:13:20Z")],
            &[(remaining, "0"), (reset, "yesterday")],
            &[(remaining, "12"), (reset, "2023-11-14T22:13:25Z")],
        ] {
            assert_eq!(rests(headers), None, "{headers:?}");
        }
    }
}
