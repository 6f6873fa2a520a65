//! List prices of models, as the program brings them along.
//!
//! `catalog.json` is generated from the data of genai-prices by `make catalog`; its form, and what it leaves out, stand in
//! `scripts/catalog_form.py` and in `docs/prices.md`. An operator's own prices go before it, see [`domain::price`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use domain::price::Price;
use domain::{ProviderId, Timestamp};
use serde::Deserialize;

mod pattern;
#[cfg(test)]
mod tests;

use pattern::Rule;

static BUNDLED: &str = include_str!("../catalog.json");

/// The prices of the providers that come with the program.
#[derive(Debug)]
pub struct Catalog {
    version: String,
    providers: BTreeMap<ProviderId, Listed>,
    /// Where names were found lately, or that they were not: the same few are asked for at every call, and a provider
    /// has hundreds of patterns.
    found: RwLock<HashMap<ProviderId, HashMap<String, Place>>>,
}

/// A model: the provider that lists it, and its number there. `None`: there is none.
type Place = Option<(ProviderId, usize)>;

/// How many names are remembered for each provider. Then it begins anew: names are the callers' to choose.
const REMEMBERED: usize = 256;

/// Why a catalog cannot be read. The instance must not start with it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It does not have the form of a catalog.
    #[error("the price catalog has another form: {0}")]
    Form(#[from] serde_json::Error),
    /// A provider stands in it twice.
    #[error("the price catalog has provider `{0}` twice")]
    Repeated(ProviderId),
}

impl Catalog {
    /// The catalog that comes with the program.
    ///
    /// # Errors
    /// [`CatalogError`]; a test keeps the bundled catalog free of it.
    pub fn bundled() -> Result<Self, CatalogError> {
        Self::parse(BUNDLED)
    }

    /// Reads a catalog from its JSON text.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn parse(json: &str) -> Result<Self, CatalogError> {
        let written: Written = serde_json::from_str(json)?;
        let hash = written.data_sha256.get(..12).unwrap_or_default();
        let version = format!("{} {} {hash}", written.source, written.version);
        let mut providers = BTreeMap::new();
        for listed in written.providers {
            if let Some(earlier) = providers.insert(listed.id.clone(), listed) {
                return Err(CatalogError::Repeated(earlier.id));
            }
        }
        Ok(Self {
            version,
            providers,
            found: RwLock::default(),
        })
    }

    /// Where the prices are from: the source, its version and the beginning of its data's SHA-256.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The price of a model that a provider is told by `model`, in any case, as it was at a moment.
    ///
    /// `None`: the provider or the model is not known, or what it costs cannot be told from a call's usage.
    pub fn price(&self, provider: &ProviderId, model: &str, at: Timestamp) -> Option<&Price> {
        let prices = &self.find(provider, model)?.prices;
        if let [Dated { from: None, price }] = &prices[..] {
            return price.as_ref();
        }
        // Days in ISO 8601 are in order as texts.
        let moment = at.to_string();
        let begun = |it: &&Dated| {
            it.from
                .as_ref()
                .is_none_or(|from| from.as_str() <= &*moment)
        };
        prices.iter().rev().find(begun)?.price.as_ref()
    }

    /// The catalog's own name of the model that a provider is told by `model`.
    pub fn model(&self, provider: &ProviderId, model: &str) -> Option<&str> {
        self.find(provider, model).map(|model| &*model.id)
    }

    /// The providers that have prices.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderId> {
        self.providers.keys()
    }

    fn find(&self, provider: &ProviderId, model: &str) -> Option<&Model> {
        let place = self.remembered(provider, model).unwrap_or_else(|| {
            let place = self.search(provider, model);
            self.remember(provider, model, place.clone());
            place
        });
        let (owner, number) = place?;
        self.providers.get(&owner)?.models.get(number)
    }

    fn remembered(&self, provider: &ProviderId, model: &str) -> Option<Place> {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner);
        found.get(provider)?.get(model).cloned()
    }

    fn remember(&self, provider: &ProviderId, model: &str, place: Place) {
        if !self.providers.contains_key(provider) {
            return;
        }
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        let names = found.entry(provider.clone()).or_default();
        if names.len() >= REMEMBERED {
            names.clear();
        }
        names.insert(model.to_owned(), place);
    }

    fn search(&self, provider: &ProviderId, model: &str) -> Place {
        let name = model.to_lowercase();
        let listed = self.providers.get(provider)?;
        self.search_exactly(listed, &name).or_else(|| {
            let dashed = pattern::dashed(&name)?;
            self.search_exactly(listed, &dashed)
        })
    }

    /// The first of the provider's models that fits, or of another whose models it also serves.
    fn search_exactly(&self, listed: &Listed, name: &str) -> Place {
        let fallback = listed.fallback.iter();
        let others = fallback.filter_map(|other| self.providers.get(other));
        let own = self.providers.get(&listed.id);
        own.into_iter().chain(others).find_map(|listed| {
            let fits = |model: &Model| model.rules.iter().any(|rule| rule.fits(name));
            let number = listed.models.iter().position(fits)?;
            Some((listed.id.clone(), number))
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    version: String,
    data_sha256: String,
    providers: Vec<Listed>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: ProviderId,
    /// Providers whose models it serves beside its own.
    fallback: Vec<ProviderId>,
    /// The first that fits is the one.
    models: Vec<Model>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    id: Box<str>,
    #[serde(rename = "match")]
    rules: Box<[Rule]>,
    /// Ascending by day; the last that has begun holds.
    prices: Box<[Dated]>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dated {
    /// The day in UTC on which it begins; absent: it always held.
    from: Option<String>,
    /// `None`: it cannot be told.
    price: Option<Price>,
}
