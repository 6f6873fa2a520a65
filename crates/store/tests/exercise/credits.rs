//! Credits: cards, months, what is owed, and the ledger that explains it.

use domain::credits::{CardKind, EntryKind, Overuse, next_anchor};
use domain::{Decimal, NanoUsd, Timestamp};
use store::{
    AccountScope, LedgerFilter, MAX_CREDITS, NewCard, PageRequest, Reservation, StoreError,
};

use crate::purse::{INCLUDED, Purse, card};
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_new_account_has_this_months_credits,
    an_account_from_before_credits_has_them_too,
    missed_months_bring_one_card,
    a_subscription_begins_with_a_full_card,
    cards_are_spent_earliest_expiry_first,
    what_is_reserved_lapses_after_it_is_settled,
    the_thirteenth_card_merges_those_of_one_day,
    a_reference_is_granted_once,
    what_cannot_be_granted_is_refused,
    block_refuses_what_is_not_covered,
    debt_is_repaid_by_the_next_card,
    forgiven_charges_leave_no_debt,
    the_ledger_tells_each_change,
    a_narrowed_ledger_has_the_balances_of_the_whole,
    ledger_rows_cannot_be_changed_or_removed,
    the_check_finds_what_was_tampered_with,
    the_check_tells_of_amounts_beyond_all_bounds,
    a_rate_is_set_and_reaches_the_data_plane,
    a_former_admin_grants_nothing_and_sets_no_rate,
    another_accounts_credits_are_apart,
];

const DAY_MS: i64 = 86_400_000;

async fn scope(purse: &Purse) -> AccountScope {
    purse.world.account(&purse.person).await
}

fn values(credits: &store::CreditsRow) -> Vec<(CardKind, i64)> {
    let value = |card: &store::CardRow| (card.kind, card.remaining.nanos());
    credits.cards.iter().map(value).collect()
}

async fn a_new_account_has_this_months_credits(world: World) {
    let first = world.first().await;
    let person = world.person(&first, "new@example.com").await;
    let scope = world.account(&person).await;
    let within = world.store.within_account(&scope);
    let credits = within.credits(NOW).await.expect("reads");
    assert_eq!(credits.available, INCLUDED);
    assert_eq!(credits.total, INCLUDED);
    assert_eq!(credits.monthly, INCLUDED);
    assert_eq!(credits.next_reset, Some(next_anchor(NOW, NOW)));
    assert_eq!(credits.rate, Decimal::ONE);
    assert_eq!(credits.cards.len(), 1);
    assert_eq!(credits.cards[0].kind, CardKind::Included);
    assert_eq!(credits.cards[0].expires_at, credits.next_reset);
    let again = within.credits(NOW).await.expect("reads");
    assert_eq!(again, credits, "looking twice gives nothing twice");
}

async fn an_account_from_before_credits_has_them_too(world: World) {
    let purse = Purse::empty(&world).await;
    // As the migration writes it.
    world
        .raw("UPDATE credit_accounts SET monthly = 2500000000, next_event_at = 0")
        .await
        .expect("as migrated");
    assert_eq!(purse.balance(NOW).await, (INCLUDED.nanos(), 0, 0));
    purse.is_sound().await;
}

async fn missed_months_bring_one_card(world: World) {
    let purse = Purse::empty(&world).await;
    purse.set_monthly(100, NOW).await;
    let request = purse.held(30, Overuse::Block).await;
    purse.settle(request, 30).await;
    assert_eq!(purse.balance(NOW).await, (70, 0, 0));
    let spent = purse.credits(NOW).await;
    assert_eq!(
        (spent.total.nanos(), values(&spent)),
        (100, vec![(CardKind::Included, 70)])
    );

    let reset = next_anchor(NOW, NOW);
    assert_eq!(purse.balance(reset.plus_millis(-1)).await, (70, 0, 0));
    assert_eq!(purse.balance(reset).await, (100, 0, 0));
    let later = NOW.plus_millis(200 * DAY_MS);
    let credits = purse.credits(later).await;
    assert_eq!(values(&credits), [(CardKind::Included, 100)]);
    assert_eq!(credits.next_reset, Some(next_anchor(NOW, later)));
    purse.is_sound().await;
    let count = world
        .number("SELECT count(*) FROM ledger_transactions WHERE kind = 'grant'")
        .await;
    assert_eq!(count, 3, "one for each month that was looked at");
}

