//! Use cases: what an operation does once the caller is known to have the right to it.

mod admission;
pub mod api_keys;
pub mod destination;
pub mod invitations;
pub mod provider_keys;
pub mod sealing_key;
pub mod sessions;
pub mod setup;
pub mod submission;
pub mod users;
mod verdict;
