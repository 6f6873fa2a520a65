//! Use cases: what an operation does once the caller is known to have the right to it.

pub mod accounts;
pub(crate) mod admission;
pub mod ai_config;
pub mod ai_defaults;
pub mod api_keys;
pub(crate) mod bulk;
pub mod credits;
pub mod destination;
pub mod device_logins;
pub mod invitations;
pub mod local;
pub(crate) mod plan_gate;
pub mod plans;
pub mod policy;
pub mod profiles;
pub mod provider_keys;
pub mod resolution;
pub mod scripts;
pub mod sealing_key;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod submission;
pub mod users;
mod verdict;
pub mod workspaces;
