//! What a call costs at list price: rates per million tokens, applied exactly and rounded once.

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::key::ProviderId;
use crate::money::{Decimal, NanoUsd};
use crate::policy::words;
use crate::usage::{Terms, Usage};

/// A rate times a count of tokens is this many times what they cost.
const TOKENS_PER_RATE: i128 = 1_000_000;
/// The rate of requests is for a thousand of them.
const REQUESTS_PER_RATE: i128 = 1_000;

/// What a provider asks, in USD per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Input that was neither read from nor written to the provider's cache.
    pub input: Decimal,
    /// Output, reasoning included.
    pub output: Decimal,
    /// Input read from the cache. Absent: as other input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Decimal>,
    /// Input written to the cache. Absent: as other input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Decimal>,
    /// USD per thousand requests, beside the tokens. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Decimal>,
}

/// The price of one model. In JSON the rates stand beside `brackets`, which may be left out.
///
/// ```json
/// {"input": "1.25", "output": "10", "cache_read": "0.125",
///  "brackets": [{"over_input_tokens": 200000, "rates": {"input": "2.5", "output": "15"}}]}
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Price {
    rates: Rates,
    /// Ascending.
    brackets: Vec<Bracket>,
}

/// The rates for the whole of a call with a long input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bracket {
    /// It holds for a call with more input tokens than this, those of the cache included.
    pub over_input_tokens: u64,
    /// What each token of the call costs, also those below the threshold.
    pub rates: Rates,
}

/// Two brackets of a price begin at the same number of input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two brackets begin over {over_input_tokens} input tokens")]
pub struct RepeatedBracket {
    /// Where both begin.
    pub over_input_tokens: u64,
}

words! {
    /// How well the cost of a call is known.
    Pricing("pricing state") {
        /// A known price times the usage that the provider reported.
        Priced = "priced",
        /// A known price times a usage that was counted here, because the provider did not report it to the end; or the
        /// price of the standard tier, because another one served.
        Estimated = "estimated",
        /// The model, or another one that worked in the call, has no known price. The cost is that of the rest.
        Unpriced = "unpriced",
    }
}

/// The most brackets that somebody may give a price.
pub const MAX_BRACKETS: usize = 16;

/// The most prices that somebody may give a provider key.
pub const MAX_KEY_PRICES: usize = 50;

/// A price that replaces the catalog's for the models that fit a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The provider that serves the call.
    pub provider: ProviderId,
    /// Names of models, as the provider is told them.
    pub model: Glob,
    /// What they cost.
    pub price: Price,
}

/// The price that overrides the catalog's for `model` at `provider`, if any: that of [`overriding`].
pub fn overridden<'a>(
    layers: &[&'a [PriceOverride]],
    provider: &ProviderId,
    model: &str,
) -> Option<&'a Price> {
    overriding(layers, provider, model).map(|it| &it.price)
}

/// What overrides the catalog's price for `model` at `provider`, if anything does.
///
/// `layers` stand from the most specific to the least, and the first that has a fitting override decides. Within a layer
/// the pattern that fixes the most characters wins, of equals the first.
pub fn overriding<'a>(
    layers: &[&'a [PriceOverride]],
    provider: &ProviderId,
    model: &str,
) -> Option<&'a PriceOverride> {
    layers.iter().find_map(|layer| {
        layer
            .iter()
            .filter(|it| it.provider == *provider && it.model.matches(model))
            .rev()
            .max_by_key(|it| it.model.specificity())
    })
}

impl Price {
    /// A price with `rates`, and with others for calls of long input, in any order.
    ///
    /// # Errors
    /// [`RepeatedBracket`].
    pub fn new(rates: Rates, mut brackets: Vec<Bracket>) -> Result<Self, RepeatedBracket> {
        brackets.sort_by_key(|bracket| bracket.over_input_tokens);
        let over = |bracket: &Bracket| bracket.over_input_tokens;
        match brackets
            .windows(2)
            .find(|pair| over(&pair[0]) == over(&pair[1]))
        {
            Some(pair) => Err(RepeatedBracket {
                over_input_tokens: over(&pair[0]),
            }),
            None => Ok(Self { rates, brackets }),
        }
    }

    /// The rates below the first bracket.
    pub const fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The brackets, ascending.
    pub fn brackets(&self) -> &[Bracket] {
        &self.brackets
    }

    /// What a call with this usage costs, rounded once to the nearest nano-USD (half up) and held at the end of the range.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        self.cost_on(usage, &Terms::default())
    }

    /// As [`cost`](Self::cost), on these terms. What stays in the cache for an hour costs twice as much as other input,
    /// where writes have a rate of their own: Anthropic's rule for all of its models
    /// (<https://platform.claude.com/docs/en/about-claude/pricing>, 2026-11). No price says what another tier costs.
    pub fn cost_on(&self, usage: &Usage, terms: &Terms) -> NanoUsd {
        let rates = self.rates_for(usage);
        let written = usage.cache_write_tokens;
        let for_an_hour = match rates.cache_write {
            Some(_) => terms.hour_cache_write_tokens.min(written),
            None => 0,
        };
        let parts = [
            (usage.input_tokens, rates.input),
            (
                usage.cached_input_tokens,
                rates.cache_read.unwrap_or(rates.input),
            ),
            (
                written - for_an_hour,
                rates.cache_write.unwrap_or(rates.input),
            ),
            (for_an_hour, rates.input),
            (for_an_hour, rates.input),
            (usage.output_tokens, rates.output),
        ];
        let request = rates.request.unwrap_or_default().billionths();
        let request = i128::from(request) * (TOKENS_PER_RATE / REQUESTS_PER_RATE);
        // The greatest product of a count and a rate is just below the end of i128.
        let millionths = parts.iter().fold(request, |sum, (tokens, rate)| {
            sum.saturating_add(i128::from(*tokens) * i128::from(rate.billionths()))
        });
        let nanos = millionths.saturating_add(TOKENS_PER_RATE / 2) / TOKENS_PER_RATE;
        NanoUsd::new(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The rates of the highest bracket that the call's whole input exceeds.
    fn rates_for(&self, usage: &Usage) -> &Rates {
        let input = usage
            .input_tokens
            .saturating_add(usage.cached_input_tokens)
            .saturating_add(usage.cache_write_tokens);
        let exceeded = self.brackets.iter().rev();
        let exceeded = exceeded.map(|it| (it.over_input_tokens, &it.rates));
        exceeded
            .into_iter()
            .find(|(over, _)| input > *over)
            .map_or(&self.rates, |(_, rates)| rates)
    }
}

impl Pricing {
    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// A [`Price`] as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    input: Decimal,
    output: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    brackets: Vec<Bracket>,
}

impl From<Price> for Written {
    fn from(price: Price) -> Self {
        let Price { rates, brackets } = price;
        let Rates {
            input,
            output,
            cache_read,
            cache_write,
            request,
        } = rates;
        Self {
            input,
            output,
            cache_read,
            cache_write,
            request,
            brackets,
        }
    }
}

impl TryFrom<Written> for Price {
    type Error = RepeatedBracket;

    fn try_from(written: Written) -> Result<Self, RepeatedBracket> {
        let rates = Rates {
            input: written.input,
            output: written.output,
            cache_read: written.cache_read,
            cache_write: written.cache_write,
            request: written.request,
        };
        Self::new(rates, written.brackets)
    }
}

#[cfg(test)]
mod tests;
