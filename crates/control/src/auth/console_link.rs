//! The credential that lets the one person of a local instance into its console: nobody knows that person's password.
//!
//! Whoever can open the instance's control socket gets one, as part of a link, and a page exchanges it for a session.

use std::sync::PoisonError;

use domain::credential::{CredentialKind, is_well_formed, write};
use domain::{Secret, Timestamp, UserId};
use vault::HashPurpose;

use crate::error::{Code, Problem};
use crate::state::ControlState;

/// A link is good for five minutes.
pub const LIFETIME_MS: i64 = 5 * 60 * 1000;

/// What is kept of a link, in memory: the next start knows none.
pub(crate) struct Offer {
    hash: [u8; 32],
    user: UserId,
    expires_at: Timestamp,
}

/// Makes the credential of a link for `user`, in the place of the one before.
///
/// # Errors
/// `unavailable` when the random source does not answer.
pub(crate) fn offer(
    state: &ControlState,
    user: UserId,
    now: Timestamp,
) -> Result<(Secret, Timestamp), Problem> {
    let credential = write(CredentialKind::ConsoleLink, &state.sources.random.bytes()?);
    let expires_at = now.plus_millis(LIFETIME_MS);
    let offer = Offer {
        hash: credential.expose(|bytes| state.hasher.hash(HashPurpose::ConsoleLink, bytes)),
        user,
        expires_at,
    };
    let mut kept = state
        .console_link
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *kept = Some(offer);
    Ok((credential, expires_at))
}

/// Takes what a client shows as the credential of a link, once; gives the person that it is for.
///
/// # Errors
/// `invalid_console_link`; then a link that was made stays good.
pub(crate) fn take(state: &ControlState, shown: &str, now: Timestamp) -> Result<UserId, Problem> {
    let refused = || Problem::new(Code::InvalidConsoleLink);
    if !is_well_formed(CredentialKind::ConsoleLink, shown) {
        return Err(refused());
    }
    let hash = state
        .hasher
        .hash(HashPurpose::ConsoleLink, shown.as_bytes());
    let mut kept = state
        .console_link
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // Comparing keyed hashes tells nothing about the credential, whatever time it takes.
    let offer = kept.take_if(|offer| offer.hash == hash);
    let offer = offer.filter(|offer| now.millis_since(offer.expires_at) < 0);
    offer.map(|offer| offer.user).ok_or_else(refused)
}