async fn a_subscription_begins_with_a_full_card(world: World) {
    let purse = Purse::empty(&world).await;
    purse.grant(5, None).await;
    purse.set_monthly(100, NOW).await;
    let request = purse.held(40, Overuse::Block).await;
    purse.settle(request, 40).await;
    let upgrade = NOW.plus_millis(3 * DAY_MS);
    purse.set_monthly(1000, upgrade).await;
    let credits = purse.credits(upgrade).await;
    assert_eq!(
        values(&credits),
        [(CardKind::Included, 1000), (CardKind::Grant, 5)]
    );
    assert_eq!(credits.next_reset, Some(next_anchor(upgrade, upgrade)));
    purse.set_monthly(0, upgrade).await;
    let credits = purse.credits(upgrade).await;
    assert_eq!(values(&credits), [(CardKind::Grant, 5)]);
    assert_eq!(credits.next_reset, None);
    purse.is_sound().await;
}

async fn cards_are_spent_earliest_expiry_first(world: World) {
    let purse = Purse::empty(&world).await;
    let never = purse.grant(10, None).await;
    let late = purse.grant(10, Some(20 * DAY_MS)).await;
    let early = purse.grant(10, Some(10 * DAY_MS)).await;
    let request = purse.held(15, Overuse::Block).await;
    purse.settle(request, 15).await;
    let left = async || -> Vec<(i64, i64)> {
        purse
            .pairs(
                "SELECT id, remaining FROM credit_cards WHERE account_id = {account} ORDER BY id",
            )
            .await
    };
    assert_eq!(left().await, [(never.id, 10), (late.id, 5), (early.id, 0)]);
    let request = purse.held(6, Overuse::Block).await;
    purse.settle(request, 6).await;
    assert_eq!(left().await, [(never.id, 9), (late.id, 0), (early.id, 0)]);
    purse.is_sound().await;
}

async fn what_is_reserved_lapses_after_it_is_settled(world: World) {
    let purse = Purse::empty(&world).await;
    purse.grant(100, Some(DAY_MS)).await;
    purse.grant(20, None).await;
    let request = purse.held(30, Overuse::Block).await;
    let after = NOW.plus_millis(DAY_MS);
    assert_eq!(purse.balance(after).await, (20, 30, 0));
    assert_eq!(purse.balance(after).await, (20, 30, 0), "and not once more");
    let refused = purse.reserve(&purse.hold(21), after).await;
    assert!(matches!(refused, Reservation::CreditsExhausted { .. }));
    purse.settle(request, 10).await;
    assert_eq!(purse.balance(after).await, (20, 0, 0));
    purse.is_sound().await;
}

async fn the_thirteenth_card_merges_those_of_one_day(world: World) {
    let purse = Purse::empty(&world).await;
    for n in 0..12 {
        let card = NewCard {
            reference: Some(format!("order {n}")),
            ..card(10 + n, Some(NOW.plus_millis(DAY_MS * 100 * (1 + n % 6))))
        };
        purse.grant_card(&card, NOW).await.expect("granted");
    }
    assert_eq!(purse.credits(NOW).await.cards.len(), 12);
    purse.grant(1, None).await;
    let credits = purse.credits(NOW).await;
    assert_eq!(credits.cards.len(), 7);
    assert_eq!(credits.available.nanos(), 12 * 10 + 66 + 1);
    assert_eq!(credits.total, credits.available);
    let again = NewCard {
        reference: Some("order 3".to_owned()),
        ..card(13, Some(NOW.plus_millis(DAY_MS * 400)))
    };
    let (known, new) = purse.grant_card(&again, NOW).await.expect("known");
    assert_eq!(
        (known.granted.nanos(), new),
        (13, false),
        "a merged card's reference stays known"
    );
    purse.is_sound().await;
}

