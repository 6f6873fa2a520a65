use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn price(json: &str) -> Price {
    serde_json::from_str(json).expect("a price")
}

fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        reasoning_tokens: output / 2,
    }
}

#[test]
fn costs_are_what_they_are_by_hand() {
    let plain = r#"{"input":"3","output":"15"}"#;
    let cached = r#"{"input":"3","output":"15","cache_read":"0.3","cache_write":"3.75"}"#;
    let request = r#"{"input":"1","output":"1","request":"5"}"#;
    let tiny = r#"{"input":"0.000000001","output":"0.0000005"}"#;
    for (price_json, (input, read, written, output), nanos) in [
        (plain, (0, 0, 0, 0), 0),
        (plain, (1, 0, 0, 0), 3_000),
        (plain, (1_000_000, 0, 0, 1_000_000), 18_000_000_000),
        // Absent cache rates: as input, never free.
        (plain, (10, 20, 30, 40), 60 * 3_000 + 40 * 15_000),
        (
            cached,
            (10, 20, 30, 40),
            30_000 + 20 * 300 + 30 * 3_750 + 600_000,
        ),
        (
            cached,
            (25, 1_000, 300, 12),
            75_000 + 300_000 + 1_125_000 + 180_000,
        ),
        (request, (0, 0, 0, 0), 5_000_000),
        (request, (7, 0, 0, 2), 5_000_000 + 9_000),
        // Half a nano-USD is rounded up, less is rounded down, and the parts are summed before.
        (tiny, (499_999, 0, 0, 0), 0),
        (tiny, (500_000, 0, 0, 0), 1),
        (tiny, (1_499_999, 0, 0, 0), 1),
        (tiny, (250_000, 250_000, 0, 0), 1),
        (tiny, (0, 0, 0, 999), 0),
        (tiny, (1, 0, 0, 999), 0),
        (tiny, (500, 0, 0, 999), 1),
    ] {
        let cost = price(price_json).cost(&usage(input, read, written, output));
        assert_eq!(
            cost.nanos(),
            nanos,
            "{price_json} {input} {read} {written} {output}"
        );
    }
}

#[test]
fn a_bracket_prices_the_whole_call_once_its_input_is_over_it() {
    let price = price(
        r#"{"input":"1","output":"10","cache_read":"0.1","request":"1","brackets":[
            {"over_input_tokens":272000,"rates":{"input":"4","output":"40"}},
            {"over_input_tokens":200000,"rates":{"input":"2","output":"20","cache_read":"0.2","cache_write":"3"}}]}"#,
    );
    let request = 1_000_000;
    for ((input, read, written, output), nanos) in [
        ((199_999, 0, 0, 1), 199_999_000 + 10_000 + request),
        ((200_000, 0, 0, 1), 200_000_000 + 10_000 + request),
        ((200_001, 0, 0, 1), 400_002_000 + 20_000),
        // Input from and into the cache counts towards the threshold.
        ((1, 200_000, 0, 0), 2_000 + 200_000 * 200),
        ((1, 0, 200_000, 0), 2_000 + 200_000 * 3_000),
        ((1, 199_998, 1, 0), 1_000 + 199_998 * 100 + 1_000 + request),
        ((272_000, 0, 0, 0), 544_000_000),
        // The rates of a bracket are whole: what it leaves out is not taken from below.
        ((0, 272_001, 0, 1), 272_001 * 4_000 + 40_000),
        // Output is no input.
        ((0, 0, 0, 1_000_000), 10_000_000_000 + request),
    ] {
        let cost = price.cost(&usage(input, read, written, output));
        assert_eq!(cost.nanos(), nanos, "{input} {read} {written} {output}");
    }
    assert_eq!(price.brackets()[0].over_input_tokens, 200_000);
}

#[test]
fn the_greatest_usage_at_the_greatest_price_is_held_at_the_end_of_the_range() {
    let all = Some(Decimal::MAX);
    let rates = Rates {
        input: Decimal::MAX,
        output: Decimal::MAX,
        cache_read: all,
        cache_write: all,
        request: all,
    };
    let price = Price::new(rates, vec![]).expect("no brackets");
    let most = usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(price.cost(&most), NanoUsd::MAX);
    assert_eq!(price.cost(&usage(u64::MAX, 0, 0, 0)), NanoUsd::MAX);
    let request = Decimal::MAX.billionths() / 1_000;
    assert_eq!(price.cost(&Usage::default()).nanos(), request + 1);
}

