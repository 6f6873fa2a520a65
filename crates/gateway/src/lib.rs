//! The data plane: one request from client to provider and back.

pub mod connect;
pub mod edge;
mod needles;
mod scrub;

/// An error of any kind, from the libraries below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a response of either plane.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
