//! What a workspace may call now: its tiers and the models that are known by name, each with who would pay.

use std::sync::LazyLock;

use domain::naming::{self, Choices, ChosenBy, Named, NoName};
use domain::policy::{KeySource, Tier};
use domain::price::{self, Price, PriceOverride};
use domain::resolve::Target;
use domain::{PlanId, ProviderId, Timestamp};
use llm::catalog::Catalog;
use llm::format::FormatId;
use llm::provider::{ModelFact, Provider};
use store::WorkspaceScope;

use crate::error::Problem;
use crate::ops::resolution::Facts;
use crate::ops::settings;
use crate::schema::FORMATS;
use crate::state::ControlState;

/// The code of a call that credits would pay, and there are none.
const NO_CREDITS: &str = "credits_exhausted";

/// What a workspace may call.
pub struct Offer {
    /// What serves when a call names no model.
    pub default: Option<(ChosenBy, String)>,
    /// The tiers, lowest first.
    pub tiers: Vec<OfferedTier>,
    /// The models that the providers' files list, of providers that are switched on.
    pub models: Vec<OfferedModel>,
}

/// A tier.
pub struct OfferedTier {
    /// Its name.
    pub tier: Tier,
    /// The model that stands behind it; none: nobody chose one.
    pub model: Option<String>,
    /// Whether the account's plan keeps it from being called by name.
    pub locked: bool,
    /// The plans that open it where this one does not, the lowest first.
    pub plans: Vec<PlanId>,
    /// What a call for it meets.
    pub served: Served,
}

/// A model.
pub struct OfferedModel {
    /// The provider.
    pub provider: ProviderId,
    /// What is known of it.
    pub fact: ModelFact,
    /// Most model tokens of input and output together.
    pub context_tokens: Option<u64>,
    /// Most model tokens of output.
    pub max_output_tokens: Option<u64>,
    /// The formats in which its provider answers for it.
    pub formats: Vec<FormatId>,
    /// Its list price to whoever would pay.
    pub price: Option<Price>,
    /// What a call for it meets.
    pub served: Served,
}

/// Who would serve first, or the code of the refusal.
pub type Served = Result<Target, &'static str>;

/// What the workspace may call now. No provider is called; neither balance nor unknown prices are looked at.
///
/// # Errors
/// `not_found` when the workspace was deleted in the meantime; `unavailable`.
pub async fn offer(
    state: &ControlState,
    scope: &WorkspaceScope,
    now: Timestamp,
) -> Result<Offer, Problem> {
    let facts = Facts::gather(state, scope).await?;
    let has_credits = state.store.within(scope).payer(now).await?.has_credits;
    let named = names(state, &facts, None).remove(0);
    let as_balance_stands = |served: Served| match served {
        Ok(target) if target.source == KeySource::Managed && !has_credits => Err(NO_CREDITS),
        other => other,
    };
    let tiers = Tier::ALL.iter().map(|tier| {
        let tier = offered_tier(state, &facts, *tier);
        OfferedTier {
            served: as_balance_stands(tier.served),
            ..tier
        }
    });
    let tiers = tiers.collect();
    let switched_on = |provider: &&Provider| facts.settings().switch(&provider.id).enabled;
    let providers = state.registry.providers();
    let providers = providers
        .filter(|it| it.serves_models())
        .filter(switched_on);
    let models = providers.flat_map(|provider| {
        let facts = &facts;
        let models = provider.models.iter();
        models.map(move |fact| {
            let model = offered_model(state, facts, provider, fact, now);
            OfferedModel {
                served: as_balance_stands(model.served),
                ..model
            }
        })
    });
    Ok(Offer {
        default: named.ok().map(|named| (named.chosen_by, named.model)),
        tiers,
        models: models.collect(),
    })
}

fn names(state: &ControlState, facts: &Facts, request: Option<&str>) -> Vec<Result<Named, NoName>> {
    let choices = Choices {
        request,
        ..Choices::default()
    };
    facts.names(state, &choices)
}

/// What a call for this name meets, as the data plane decides it.
fn served(state: &ControlState, facts: &Facts, name_of: &str) -> Served {
    let mut refusal = None;
    for named in names(state, facts, Some(name_of)) {
        match served_as(state, facts, named) {
            Ok(target) => return Ok(target),
            Err(code) => refusal = refusal.or(Some(code)),
        }
    }
    Err(refusal.unwrap_or("model_not_found"))
}

