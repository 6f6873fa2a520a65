//! How the instance fares, for those who run it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ReadInstanceSettings};
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::sealing_key;
use crate::routes::{Routes, routes};
use crate::schema;
use crate::state::{ControlState, Traffic};

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(get_instance_health))
}

/// How the process that answers fares, and what it knows of the instance. Where several processes share a database, each
/// answers for itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstanceHealth {
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The database: `sqlite`, which one process has to itself, or `postgres`.
    #[schema(schema_with = schema::engine)]
    engine: &'static str,
    /// The number of the last migration of the database that the program knows; it has all of them.
    schema_version: i64,
    /// The number of the last change of configuration that this process knows of.
    revision: i64,
    /// How long ago changes of other processes were last looked for, in milliseconds. It is done each second; where it stays
    /// undone for long, the database does not answer.
    changes_read_ms_ago: u64,
    /// When this process began; RFC 3339, UTC.
    started_at: String,
    /// When it was last tidied up; `null`: not yet, it is done each minute.
    #[schema(required)]
    tidied_at: Option<String>,
    /// When the sealing key became the current one.
    sealing_key_created_at: String,
    /// When it is due to be replaced, which the process does by itself.
    sealing_key_expires_at: String,
    /// How many streams of events this process has.
    streams: usize,
    /// The data plane of this process.
    #[schema(required)]
    traffic: Option<TrafficView>,
}

/// What the data plane has to do. Calls are refused with `503 usage_unavailable` when there is no room for what they leave behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrafficView {
    /// How many calls run, or have ended and are not yet written to the database.
    calls: usize,
    /// How many there may be.
    calls_limit: usize,
    /// The length of the files that hold usage until the database has it, in bytes.
    spool_bytes: u64,
    /// How long they may become.
    spool_limit_bytes: u64,
    /// Whether the disk took what was last written to them.
    spool_ready: bool,
}

impl From<Traffic> for TrafficView {
    fn from(traffic: Traffic) -> Self {
        Self {
            calls: traffic.calls,
            calls_limit: traffic.calls_limit,
            spool_bytes: traffic.spool_bytes,
            spool_limit_bytes: traffic.spool_limit_bytes,
            spool_ready: traffic.spool_ready,
        }
    }
}

/// See how the process that answers fares.
///
/// Backups are the operator's own and are not known here. All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/health", tag = "instance",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = InstanceHealth), Reads))]
async fn get_instance_health(
    _access: Access<ReadInstanceSettings>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<InstanceHealth>, Problem> {
    let sealing_key = sealing_key::current(&state).await?;
    let revisions = state.store.revision();
    let read_ago = revisions.synced_at().elapsed().as_millis();
    let tidied_at = state.tidied_at();
    Ok(axum::Json(InstanceHealth {
        version: env!("CARGO_PKG_VERSION"),
        engine: match state.store.is_exclusive() {
            true => "sqlite",
            false => "postgres",
        },
        schema_version: store::schema_version(),
        revision: revisions.latest(),
        changes_read_ms_ago: u64::try_from(read_ago).unwrap_or(u64::MAX),
        started_at: state.started_at.min(call.now).to_string(),
        tidied_at: tidied_at.map(|at| at.to_string()),
        sealing_key_created_at: sealing_key.created_at.to_string(),
        sealing_key_expires_at: sealing_key.expires_at.to_string(),
        streams: state.streams.count(),
        traffic: state.traffic().map(TrafficView::from),
    }))
}
