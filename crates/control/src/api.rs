//! Thin handlers: take the request apart, call the operation, write the view.

use crate::routes::Routes;

pub mod account_keys;
pub mod accounts;
pub mod admin_accounts;
pub mod admin_health;
pub mod ai_config;
pub mod ai_defaults;
pub mod api_keys;
pub mod audit;
pub mod billing;
pub mod byok;
pub mod console_links;
pub mod credits;
pub mod device_logins;
pub mod events;
pub mod invitations;
pub mod key_body;
pub mod key_view;
pub mod limits;
pub mod members;
pub mod meta;
pub mod models;
pub mod own_user;
pub mod password_links;
pub mod plans;
pub mod platform_keys;
pub mod playground_key;
pub mod policy;
pub mod profiles;
pub mod provider_keys;
pub mod provider_models;
pub mod provider_switches;
pub mod release;
pub mod resolution;
pub mod runs;
pub mod scripts;
pub mod sealing_key;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod settings_view;
pub mod setup;
pub mod usage;
pub mod usage_csv;
pub mod usage_summary;
pub mod users;
pub mod whoami;
pub mod workspaces;

/// Where some operations are found as well as under `/api/v1`, for clients that know no version in the path.
pub(crate) const UNVERSIONED: &str = "/api";

/// The operations that are found with and without a version in their path. Their paths are relative.
fn unversioned() -> Routes {
    Routes::new()
        .merge(ai_config::routes())
        .merge(ai_defaults::routes())
        .merge(credits::routes())
        .merge(limits::routes())
}

/// All routes of the control plane.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .merge(meta::routes())
        .merge(setup::routes())
        .merge(sessions::routes())
        .merge(console_links::routes())
        .merge(device_logins::routes())
        .merge(users::routes())
        .merge(password_links::routes())
        .merge(whoami::routes())
        .merge(own_user::routes())
        .merge(sealing_key::routes())
        .merge(accounts::routes())
        .merge(workspaces::routes())
        .merge(events::routes())
        .merge(members::routes())
        .merge(invitations::routes())
        .merge(api_keys::routes())
        .merge(scripts::routes())
        .merge(services::routes())
        .merge(playground_key::routes())
        .merge(models::routes())
        .merge(provider_keys::routes())
        .merge(release::routes())
        .merge(account_keys::routes())
        .merge(byok::routes())
        .merge(policy::routes())
        .merge(resolution::routes())
        .merge(billing::routes())
        .merge(plans::routes())
        .merge(settings::routes())
        .merge(provider_switches::routes())
        .merge(provider_models::routes())
        .merge(platform_keys::routes())
        .merge(admin_accounts::routes())
        .merge(admin_health::routes())
        .merge(profiles::routes())
        // The one set of handlers, under both of the paths that clients know.
        .nest("/api/v1", unversioned())
        .nest(UNVERSIONED, unversioned())
        .merge(runs::routes())
        .merge(usage::routes())
        .merge(usage_csv::routes())
        .merge(usage_summary::routes())
        .merge(audit::routes())
}
