//! The order of providers that may serve the same model, where a caller wants the cheapest or the quickest first.
//!
//! A ranking puts in another order what the rules let serve, and nothing else: it adds no way, takes none away, and moves
//! none to another payer.

use crate::money::{Decimal, NanoUsd};
use crate::policy::{KeySource, words};
use crate::price::Price;
use crate::resolve::Target;
use crate::settings::Settings;
use crate::usage::Usage;

words! {
    /// By what providers of the same model are put in order.
    Ranking("ranking") {
        /// The least cost first.
        Cost = "cost",
        /// The quickest answer first: the first byte of a stream, or all of an answer that is none.
        Latency = "latency",
        /// The most output tokens in a second first.
        Throughput = "throughput",
        /// The best of the three together first.
        Balanced = "balanced",
    }
}

/// The call by which prices are compared: three times as many tokens of input as of output, the usual mix of chats and
/// agents, which send their whole conversation again with each turn.
pub const SAMPLE: Usage = Usage {
    input_tokens: 3_000,
    cached_input_tokens: 0,
    cache_write_tokens: 0,
    output_tokens: 1_000,
    reasoning_tokens: 0,
};

/// What a measured ratio of two counts at most, in thousandths; an unknown price counts as much.
const WORST: u128 = 10_000;
/// What the best counts, in thousandths; what was not measured counts as the best, so that it gets its turn.
const BEST: u128 = 1_000;

/// How quick a provider was with a model lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The milliseconds to the first byte of a stream; none: not measured lately.
    pub first_byte_ms: Option<u64>,
    /// The milliseconds to the end of an answer that is no stream, of the usual length; none: not measured lately.
    pub answer_ms: Option<u64>,
    /// The output tokens of a thousand seconds of answering; none: not measured lately.
    pub tokens_in_1000_s: Option<u64>,
}

/// What a ranking looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// What a call of [`SAMPLE`] costs who pays; none: not known.
    pub cost: Option<NanoUsd>,
    /// How quick it is.
    pub pace: Pace,
    /// Whether the call wants a stream.
    pub is_streamed: bool,
}

impl Facts {
    /// For how long such a call waits: the client of a stream for its beginning, every other for the end.
    fn latency_ms(&self) -> Option<u64> {
        match self.is_streamed {
            true => self.pace.first_byte_ms,
            false => self.pace.answer_ms,
        }
    }
}

/// What a call of [`SAMPLE`] costs who pays for the target at this price: on an own key what its provider asks, else what it
/// takes in credits, before what the account's charges are multiplied by.
pub fn sample_charge(
    settings: &Settings,
    target: &Target,
    operation: &str,
    price: &Price,
) -> NanoUsd {
    let cost = price.cost(&SAMPLE);
    match target.source {
        KeySource::Byok => cost,
        KeySource::Managed => settings.charge(
            &target.provider,
            &target.model,
            operation,
            cost,
            Decimal::ONE,
        ),
    }
}

/// The same ways in the order of the ranking.
///
/// `part`: what no way leaves. Within a part, neighbors with the same provider and model keep together and in their
/// order; `facts` is asked of the first of them. Equals stay as they were.
pub fn arrange<T, P: PartialEq>(
    ranking: Ranking,
    ways: Vec<T>,
    part: impl Fn(&T) -> P,
    target: impl Fn(&T) -> &Target,
    facts: impl Fn(&T) -> Facts,
) -> Vec<T> {
    let mut parts: Vec<(P, Vec<Vec<T>>)> = Vec::new();
    for way in ways {
        let here = part(&way);
        let Some((_, groups)) = parts.last_mut().filter(|(part, _)| *part == here) else {
            parts.push((here, vec![vec![way]]));
            continue;
        };
        let of = |way: &T| (target(way).provider.clone(), target(way).model.clone());
        let same = groups.last().and_then(|group| group.first());
        match same.is_some_and(|same| of(same) == of(&way)) {
            true => groups.last_mut().expect("it has one").push(way),
            false => groups.push(vec![way]),
        }
    }
    let in_order = parts.into_iter().flat_map(|(_, groups)| {
        let known: Vec<Facts> = groups.iter().map(|group| facts(&group[0])).collect();
        let mut scored: Vec<(u128, Vec<T>)> =
            scores(ranking, &known).into_iter().zip(groups).collect();
        scored.sort_by_key(|(score, _)| *score);
        scored.into_iter().flat_map(|(_, group)| group)
    });
    in_order.collect()
}

/// What is better has less.
fn scores(ranking: Ranking, all: &[Facts]) -> Vec<u128> {
    let best = |of: fn(&Facts) -> Option<u64>| all.iter().filter_map(of).min();
    let most = all.iter().filter_map(|it| it.pace.tokens_in_1000_s).max();
    let (cheapest, quickest) = (best(cost), best(Facts::latency_ms));
    let score = |facts: &Facts| match ranking {
        Ranking::Cost => cost(facts).map_or(u128::MAX, u128::from),
        Ranking::Latency => facts
            .latency_ms()
            .map_or(0, |it| u128::from(it).saturating_add(1)),
        Ranking::Throughput => facts
            .pace
            .tokens_in_1000_s
            .map_or(0, |it| u128::MAX - u128::from(it)),
        Ranking::Balanced => {
            let price = cost(facts).map_or(WORST, |it| ratio(it, cheapest));
            let latency = facts.latency_ms();
            let latency = latency.map_or(BEST, |it| ratio(it, quickest));
            let tokens = facts.pace.tokens_in_1000_s;
            let throughput = tokens.map_or(BEST, |it| ratio(most.unwrap_or(it), Some(it)));
            price + latency + throughput
        }
    };
    all.iter().map(score).collect()
}

