//! What a call costs, and what it takes in credits.

use std::sync::Arc;

use domain::policy::KeySource;
use domain::price::{self, Price, PriceOverride, Pricing};
use domain::ranking;
use domain::resolve::Target;
use domain::settings::{ByokMetering, Unpriced};
use domain::{Decimal, NanoUsd, ProviderId, Terms, Timestamp, Usage};
use llm::catalog::Catalog;
use llm::format::{Metered, Transcripts};
use store::UsageRow;

use crate::Plane;
use crate::endpoint::Priced;
use crate::error::Failure;
use crate::realtime::REALTIME;
use crate::snapshot::{Instance, View};

/// The price of one way to serve a call, and who pays it.
pub(crate) struct Bill {
    instance: Arc<Instance>,
    source: KeySource,
    provider: ProviderId,
    model: String,
    operation: &'static str,
    priced: Priced,
    /// `None`: not known.
    price: Option<Price>,
    /// What a picture costs, where that counts; `None`: not known.
    picture: Option<NanoUsd>,
    catalog_version: String,
    /// What the account's charges are multiplied by.
    rate: Decimal,
    /// Where a session finds the prices of other models that work in it; `None`: it is none.
    list: Option<Box<PriceList>>,
}

/// The prices of a provider's models for calls on an own key.
struct PriceList {
    /// Those that were negotiated, the key's before the workspace's; the instance's stand behind them.
    own: [Vec<PriceOverride>; 2],
    catalog: Arc<Catalog>,
    at: Timestamp,
}

impl Bill {
    /// The bill of a call that this target serves.
    ///
    /// An own key's price may be negotiated for the key or by the workspace; nobody sets the price of their own
    /// credits.
    pub(crate) fn of(
        plane: &Plane,
        view: &View,
        target: &Target,
        operation: &'static str,
        priced: Priced,
    ) -> Self {
        let caller = &view.caller.record;
        let of_key = view.key(target).map_or(&[][..], |(key, _)| &key.prices);
        let now = plane.sources.now();
        let price = price_of(plane, view, target, now);
        let list = || {
            let of_provider = |layer: &[PriceOverride]| {
                let fitting = layer.iter().filter(|it| it.provider == target.provider);
                fitting.cloned().collect()
            };
            Box::new(PriceList {
                own: [of_provider(of_key), of_provider(&caller.policy.prices)],
                catalog: Arc::clone(&plane.catalog),
                at: now,
            })
        };
        Self {
            instance: Arc::clone(&view.instance),
            source: target.source,
            provider: target.provider.clone(),
            model: target.model.clone(),
            operation,
            priced,
            price: price.cloned(),
            picture: picture(view, target).filter(|_| priced == Priced::ByPicture),
            catalog_version: plane.catalog.version().to_owned(),
            rate: caller.rate,
            list: (operation == REALTIME.operation).then(list),
        }
    }

