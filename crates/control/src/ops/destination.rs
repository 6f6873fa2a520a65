//! Where a provider key may be sent, as far as that can be said when it is saved.
//!
//! The gateway's connector vets each address again when it dials; this check gives an early, clear refusal.

use std::net::IpAddr;

use domain::address;
use llm::base_url::{Loopback, canonical_base_url};
use llm::provider::Provider;
use url::{Host, Url};
use vault::RawBox;

use crate::error::{Code, Problem};
use crate::state::ControlConfig;

/// A vetted base URL.
pub struct Destination {
    /// In its only spelling.
    pub base_url: String,
    /// Whether a box without context may be sent there: only to the registry's own, fixed one.
    pub raw_box: RawBox,
}

/// The destination of a key for `provider`: its own base URL, or a `custom` one where that is `allowed`.
///
/// # Errors
/// `custom_base_url_not_allowed`; `invalid_base_url` with the rule that it breaks.
pub fn destination(
    config: &ControlConfig,
    allowed: bool,
    provider: &Provider,
    custom: Option<&str>,
) -> Result<Destination, Problem> {
    let fixed = || Destination {
        base_url: provider.base_url.clone(),
        raw_box: RawBox::Accept,
    };
    let Some(custom) = custom else {
        return Ok(fixed());
    };
    if custom == provider.base_url {
        return Ok(fixed());
    }
    if !allowed {
        return Err(Problem::new(Code::CustomBaseUrlNotAllowed));
    }
    let loopback = if is_allowed(config, IpAddr::from([127, 0, 0, 1])) {
        Loopback::AllowHttp
    } else {
        Loopback::HttpsOnly
    };
    let base_url =
        canonical_base_url(custom, loopback).map_err(|error| refused(error.to_string()))?;
    if base_url == provider.base_url {
        return Ok(fixed());
    }
    let parsed = Url::parse(&base_url).map_err(|_| refused("not a URL"))?;
    let reachable = match parsed.host() {
        Some(Host::Ipv4(v4)) => is_allowed(config, IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => is_allowed(config, IpAddr::V6(v6)),
        Some(Host::Domain(name)) => is_public_name(name) || may_be_private(config, name),
        None => false,
    };
    if !reachable {
        return Err(refused("the host of the base URL is not a public one"));
    }
    Ok(Destination {
        base_url,
        raw_box: RawBox::Refuse,
    })
}

/// Public, or in a range that the operator opened; never where clouds keep instance credentials.
fn is_allowed(config: &ControlConfig, ip: IpAddr) -> bool {
    let opened = || {
        config
            .allow_addresses
            .iter()
            .any(|range| range.contains(&ip))
    };
    !address::is_metadata(ip) && (address::is_public(ip) || opened())
}

/// Whether a name can be in the public DNS: it has a dot and none of the endings that are private by
/// definition (RFC 6761, RFC 6762, RFC 8375, ICANN's `.internal`).
fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let private = ["localhost", "local", "internal", "home.arpa"];
    name.contains('.')
        && !private.iter().any(|ending| {
            name.strip_suffix(ending)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// A private name is worth a dial only where the operator opened private ranges. Metadata names never are.
fn may_be_private(config: &ControlConfig, name: &str) -> bool {
    let metadata = name.trim_end_matches('.') == "metadata.google.internal";
    !config.allow_addresses.is_empty() && !metadata
}

fn refused(rule: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Code::InvalidBaseUrl).because(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llm::registry::Registry;

    fn check(config: &ControlConfig, custom: Option<&str>) -> Result<Destination, Code> {
        let registry = Registry::bundled().expect("the bundled registry");
        let id = "openai".parse().expect("a provider id");
        let provider = registry.get(&id).expect("a bundled provider");
        destination(config, config.custom_base_urls, provider, custom)
            .map_err(|problem| problem.code())
    }

    fn open() -> ControlConfig {
        ControlConfig {
            custom_base_urls: true,
            ..ControlConfig::default()
        }
    }

    #[test]
    fn the_registrys_own_base_url_takes_raw_boxes_and_a_custom_one_does_not() {
        // T23
        let own = check(&open(), None).expect("allowed");
        assert_eq!(own.raw_box, RawBox::Accept);
        let named = check(&ControlConfig::default(), Some(&own.base_url)).expect("allowed");
        assert_eq!(named.raw_box, RawBox::Accept);
        let custom = check(&open(), Some("https://llm.example.com/v1")).expect("allowed");
        assert_eq!(custom.raw_box, RawBox::Refuse);
        let off = check(
            &ControlConfig::default(),
            Some("https://llm.example.com/v1"),
        );
        assert_eq!(off.err(), Some(Code::CustomBaseUrlNotAllowed));
    }

    #[test]
    fn hosts_that_are_not_public_are_refused_at_save() {
        // T36, T37, T47
        for bad in [
            "https://127.0.0.1/v1",
            "https://10.0.0.1",
            "https://169.254.169.254",
            "https://[::1]/v1",
            "https://[::ffff:127.0.0.1]/v1",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://localhost/v1",
            "https://a.localhost/v1",
            "https://LOCALHOST/v1",
            "https://intranet/v1",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "http://llm.example.com/v1",
            "https://user:pw@llm.example.com/",
            "https://llm.example.com/?x=1",
            "ftp://llm.example.com/",
            "file:///etc/passwd",
            "os.environ/X",
        ] {
            assert_eq!(
                check(&open(), Some(bad)).err(),
                Some(Code::InvalidBaseUrl),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_opened_range_never_holds_the_metadata_address() {
        // T48
        let config = ControlConfig {
            allow_addresses: vec![
                "127.0.0.0/8".parse().expect("a range"),
                "169.254.0.0/16".parse().expect("a range"),
            ],
            ..open()
        };
        assert!(check(&config, Some("http://127.0.0.1:9000/v1")).is_ok());
        assert!(check(&config, Some("https://10.0.0.1/v1")).is_err());
        assert!(check(&config, Some("https://169.254.169.254/v1")).is_err());
    }
}
