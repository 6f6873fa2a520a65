use std::collections::BTreeSet;

use domain::{Decimal, Usage};

use super::*;
use crate::registry::Registry;

/// What the package itself says of names and costs.
static AGREEMENT: &str = include_str!("agreement.txt");

/// Models in the provider files whose price is not known. Whoever lists another one writes it here, knowing.
const UNPRICED: &[(&str, &str)] = &[
    // Searches, citations and reasoning cost apart.
    ("perplexity", "sonar-deep-research"),
    // The package does not have them.
    ("together", "openai/gpt-oss-20b"),
    ("together", "moonshotai/Kimi-K2.5"),
];

/// Providers without prices.
const WITHOUT: &[&str] = &["brave", "jina"];

fn bundled() -> Catalog {
    Catalog::bundled().expect("the bundled catalog is valid")
}

fn provider(id: &str) -> ProviderId {
    id.parse().expect("a provider id")
}

/// 2026-11-20.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

#[test]
fn it_finds_the_models_and_costs_that_the_package_finds() {
    let catalog = bundled();
    let mut priced = 0;
    for line in AGREEMENT.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split(' ').collect();
        let [id, name, millis, plain, read, written, output, found, cost] = columns[..] else {
            panic!("nine columns: {line}");
        };
        let provider = provider(id);
        let number = |text: &str| text.parse().expect("a number");
        let usage = Usage {
            input_tokens: number(plain),
            cached_input_tokens: number(read),
            cache_write_tokens: number(written),
            output_tokens: number(output),
            reasoning_tokens: 0,
        };
        let at = Timestamp::from_millis(millis.parse().expect("a number"));
        assert_eq!(
            catalog.model(&provider, name).unwrap_or("-"),
            found,
            "{line}"
        );
        let ours = catalog.price(&provider, name, at);
        let ours = ours.map(|price| price.cost(&usage).nanos().to_string());
        assert_eq!(ours.as_deref().unwrap_or("-"), cost, "{line}");
        priced += u32::from(cost != "-");
    }
    assert!(priced > 300, "{priced}");
}

#[test]
fn every_listed_model_has_a_price_or_is_known_to_have_none() {
    let catalog = bundled();
    let registry = Registry::bundled().expect("the bundled files are valid");
    let mut unpriced = Vec::new();
    for provider in registry.providers() {
        let has = catalog.providers().any(|id| *id == provider.id);
        assert_ne!(
            has,
            WITHOUT.contains(&provider.id.as_str()),
            "{}",
            provider.id
        );
        for model in provider.models.iter().filter(|_| has) {
            if catalog.price(&provider.id, &model.id, NOW).is_none() {
                unpriced.push((provider.id.as_str(), model.id.as_str()));
            }
        }
    }
    assert_eq!(unpriced, UNPRICED);
    let known: BTreeSet<_> = registry.providers().map(|it| &it.id).collect();
    assert!(catalog.providers().all(|id| known.contains(id)));
}

#[test]
fn prices_are_sane_and_their_source_is_told() {
    let catalog = bundled();
    let version: Vec<_> = catalog.version().split(' ').collect();
    assert!(matches!(version[..], ["genai-prices", number, hash]
        if number.starts_with(|c: char| c.is_ascii_digit()) && hash.len() == 12));
    let below = |rate: Option<Decimal>, most: i64| {
        rate.unwrap_or_default().billionths() < most * Decimal::ONE.billionths()
    };
    let mut prices = 0;
    for (listed, model) in catalog
        .providers
        .values()
        .flat_map(|it| it.models.iter().map(move |model| (it, model)))
    {
        let place = format!("{} {}", listed.id, model.id);
        assert!(!model.rules.is_empty(), "{place}");
        let days: Vec<_> = model.prices.iter().map(|it| &it.from).collect();
        assert!(
            days.is_sorted() && days.first().is_none_or(|day| day.is_none()),
            "{place}"
        );
        assert!(
            days.iter().copied().flatten().all(|day| is_day(day)),
            "{place}"
        );
        for price in model.prices.iter().filter_map(|it| it.price.as_ref()) {
            prices += 1;
            let free = price.rates().input == Decimal::default();
            assert!(!free || model.id.ends_with(":free"), "{place}");
            let brackets = price.brackets().iter().map(|it| &it.rates);
            for rates in brackets.chain([price.rates()]) {
                // USD per million tokens: a unit that was mistaken is a thousand times off.
                assert!(
                    below(Some(rates.input), 1_000) && below(Some(rates.output), 1_000),
                    "{place}"
                );
                assert!(
                    below(rates.cache_write, 1_000) && below(rates.request, 100),
                    "{place}"
                );
                assert!(below(rates.cache_read, 1_000), "{place}");
            }
            assert!(
                price
                    .brackets()
                    .iter()
                    .all(|it| it.over_input_tokens >= 1_000),
                "{place}"
            );
        }
    }
    assert!(prices > 1_000, "{prices}");
}