async fn a_reference_is_granted_once(world: World) {
    let purse = Purse::empty(&world).await;
    let order = NewCard {
        kind: CardKind::TopUp,
        reference: Some("invoice 7".to_owned()),
        ..card(50, None)
    };
    let (first, new) = purse.grant_card(&order, NOW).await.expect("granted");
    assert!(new);
    let traces = world.traces().await;
    let (second, new) = purse
        .grant_card(&order, NOW.plus_millis(5))
        .await
        .expect("known");
    assert_eq!((second, new), (first, false));
    for other in [
        NewCard {
            amount: NanoUsd::new(51),
            ..order.clone()
        },
        NewCard {
            kind: CardKind::Grant,
            ..order.clone()
        },
        NewCard {
            expires_at: Some(NOW.plus_millis(DAY_MS)),
            ..order.clone()
        },
    ] {
        let refused = purse.grant_card(&other, NOW).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{other:?}");
    }
    assert_eq!(world.traces().await, traces);

    let fresh = NewCard {
        reference: Some("invoice 8".to_owned()),
        ..order
    };
    let (here, there) = tokio::join!(purse.grant_card(&fresh, NOW), purse.grant_card(&fresh, NOW));
    let new = [here.expect("here").1, there.expect("there").1];
    assert_eq!(new.iter().filter(|new| **new).count(), 1);
    assert_eq!(purse.balance(NOW).await, (100, 0, 0));
    purse.is_sound().await;
}

