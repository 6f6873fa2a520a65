//! How many bytes a caller takes in memory, roughly: what tenants decide the size of is counted, allocators are not.

use std::mem::size_of;

use domain::policy::{LevelMapping, ModelMapping, WorkspacePolicy};
use domain::price::{Bracket, PriceOverride};
use domain::record::{DataKeyRecord, ProviderKeyRecord, RemovedKey};
use domain::resolve::HeldKey;
use store::CallerRecord;

/// Ids, scopes and the cache's own account of an entry.
const ENTRY: usize = 512;
/// The short texts of a row: provider, label, header.
const TEXTS: usize = 128;

/// The bytes of a caller with the keys that may serve it.
pub(super) fn of(record: &CallerRecord) -> usize {
    let keys: usize = record.keys.iter().map(key).sum();
    let data_keys: usize = record.data_keys.iter().map(data_key).sum();
    let removed = record.removed.len() * (size_of::<RemovedKey>() + TEXTS);
    ENTRY + size_of::<CallerRecord>() + keys + data_keys + removed + policy(&record.policy)
}

fn key(record: &ProviderKeyRecord) -> usize {
    let texts = record.context.base_url.len() + record.mask.len() + TEXTS;
    let rows = size_of::<ProviderKeyRecord>() + size_of::<HeldKey>();
    rows + texts + record.envelope.len() + prices(&record.prices)
}

fn data_key(record: &DataKeyRecord) -> usize {
    size_of::<DataKeyRecord>() + record.kms_key.len() + record.wrapped.len()
}

fn policy(policy: &WorkspacePolicy) -> usize {
    let models = policy.model_mappings.iter().map(|mapping| {
        size_of::<ModelMapping>() + mapping.pattern.as_str().len() + mapping.model.as_str().len()
    });
    let levels = policy
        .level_mappings
        .iter()
        .map(|mapping| size_of::<LevelMapping>() + mapping.pattern.as_str().len());
    let tiers = policy
        .tiers
        .values()
        .map(|model| TEXTS + model.as_str().len());
    let presets = policy.presets.iter();
    let presets = presets.map(|(name, preset)| TEXTS + name.as_str().len() + preset.weight());
    models
        .chain(levels)
        .chain(tiers)
        .chain(presets)
        .sum::<usize>()
        + prices(&policy.prices)
}

fn prices(prices: &[PriceOverride]) -> usize {
    let bytes = |price: &PriceOverride| {
        size_of::<PriceOverride>()
            + price.provider.as_str().len()
            + price.model.as_str().len()
            + size_of_val::<[Bracket]>(price.price.brackets())
    };
    prices.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::glob::Glob;
    use domain::price::{Price, Rates};

    fn priced(brackets: u64) -> PriceOverride {
        let bracket = |over_input_tokens| Bracket {
            over_input_tokens,
            rates: Rates::default(),
        };
        let price = Price::new(Rates::default(), (0..brackets).map(bracket).collect());
        PriceOverride {
            provider: "openai".parse().expect("a provider id"),
            model: Glob::parse("*").expect("a pattern"),
            price: price.expect("each begins elsewhere"),
        }
    }

    #[test]
    fn what_tenants_write_down_weighs() {
        let bare = policy(&WorkspacePolicy::default());
        assert_eq!(bare, 0);
        let long = WorkspacePolicy {
            model_mappings: vec![
                ModelMapping {
                    pattern: Glob::parse(&"p".repeat(200)).expect("a pattern"),
                    model: "m".repeat(200).parse().expect("a model"),
                };
                100
            ],
            ..WorkspacePolicy::default()
        };
        assert!(policy(&long) > 40_000);
        assert!(prices(&[priced(16)]) > prices(&[priced(0)]) + 16 * 48);
        assert!(prices(&vec![priced(16); 50]) >= 50 * prices(&[priced(16)]));
    }
}
