//! Runs every function of the store on SQLite and on PostgreSQL.
//!
//! PostgreSQL: `KEYBEARER_TEST_POSTGRES_URL` names a throw-away server and a role that may create databases;
//! each test makes its own and drops it. Without it those tests are skipped, except where `CI` is set.

mod access;
mod api_keys;
mod audit;
mod bundles;
mod change;
mod config;
mod credits;
mod device_logins;
mod files;
mod health;
mod kept;
mod keys;
mod leaving;
mod ledger;
mod limits;
mod members;
mod opening;
mod order;
mod own_usage;
mod paging;
mod people;
mod platform;
mod purse;
mod releases;
mod revisions;
mod runs;
mod sealing;
mod services;
mod settling;
mod templates;
mod users;
mod world;
