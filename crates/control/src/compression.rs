//! Which answers are compressed: what is read, as JSON.
//!
//! How well a text compresses tells of what is in it. An answer that shows a secret therefore never is: those are answers
//! to `POST` and `PUT`, and no answer to a `GET` holds one. Event streams, pages and files stay as they are.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Smaller ones fit into one packet anyway.
const MIN_BYTES: u16 = 1024;

/// Says of an answer that it was read.
#[derive(Debug, Clone, Copy)]
struct Read;

/// Compresses what [`mark`] marked, for clients that take it. Fast before small: it is done anew for each answer.
pub(crate) fn layer() -> CompressionLayer<And<SizeAbove, Readings>> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_BYTES).and(Readings))
}

/// The middleware that marks what may be compressed; inside of [`layer`].
pub(crate) async fn mark(request: Request, next: Next) -> Response {
    let is_read = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if is_read && response.status() == StatusCode::OK {
        response.extensions_mut().insert(Read);
    }
    response
}

/// Takes JSON that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readings;

impl Predicate for Readings {
    fn should_compress<B>(&self, response: &http::Response<B>) -> bool
    where
        B: http_body::Body,
    {
        let content_type = response.headers().get(CONTENT_TYPE);
        response.extensions().get::<Read>().is_some()
            && content_type.is_some_and(|it| it == "application/json")
    }
}
