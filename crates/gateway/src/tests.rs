//! The data plane against a real store, a real vault and scripted providers on loopback.

mod access;
mod answers;
mod client;
mod count_tokens;
mod credits;
mod embeddings;
mod failover;
mod forms;
mod harness;
mod hints;
mod holds;
mod images;
mod managed;
mod models;
mod moderations;
mod openings;
mod outages;
mod payer;
mod payers;
mod provider;
mod registry;
mod requests;
mod responses;
mod speech;
mod spooling;
mod streams;
