//! The words and the arithmetic of Keybearer: ids, secrets, roles, keys and the decision whose key serves.
//!
//! Nothing here does I/O, reads a clock or draws randomness: a function in this crate fails only
//! because of its arguments. Time and randomness are values ([`Sources`]) that the binary hands out.
//!
//! Start reading at [`resolve`](mod@resolve) (which key serves a request) and [`access`] (who may do what).

pub mod access;
pub mod address;
pub mod base32;
pub mod credential;
pub mod credits;
pub mod glob;
pub mod id;
pub mod key;
pub mod money;
pub mod naming;
pub mod plan;
pub mod policy;
pub mod preset;
pub mod price;
pub mod ranking;
pub mod record;
pub mod resolve;
pub mod run;
pub mod secret;
pub mod service;
pub mod settings;
pub mod sources;
pub mod time;
pub mod usage;
pub mod variable;

pub use id::{
    AccountId, ApiKeyId, DataKeyId, DeploymentId, IdMap, InvitationId, ProviderKeyId,
    RandomlyKeyed, RequestId, RunId, ScriptId, ServiceId, SessionId, UserId, WorkspaceId,
};
pub use key::{KeyOwner, KeyScope, Label, PlanId, ProviderId};
pub use money::{Decimal, NanoUsd};
pub use secret::Secret;
pub use sources::{Clock, Random, RandomError, Sources};
pub use time::Timestamp;
pub use usage::{Terms, Usage};
