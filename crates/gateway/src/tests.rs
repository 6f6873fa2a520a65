//! The data plane against a real store, a real vault and scripted providers on loopback.

mod access;
mod answers;
mod client;
mod failover;
mod harness;
mod outages;
mod payer;
mod provider;
mod registry;
mod requests;
mod streams;