fn cost(facts: &Facts) -> Option<u64> {
    facts.cost.map(|it| it.nanos().unsigned_abs())
}

/// How many thousandths of `best` it is, from [`BEST`] to [`WORST`].
fn ratio(it: u64, best: Option<u64>) -> u128 {
    let best = best.unwrap_or(it);
    if it == best {
        return BEST;
    }
    (u128::from(it) * BEST / u128::from(best.max(1))).clamp(BEST, WORST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::When;

    fn way(provider: &str, source: KeySource) -> Target {
        Target {
            provider: provider.parse().expect("an id"),
            model: "m".to_owned(),
            key: crate::ProviderKeyId::from_bytes([0; 16]),
            source,
            pool: None,
            when: When::InTurn,
        }
    }

    fn facts(cost: Option<i64>, first_byte_ms: Option<u64>, tokens: Option<u64>) -> Facts {
        Facts {
            cost: cost.map(NanoUsd::new),
            pace: Pace {
                first_byte_ms,
                answer_ms: None,
                tokens_in_1000_s: tokens,
            },
            is_streamed: true,
        }
    }

    fn order(ranking: Ranking, all: &[(&str, KeySource, Facts)]) -> Vec<String> {
        let ways = all
            .iter()
            .map(|(provider, source, facts)| (way(provider, *source), *facts));
        let ranked = arrange(
            ranking,
            ways.collect(),
            |(target, _)| target.source,
            |(target, _)| target,
            |(_, facts)| *facts,
        );
        let name = |(target, _): &(Target, Facts)| target.provider.to_string();
        ranked.iter().map(name).collect()
    }

    #[test]
    fn each_ranking_orders_by_its_own_measure() {
        use KeySource::Byok;
        let all = [
            ("a", Byok, facts(Some(9), Some(100), Some(50))),
            ("b", Byok, facts(None, Some(10), None)),
            ("c", Byok, facts(Some(3), None, Some(500))),
            ("d", Byok, facts(Some(3), Some(400), Some(90))),
        ];
        for (ranking, expected) in [
            (Ranking::Cost, ["c", "d", "a", "b"]),
            // What was not measured lately comes first, or it never would be.
            (Ranking::Latency, ["c", "b", "a", "d"]),
            (Ranking::Throughput, ["b", "c", "d", "a"]),
            // c: 1 + 1 + 1; b: 10 + 1 + 1; d: 1 + 10 + 5.5; a: 3 + 10 + 10.
            (Ranking::Balanced, ["c", "b", "d", "a"]),
        ] {
            assert_eq!(order(ranking, &all), expected, "{ranking}");
        }
    }

    #[test]
    fn streams_and_whole_answers_are_measured_apart() {
        let quick = |first_byte_ms, answer_ms, is_streamed| Facts {
            cost: Some(NanoUsd::new(1)),
            pace: Pace {
                first_byte_ms,
                answer_ms,
                tokens_in_1000_s: Some(1),
            },
            is_streamed,
        };
        for (is_streamed, expected) in [(true, ["b", "a", "c"]), (false, ["c", "a", "b"])] {
            let all = [
                (
                    "a",
                    KeySource::Byok,
                    quick(Some(20), Some(200), is_streamed),
                ),
                (
                    "b",
                    KeySource::Byok,
                    quick(Some(10), Some(300), is_streamed),
                ),
                (
                    "c",
                    KeySource::Byok,
                    quick(Some(30), Some(100), is_streamed),
                ),
            ];
            for ranking in [Ranking::Latency, Ranking::Balanced] {
                assert_eq!(order(ranking, &all), expected, "{ranking} {is_streamed}");
            }
        }
        // What is known of one kind says nothing of the other.
        let all = [
            ("a", KeySource::Byok, quick(None, Some(200), false)),
            ("b", KeySource::Byok, quick(Some(1), None, false)),
        ];
        assert_eq!(order(Ranking::Latency, &all), ["b", "a"]);
    }

    #[test]
    fn nobody_changes_places_with_another_payer_and_equals_stay() {
        use KeySource::{Byok, Managed};
        let all = [
            ("a", Byok, facts(Some(9), None, None)),
            ("b", Byok, facts(Some(8), None, None)),
            ("c", Managed, facts(Some(2), None, None)),
            ("d", Managed, facts(Some(1), None, None)),
            ("e", Byok, facts(Some(0), None, None)),
        ];
        assert_eq!(order(Ranking::Cost, &all), ["b", "a", "d", "c", "e"]);
        for ranking in [Ranking::Latency, Ranking::Throughput] {
            assert_eq!(order(ranking, &all), ["a", "b", "c", "d", "e"]);
        }
    }

    #[test]
    fn the_keys_of_a_provider_keep_together_and_in_their_order() {
        let mut ways: Vec<(Target, i64)> = Vec::new();
        for (key, (provider, cost)) in [("a", 5), ("a", 1), ("b", 3), ("b", 9)].iter().enumerate() {
            let mut target = way(provider, KeySource::Byok);
            target.key = crate::ProviderKeyId::from_bytes([key as u8; 16]);
            ways.push((target, *cost));
        }
        let ranked = arrange(
            Ranking::Cost,
            ways,
            |_| (),
            |(target, _)| target,
            |(_, cost)| facts(Some(*cost), None, None),
        );
        let costs: Vec<i64> = ranked.iter().map(|(_, cost)| *cost).collect();
        // The first key of each says what the provider costs.
        assert_eq!(costs, [3, 9, 5, 1]);
    }
}
