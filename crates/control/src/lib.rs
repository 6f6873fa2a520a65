//! The control plane: operations, REST API, OpenAPI, sessions, jobs.
//!
//! It takes provider keys in and never opens one again: of the vault it holds the intake, the rotator and the
//! releaser, which opens a key only to seal it to somebody else at once, not the opener. It never calls a provider; it
//! asks the gateway to (`vault::KeyProbe`, [`models::ModelCalls`]).
//!
//! Start reading at [`access`] (how a request gets the right to do something), then
//! [`ops::submission`] (one submission of a key from end to end). [`error`] lists every refusal.

pub mod access;
pub mod api;
pub mod auth;
mod authz;
pub mod body;
mod compression;
pub mod error;
pub mod frame;
pub mod jobs;
pub mod models;
pub mod openapi;
pub mod ops;
pub mod page;
pub(crate) mod routes;
mod schema;
pub mod state;
mod tag;
pub mod text;

#[cfg(test)]
mod tests;

pub use authz::authz_table;
pub use error::error_reference;
pub use frame::Peer;
pub use openapi::openapi;
pub use state::{ControlConfig, ControlState, ProbePolicy, SubmissionPolicy, Traffic};

/// The router of everything that is not a call of a model, `pages` for people's browsers among it. The edge puts [`Peer`]
/// on each request.
pub fn router(state: ControlState, pages: axum::Router<ControlState>) -> axum::Router {
    api::routes()
        .into_router()
        .merge(pages)
        .fallback(frame::no_such_path)
        .method_not_allowed_fallback(frame::no_such_method)
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            frame::frame,
        ))
        .layer(axum::middleware::from_fn(compression::mark))
        .layer(compression::layer())
        .with_state(state)
}
