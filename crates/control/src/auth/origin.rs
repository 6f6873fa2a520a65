//! Refuses what another site's page sends through a person's browser.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; programs that are
//! not browsers say neither. Together with `SameSite=Lax` cookies this needs no token in forms.
//! There is deliberately no CORS header anywhere.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};

use crate::error::{Code, Problem};

/// Lets safe methods pass, and others only from the same origin or from something that is not a browser.
///
/// # Errors
/// `cross_site_request`.
pub fn check(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || is_ours(headers) {
        Ok(())
    } else {
        Err(Problem::new(Code::CrossSiteRequest))
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_none() {
        return true;
    }
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    origins.all(|origin| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_static(value);
                (http::HeaderName::from_static(name), value)
            })
            .collect();
        check(&method, &headers).is_ok()
    }

    #[test]
    fn only_the_same_origin_or_no_browser_may_change_something() {
        // T110
        let host = ("host", "kb.test:8080");
        assert!(allowed(Method::POST, &[host]));
        assert!(allowed(
            Method::POST,
            &[host, ("origin", "http://kb.test:8080")]
        ));
        assert!(allowed(
            Method::POST,
            &[host, ("sec-fetch-site", "same-origin")]
        ));
        assert!(allowed(
            Method::GET,
            &[host, ("sec-fetch-site", "cross-site")]
        ));
        for bad in [
            ("origin", "null"),
            ("origin", "http://evil.test"),
            ("origin", "http://kb.test"),
            ("origin", "http://kb.test:8080.evil.test"),
            ("origin", "http://a.kb.test:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!allowed(Method::POST, &[host, bad]), "{bad:?}");
            assert!(!allowed(Method::DELETE, &[host, bad]), "{bad:?}");
        }
        let mixed = [
            host,
            ("origin", "http://kb.test:8080"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(!allowed(Method::PUT, &mixed));
        assert!(!allowed(Method::POST, &[("origin", "http://kb.test:8080")]));
    }
}
