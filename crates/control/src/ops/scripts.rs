//! Scripts that set a workspace's machines up.

use domain::ScriptId;
use domain::service::{Order, RunOn, Script, ScriptText, ServiceName};
use store::{AuditNote, ScriptRow, WorkspaceScope};
use vault::content_sha256;

use crate::error::Problem;
use crate::frame::Call;
use crate::state::ControlState;

/// What is to change of a script; `None` stays.
pub struct Change {
    /// What it is called.
    pub name: Option<ServiceName>,
    /// When it runs.
    pub run_on: Option<RunOn>,
    /// Its place.
    pub order: Option<Order>,
    /// Its text.
    pub content: Option<ScriptText>,
}

/// Adds a script to the workspace.
///
/// # Errors
/// `conflict`: the name is taken, or there are as many as there may be.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    script: Script,
) -> Result<ScriptRow, Problem> {
    let row = ScriptRow {
        id: state.sources.id()?,
        content_sha256: content_sha256(script.content.as_str().as_bytes()),
        script,
        version: 1,
        created_at: call.now,
        updated_at: call.now,
    };
    let note = note(call, "script.create", &row);
    let within = state.store.within(scope);
    within.create_script(&row, &note, call.now).await?;
    Ok(row)
}

/// Changes a script. What has run stays as it is: a machine on which it ran at its first boot does not run it again.
///
/// # Errors
/// Those of `seen`, which is asked of what is there; `not_found`; `conflict`: the name is taken, or somebody else changed it at the same time.
pub async fn update(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ScriptId,
    change: Change,
    seen: impl Fn(&ScriptRow) -> Result<(), Problem>,
) -> Result<ScriptRow, Problem> {
    let within = state.store.within(scope);
    let mut row = within.script(id).await?;
    seen(&row)?;
    let old = row.script.clone();
    row.script = Script {
        name: change.name.unwrap_or(old.name.clone()),
        run_on: change.run_on.unwrap_or(old.run_on),
        order: change.order.unwrap_or(old.order),
        content: change.content.unwrap_or(old.content.clone()),
    };
    if row.script == old {
        return Ok(row);
    }
    row.content_sha256 = content_sha256(row.script.content.as_str().as_bytes());
    row.updated_at = call.now;
    let note = note(call, "script.update", &row);
    within.update_script(&row, &note, call.now).await?;
    row.version += 1;
    Ok(row)
}

/// Removes a script. Machines on which it ran stay as they are.
///
/// # Errors
/// `not_found`.
pub async fn delete(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ScriptId,
) -> Result<(), Problem> {
    let note = call.note_on("script.delete", id);
    let within = state.store.within(scope);
    within.delete_script(id, &note, call.now).await?;
    Ok(())
}

fn note(call: &Call, action: &'static str, row: &ScriptRow) -> AuditNote {
    AuditNote {
        content_sha256: Some(row.content_sha256.clone()),
        ..call.note_on(action, row.id)
    }
}