/// By the model that was found for the name.
fn served_as(state: &ControlState, facts: &Facts, named: Result<Named, NoName>) -> Served {
    let named = named.map_err(|no_name| no_name.code())?;
    let candidates = state.registry.candidates(&named.model);
    let decision = facts.decide(state, &named.model, &candidates, false);
    let targets = decision.outcome.map_err(|refusal| refusal.code())?;
    let targets = facts.ranked(state, named.ranking, targets);
    targets.into_iter().next().ok_or("model_not_found")
}

fn offered_tier(state: &ControlState, facts: &Facts, tier: Tier) -> OfferedTier {
    let locked = !facts.plan.1.opens(tier);
    OfferedTier {
        tier,
        model: naming::behind(tier, &facts.policy, facts.settings()).map(str::to_owned),
        locked,
        plans: match locked {
            true => facts.plans_with(|terms| terms.opens(tier)),
            false => Vec::new(),
        },
        served: served(state, facts, tier.as_str()),
    }
}

fn offered_model(
    state: &ControlState,
    facts: &Facts,
    provider: &Provider,
    fact: &ModelFact,
    now: Timestamp,
) -> OfferedModel {
    let served = served(state, facts, &format!("{}/{}", provider.id, fact.id));
    let spoken = |format: &&FormatId| provider.rule(&fact.id, **format).is_some();
    OfferedModel {
        provider: provider.id.clone(),
        context_tokens: state.registry.context_tokens(&provider.id, &fact.id),
        max_output_tokens: state.registry.max_output_tokens(&provider.id, &fact.id),
        formats: FORMATS.iter().filter(spoken).copied().collect(),
        price: price_of(facts, served.as_ref().ok(), (&provider.id, &fact.id), now),
        fact: fact.clone(),
        served,
    }
}

/// The price that a call's bill begins with: an own key's may be negotiated, nobody sets the price of their own credits.
pub(crate) fn price_of(
    facts: &Facts,
    target: Option<&Target>,
    (provider, model): (&ProviderId, &str),
    now: Timestamp,
) -> Option<Price> {
    let (provider, model) = target.map_or((provider, model), |it| (&it.provider, &it.model));
    let instance = facts.settings().prices.as_slice();
    let own = target.filter(|it| it.source == KeySource::Byok);
    let of_key = own.and_then(|it| facts.key(it.key));
    let of_key = of_key.map_or(&[][..], |key| &key.prices);
    let layers: [&[PriceOverride]; 3] = [of_key, &facts.policy.prices, instance];
    let layers = match own {
        Some(_) => &layers[..],
        None => &layers[2..],
    };
    price::overridden(layers, provider, model)
        .or_else(|| list_price(provider, model, now))
        .cloned()
}

/// A model that a provider's file lists, as the instance's admins see it.
pub struct ListedModel {
    /// The provider's own name for it.
    pub id: String,
    /// Most model tokens of input and output together.
    pub context_tokens: Option<u64>,
    /// Most model tokens of output.
    pub max_output_tokens: Option<u64>,
    /// Whether it is available while the provider is switched on.
    pub available: bool,
    /// The catalog's price.
    pub list_price: Option<Price>,
    /// The instance's price, which takes that one's place.
    pub custom: Option<PriceOverride>,
}

/// The models that a provider's file lists, whether or not the provider is switched on.
///
/// # Errors
/// `not_found`, with the provider that may have been meant; `unavailable`.
pub async fn listed(
    state: &ControlState,
    provider: &str,
    now: Timestamp,
) -> Result<Vec<ListedModel>, Problem> {
    let provider = settings::known(state, provider)?;
    let settings = settings::get(state).await?;
    let id = &provider.id;
    let models = provider.models.iter().map(|fact| ListedModel {
        id: fact.id.clone(),
        context_tokens: state.registry.context_tokens(id, &fact.id),
        max_output_tokens: state.registry.max_output_tokens(id, &fact.id),
        available: settings.switch(id).lists(&fact.id),
        list_price: list_price(id, &fact.id, now).cloned(),
        custom: price::overriding(&[&settings.prices], id, &fact.id).cloned(),
    });
    Ok(models.collect())
}

/// The catalog's price.
fn list_price(provider: &ProviderId, model: &str, now: Timestamp) -> Option<&'static Price> {
    CATALOG.as_ref()?.price(provider, model, now)
}

/// The prices that come with the program; read when somebody first asks for models.
static CATALOG: LazyLock<Option<Catalog>> = LazyLock::new(|| Catalog::bundled().ok());
