//! Links in a provider's answer that its SDK follows.
//!
//! Anthropic's SDKs fetch the results of a batch from the `results_url` that its answer names, with the API key that they
//! were given (`batches.results` of the SDKs for Python 2.11.0 and JavaScript 1.11.0). Passed as it came, that link takes
//! the key of whatever stands in between to the provider, which refuses it. Without the base URL of the provider it is
//! relative to the one that the SDK has.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Whether answers from this path of a provider may have such links: those about batches of messages.
pub fn has_some(path: &str) -> bool {
    path.contains("/messages/batches")
}

/// The answer with its links below this base URL relative to it and every other byte as it was; `None`: it has none.
pub fn relative(answer: &Bytes, base_url: &str) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow, default)]
        results_url: Option<&'a RawValue>,
        #[serde(borrow, default)]
        data: Vec<Batch<'a>>,
    }
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        results_url: Option<&'a RawValue>,
    }
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let page: Page<'_> = serde_json::from_slice(answer).ok()?;
    let listed = page.data.into_iter().map(|batch| batch.results_url);
    let mut changed = BytesMut::new();
    let mut done = 0;
    for link in [page.results_url].into_iter().chain(listed).flatten() {
        let text: String = serde_json::from_str(link.get()).ok()?;
        let Some(below) = text
            .strip_prefix(base_url)
            .filter(|below| below.starts_with('/'))
        else {
            continue;
        };
        // It is borrowed from the answer, so the difference of the addresses is its place there.
        let start = link.get().as_ptr().addr() - answer.as_ptr().addr();
        // An answer that is a batch and a list at once is nobody's.
        changed.extend_from_slice(answer.get(done..start)?);
        changed.extend_from_slice(serde_json::to_string(below).ok()?.as_bytes());
        done = start + link.get().len();
    }
    changed.extend_from_slice(&answer[done..]);
    (done > 0).then(|| changed.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://api.anthropic.com";

    fn turned(answer: &'static str) -> Option<String> {
        let turned = relative(&Bytes::from_static(answer.as_bytes()), BASE)?;
        Some(String::from_utf8(turned.into()).expect("text"))
    }

    #[test]
    fn links_below_the_base_url_lose_it_and_nothing_else_changes() {
        let batch = r#"{"id": "b", "results_url" : "https://api.anthropic.com/v1/messages/batches/b/results", "x":1.0}"#;
        let relative = r#"{"id": "b", "results_url" : "/v1/messages/batches/b/results", "x":1.0}"#;
        assert_eq!(turned(batch).as_deref(), Some(relative));
        let list = r#"{"data":[{"results_url":null},{"results_url":"https:\/\/api.anthropic.com/a"},{"results_url":"https://api.anthropic.com/b"},{}],"has_more":false}"#;
        let relative = r#"{"data":[{"results_url":null},{"results_url":"/a"},{"results_url":"/b"},{}],"has_more":false}"#;
        assert_eq!(turned(list).as_deref(), Some(relative));
    }

    #[test]
    fn whatever_else_there_is_passes_as_it_came() {
        for answer in [
            "",
            "[]",
            "{}",
            r#"{"results_url":null}"#,
            r#"{"results_url":1}"#,
            r#"{"results_url":"https://api.anthropic.com"}"#,
            r#"{"results_url":"https://api.anthropic.com.example/a"}"#,
            r#"{"results_url":"https://elsewhere.example/a"}"#,
            r#"{"metadata":{"results_url":"https://api.anthropic.com/a"}}"#,
            r#"{"data":[{"results_url":"https://api.anthropic.com/a"}],"results_url":"https://api.anthropic.com/b"}"#,
        ] {
            assert_eq!(turned(answer), None, "{answer}");
        }
    }
}
