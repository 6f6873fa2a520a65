//! Programs that run with a workspace's credentials: which variables they get, what walls stand around them, and how
//! they end.
//!
//! A program gets the gateway's address and a key of the gateway that lives as long as the program, under the names
//! that SDKs read. It never gets what opened the door for it, and a provider key only where its starter was told to hand
//! it one ([`Secrets`]): the environment is put together from an allowlist, and files that were open stay behind. What it
//! says can go through [`output`], which takes its keys out.
//!
//! Knows neither the store nor the vault nor HTTP: who starts a program hands the key in. Start reading at [`Program`].

mod enter;
pub mod fleet;
mod inherit;
pub mod keeper;
pub mod output;
pub mod program;
pub mod render;
pub mod sandbox;
mod secrets;
pub mod tool;
pub mod variables;

pub use enter::{EnterError, Entry, enter};
pub use inherit::inherited;
pub use program::Program;
pub use secrets::Secrets;