#[test]
fn reasoning_is_part_of_the_output() {
    let price = price(r#"{"input":"1","output":"2"}"#);
    let mut reasoned = usage(1, 0, 0, 100);
    let cost = price.cost(&reasoned);
    reasoned.reasoning_tokens = 100;
    assert_eq!(price.cost(&reasoned), cost);
}

#[test]
fn prices_are_texts_in_json_and_nothing_unknown_is_taken() {
    for json in [
        r#"{"input":"3","output":"15"}"#,
        r#"{"input":"0.075","output":"0","cache_read":"0.01","cache_write":"1","request":"5"}"#,
        r#"{"input":"1","output":"2","brackets":[{"over_input_tokens":200000,"rates":{"input":"2","output":"4"}}]}"#,
    ] {
        assert_eq!(
            serde_json::to_string(&price(json)).ok().as_deref(),
            Some(json)
        );
    }
    for bad in [
        "{}",
        r#"{"input":"3"}"#,
        r#"{"input":"-3","output":"1"}"#,
        r#"{"input":"3","output":"1","cached":"1"}"#,
        r#"{"input":"3","output":"1","brackets":[{"over_input_tokens":-1,"rates":{"input":"2","output":"4"}}]}"#,
        r#"{"input":"3","output":"1","brackets":[{"over_input_tokens":1,"rates":{"input":"2","output":"4","x":1}}]}"#,
        r#"{"input":"3","output":"1","brackets":[{"over_input_tokens":1,"rates":{"input":"2","output":"4"}},
            {"over_input_tokens":1,"rates":{"input":"3","output":"4"}}]}"#,
    ] {
        assert!(serde_json::from_str::<Price>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_first_layer_with_a_fitting_pattern_decides_and_in_it_the_closest_pattern() {
    let layer = |entries: &[(&str, &str, &str)]| -> Vec<PriceOverride> {
        let entries = entries
            .iter()
            .map(|(provider, model, input)| PriceOverride {
                provider: provider.parse().expect("a provider id"),
                model: Glob::parse(model).expect("a pattern"),
                price: price(&format!(r#"{{"input":"{input}","output":"0"}}"#)),
            });
        entries.collect()
    };
    let key = layer(&[("openai", "gpt-5*", "1")]);
    let workspace = layer(&[
        ("openai", "*", "2"),
        ("openai", "gpt-4o-mini", "3"),
        ("openai", "gpt-4o*", "4"),
        ("openai", "*gpt-4o", "5"),
        ("anthropic", "gpt-6-sol", "6"),
    ]);
    let instance = layer(&[("openai", "gpt-6-sol", "7"), ("xai", "*", "8")]);
    let layers: [&[PriceOverride]; 3] = [&key, &workspace, &instance];
    let found = |provider: &str, model: &str| {
        let provider = provider.parse().expect("a provider id");
        overridden(&layers, &provider, model).map(|price| price.rates().input.to_string())
    };
    for (provider, model, input) in [
        ("openai", "gpt-5-mini", Some("1")),
        ("openai", "gpt-4o-mini", Some("3")),
        ("openai", "gpt-4o-2024", Some("4")),
        // Of two patterns that fix as much, the first.
        ("openai", "gpt-4o", Some("4")),
        // A less specific layer is not asked, however close its pattern.
        ("openai", "gpt-6-sol", Some("2")),
        ("xai", "grok-4.5", Some("8")),
        ("groq", "gpt-5", None),
    ] {
        assert_eq!(
            found(provider, model).as_deref(),
            input,
            "{provider} {model}"
        );
    }
}

#[test]
fn states_of_pricing_have_names() {
    for state in Pricing::ALL.iter().copied() {
        assert_eq!(Pricing::from_name(state.as_str()), Some(state));
        let json = serde_json::to_string(&state).expect("serializes");
        assert_eq!(json, format!("\"{}\"", state.as_str()));
    }
    assert_eq!(Pricing::from_name("free"), None);
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || (0..2_000_000_000_000_i64).prop_map(Decimal::from_billionths);
    let maybe = || proptest::option::of(rate());
    (rate(), rate(), maybe(), maybe(), maybe()).prop_map(
        |(input, output, cache_read, cache_write, request)| Rates {
            input,
            output,
            cache_read,
            cache_write,
            request,
        },
    )
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![0..10_u64, 0..1_000_000_u64, Just(1_000_000_000_000)];
    (count(), count(), count(), count())
        .prop_map(|(input, read, written, output)| usage(input, read, written, output))
}

/// Each rate of `rates` a whole number of times.
fn times(rates: &Rates, factor: i64) -> Rates {
    let times = |rate: Decimal| Decimal::from_billionths(rate.billionths() * factor);
    Rates {
        input: times(rates.input),
        output: times(rates.output),
        cache_read: rates.cache_read.map(times),
        cache_write: rates.cache_write.map(times),
        request: rates.request.map(times),
    }
}

proptest! {
    #[test]
    fn more_tokens_never_cost_less(
        rates in rates(), over in proptest::collection::btree_set(0..1_000_000_u64, 0..3),
        one in any_usage(), more in any_usage(),
    ) {
        let brackets = (2..).zip(over).map(|(factor, over_input_tokens)| Bracket {
            over_input_tokens,
            rates: times(&rates, factor),
        });
        let price = Price::new(rates, brackets.collect()).expect("a set has nothing twice");
        let both = Usage {
            input_tokens: one.input_tokens + more.input_tokens,
            cached_input_tokens: one.cached_input_tokens + more.cached_input_tokens,
            cache_write_tokens: one.cache_write_tokens + more.cache_write_tokens,
            output_tokens: one.output_tokens + more.output_tokens,
            reasoning_tokens: one.reasoning_tokens,
        };
        prop_assert!(price.cost(&both) >= price.cost(&one));
        prop_assert!(!price.cost(&one).is_negative());
    }

    #[test]
    fn no_usage_costs_only_the_request(rates in rates()) {
        let price = Price::new(rates, vec![]).expect("no brackets");
        let request = rates.request.unwrap_or_default().billionths();
        prop_assert_eq!(price.cost(&Usage::default()).nanos(), (request + 500) / 1_000);
    }

    #[test]
    fn a_token_is_paid_once_by_the_rate_of_its_kind(rates in rates(), usage in any_usage()) {
        let price = Price::new(rates, vec![]).expect("no brackets");
        let only = |input, read, written, output| {
            let free = decimal("0");
            let rates = Rates {
                input: if input { rates.input } else { free },
                output: if output { rates.output } else { free },
                cache_read: Some(if read { rates.cache_read.unwrap_or(rates.input) } else { free }),
                cache_write: Some(if written { rates.cache_write.unwrap_or(rates.input) } else { free }),
                request: None,
            };
            Price::new(rates, vec![]).expect("no brackets").cost(&usage).nanos()
        };
        let parts = [
            only(true, false, false, false),
            only(false, true, false, false),
            only(false, false, true, false),
            only(false, false, false, true),
            price.cost(&Usage::default()).nanos(),
        ];
        // Each of the five was rounded by itself, the whole once.
        let apart: i64 = parts.iter().sum();
        prop_assert!(price.cost(&usage).nanos().abs_diff(apart) <= 3);
    }
}

#[test]
fn what_is_cached_for_an_hour_costs_twice_as_much_as_other_input() {
    let cached = r#"{"input":"3","output":"15","cache_read":"0.3","cache_write":"3.75","brackets":[{"over_input_tokens":1000,"rates":{"input":"6","output":"22.5","cache_write":"7.5"}}]}"#;
    let plain = r#"{"input":"3","output":"15"}"#;
    for (price_json, written, hour_cache_write_tokens, nanos) in [
        (cached, 100, 0, 375_000),
        (cached, 100, 40, 60 * 3_750 + 40 * 6_000),
        (cached, 100, 100, 600_000),
        // More than was written cannot have been written for an hour.
        (cached, 100, 101, 600_000),
        (cached, 2_000, 1_000, 1_000 * 7_500 + 1_000 * 12_000),
        // Where writes cost no more than other input, nobody knows of an hour either.
        (plain, 100, 40, 300_000),
    ] {
        let terms = Terms {
            hour_cache_write_tokens,
            is_other_tier: true,
        };
        let cost = price(price_json).cost_on(&usage(0, 0, written, 0), &terms);
        assert_eq!(cost.nanos(), nanos, "{price_json} {terms:?}");
    }
}
