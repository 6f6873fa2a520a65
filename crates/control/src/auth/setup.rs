//! The credential that lets whoever started the server, and nobody else, create the first user.

use std::sync::PoisonError;

use domain::Secret;
use domain::credential::{CredentialKind, is_well_formed, write};
use vault::HashPurpose;

use crate::error::{Code, Problem};
use crate::state::ControlState;

/// Makes the set-up credential of this start, to be printed by the binary; `None` when there is a user.
///
/// Only its keyed hash is kept, in memory: the next start makes another one.
///
/// # Errors
/// `unavailable` when the store or the random source does not answer.
pub async fn offer(state: &ControlState) -> Result<Option<Secret>, Problem> {
    if state.store.system().user_count().await? > 0 {
        return Ok(None);
    }
    let credential = write(CredentialKind::Setup, &state.sources.random.bytes()?);
    let hash = credential.expose(|bytes| state.hasher.hash(HashPurpose::Setup, bytes));
    *state.setup.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
    Ok(Some(credential))
}

/// Checks what a client shows as the set-up credential.
///
/// # Errors
/// `invalid_setup_token`.
pub fn check(state: &ControlState, shown: &str) -> Result<(), Problem> {
    let refused = || Problem::new(Code::InvalidSetupToken);
    if !is_well_formed(CredentialKind::Setup, shown) {
        return Err(refused());
    }
    let hash = state.hasher.hash(HashPurpose::Setup, shown.as_bytes());
    // Comparing keyed hashes tells nothing about the credential, whatever time it takes.
    let expected = *state.setup.lock().unwrap_or_else(PoisonError::into_inner);
    if expected == Some(hash) {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Ends the offer: there is a first user now.
pub fn close(state: &ControlState) {
    *state.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