async fn what_cannot_be_granted_is_refused(world: World) {
    let purse = Purse::empty(&world).await;
    let traces = world.traces().await;
    let mut included = card(1, None);
    included.kind = CardKind::Included;
    for refused in [
        card(0, None),
        card(-1, None),
        card(MAX_CREDITS.nanos() + 1, None),
        card(1, Some(NOW)),
        included,
    ] {
        let outcome = purse.grant_card(&refused, NOW).await;
        assert!(
            matches!(outcome, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    let nobody = world.id();
    let note = world.note("credits.grant");
    let outcome = world
        .store
        .system()
        .grant_credits(&purse.admin, nobody, &card(1, None), &note, NOW)
        .await;
    assert!(matches!(outcome, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, traces);
    purse
        .grant_card(&card(MAX_CREDITS.nanos(), None), NOW)
        .await
        .expect("the most");
    let outcome = purse.grant_card(&card(1, None), NOW).await;
    assert!(matches!(outcome, Err(StoreError::Conflict(_))));
    purse.is_sound().await;
}

async fn block_refuses_what_is_not_covered(world: World) {
    let purse = Purse::with(&world, 10).await;
    let refused = purse.reserve(&purse.hold(11), NOW).await;
    let exhausted = Reservation::CreditsExhausted {
        available: NanoUsd::new(10),
        needed: NanoUsd::new(11),
        resets_at: None,
    };
    assert_eq!(refused, exhausted);
    let request = purse.held(10, Overuse::Block).await;
    // More than was held: owed after all.
    purse.settle(request, 13).await;
    assert_eq!(purse.balance(NOW).await, (-3, 0, 3));
    purse.set_monthly(2, NOW).await;
    assert_eq!(purse.balance(NOW).await, (-1, 0, 1));
    let refused = purse.reserve(&purse.hold(1), NOW).await;
    let exhausted = Reservation::CreditsExhausted {
        available: NanoUsd::new(-1),
        needed: NanoUsd::new(1),
        resets_at: Some(next_anchor(NOW, NOW)),
    };
    assert_eq!(refused, exhausted);
    purse.is_sound().await;
}

async fn debt_is_repaid_by_the_next_card(world: World) {
    let purse = Purse::with(&world, 10).await;
    let first = purse.held(100, Overuse::Debt).await;
    assert_eq!(purse.balance(NOW).await, (-90, 100, 0));
    let hold = store::NewHold {
        overuse: Overuse::Debt,
        ..purse.hold(1)
    };
    let refused = purse.reserve(&hold, NOW).await;
    assert!(
        matches!(refused, Reservation::CreditsExhausted { .. }),
        "nothing is left"
    );
    purse.settle(first, 60).await;
    assert_eq!(purse.balance(NOW).await, (-50, 0, 50));
    let refused = purse.reserve(&hold, NOW).await;
    assert!(
        matches!(refused, Reservation::CreditsExhausted { .. }),
        "a debt blocks"
    );
    let partly = purse.grant(20, None).await;
    assert_eq!((partly.granted.nanos(), partly.remaining.nanos()), (20, 0));
    assert_eq!(purse.balance(NOW).await, (-30, 0, 30));
    let rest = purse.grant(50, None).await;
    assert_eq!((rest.granted.nanos(), rest.remaining.nanos()), (50, 20));
    assert_eq!(purse.balance(NOW).await, (20, 0, 0));
    purse.is_sound().await;
}

async fn forgiven_charges_leave_no_debt(world: World) {
    let purse = Purse::with(&world, 10).await;
    let first = purse.held(100, Overuse::Forgive).await;
    purse.settle(first, 60).await;
    assert_eq!(purse.balance(NOW).await, (0, 0, 0));
    let hold = store::NewHold {
        overuse: Overuse::Forgive,
        ..purse.hold(1)
    };
    let refused = purse.reserve(&hold, NOW).await;
    assert!(matches!(refused, Reservation::CreditsExhausted { .. }));
    let forgiven = world
        .number("SELECT CAST(sum(amount) AS BIGINT) FROM ledger_entries WHERE ledger_account = 'forgiven'")
        .await;
    assert_eq!(forgiven, -50);
    purse.is_sound().await;
}

async fn the_ledger_tells_each_change(world: World) {
    let purse = Purse::empty(&world).await;
    let bought = NewCard {
        kind: CardKind::TopUp,
        reference: Some("invoice 1".to_owned()),
        ..card(100, Some(NOW.plus_millis(DAY_MS)))
    };
    let (bought, _) = purse.grant_card(&bought, NOW).await.expect("granted");
    let request = purse.held(50, Overuse::Block).await;
    purse.settle(request, 30).await;
    let back = NewCard {
        kind: CardKind::Refund,
        ..card(7, None)
    };
    let (back, _) = purse.grant_card(&back, NOW).await.expect("granted");
    purse.balance(NOW.plus_millis(DAY_MS)).await;

    let scope = scope(&purse).await;
    let within = world.store.within_account(&scope);
    let mut rows = Vec::new();
    let mut page = PageRequest {
        limit: 3,
        after: None,
    };
    loop {
        let all = LedgerFilter::default();
        let got = within.ledger(&all, &page).await.expect("lists");
        rows.extend(got.items);
        page.after = got.next;
        if page.after.is_none() {
            break;
        }
    }
    let told: Vec<(EntryKind, i64, i64)> = rows
        .iter()
        .map(|row| (row.kind, row.amount.nanos(), row.balance.nanos()))
        .collect();
    let expected = [
        (EntryKind::Expiry, -70, 7),
        (EntryKind::Refund, 7, 77),
        (EntryKind::Charge, -30, 70),
        (EntryKind::Grant, 100, 100),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (rows[0].card, rows[0].card_kind),
        (Some(bought.id), Some(CardKind::TopUp))
    );
    assert_eq!((rows[1].card, rows[1].request), (Some(back.id), None));
    assert_eq!((rows[2].request, rows[2].card), (Some(request), None));
    assert_eq!(rows[3].reference.as_deref(), Some("invoice 1"));
    assert_eq!(rows[0].at, NOW.plus_millis(DAY_MS));
    let sum: i64 = rows.iter().map(|row| row.amount.nanos()).sum();
    assert_eq!(sum, 7);
    purse.is_sound().await;
}

async fn ledger_rows_cannot_be_changed_or_removed(world: World) {
    Purse::with(&world, 10).await;
    for statement in [
        "UPDATE ledger_entries SET amount = amount",
        "UPDATE ledger_transactions SET note = 'another'",
        "DELETE FROM ledger_entries",
        "DELETE FROM ledger_transactions",
        "INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
         SELECT ledger_account, transaction_id, 1 FROM ledger_entries WHERE amount > 0
         ON CONFLICT (ledger_account, transaction_id) DO UPDATE SET amount = 1",
    ] {
        assert!(world.raw(statement).await.is_err(), "{statement}");
    }
    let engines_own: &[&'static str] = match world.is_sqlite() {
        true => &[
            "INSERT OR REPLACE INTO ledger_transactions (id, at, account_id, kind, note)
             SELECT id, 1, account_id, kind, note FROM ledger_transactions",
            "INSERT OR REPLACE INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT ledger_account, transaction_id, 1 FROM ledger_entries",
        ],
        false => &[
            "TRUNCATE ledger_entries",
            "TRUNCATE ledger_transactions CASCADE",
        ],
    };
    for statement in engines_own {
        assert!(world.raw(statement).await.is_err(), "{statement}");
    }
    let count = world.number("SELECT count(*) FROM ledger_entries").await;
    assert_eq!(count, 2);
}

async fn the_check_finds_what_was_tampered_with(world: World) {
    let purse = Purse::with(&world, 10).await;
    let request = purse.held(4, Overuse::Block).await;
    purse.settle(request, 4).await;
    purse.held(2, Overuse::Block).await;
    purse.is_sound().await;
    for (tamper, mend, count) in [
        (
            "UPDATE credit_accounts SET available = available + 1",
            "UPDATE credit_accounts SET available = available - 1",
            2,
        ),
        (
            "UPDATE credit_accounts SET reserved = reserved + 1, available = available - 1",
            "UPDATE credit_accounts SET reserved = reserved - 1, available = available + 1",
            1,
        ),
        (
            "UPDATE credit_cards SET remaining = remaining - 1",
            "UPDATE credit_cards SET remaining = remaining + 1",
            1,
        ),
        (
            "UPDATE credit_accounts SET debt = 1",
            "UPDATE credit_accounts SET debt = 0",
            2,
        ),
        (
            "UPDATE usage SET charge = charge + 1",
            "UPDATE usage SET charge = charge - 1",
            1,
        ),
    ] {
        world.raw(tamper).await.expect("tampered");
        let findings = world.store.system().check_ledger().await.expect("checks");
        assert_eq!(findings.len(), count, "{tamper}: {findings:?}");
        world.raw(mend).await.expect("mended");
        purse.is_sound().await;
    }
    world
        .raw(
            "INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT 'nobody', id, 5 FROM ledger_transactions WHERE kind = 'charge'",
        )
        .await
        .expect("tampered");
    let findings = world.store.system().check_ledger().await.expect("checks");
    assert_eq!(findings.len(), 2, "{findings:?}");
}

async fn the_check_tells_of_amounts_beyond_all_bounds(world: World) {
    let purse = Purse::with(&world, 10).await;
    world
        .raw(
            "INSERT INTO ledger_transactions (at, account_id, kind, note)
             SELECT 1, account_id, 'grant', 'n' FROM credit_accounts;
             INSERT INTO ledger_transactions (at, account_id, kind, note)
             SELECT 2, account_id, 'grant', 'n' FROM credit_accounts;
             INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT account_id, id, 9223372036854775807 FROM ledger_transactions WHERE at < 3;
             INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT 'issued', id, -9223372036854775807 FROM ledger_transactions WHERE at < 3",
        )
        .await
        .expect("tampered");
    let findings = world.store.system().check_ledger().await.expect("checks");
    let told = format!(
        "{}: ledger entries sum to 18446744073.709551624 USD, but available and reserved to 0.00000001 USD",
        purse.account()
    );
    assert_eq!(findings, [told]);
    world
        .raw(
            "UPDATE credit_accounts SET available = 9223372036854775807,
                                        reserved = 9223372036854775807;
             INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT 'expired', id, 9223372036854775807 FROM ledger_transactions WHERE at < 3;
             INSERT INTO ledger_entries (ledger_account, transaction_id, amount)
             SELECT 'revenue', id, 1 FROM ledger_transactions WHERE at = 1",
        )
        .await
        .expect("tampered");
    let findings = world.store.system().check_ledger().await.expect("checks");
    assert_eq!(findings.len(), 5, "{findings:?}");
    let sum = "has 4 entries that sum to 9223372036.854775808 USD";
    assert!(findings[0].ends_with(sum), "{findings:?}");
}

async fn a_rate_is_set_and_reaches_the_data_plane(world: World) {
    let purse = Purse::empty(&world).await;
    assert_eq!(purse.credits(NOW).await.rate, Decimal::ONE);
    let rate: Decimal = "1.25".parse().expect("a decimal");
    let system = world.store.system();
    let before = world.store.revision().floor(purse.account());
    let note = world.note("credits.rate");
    system
        .set_rate(&purse.admin, purse.account(), rate, &note, NOW)
        .await
        .expect("set");
    assert!(world.store.revision().floor(purse.account()) > before);
    assert_eq!(purse.credits(NOW).await.rate, rate);
    let nobody = world.id();
    let outcome = system
        .set_rate(&purse.admin, nobody, rate, &world.note("credits.rate"), NOW)
        .await;
    assert!(matches!(outcome, Err(StoreError::NotFound)));
    // A hold that is settled writes the balance, and not the rate.
    purse.grant(10, None).await;
    let request = purse.held(5, Overuse::Block).await;
    purse.settle(request, 5).await;
    assert_eq!(purse.credits(NOW).await.rate, rate);
}

async fn a_former_admin_grants_nothing_and_sets_no_rate(world: World) {
    let purse = Purse::empty(&world).await;
    world
        .raw("UPDATE users SET instance_admin = 0")
        .await
        .expect("demoted");
    let before = world.traces().await;
    let granted = purse.grant_card(&card(100, None), NOW).await;
    assert!(
        matches!(granted, Err(StoreError::Conflict(_))),
        "{granted:?}"
    );
    let note = world.note("credits.rate");
    let system = world.store.system();
    let set = system
        .set_rate(&purse.admin, purse.account(), Decimal::ONE, &note, NOW)
        .await;
    assert!(matches!(set, Err(StoreError::Conflict(_))), "{set:?}");
    assert_eq!(world.traces().await, before);
}

async fn a_narrowed_ledger_has_the_balances_of_the_whole(world: World) {
    let purse = Purse::empty(&world).await;
    let later = |number: i64| NOW.plus_millis(number * 1000);
    for number in 0..4 {
        let granted = purse.grant_card(&card(100, None), later(number)).await;
        granted.expect("granted");
        let request = purse.held(30, Overuse::Block).await;
        purse.settle(request, 30).await;
    }
    // What a running call holds is no transaction, and no balance is without it.
    purse.held(50, Overuse::Block).await;
    let scope = scope(&purse).await;
    let within = world.store.within_account(&scope);
    let told = async |filter: LedgerFilter| {
        let mut told = Vec::new();
        let mut page = PageRequest {
            limit: 1,
            after: None,
        };
        loop {
            let got = within.ledger(&filter, &page).await.expect("lists");
            told.extend(got.items.iter().map(|row| row.balance.nanos()));
            page.after = got.next;
            if page.after.is_none() {
                return told;
            }
        }
    };
    let grants = LedgerFilter {
        kind: Some(EntryKind::Grant),
        ..LedgerFilter::default()
    };
    assert_eq!(told(grants).await, [310, 240, 170, 100]);
    let charges = LedgerFilter {
        kind: Some(EntryKind::Charge),
        ..LedgerFilter::default()
    };
    assert_eq!(told(charges).await, [280, 210, 140, 70]);
    let between = LedgerFilter {
        from: Some(later(1)),
        to: Some(later(3)),
        ..grants
    };
    assert_eq!(told(between).await, [240, 170]);
    for cursor in ["ledger.7", "ledger.7.x", "ledger.7.1.1", "ledger..1"] {
        let page = PageRequest {
            limit: 1,
            after: Some(cursor.to_owned()),
        };
        let refused = within.ledger(&grants, &page).await;
        assert!(
            matches!(refused, Err(StoreError::InvalidCursor)),
            "{cursor}"
        );
    }
}

async fn another_accounts_credits_are_apart(world: World) {
    let purse = Purse::with(&world, 10).await;
    let second = world.person(&purse.person, "second@example.com").await;
    let scope = world.account(&second).await;
    let theirs = world.store.within_account(&scope);
    let credits = theirs.credits(NOW).await.expect("reads");
    assert_eq!(credits.available, INCLUDED);
    let request = purse.held(10, Overuse::Block).await;
    purse.settle(request, 10).await;
    let credits = theirs.credits(NOW).await.expect("reads");
    assert_eq!(credits.available, INCLUDED);
    let all = LedgerFilter::default();
    let ledger = theirs.ledger(&all, &PageRequest::default()).await;
    assert_eq!(ledger.expect("lists").items.len(), 1);
    let as_admin = world
        .store
        .system()
        .account_credits(&purse.admin, second.account, NOW)
        .await;
    assert_eq!(as_admin.expect("reads"), credits);
    let outcome = world
        .store
        .system()
        .account_credits(&purse.admin, world.id(), Timestamp::from_millis(0))
        .await;
    assert!(matches!(outcome, Err(StoreError::NotFound)));
    purse.is_sound().await;
}
