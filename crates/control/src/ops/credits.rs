//! What an account has of credits.

use domain::policy::Mode;
use store::{AccountScope, CreditsRow};

use crate::error::Problem;
use crate::frame::Call;
use crate::ops::ai_defaults;
use crate::state::ControlState;

/// An account's credits, and the mode of its new workspaces.
pub struct Balance {
    /// The mode.
    pub mode: Mode,
    /// The credits.
    pub credits: CreditsRow,
}

/// The balance of the account as of the call.
///
/// # Errors
/// `unavailable`.
pub async fn balance(
    state: &ControlState,
    call: &Call,
    scope: &AccountScope,
) -> Result<Balance, Problem> {
    Ok(Balance {
        mode: ai_defaults::mode(state, scope).await?,
        credits: state.store.within_account(scope).credits(call.now).await?,
    })
}
