//! The models of a provider as the instance's admins see them: which may be called, and what they cost.

use axum::extract::State;
use domain::price::Price;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, ProviderNameInPath, ReadInstanceSettings};
use crate::body::{NoParameters, Query};
use crate::error::Problem;
use crate::frame::Call;
use crate::openapi::Reads;
use crate::ops::models::{self, ListedModel};
use crate::page::List;
use crate::routes::{Routes, routes};
use crate::schema::shapes::PriceShape;
use crate::state::ControlState;

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(list_provider_models))
}

/// A listed model of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderModelView {
    /// The provider's own name for it.
    #[schema(example = "gpt-4o")]
    id: String,
    /// How many tokens it takes, prompt and answer; `null`: not known.
    #[schema(required)]
    context_tokens: Option<u64>,
    /// How many tokens it answers at most; `null`: not known.
    #[schema(required)]
    max_output_tokens: Option<u64>,
    /// Whether the `models` that are switched on for the provider have it; it serves while the provider does.
    available: bool,
    /// What it costs by the price catalog, in USD per million tokens; `null`: not known.
    #[schema(required, value_type = Option<PriceShape>)]
    list_price: Option<Price>,
    /// What counts in this instance: the price of its settings that fits closest, else the list price.
    #[schema(required, value_type = Option<PriceShape>)]
    price: Option<Price>,
    /// The `model` of that price of the settings; `null`: the list price counts.
    #[schema(required, example = "gpt-4*")]
    priced_by: Option<String>,
}

impl From<ListedModel> for ProviderModelView {
    fn from(listed: ListedModel) -> Self {
        let (priced_by, custom) = listed
            .custom
            .map(|custom| (custom.model.to_string(), custom.price))
            .unzip();
        Self {
            id: listed.id,
            context_tokens: listed.context_tokens,
            max_output_tokens: listed.max_output_tokens,
            available: listed.available,
            price: custom.or_else(|| listed.list_price.clone()),
            list_price: listed.list_price,
            priced_by,
        }
    }
}

/// List the models that are listed for a provider, with what they cost in this instance.
///
/// Also while the provider is switched off. Others of the same provider work too, by the name `provider/model`.
/// All in one answer; there are no parameters.
#[utoipa::path(get, path = "/api/v1/admin/providers/{provider}/models", tag = "instance settings",
    extensions(("x-action" = json!("read_instance_settings"))),
    responses((status = 200, body = List<ProviderModelView>), Reads))]
async fn list_provider_models(
    _: Access<ReadInstanceSettings>,
    ProviderNameInPath(provider): ProviderNameInPath,
    State(state): State<ControlState>,
    call: Call,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<axum::Json<List<ProviderModelView>>, Problem> {
    let models = models::listed(&state, &provider, call.now).await?;
    let views = models.into_iter().map(ProviderModelView::from);
    Ok(axum::Json(List::whole(views)))
}
