//! Services that a workspace's machines keep running.

use domain::ServiceId;
use domain::service::{CommandLine, Restart, Service, ServiceName, Variables};
use store::{AuditNote, ServiceRow, WorkspaceScope};
use vault::content_sha256;

use crate::error::Problem;
use crate::frame::Call;
use crate::state::ControlState;

/// What is to change of a service; `None` stays.
pub struct Change {
    /// What it is called.
    pub name: Option<ServiceName>,
    /// What runs.
    pub command: Option<CommandLine>,
    /// Its own variables, all of them.
    pub env: Option<Variables>,
    /// What happens when it ends by itself.
    pub restart: Option<Restart>,
    /// Whether a start of the workspace starts it.
    pub auto_enable: Option<bool>,
}

/// Adds a service to the workspace.
///
/// # Errors
/// `conflict`: the name is taken, or there are as many as there may be.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    service: Service,
) -> Result<ServiceRow, Problem> {
    let row = ServiceRow {
        id: state.sources.id()?,
        content_sha256: hash(&service)?,
        service,
        version: 1,
        created_at: call.now,
        updated_at: call.now,
    };
    let note = note(call, "service.create", &row);
    let within = state.store.within(scope);
    within.create_service(&row, &note, call.now).await?;
    Ok(row)
}

/// Changes a service. One that runs goes on as it was started, until its machine is started again.
///
/// # Errors
/// Those of `seen`, which is asked of what is there; `not_found`; `conflict`: the name is taken, or somebody else changed it at the same time.
pub async fn update(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ServiceId,
    change: Change,
    seen: impl Fn(&ServiceRow) -> Result<(), Problem>,
) -> Result<ServiceRow, Problem> {
    let within = state.store.within(scope);
    let mut row = within.service(id).await?;
    seen(&row)?;
    let old = row.service.clone();
    row.service = Service {
        name: change.name.unwrap_or(old.name.clone()),
        command: change.command.unwrap_or(old.command.clone()),
        env: change.env.unwrap_or(old.env.clone()),
        restart: change.restart.unwrap_or(old.restart),
        auto_enable: change.auto_enable.unwrap_or(old.auto_enable),
    };
    if row.service == old {
        return Ok(row);
    }
    row.content_sha256 = hash(&row.service)?;
    row.updated_at = call.now;
    let note = note(call, "service.update", &row);
    within.update_service(&row, &note, call.now).await?;
    row.version += 1;
    Ok(row)
}

/// Removes a service. Where it runs it goes on, until its machine is started again.
///
/// # Errors
/// `not_found`.
pub async fn delete(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ServiceId,
) -> Result<(), Problem> {
    let note = call.note_on("service.delete", id);
    let within = state.store.within(scope);
    within.delete_service(id, &note, call.now).await?;
    Ok(())
}

/// The hash of what runs and how: the definition as JSON, its fields in the order of the type and the variables by name.
fn hash(service: &Service) -> Result<String, Problem> {
    let text = serde_json::to_vec(service).map_err(|error| Problem::internal(&error))?;
    Ok(content_sha256(&text))
}

fn note(call: &Call, action: &'static str, row: &ServiceRow) -> AuditNote {
    AuditNote {
        content_sha256: Some(row.content_sha256.clone()),
        ..call.note_on(action, row.id)
    }
}
