//! The console: the pages for people's browsers, held in this binary and served under `/console/`.
//!
//! They are files and nothing else; whatever they show and do goes through the documented API. What the browser lets
//! them do is said here, once, for all of them.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, LOCATION, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use control::ControlState;
use control::error::{Code, Problem};

/// A file of the built console, also in the forms that the build compressed.
#[derive(Debug)]
struct File {
    /// Below `/console/`.
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Sorted by path; empty where the console was not built.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// What the pages may load and do: what lies beside them, and calls of this server. One policy for trusted types is
/// named, which makes the address of the worker that seals keys and no other one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types keybearer-worker";

const NOT_BUILT: &str = include_str!("console/not_built.html");

/// The pages, and the short ways to them.
pub(crate) fn pages() -> Router<ControlState> {
    Router::new()
        .route("/", get(root))
        .route("/setup", get(async || see_other("/console/setup")))
        .route("/console", get(async || see_other("/console/")))
        .route("/console/", get(async |headers: HeaderMap| index(&headers)))
        .route("/console/{*path}", get(file))
}

/// People come by a browser and mean the console; programs asked for something that is not here.
async fn root(headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    match accepts.is_some_and(|accept| accept.contains("text/html")) {
        true => see_other("/console/"),
        false => Problem::new(Code::NotFound).into_response(),
    }
}

/// A browser keeps the part behind `#` over a redirect: the token of a set-up link arrives.
fn see_other(place: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Ok(found) = FILES.binary_search_by(|file| file.path.cmp(&path)) {
        return answer(&FILES[found], &headers);
    }
    // A name with an ending was a file of another build; everything else is a page, which the browser finds itself.
    match path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'))
    {
        true => Problem::new(Code::NotFound).into_response(),
        false => index(&headers),
    }
}

fn index(headers: &HeaderMap) -> Response {
    match FILES.iter().find(|file| file.path == "index.html") {
        Some(file) => answer(file, headers),
        None => {
            let policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";
            let headers = [(CONTENT_SECURITY_POLICY, policy)];
            (StatusCode::SERVICE_UNAVAILABLE, headers, Html(NOT_BUILT)).into_response()
        }
    }
}

fn answer(file: &'static File, asked: &HeaderMap) -> Response {
    let (encoding, bytes) = match (file.brotli, file.gzip) {
        (Some(brotli), _) if accepts(asked, "br") => (Some("br"), brotli),
        (_, Some(gzip)) if accepts(asked, "gzip") => (Some("gzip"), gzip),
        _ => (None, file.plain),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, content_type(file.path));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(VARY, "accept-encoding");
    // The names of assets have a hash of what is in them. Everything else is asked for anew.
    if file.path.starts_with("assets/") {
        set(CACHE_CONTROL, "public, max-age=31536000, immutable");
    }
    if let Some(encoding) = encoding {
        set(CONTENT_ENCODING, encoding);
    }
    response
}

/// Whether the browser takes this encoding. Browsers list what they take; a weight of zero, which would refuse one, is
/// read as well.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
            named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_taken_where_it_is_named_and_not_refused() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts(&headers, "br")
        };
        assert!(takes("gzip, deflate, br"));
        assert!(takes("BR;q=0.5"));
        assert!(!takes("br;q=0, gzip"));
        assert!(!takes("gzip, brotli"));
        assert!(!accepts(&HeaderMap::new(), "br"));
    }
}
