//! What the tests stand on: a provider that follows a script, the real binary as a child process, and a
//! search for keys that got out.
//!
//! Nothing here ships, and nothing here knows the inside of another crate: the binary is started and spoken to
//! as a user would. Helpers panic rather than return errors, so that a test reads as what it proves.
//!
//! Start reading at [`app::TestApp`] (the binary), [`provider::ScriptedProvider`] (its upstream) and
//! [`canary::Canary`] (the search).

pub mod app;
pub mod canary;
mod forms;
pub mod provider;
pub mod random;
pub mod sealing;
