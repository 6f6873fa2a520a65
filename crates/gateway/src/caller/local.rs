//! Calls that need no API key: those that programs of this machine make, and no page that a browser shows.
//!
//! A browser sends what any page tells it to, to loopback too. It says so in `Origin` and `Sec-Fetch-Site`; and a page
//! whose own name was bound to loopback after it was loaded (DNS rebinding) still has that name in `Host`. What a proxy
//! of this machine passes on may come from anywhere.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::error::Failure;

/// What a proxy adds: whoever asked it need not be on this machine.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// `anonymous`, unless the request may be a page's of another site.
pub(super) fn only(headers: &HeaderMap, anonymous: &[u8; 32]) -> Result<[u8; 32], Failure> {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let mut origins = headers.get_all(ORIGIN).iter();
    let mut hosts = headers.get_all(HOST).iter();
    let ours = !FORWARDED.iter().any(|name| headers.contains_key(*name))
        && sites.all(|site| site != "cross-site")
        && origins.all(|origin| {
            let authority = origin.to_str().ok().and_then(|it| it.split_once("://"));
            authority.is_some_and(|(_, authority)| is_loopback(authority))
        })
        && hosts.all(|host| host.to_str().is_ok_and(is_loopback));
    ours.then_some(*anonymous).ok_or(Failure::CrossSite)
}

/// Whether a host, with or without a port, is this machine by its name.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address: Option<IpAddr> = bare.unwrap_or(host).parse().ok();
    host.eq_ignore_ascii_case("localhost") || address.is_some_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn taken(headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        only(&map, &[1; 32]).is_ok()
    }

    #[test]
    fn programs_and_pages_of_this_machine_are_taken_and_other_pages_are_not() {
        // T179
        for host in [
            "127.0.0.1:4356",
            "localhost:4356",
            "LOCALHOST",
            "[::1]:4356",
            "127.0.0.9",
        ] {
            assert!(taken(&[("host", host)]), "{host}");
        }
        let host = ("host", "127.0.0.1:4356");
        for page in [
            &[("origin", "http://localhost:5173")][..],
            &[
                ("origin", "http://127.0.0.1:4356"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(taken(&[&[host], page].concat()), "{page:?}");
        }
        for page in [
            &[("origin", "https://evil.test")][..],
            &[("origin", "null")],
            &[("origin", "http://localhost.evil.test")],
            &[("origin", "http://localhost:1@evil.test")],
            &[
                ("origin", "http://localhost"),
                ("origin", "http://evil.test"),
            ],
            &[("sec-fetch-site", "cross-site")],
            &[
                ("origin", "http://localhost:5173"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            assert!(!taken(&[&[host], page].concat()), "{page:?}");
        }
        for name in FORWARDED {
            assert!(!taken(&[host, (name, "x")]), "{name}");
        }
        for host in ["evil.test:4356", "10.0.0.1:4356", "localhost.evil.test", ""] {
            assert!(!taken(&[("host", host)]), "{host}");
        }
    }
}
