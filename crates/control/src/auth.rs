//! Who is calling: passwords, sessions, the first start, and where a request comes from.

pub mod console_link;
pub mod origin;
pub(crate) mod pace;
pub mod password;
pub mod principal;
pub(crate) mod refusal;
pub mod session;
pub mod setup;
pub mod throttle;
