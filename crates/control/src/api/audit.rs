//! Who did what: in a workspace, with an account, to the instance.

use axum::extract::State;
use domain::settings::AuditDetail;
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditRow, PageRequest};
use utoipa::{IntoParams, ToSchema};

use crate::access::{Access, ReadAccountAudit, ReadAudit, ReadInstanceAudit};
use crate::api::api_keys::Moment;
use crate::body::Query;
use crate::error::Problem;
use crate::openapi::Reads;
use crate::page::{List, page_request};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_audit))
        .routes(routes!(list_account_audit))
        .routes(routes!(list_instance_audit))
}

/// Which rows are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// From this moment on; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment; RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
    /// Only this action, such as `provider_key.create`, or all of one sort of thing: `provider_key`.
    #[param(example = "provider_key")]
    action: Option<String>,
    /// Only what this user or API key did, by its id, or `system`; not where the instance's setting `audit_detail` hides who
    /// acts.
    actor: Option<String>,
    /// Only what was done to the thing with this id.
    subject: Option<String>,
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the part before.
    after: Option<String>,
}

impl AuditQuery {
    /// Which rows, and which part of them, for somebody who is shown so much.
    fn parts(self, detail: AuditDetail) -> Result<(AuditFilter, PageRequest), Problem> {
        if self.actor.is_some() && detail != AuditDetail::Standard {
            // Who asks for somebody's rows would learn from them what the log does not show.
            let rule =
                "this instance's logs do not show who acts, so they cannot be searched by actor";
            return Err(Problem::field("actor", rule));
        }
        let page = page_request(self.limit, self.after)?;
        let filter = AuditFilter {
            from: self.from.map(|at| at.0),
            to: self.to.map(|at| at.0),
            action: self.action,
            actor: self.actor,
            subject: self.subject,
        };
        Ok((filter, page))
    }
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Rises from row to row, over the whole instance.
    sequence: i64,
    /// When.
    at: String,
    /// A user's or an API key's id, or `system`; `null` where the instance's setting `audit_detail` hides it.
    actor: Option<String>,
    /// What was done.
    #[schema(example = "provider_key.create")]
    action: String,
    /// How it ended.
    #[schema(schema_with = schema::outcome)]
    outcome: String,
    /// The provider of the key concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The label of the key concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The sealing key concerned; absent where the instance's setting `audit_detail` hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kek_id: Option<String>,
    /// The id of the thing concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// SHA-256 of the code that was written, in hex: of a script, or of a service's definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
    /// The request that asked for it.
    request_id: String,
}

/// List the audit log of a workspace, newest first.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/audit", tag = "audit", params(AuditQuery),
    extensions(("x-action" = json!("read_audit"))),
    responses((status = 200, body = List<AuditView>), Reads))]
async fn list_audit(
    access: Access<ReadAudit>,
    State(state): State<ControlState>,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<List<AuditView>>, Problem> {
    let detail = detail(&state).await?;
    let (filter, page) = query.parts(detail)?;
    let within = state.store.within(&access.scope);
    let page = within.audit(&filter, &page).await?;
    Ok(axum::Json(List::of(page, |row| view(row, detail))))
}

/// List the audit log of an account without that of its workspaces, newest first.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/accounts/{account_id}/audit", tag = "audit", params(AuditQuery),
    extensions(("x-action" = json!("read_account_audit"))),
    responses((status = 200, body = List<AuditView>), Reads))]
async fn list_account_audit(
    access: Access<ReadAccountAudit>,
    State(state): State<ControlState>,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<List<AuditView>>, Problem> {
    let detail = detail(&state).await?;
    let (filter, page) = query.parts(detail)?;
    let within = state.store.within_account(&access.scope);
    let page = within.audit(&filter, &page).await?;
    Ok(axum::Json(List::of(page, |row| view(row, detail))))
}

/// List the audit log of what is about the instance and nobody's account, newest first.
///
/// In pages: `limit` and `after` name the part that is wanted.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    extensions(("x-action" = json!("read_instance_audit"))),
    responses((status = 200, body = List<AuditView>), Reads))]
async fn list_instance_audit(
    access: Access<ReadInstanceAudit>,
    State(state): State<ControlState>,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<List<AuditView>>, Problem> {
    let (filter, page) = query.parts(AuditDetail::Standard)?;
    let system = state.store.system();
    let page = system.instance_audit(&access.scope, &filter, &page).await?;
    let all = |row| view(row, AuditDetail::Standard);
    Ok(axum::Json(List::of(page, all)))
}

/// What the logs of workspaces and accounts show.
async fn detail(state: &ControlState) -> Result<AuditDetail, Problem> {
    Ok(state.store.system().settings().await?.audit_detail)
}

fn view(row: AuditRow, detail: AuditDetail) -> AuditView {
    let shown = detail == AuditDetail::Standard;
    AuditView {
        sequence: row.sequence,
        at: row.at.to_string(),
        actor: shown.then_some(row.actor),
        action: row.action,
        outcome: row.outcome,
        provider: row.provider.map(|provider| provider.to_string()),
        label: row.label.map(|label| label.to_string()),
        kek_id: row.kek_id.filter(|_| shown),
        subject: row.subject,
        content_sha256: row.content_sha256,
        request_id: row.request.to_string(),
    }
}