    /// Refuses a call whose price is not known where the instance says so.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let settings = &self.instance.record.settings;
        let rule = match self.source {
            KeySource::Byok => settings.unpriced_byok,
            KeySource::Managed => settings.unpriced_managed,
        };
        let known = match self.priced {
            Priced::ByToken | Priced::Otherwise => self.price.is_some(),
            Priced::ByPicture => self.picture.is_some(),
            Priced::Free => true,
            Priced::Unknown => false,
        };
        match rule {
            Unpriced::Block if !known => Err(Failure::PriceUnknown {
                provider: self.provider.clone(),
            }),
            Unpriced::Block | Unpriced::CountTokens => Ok(()),
        }
    }

    /// Whether it is a picture that costs, whatever went into it. One that was not delivered costs nothing.
    pub(crate) fn is_by_picture(&self) -> bool {
        self.priced == Priced::ByPicture
    }

    /// Whether anybody is told what calls cost: of own keys the instance may want nothing.
    fn is_told(&self) -> bool {
        let metering = self.instance.record.settings.byok_metering;
        self.source == KeySource::Managed || metering != ByokMetering::None
    }

    /// What a call with this usage, which is no estimate, costs at list price: as its row will say, or nothing if it is
    /// free, of which the row has no cost; `None`: that is not known, or nobody is told. `None` in the place of the usage:
    /// it is not known yet.
    pub(crate) fn known_cost(&self, usage: Option<(&Usage, &Terms)>) -> Option<NanoUsd> {
        if self.priced == Priced::Free {
            return Some(NanoUsd::ZERO);
        }
        let (usage, terms) = usage.filter(|_| self.is_told())?;
        let cost = self.cost_on(usage, terms);
        cost.filter(|_| self.is_by_picture() || !terms.is_other_tier)
    }

    /// What a managed call with this usage takes in credits.
    pub(crate) fn charge(&self, usage: &Usage) -> NanoUsd {
        self.charge_on(usage, &Terms::default())
    }

    fn charge_on(&self, usage: &Usage, terms: &Terms) -> NanoUsd {
        if self.priced == Priced::Free {
            return NanoUsd::ZERO;
        }
        let cost = self.cost_on(usage, terms).unwrap_or(NanoUsd::ZERO);
        let settings = &self.instance.record.settings;
        settings.charge(&self.provider, &self.model, self.operation, cost, self.rate)
    }

    /// Writes usage, cost and charge to the row of a call that was served on these terms.
    ///
    /// What is free has no usage: no model ran.
    pub(crate) fn write(&self, row: &mut UsageRow, usage: Usage, terms: &Terms, estimated: bool) {
        if self.priced == Priced::Free {
            return;
        }
        row.usage = Some(usage);
        if self.source == KeySource::Managed {
            row.charge = self.charge_on(&usage, terms);
        } else if self.instance.record.settings.byok_metering == ByokMetering::None {
            return;
        }
        row.cost = self.cost_on(&usage, terms);
        // No price says what another tier costs; a picture has its own.
        let estimated = estimated || (terms.is_other_tier && !self.is_by_picture());
        row.pricing = Some(match &row.cost {
            None => Pricing::Unpriced,
            Some(_) if estimated => Pricing::Estimated,
            Some(_) => Pricing::Priced,
        });
        row.catalog_version = Some(self.catalog_version.clone());
    }

    /// What the provider may ask, at an estimate, for input of so many bytes of which nothing came; `None`: not known, or
    /// nobody's business.
    pub(crate) fn input_cost(&self, bytes: u64) -> Option<NanoUsd> {
        if !self.is_told() || self.priced != Priced::ByToken {
            return None;
        }
        self.cost(&Metered::input_only(bytes))
    }

    /// Adds to the row of a session what another model did in it, at that model's own price.
    pub(crate) fn add(&self, row: &mut UsageRow, transcripts: &Transcripts) {
        let Transcripts {
            model,
            counted,
            timed,
        } = transcripts;
        let usage = row.usage.get_or_insert_default();
        usage.input_tokens = usage
            .input_tokens
            .saturating_add(counted.usage.input_tokens);
        usage.output_tokens = usage
            .output_tokens
            .saturating_add(counted.usage.output_tokens);
        if self.instance.record.settings.byok_metering == ByokMetering::None {
            return;
        }
        let price = model.as_deref().and_then(|model| self.price_of(model));
        // What was reported in seconds alone used no tokens, and no price says what a second costs.
        let cost = price
            .filter(|_| counted.usage != Usage::default())
            .map(|price| price.cost(&counted.usage));
        row.cost = match (row.cost, cost) {
            (Some(before), Some(more)) => Some(before.plus(more)),
            (before, more) => before.or(more),
        };
        let pricing = match (price.is_some() && !timed, counted.estimated) {
            (false, _) => Pricing::Unpriced,
            (true, true) => Pricing::Estimated,
            (true, false) => Pricing::Priced,
        };
        // Together they are known no better than the worse of them.
        row.pricing = match (row.pricing, pricing) {
            (Some(Pricing::Unpriced), _) | (_, Pricing::Unpriced) => Some(Pricing::Unpriced),
            (Some(Pricing::Estimated), _) | (_, Pricing::Estimated) => Some(Pricing::Estimated),
            (None | Some(Pricing::Priced), Pricing::Priced) => Some(Pricing::Priced),
        };
        row.catalog_version = Some(self.catalog_version.clone());
    }

    /// The price of another model of the same provider, where that may be asked for.
    fn price_of(&self, model: &str) -> Option<&Price> {
        let PriceList { own, catalog, at } = self.list.as_deref()?;
        let [of_key, of_workspace] = own;
        let layers = [of_key, of_workspace, &self.instance.record.settings.prices];
        let layers = layers.map(Vec::as_slice);
        price::overridden(&layers, &self.provider, model)
            .or_else(|| catalog.price(&self.provider, model, *at))
    }

    /// Notes in the row of a call that was served that nobody knows what it cost.
    pub(crate) fn write_unknown(&self, row: &mut UsageRow) {
        if self.is_by_picture() {
            row.charge = self.charge(&Usage::default());
            row.cost = self.picture;
            row.pricing = row.cost.map(|_| Pricing::Priced);
            return;
        }
        let metered = self.instance.record.settings.byok_metering != ByokMetering::None;
        let unpriced = matches!(self.priced, Priced::Otherwise | Priced::Unknown);
        if unpriced && metered {
            row.pricing = Some(Pricing::Unpriced);
            row.catalog_version = Some(self.catalog_version.clone());
        }
    }

    fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        self.cost_on(usage, &Terms::default())
    }

    fn cost_on(&self, usage: &Usage, terms: &Terms) -> Option<NanoUsd> {
        if self.is_by_picture() {
            return self.picture;
        }
        let price = self.price.as_ref();
        price.map(|price| price.cost_on(usage, terms))
    }
}

/// The price that a call of the target has; `None`: not known.
fn price_of<'a>(
    plane: &'a Plane,
    view: &'a View,
    target: &Target,
    now: Timestamp,
) -> Option<&'a Price> {
    let instance = view.instance.record.settings.prices.as_slice();
    let of_key = view.key(target).map_or(&[][..], |(key, _)| &key.prices);
    let own: [&[PriceOverride]; 3] = [of_key, &view.caller.record.policy.prices, instance];
    let layers = match target.source {
        KeySource::Byok => &own[..],
        KeySource::Managed => &own[2..],
    };
    price::overridden(layers, &target.provider, &target.model)
        .or_else(|| plane.catalog.price(&target.provider, &target.model, now))
}

/// What a call by which rankings compare costs who pays for the target; `None`: not known. What an account's charges are
/// multiplied by is the same for all of them.
pub(crate) fn sample_charge(
    plane: &Plane,
    view: &View,
    target: &Target,
    operation: &str,
) -> Option<NanoUsd> {
    let price = price_of(plane, view, target, plane.sources.now())?;
    let settings = &view.instance.record.settings;
    Some(ranking::sample_charge(settings, target, operation, price))
}

/// What a picture of the target's model costs, as the instance says.
fn picture(view: &View, target: &Target) -> Option<NanoUsd> {
    let mut models = view.instance.record.settings.image_models.iter();
    let model = models
        .find(|it| it.provider == target.provider && it.model.as_str() == target.model.as_str())?;
    Some(model.credits_per_image.times(NanoUsd::from_credits(1)))
}
