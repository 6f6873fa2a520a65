use proptest::prelude::{Just, ProptestConfig, Strategy, proptest};
use proptest::{prop_assert, prop_assert_eq, prop_oneof};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn card(id: i64, remaining: i64, expires_in: Option<i64>) -> Card {
    Card {
        id,
        kind: CardKind::Grant,
        granted: NanoUsd::new(remaining + 1),
        remaining: NanoUsd::new(remaining),
        granted_at: NOW.plus_millis(-id),
        expires_at: expires_in.map(|millis| NOW.plus_millis(millis)),
    }
}

fn ids(cards: &[Card]) -> Vec<i64> {
    cards.iter().map(|card| card.id).collect()
}

#[test]
fn the_earliest_expiry_is_spent_first_and_none_last() {
    let mut cards = [
        card(1, 5, None),
        card(2, 5, Some(20)),
        card(3, 5, Some(10)),
        // As card 2, but older; and as card 1, but older.
        card(4, 5, Some(20)),
        card(5, 5, None),
    ];
    spend_order(&mut cards);
    assert_eq!(ids(&cards), [3, 4, 2, 5, 1]);
    assert_eq!(draw(&mut cards, NanoUsd::new(12)), NanoUsd::ZERO);
    let left: Vec<i64> = cards.iter().map(|card| card.remaining.nanos()).collect();
    assert_eq!(left, [0, 0, 3, 5, 5]);
    assert_eq!(draw(&mut cards, NanoUsd::new(15)), NanoUsd::new(2));
    assert!(cards.iter().all(|card| card.remaining == NanoUsd::ZERO));
    assert_eq!(draw(&mut cards, NanoUsd::ZERO), NanoUsd::ZERO);
}

#[test]
fn what_is_reserved_does_not_lapse() {
    let cards = [
        card(1, 10, Some(-5)),
        card(2, 10, Some(0)),
        card(3, 10, Some(1)),
    ];
    let lapsed = |reserved: i64| -> Vec<(i64, i64)> {
        let available = NanoUsd::new(30 - reserved);
        lapsing(&cards, NanoUsd::new(reserved), available, NOW)
            .into_iter()
            .map(|(id, amount)| (id, amount.nanos()))
            .collect()
    };
    assert_eq!(lapsed(0), [(1, 10), (2, 10)]);
    assert_eq!(lapsed(4), [(1, 6), (2, 10)]);
    assert_eq!(lapsed(13), [(2, 7)]);
    assert_eq!(lapsed(20), []);
    assert_eq!(lapsed(30), []);
    let none = lapsing(&cards, NanoUsd::ZERO, NanoUsd::new(-1), NOW);
    assert_eq!(none, [], "never more than is available");
}

#[test]
fn twelve_cards_stay_and_thirteen_are_merged() {
    let days = |days: i64| Some(days * DAY_MS + 1);
    let mut cards: Vec<Card> = (0..12).map(|n| card(n, 1, days(n * 100))).collect();
    cards[1].expires_at = cards[2].expires_at;
    assert_eq!(merge(&cards, NOW), []);
    cards.push(card(12, 0, days(100)));
    assert_eq!(merge(&cards, NOW), [], "an empty card does not count");
    cards.push(card(13, 1, Some(-1)));
    assert_eq!(merge(&cards, NOW), [], "nor one that has lapsed");
    cards.push(card(14, 4, days(500)));
    let merged = merge(&cards, NOW);
    assert_eq!(merged.len(), 2);
    assert_eq!(
        (merged[0].parts.as_slice(), merged[0].remaining.nanos()),
        ([2, 1].as_slice(), 2)
    );
    assert_eq!(
        (merged[1].parts.as_slice(), merged[1].remaining.nanos()),
        ([14, 5].as_slice(), 5)
    );
    assert_eq!(merged[1].granted.nanos(), 7);
}

#[test]
fn cards_within_sixty_days_are_merged_only_if_days_do_not_suffice() {
    let apart = |days: i64| -> Vec<Card> {
        (0..13)
            .map(|n| card(n, 1, Some(n * days * DAY_MS + 1)))
            .collect()
    };
    let merged = merge(&apart(30), NOW);
    let groups: Vec<usize> = merged.iter().map(|merged| merged.parts.len()).collect();
    assert_eq!(groups, [3, 3, 3, 3]);
    assert_eq!(merged[0].expires_at, Some(NOW.plus_millis(60 * DAY_MS + 1)));
    assert_eq!(merge(&apart(61), NOW), []);
    // One pair on the same day makes twelve of thirteen: nothing else is touched.
    let mut cards = apart(30);
    cards[4].expires_at = cards[3].expires_at;
    let merged = merge(&cards, NOW);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].parts, [4, 3]);
}

