//! The data plane: one request from client to provider and back.

pub mod connect;
mod needles;
mod scrub;

/// An error of any kind, from the libraries below.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
