//! What is taken for a base URL is canonical: read again it stays as it is, and it says nothing beyond its place.

use llm::base_url::{Loopback, canonical_base_url};

pub(crate) fn holds(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    for loopback in [Loopback::HttpsOnly, Loopback::AllowHttp] {
        let Ok(url) = canonical_base_url(input, loopback) else {
            continue;
        };
        assert_eq!(canonical_base_url(&url, loopback).as_ref(), Ok(&url));
        let plain = url.starts_with("http://") && loopback == Loopback::AllowHttp;
        assert!(url.starts_with("https://") || plain);
        assert!(url.is_ascii() && !url.contains(['?', '#', '@', '\\', '%']));
        assert!(
            url.split('/')
                .all(|segment| segment != "." && segment != "..")
        );
    }
}