fn is_day(text: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

fn small(prices: &str) -> Catalog {
    let model = |prices: &str| format!(r#"{{"id":"m","match":["m*"],"prices":{prices}}}"#);
    let json = format!(
        r#"{{"source":"s","version":"1","data_sha256":"0123456789abcdef","providers":[
            {{"id":"one","fallback":["two"],"models":[{}]}},
            {{"id":"two","fallback":["three"],"models":[{{"id":"n","match":["n"],"prices":[]}},{}]}},
            {{"id":"three","fallback":[],"models":[{{"id":"o","match":["o"],"prices":[]}}]}}]}}"#,
        model(prices),
        model("[]"),
    );
    Catalog::parse(&json).expect("a catalog")
}

#[test]
fn a_price_holds_from_its_day_until_the_next_one() {
    let catalog = small(
        r#"[{"price":{"input":"1","output":"1"}},
            {"from":"2026-03-01","price":{"input":"2","output":"1"}},
            {"from":"2026-06-30","price":null}]"#,
    );
    // 2026-03-01T00:00:00Z.
    let march = 1_772_323_200_000;
    for (millis, input) in [
        (0, Some("1")),
        (march - 1, Some("1")),
        (march, Some("2")),
        (march + 86_400_000 * 121 - 1, Some("2")),
        (march + 86_400_000 * 121, None),
        (march + 86_400_000 * 3_650, None),
    ] {
        let at = Timestamp::from_millis(millis);
        let price = catalog.price(&provider("one"), "M-1", at);
        let price = price.map(|price| price.rates().input.to_string());
        assert_eq!(price.as_deref(), input, "{at}");
    }
}

#[test]
fn another_providers_models_are_found_one_step_away() {
    let catalog = small("[]");
    let model = |id: &str, name: &str| catalog.model(&provider(id), name).map(str::to_owned);
    assert_eq!(model("one", "mm").as_deref(), Some("m"));
    assert_eq!(model("one", "n").as_deref(), Some("n"));
    assert_eq!(model("one", "o"), None);
    assert_eq!(model("two", "o").as_deref(), Some("o"));
    assert_eq!(model("four", "m"), None);
    assert_eq!(catalog.version(), "s 1 0123456789ab");
}

#[test]
fn a_catalog_of_another_form_is_refused() {
    for bad in [
        "",
        "[]",
        r#"{"source":"s","version":"1","data_sha256":"0"}"#,
        r#"{"source":"s","version":"1","data_sha256":"0","providers":[],"more":1}"#,
    ] {
        assert!(
            matches!(Catalog::parse(bad), Err(CatalogError::Form(_))),
            "{bad}"
        );
    }
    let twice = r#"{"id":"a","fallback":[],"models":[]}"#;
    let twice = format!(
        r#"{{"source":"s","version":"1","data_sha256":"0","providers":[{twice},{twice}]}}"#
    );
    assert!(matches!(
        Catalog::parse(&twice),
        Err(CatalogError::Repeated(_))
    ));
}

#[test]
fn what_is_remembered_is_bounded_and_changes_no_answer() {
    let catalog = Catalog::bundled().expect("it is kept whole");
    let fresh = Catalog::bundled().expect("it is kept whole");
    let openai: ProviderId = "openai".parse().expect("an id");
    let nobody: ProviderId = "nobody".parse().expect("an id");
    let now = Timestamp::from_millis(1_790_000_000_000);
    for round in 0..3 {
        for number in 0..2 * REMEMBERED {
            let made_up = format!("made-up-{number}");
            assert!(catalog.price(&openai, &made_up, now).is_none());
            assert!(catalog.price(&nobody, &made_up, now).is_none());
        }
        let price = catalog.price(&openai, "gpt-4o", now);
        assert!(price.is_some(), "{round}");
        assert_eq!(price, fresh.price(&openai, "gpt-4o", now));
        assert_eq!(price, catalog.price(&openai, "GPT-4o", now));
    }
    let found = catalog.found.read().expect("no panic");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&openai]);
    assert!(found[&openai].len() <= REMEMBERED);
}
