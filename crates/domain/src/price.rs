//! What a call costs at list price.

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::key::ProviderId;
use crate::money::Decimal;
use crate::policy::words;

/// Prices of model tokens, in USD per million.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of input.
    pub input: Decimal,
    /// Of output.
    pub output: Decimal,
}

/// A price that takes the place of the catalog's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's own names of the models, with `*`.
    pub model: Glob,
    /// The price.
    pub price: Price,
}

words! {
    /// How sure a cost is.
    Pricing("pricing") {
        /// From the provider's count and a known price.
        Priced = "priced",
        /// From a known price and our own count.
        Estimated = "estimated",
        /// The price is not known.
        Unpriced = "unpriced",
    }
}
