//! Audit rows of credentials that were refused and belong to nobody.

use store::Actor;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// What the rows are counted under.
pub(crate) const SUBJECT: &str = "credentials of nobody";

/// Writes an audit row if `result` is that a credential of nobody was wrong, and returns it. A thousand in a quarter
/// of an hour are enough: whoever has no address that could be counted must not fill the log.
///
/// # Errors
/// The error of `result`, or that the row could not be written.
pub(crate) async fn noted<T>(
    state: &ControlState,
    call: &Call,
    action: &'static str,
    result: Result<T, Problem>,
) -> Result<T, Problem> {
    const WRONG: [Code; 4] = [
        Code::InvalidSetupToken,
        Code::InvalidInvitation,
        Code::InvalidConsoleLink,
        Code::InvalidPasswordLink,
    ];
    if matches!(&result, Err(problem) if WRONG.contains(&problem.code()))
        && state.refusals.begin(SUBJECT, call.now).is_ok()
    {
        let mut note = call.note(action);
        note.outcome = "refused";
        let system = state.store.system();
        system
            .note_refused(None, None, Actor::System, &note, call.now)
            .await?;
    }
    result
}
