//! Thin handlers: take the request apart, call the operation, write the view.

use utoipa_axum::router::OpenApiRouter;

use crate::state::ControlState;

pub mod account_keys;
pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod byok;
pub mod invitations;
pub mod key_body;
pub mod key_view;
pub mod members;
pub mod meta;
pub mod provider_keys;
pub mod sealing_key;
pub mod sessions;
pub mod setup;
pub mod usage;
pub mod users;
pub mod workspaces;

/// All routes of the control plane.
pub fn routes() -> OpenApiRouter<ControlState> {
    OpenApiRouter::new()
        .merge(meta::routes())
        .merge(setup::routes())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(sealing_key::routes())
        .merge(accounts::routes())
        .merge(workspaces::routes())
        .merge(members::routes())
        .merge(invitations::routes())
        .merge(api_keys::routes())
        .merge(provider_keys::routes())
        .merge(account_keys::routes())
        .merge(byok::routes())
        .merge(usage::routes())
        .merge(audit::routes())
}
