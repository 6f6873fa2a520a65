//! The Keybearer binary: configuration, wiring, command line.
//!
//! Holds no logic worth a unit test beyond reading its own options and showing what a server answers: what the product
//! does lives in the crates below. Start at [`cli`] (the commands) and `serve` (how the crates are put together).

pub mod cli;
pub mod config;

mod browser;
mod client;
mod commands;
mod console;
mod failure;
mod files;
mod hangup;
mod hardening;
mod local;
mod logins;
mod memory;
mod model_calls;
mod open;
mod open_files;
mod output;
mod panics;
mod serve;
mod sources;
mod telemetry;
