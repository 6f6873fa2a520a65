//! Models to choose from.

use axum::extract::State;
use domain::price::Price;
use llm::format::FormatId;
use llm::provider::Modality;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ReadPolicy};
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::models::{self, OfferedModel, OfferedTier, Served};
use crate::routes::{Routes, routes};
use crate::schema;
use crate::schema::shapes::PriceShape;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(list_workspace_models))
}

/// What a workspace may call now.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceModels {
    /// The model that serves when a call names none; `null`: such a call is refused.
    #[schema(required, example = "openai/gpt-4o")]
    default_model: Option<String>,
    /// Who chose that one; `null`: nobody.
    #[schema(schema_with = schema::nullable_level)]
    default_chosen_by: Option<&'static str>,
    /// The tiers, in their order.
    tiers: Vec<TierView>,
    /// The models that are listed for providers that are switched on, served here or not. Others of the same providers work
    /// too, by the name `provider/model`.
    models: Vec<WorkspaceModelView>,
}

/// A name that stands for a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierView {
    /// The name to call it by.
    #[schema(schema_with = schema::tier)]
    tier: &'static str,
    /// The model that stands behind it; `null`: nobody chose one.
    #[schema(required, example = "openai/gpt-4o")]
    model: Option<String>,
    /// Whether the account's plan keeps it from being called by name.
    locked: bool,
    /// The ids of the plans that would open it, the lowest first; empty where it is open.
    #[schema(example = json!(["pro"]))]
    plans: Vec<String>,
    /// What a call for it meets.
    #[serde(flatten)]
    served: ServedView,
}

/// What a call would meet now. Of the balance is known whether there is any; what a call needs of it shows at the call.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServedView {
    /// Who would pay; `null`: the call would be refused.
    #[schema(schema_with = schema::nullable_key_source)]
    key_source: Option<&'static str>,
    /// The id of the provider that would be called; `null`: none.
    #[schema(required)]
    served_by: Option<String>,
    /// The code that the call would be refused with; `null`: it would be served.
    #[schema(required, example = "byok_key_missing")]
    refusal: Option<&'static str>,
}

/// A listed model.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceModelView {
    /// The name to call it by.
    #[schema(example = "openai/gpt-4o")]
    id: String,
    /// The id of its provider.
    #[schema(example = "openai")]
    provider: String,
    /// The provider's own name for it.
    #[schema(example = "gpt-4o")]
    model: String,
    /// Whether an own key of the workspace or its account would serve it: one of "my models".
    mine: bool,
    /// What a call for it meets.
    #[serde(flatten)]
    served: ServedView,
    /// What it reads: `text`, `image`, `audio`, `video`, `file`.
    input_modalities: Vec<&'static str>,
    /// What it writes, of the same words.
    output_modalities: Vec<&'static str>,
    /// The formats in which its provider answers for it; others are translated where there is a translation.
    #[schema(schema_with = schema::formats)]
    formats: Vec<&'static str>,
    /// How many tokens it takes, prompt and answer; `null`: not known.
    #[schema(required)]
    context_tokens: Option<u64>,
    /// How many tokens it answers at most; `null`: not known.
    #[schema(required)]
    max_output_tokens: Option<u64>,
    /// Its list price to whoever would pay, negotiated prices included; what credits take for it, the instance decides.
    /// `null`: not known.
    #[schema(required, value_type = Option<PriceShape>)]
    price: Option<Price>,
}

impl From<&Served> for ServedView {
    fn from(served: &Served) -> Self {
        let target = served.as_ref().ok();
        Self {
            key_source: target.map(|it| it.source.as_str()),
            served_by: target.map(|it| it.provider.to_string()),
            refusal: served.as_ref().err().copied(),
        }
    }
}

impl From<OfferedTier> for TierView {
    fn from(offered: OfferedTier) -> Self {
        Self {
            tier: offered.tier.as_str(),
            model: offered.model,
            locked: offered.locked,
            plans: offered.plans.iter().map(ToString::to_string).collect(),
            served: ServedView::from(&offered.served),
        }
    }
}

impl From<OfferedModel> for WorkspaceModelView {
    fn from(offered: OfferedModel) -> Self {
        let served = ServedView::from(&offered.served);
        let words = |modalities: &[Modality]| modalities.iter().map(|it| it.as_str()).collect();
        Self {
            id: format!("{}/{}", offered.provider, offered.fact.id),
            provider: offered.provider.to_string(),
            mine: served.key_source == Some("byok"),
            served,
            input_modalities: words(&offered.fact.input_modalities),
            output_modalities: words(&offered.fact.output_modalities),
            formats: offered.formats.into_iter().map(FormatId::as_str).collect(),
            context_tokens: offered.context_tokens,
            max_output_tokens: offered.max_output_tokens,
            price: offered.price,
            model: offered.fact.id,
        }
    }
}

/// List what a workspace may call now: its tiers, and the models that are known by name, each with who would pay for it.
///
/// The decisions are those that calls get at this moment, by the same function. `GET /v1/models` is the list for programs, in the
/// shape of their SDKs; this one also tells what is not served, and why. All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/models", tag = "models",
    extensions(("x-action" = json!("read_policy"))),
    responses((status = 200, body = WorkspaceModels), Reads))]
async fn list_workspace_models(
    access: Access<ReadPolicy>,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<WorkspaceModels>, Problem> {
    let offer = models::offer(&state, &access.scope, call.now).await?;
    let (default_chosen_by, default_model) = offer.default.unzip();
    Ok(axum::Json(WorkspaceModels {
        default_model,
        default_chosen_by: default_chosen_by.map(|level| level.as_str()),
        tiers: offer.tiers.into_iter().map(TierView::from).collect(),
        models: offer
            .models
            .into_iter()
            .map(WorkspaceModelView::from)
            .collect(),
    }))
}
