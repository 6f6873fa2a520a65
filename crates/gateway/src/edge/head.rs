//! What a request head must look like before anybody acts on it.

use http::{HeaderValue, Request, header};

use super::problem::Problem;

/// Refuses what two servers in a row could understand differently.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let uri = request.uri();
    let origin_form =
        uri.scheme().is_none() && uri.authority().is_none() && uri.path().starts_with('/');
    if !origin_form {
        return Err(Problem::Target);
    }
    // Any coding that ends in `chunked` has the framing of chunks, but others leave the decoding to whoever is next, or
    // refuse it (RFC 9112, section 6.1).
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, None) => {}
        (Some(coding), None) if is_chunked(coding) => {}
        _ => return Err(Problem::Framing),
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if valid_host(host) => Ok(()),
        _ => Err(Problem::Host),
    }
}

/// `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
fn valid_host(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else {
        return false;
    };
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (
                "ipv6",
                after
                    .strip_prefix(':')
                    .or((!after.is_empty()).then_some("")),
            ),
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let name_fits = !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    name_fits && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(target: &str, hosts: &[&str]) -> Result<(), Problem> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        check(&request.body(()).expect("a request"))
    }

    #[test]
    fn exactly_one_valid_host_is_needed() {
        // T98
        for host in [
            "localhost",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "a_b.example.com:1",
        ] {
            assert_eq!(verdict("/v1/models", &[host]), Ok(()), "{host}");
        }
        let refused: [&[&str]; 14] = [
            &[],
            &["a", "a"],
            &["a", "b"],
            &[""],
            &["a/x?y#z"],
            &["a b"],
            &["user@a"],
            &["a:0"],
            &["a:65536"],
            &["a:"],
            &["a:+1"],
            &["[::1"],
            &["[::1]x"],
            &["a:1:2"],
        ];
        for hosts in refused {
            assert_eq!(
                verdict("/v1/models", hosts),
                Err(Problem::Host),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        // T123
        let verdict = |codings: &[&str]| {
            let mut request = Request::builder().uri("/").header(header::HOST, "a");
            for coding in codings {
                request = request.header(header::TRANSFER_ENCODING, *coding);
            }
            check(&request.body(()).expect("a request"))
        };
        for codings in [&[][..], &["chunked"], &["Chunked"]] {
            assert_eq!(verdict(codings), Ok(()), "{codings:?}");
        }
        for codings in [
            &["gzip, chunked"][..],
            &["identity, chunked"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["identity", "chunked"],
            &["chunked;q=1"],
        ] {
            assert_eq!(verdict(codings), Err(Problem::Framing), "{codings:?}");
        }
    }

    #[test]
    fn only_origin_form_is_taken() {
        // T98, T130
        for target in ["http://a/v1/models", "a:443", "*"] {
            assert_eq!(verdict(target, &["a"]), Err(Problem::Target), "{target}");
        }
    }
}