#[test]
fn included_cards_and_cards_without_expiry_keep_apart() {
    let mut cards: Vec<Card> = (0..12).map(|n| card(n, 1, None)).collect();
    cards[0].kind = CardKind::TopUp;
    cards.push(card(12, 1, Some(1)));
    cards.push(Card {
        kind: CardKind::Included,
        ..card(13, 1, Some(1))
    });
    let merged = merge(&cards, NOW);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].parts.len(), 12);
    assert_eq!(
        (merged[0].expires_at, merged[0].kind),
        (None, CardKind::Grant)
    );
}

fn any_cards() -> impl Strategy<Value = Vec<Card>> {
    let expiry = prop_oneof![
        Just(None),
        (-5_i64..5).prop_map(Some),
        (0_i64..400 * DAY_MS).prop_map(Some),
        (0_i64..6).prop_map(|days| Some(days * DAY_MS)),
    ];
    let kind = prop_oneof![
        Just(CardKind::Included),
        Just(CardKind::Grant),
        Just(CardKind::TopUp),
        Just(CardKind::Refund),
    ];
    proptest::collection::vec((0_i64..50, expiry, kind), 0..40).prop_map(|cards| {
        let number = |(id, (remaining, expiry, kind))| Card {
            kind,
            ..card(id, remaining, expiry)
        };
        (0_i64..).zip(cards).map(number).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_changes_no_sum_and_brings_no_expiry_forward(cards in any_cards()) {
        let of = |id: i64| cards.iter().find(|card| card.id == id).expect("a part is a card");
        let mut seen = Vec::new();
        for merged in merge(&cards, NOW) {
            let parts: Vec<&Card> = merged.parts.iter().map(|id| of(*id)).collect();
            prop_assert!(parts.len() > 1);
            let remaining: NanoUsd = parts.iter().map(|card| card.remaining).sum();
            let granted: NanoUsd = parts.iter().map(|card| card.granted).sum();
            prop_assert_eq!(merged.remaining, remaining);
            prop_assert_eq!(merged.granted, granted);
            let latest = parts.iter().filter_map(|card| card.expires_at).max();
            let earliest = parts.iter().filter_map(|card| card.expires_at).min();
            prop_assert_eq!(merged.expires_at, latest);
            if let (Some(earliest), Some(latest)) = (earliest, latest) {
                prop_assert!(latest.millis_since(earliest) <= MERGE_SPAN_MS);
            }
            for part in parts {
                prop_assert!(part.kind != CardKind::Included);
                prop_assert!(part.remaining > NanoUsd::ZERO && !part.has_expired(NOW));
                prop_assert_eq!(part.expires_at.is_none(), merged.expires_at.is_none());
                prop_assert!(merged.granted_at <= part.granted_at);
                seen.push(part.id);
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), count, "a card has one successor at most");
        let live = cards
            .iter()
            .filter(|card| card.remaining > NanoUsd::ZERO && !card.has_expired(NOW));
        if live.count() <= MAX_LIVE_CARDS {
            prop_assert_eq!(count, 0);
        }
    }

    #[test]
    fn drawing_and_lapsing_lose_nothing(
        mut cards in any_cards(),
        amount in 0_i64..1000,
        reserved in 0_i64..1000,
    ) {
        spend_order(&mut cards);
        let sum = |cards: &[Card]| -> i64 { cards.iter().map(|card| card.remaining.nanos()).sum() };
        let before = sum(&cards);
        let available = NanoUsd::new(before - reserved);
        let lapsed = lapsing(&cards, NanoUsd::new(reserved), available, NOW);
        let total: i64 = lapsed.iter().map(|(_, amount)| amount.nanos()).sum();
        prop_assert!(total <= available.nanos().max(0));
        let expired: i64 = cards
            .iter()
            .filter(|card| card.has_expired(NOW))
            .map(|card| card.remaining.nanos())
            .sum();
        prop_assert_eq!(total, (expired - reserved).max(0));
        let shortage = draw(&mut cards, NanoUsd::new(amount)).nanos();
        prop_assert_eq!(before - sum(&cards) + shortage, amount);
        prop_assert!(shortage == 0 || sum(&cards) == 0);
        prop_assert!(cards.iter().all(|card| !card.remaining.is_negative()));
    }
}
