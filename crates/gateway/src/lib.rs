//! The data plane: one request from client to provider and back.

pub mod connect;
pub mod edge;
mod endpoint;
mod error;
mod headers;
mod needles;
mod scrub;
mod upstream;

/// An error of any kind, from the libraries below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a response of either plane.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;

/// A body that is there already.
pub(crate) fn full(bytes: bytes::Bytes) -> Body {
    use http_body_util::BodyExt;
    Body::new(http_body_util::Full::new(bytes).map_err(|never| match never {}))
}
