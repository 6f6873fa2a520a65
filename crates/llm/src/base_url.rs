//! Where a provider is called: one parser, one spelling.
//!
//! A provider key is bound to this text, so two spellings of one place must not exist. A text that the
//! parser would have to mend is refused, because another parser may mend it differently.

use url::{Host, Url};

/// The longest base URL, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Ports of services that take lines of text and can be talked into obeying an HTTP request.
const REFUSED_PORTS: [u16; 4] = [0, 22, 25, 6379];

/// Whether a base URL may be `http:` on this machine's own loopback addresses and `localhost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// `https:` only.
    HttpsOnly,
    /// `http:` too, for a model server on this machine.
    AllowHttp,
}

/// Why a text is not a base URL. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Longer than [`MAX_BYTES`].
    #[error("a base URL has at most {MAX_BYTES} characters")]
    Length,
    /// A blank, a control character, a backslash, a percent sign or anything outside ASCII.
    #[error(
        "a base URL has only visible ASCII characters, without backslash, percent sign and quotes"
    )]
    Character,
    /// The parser refuses it, or would have to change it.
    #[error("not a plain URL of the form https://host/path")]
    Form,
    /// Neither `https` nor `http` to this machine where that is allowed.
    #[error("a base URL begins with https:// (http:// only for this machine, where allowed)")]
    Scheme,
    /// A user name or a password.
    #[error("a base URL has no user name or password")]
    Credentials,
    /// A query or a fragment.
    #[error("a base URL has no query or fragment")]
    QueryOrFragment,
    /// A port that is never an HTTP server's.
    #[error("a base URL has no port of another protocol")]
    Port,
}

/// Checks a base URL and returns it in its only spelling: as the parser prints it, without the slash at
/// the end.
///
/// Upper case in scheme and host, the scheme's own port and one slash at the end are brought to that
/// spelling; every other deviation is refused.
///
/// # Errors
/// [`BaseUrlError`] with the rule that the text breaks.
pub fn canonical_base_url(text: &str, loopback: Loopback) -> Result<String, BaseUrlError> {
    if text.len() > MAX_BYTES {
        return Err(BaseUrlError::Length);
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\%\"'`<>^|{}".contains(&byte);
    if !text.bytes().all(plain) {
        return Err(BaseUrlError::Character);
    }
    let url = Url::parse(text).map_err(|_| BaseUrlError::Form)?;
    let scheme_fits = match url.scheme() {
        "https" => true,
        "http" => loopback == Loopback::AllowHttp && is_loopback(&url),
        _ => false,
    };
    if !scheme_fits {
        return Err(BaseUrlError::Scheme);
    }
    // The text is asked too: the parser forgets an empty user name.
    if text.contains('@') {
        return Err(BaseUrlError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BaseUrlError::QueryOrFragment);
    }
    if url.port().is_some_and(|port| REFUSED_PORTS.contains(&port)) {
        return Err(BaseUrlError::Port);
    }
    let canonical = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
    let has_empty_segment = url.path().contains("//") || canonical.ends_with('/');
    if !is_plain_host(&url)
        || has_empty_segment
        || spelled_plainly(text).as_deref() != Some(canonical)
    {
        return Err(BaseUrlError::Form);
    }
    Ok(canonical.to_owned())
}

/// Whether the host is an address, or a name that a certificate and a resolver read in the same way.
fn is_plain_host(url: &Url) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match url.host() {
        Some(Host::Domain(name)) => {
            name.len() <= 253
                && name.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(allowed)
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                })
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `text` with the deviations mended that are allowed, and no other.
fn spelled_plainly(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let scheme = scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
    let path = path.strip_suffix('/').unwrap_or(path);
    Some(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests;
