//! One call, one charge: races, retries, dead nodes, and the cap on managed fallback.

use std::collections::BTreeSet;

use domain::credits::{Overuse, next_month};
use domain::price::Pricing;
use domain::{NanoUsd, RequestId, Timestamp, Usage};
use store::{
    LEASE_MS, ManagedFallback, NewHold, PageRequest, Reservation, StoreError, UsageFilter, UsageRow,
};

use crate::purse::Purse;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    two_hundred_calls_on_a_balance_for_fifty_admit_fifty,
    a_call_has_one_hold,
    a_settled_call_is_not_charged_again,
    two_tasks_that_settle_at_once_charge_once,
    an_unserved_call_gives_its_hold_back,
    own_keys_never_touch_credits,
    a_charge_without_a_hold_is_booked_once,
    a_long_batch_of_all_kinds_is_written_once,
    a_batch_is_written_whole_or_not_at_all,
    crossing_batches_do_not_wait_for_each_other,
    many_nodes_at_once_lose_nothing,
    a_dead_nodes_calls_are_settled_once,
    leases_say_when_nodes_renewed_them,
    names_of_nodes_are_forgotten_after_a_day,
    a_reaped_call_must_not_be_forwarded,
    a_hold_that_comes_after_the_end_is_given_back,
    the_fallback_cap_holds_and_ends_with_the_month,
    parallel_fallbacks_keep_within_the_cap,
    the_first_managed_fallback_of_a_key_is_audited,
    usage_adds_up_by_day_and_workspace,
];

const DAY_MS: i64 = 86_400_000;

async fn two_hundred_calls_on_a_balance_for_fifty_admit_fifty(world: World) {
    let purse = Purse::with(&world, 50 * 7).await;
    let other = world.other_node().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = if n % 2 == 0 { &world.store } else { &other }.clone();
        let hold = purse.hold(7);
        calls.spawn(async move { store.serving().reserve(&hold, NOW).await.expect("asks") });
    }
    let outcomes = calls.join_all().await;
    let admitted = outcomes
        .iter()
        .filter(|outcome| **outcome == Reservation::Reserved)
        .count();
    assert_eq!(admitted, 50);
    assert_eq!(purse.balance(NOW).await, (0, 350, 0));
    purse.is_sound().await;
}

async fn a_call_has_one_hold(world: World) {
    let purse = Purse::with(&world, 10).await;
    let hold = purse.hold(2);
    assert_eq!(purse.reserve(&hold, NOW).await, Reservation::Reserved);
    let again = world.store.serving().reserve(&hold, NOW).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
    for amount in [0, -1, i64::MAX] {
        let odd = world
            .store
            .serving()
            .reserve(&purse.hold(amount), NOW)
            .await;
        assert!(matches!(odd, Err(StoreError::Conflict(_))), "{amount}");
    }
    let mut nobodys = purse.hold(1);
    nobodys.row.account = world.id();
    let outcome = world.store.serving().reserve(&nobodys, NOW).await;
    assert!(matches!(outcome, Err(StoreError::NotFound)));
    assert_eq!(purse.balance(NOW).await, (8, 2, 0));
    purse.is_sound().await;
}

async fn a_settled_call_is_not_charged_again(world: World) {
    let purse = Purse::with(&world, 100).await;
    let request = purse.held(10, Overuse::Block).await;
    purse.settle(request, 6).await;
    assert_eq!(purse.balance(NOW).await, (94, 0, 0));
    for charge in [6, 9, 0] {
        purse.settle(request, charge).await;
        assert_eq!(purse.balance(NOW).await, (94, 0, 0));
    }
    // Twice in one batch, too.
    let request = purse.held(10, Overuse::Block).await;
    let rows = [purse.row(request, 4), purse.row(request, 5)];
    world
        .store
        .serving()
        .insert_usage(&rows)
        .await
        .expect("settled");
    assert_eq!(purse.balance(NOW).await, (90, 0, 0));
    purse.is_sound().await;
}

async fn a_long_batch_of_all_kinds_is_written_once(world: World) {
    let purse = Purse::with(&world, 1000).await;
    let mut rows = Vec::new();
    for n in 0..150 {
        let held = n % 50 == 7;
        let request = match held {
            true => purse.held(10, Overuse::Block).await,
            false => world.id(),
        };
        // As a file of the process keeps it meanwhile.
        let row = purse.row(request, if held { 4 } else { 0 });
        let row = UsageRow {
            model: Some(format!("model-{n}")),
            ..row
        };
        let mut bytes = Vec::new();
        row.write_to(&mut bytes);
        assert_eq!(UsageRow::from_bytes(&bytes).expect("a row"), row);
        rows.push(row);
    }
    let serving = world.store.serving();
    serving.insert_usage(&rows).await.expect("written");
    // All again, beside new ones; a call stands there twice.
    let fresh: Vec<UsageRow> = (0..70).map(|_| purse.row(world.id(), 0)).collect();
    let again: Vec<UsageRow> = [&rows[..], &fresh, &fresh[..40]].concat();
    serving.insert_usage(&again).await.expect("written");
    assert_eq!(purse.balance(NOW).await, (1000 - 3 * 4, 0, 0));
    purse.is_sound().await;
    rows.extend(fresh);
    rows.sort_by_key(|row| row.request);
    let mut written = purse.usage().await;
    written.sort_by_key(|row| row.request);
    assert_eq!(written, rows);
    assert!(UsageRow::from_bytes(b"{}").is_err());
}

async fn two_tasks_that_settle_at_once_charge_once(world: World) {
    let purse = Purse::with(&world, 1000).await;
    let other = world.other_node().await;
    for _ in 0..20 {
        let request = purse.held(10, Overuse::Block).await;
        let mut tasks = tokio::task::JoinSet::new();
        for (store, charge) in [(world.store.clone(), 6), (other.clone(), 6)] {
            let row = purse.row(request, charge);
            tasks.spawn(async move { store.serving().insert_usage(&[row]).await });
        }
        for outcome in tasks.join_all().await {
            outcome.expect("settled or ignored");
        }
    }
    assert_eq!(purse.balance(NOW).await, (1000 - 20 * 6, 0, 0));
    purse.is_sound().await;
}

async fn an_unserved_call_gives_its_hold_back(world: World) {
    let purse = Purse::with(&world, 10).await;
    let request = purse.held(10, Overuse::Block).await;
    assert_eq!(purse.balance(NOW).await, (0, 10, 0));
    purse.settle(request, 0).await;
    assert_eq!(purse.balance(NOW).await, (10, 0, 0));
    let charges = "SELECT count(*) FROM ledger_transactions WHERE kind = 'charge'";
    assert_eq!(world.number(charges).await, 0);
    purse.is_sound().await;
}

async fn own_keys_never_touch_credits(world: World) {
    let purse = Purse::with(&world, 10).await;
    let rows: Vec<UsageRow> = (0..100)
        .map(|_| UsageRow {
            cost: Some(NanoUsd::new(5)),
            key_source: Some(domain::policy::KeySource::Byok),
            ..purse.row(world.id(), 0)
        })
        .collect();
    world
        .store
        .serving()
        .insert_usage(&rows)
        .await
        .expect("written");
    assert_eq!(purse.balance(NOW).await, (10, 0, 0));
    assert_eq!(world.number("SELECT count(*) FROM usage").await, 100);
    assert_eq!(
        world
            .number("SELECT count(*) FROM ledger_transactions")
            .await,
        1
    );
}

async fn a_charge_without_a_hold_is_booked_once(world: World) {
    let purse = Purse::with(&world, 10).await;
    let request: RequestId = world.id();
    purse.settle(request, 13).await;
    purse.settle(request, 13).await;
    assert_eq!(purse.balance(NOW).await, (-3, 0, 3));
    purse.is_sound().await;
}

async fn a_batch_is_written_whole_or_not_at_all(world: World) {
    let purse = Purse::with(&world, 100).await;
    let request = purse.held(10, Overuse::Block).await;
    let nobodys = UsageRow {
        account: world.id(),
        ..purse.row(world.id(), 1)
    };
    let rows = [purse.row(request, 6), nobodys];
    let outcome = world.store.serving().insert_usage(&rows).await;
    assert!(matches!(outcome, Err(StoreError::NotFound)));
    assert_eq!(world.number("SELECT count(*) FROM usage").await, 0);
    assert_eq!(purse.balance(NOW).await, (90, 10, 0));
    purse.settle(request, 6).await;
    assert_eq!(purse.balance(NOW).await, (94, 0, 0));
    purse.is_sound().await;
}

async fn crossing_batches_do_not_wait_for_each_other(world: World) {
    let purse = Purse::with(&world, 100_000).await;
    let second = world.person(&purse.person, "second@example.com").await;
    let other = world.other_node().await;
    for _ in 0..10 {
        let rows: Vec<UsageRow> = (0..10)
            .map(|n| UsageRow {
                account: if n % 2 == 0 {
                    purse.account()
                } else {
                    second.account
                },
                ..purse.row(world.id(), 3)
            })
            .collect();
        let backwards: Vec<UsageRow> = rows.iter().rev().cloned().collect();
        let mut tasks = tokio::task::JoinSet::new();
        for (store, rows) in [(world.store.clone(), rows), (other.clone(), backwards)] {
            tasks.spawn(async move { store.serving().insert_usage(&rows).await });
        }
        for outcome in tasks.join_all().await {
            outcome.expect("no deadlock");
        }
    }
    assert_eq!(purse.balance(NOW).await, (100_000 - 10 * 5 * 3, 0, 0));
    purse.is_sound().await;
}

async fn many_nodes_at_once_lose_nothing(world: World) {
    let purse = Purse::with(&world, 5_000).await;
    let second = world.person(&purse.person, "second@example.com").await;
    let mut nodes = tokio::task::JoinSet::new();
    for (node, store) in [("a", world.store.clone()), ("b", world.other_node().await)] {
        for task in 0..4 {
            let holds: Vec<NewHold> = (0..25)
                .map(|n| {
                    let mut hold = of_node(node, purse.hold(20 + n));
                    if n % 3 == 0 {
                        hold.row.account = second.account;
                    }
                    hold
                })
                .collect();
            let store = store.clone();
            nodes.spawn(async move { serve(&store, holds, task).await });
        }
    }
    // Meanwhile somebody reaps the living by mistake, somebody buys, and somebody looks.
    for n in 0..20 {
        let system = world.store.system();
        let reaped = match n % 5 {
            0 => system.reap_others("c", NOW).await,
            _ => system.reap_node(["a", "b", "c"][n as usize % 3], NOW).await,
        };
        reaped.expect("reaps");
        purse.grant(1, Some(DAY_MS * (n + 1))).await;
        purse.is_sound().await;
    }
    let charged: i64 = nodes.join_all().await.into_iter().sum();
    world
        .store
        .system()
        .reap_others("c", NOW)
        .await
        .expect("reaps");
    purse.is_sound().await;
    let booked = world
        .number("SELECT CAST(sum(amount) AS BIGINT) FROM ledger_entries WHERE ledger_account = 'revenue'")
        .await;
    let told = world
        .number("SELECT CAST(sum(charge) AS BIGINT) FROM usage")
        .await;
    assert_eq!(booked, told);
    assert!(
        booked >= charged,
        "what a node knows to be charged is booked"
    );
    assert_eq!(world.number("SELECT count(*) FROM credit_holds").await, 0);
    assert_eq!(
        world
            .number("SELECT CAST(sum(reserved) AS BIGINT) FROM credit_accounts")
            .await,
        0
    );
}

/// Reserves, forwards and settles calls, and returns what was surely charged: calls whose hold was still there
/// when they were forwarded are charged at least as much, by this node or by whoever reaped them.
async fn serve(store: &store::Store, holds: Vec<NewHold>, task: usize) -> i64 {
    let mut charged = 0;
    let mut rows = Vec::new();
    for hold in holds {
        let serving = store.serving();
        let reserved = serving.reserve(&hold, NOW).await.expect("asks");
        if reserved != Reservation::Reserved || serving.mark_forwarded(hold.request).await.is_err()
        {
            continue;
        }
        let charge = hold.amount.nanos() - 3;
        charged += charge;
        rows.push(UsageRow {
            charge: NanoUsd::new(charge),
            ..hold.row
        });
        if rows.len() > task {
            serving.insert_usage(&rows).await.expect("settled");
            rows.clear();
        }
    }
    store.serving().insert_usage(&rows).await.expect("settled");
    charged
}

fn of_node(node: &str, hold: NewHold) -> NewHold {
    NewHold {
        node: node.to_owned(),
        ..hold
    }
}

async fn usage_rows(purse: &Purse) -> Vec<UsageRow> {
    let scope = purse
        .world
        .scope(&purse.person, domain::access::Action::ReadUsage)
        .await;
    let within = purse.world.store.within(&scope);
    let page = within
        .usage(UsageFilter::default(), &PageRequest::default())
        .await;
    page.expect("lists").items
}

async fn a_dead_nodes_calls_are_settled_once(world: World) {
    let purse = Purse::with(&world, 100).await;
    let system = world.store.system();
    assert!(system.renew_lease("dead", NOW).await.expect("renewed"));
    let mut sent = of_node("dead", purse.hold(20));
    sent.interrupted = NanoUsd::new(15);
    sent.row.usage = Some(Usage {
        input_tokens: 3,
        ..Usage::default()
    });
    sent.row.cost = Some(NanoUsd::new(14));
    sent.row.pricing = Some(Pricing::Estimated);
    let mut unpriced = of_node("dead", purse.hold(10));
    unpriced.interrupted = NanoUsd::new(4);
    unpriced.row.usage = sent.row.usage;
    unpriced.row.cost = None;
    unpriced.row.pricing = Some(Pricing::Unpriced);
    let mut kept = of_node("dead", purse.hold(30));
    kept.row = UsageRow {
        request: kept.request,
        ..sent.row.clone()
    };
    for hold in [&sent, &unpriced, &kept] {
        assert_eq!(purse.reserve(hold, NOW).await, Reservation::Reserved);
    }
    let serving = world.store.serving();
    for hold in [&sent, &unpriced] {
        serving.mark_forwarded(hold.request).await.expect("marked");
    }

    let later = NOW.plus_millis(LEASE_MS + 1);
    let reap = async |node| system.reap_node(node, later).await.expect("reaps");
    assert_eq!(reap("alive").await, 0, "not its own");
    assert_eq!(reap("dead").await, 3);
    assert_eq!(purse.balance(later).await, (81, 0, 0));
    let rows = usage_rows(&purse).await;
    assert_eq!(rows.len(), 3);
    let row = |request| {
        rows.iter()
            .find(|row| row.request == request)
            .expect("its row")
    };
    let expected = UsageRow {
        status: 499,
        error_code: Some("interrupted".to_owned()),
        charge: NanoUsd::new(15),
        ..sent.row.clone()
    };
    assert_eq!(*row(sent.request), expected);
    let expected = UsageRow {
        status: 499,
        error_code: Some("interrupted".to_owned()),
        charge: NanoUsd::new(4),
        ..unpriced.row.clone()
    };
    assert_eq!(*row(unpriced.request), expected);
    let expected = UsageRow {
        status: 499,
        error_code: Some("interrupted".to_owned()),
        usage: None,
        cost: None,
        pricing: None,
        catalog_version: None,
        charge: NanoUsd::ZERO,
        ..kept.row.clone()
    };
    assert_eq!(*row(kept.request), expected);

    // The node was only slow, and tells how its call ended after all.
    purse.settle(sent.request, 20).await;
    purse.settle(kept.request, 20).await;
    purse.settle(unpriced.request, 20).await;
    assert_eq!(purse.balance(later).await, (81, 0, 0));
    assert_eq!(usage_rows(&purse).await, rows);
    assert!(
        !system.renew_lease("dead", later).await.expect("renewed"),
        "it had lapsed"
    );
    assert_eq!(reap("dead").await, 0);
    purse.is_sound().await;
}

async fn leases_say_when_nodes_renewed_them(world: World) {
    let purse = Purse::with(&world, 100).await;
    let system = world.store.system();
    let leases = async || {
        let mut leases = system.leases().await.expect("reads");
        leases.sort();
        leases
    };
    let of = |node: &str, until| (node.to_owned(), until);
    system.renew_lease("a", NOW).await.expect("renewed");
    assert_eq!(leases().await, [], "nobody holds anything");
    for hold in [
        of_node("a", purse.hold(20)),
        of_node("a", purse.hold(1)),
        of_node("b", purse.hold(5)),
    ] {
        assert_eq!(purse.reserve(&hold, NOW).await, Reservation::Reserved);
    }
    let until = |at: Timestamp| Some(at.plus_millis(LEASE_MS));
    assert_eq!(leases().await, [of("a", until(NOW)), of("b", None)]);
    // By the node's own clock, wherever that goes.
    for (at, in_time) in [(5, true), (-9_000_000, true), (9_000_000, false)] {
        let at = NOW.plus_millis(at);
        let renewed = system.renew_lease("a", at).await;
        assert_eq!(renewed.expect("renewed"), in_time);
        assert_eq!(leases().await, [of("a", until(at)), of("b", None)]);
    }
    let reap = async |node| system.reap_node(node, NOW).await.expect("reaps");
    assert_eq!((reap("b").await, reap("b").await), (1, 0));
    assert_eq!(purse.balance(NOW).await, (79, 21, 0));
    // At the start of a node that knows itself alone.
    let others = async |node| system.reap_others(node, NOW).await.expect("reaps");
    assert_eq!(others("a").await, 0);
    assert_eq!(others("c").await, 2);
    assert_eq!(purse.balance(NOW).await, (100, 0, 0));
    purse.is_sound().await;
}

async fn names_of_nodes_are_forgotten_after_a_day(world: World) {
    let purse = Purse::with(&world, 100).await;
    let system = world.store.system();
    let renew = async |node, at| system.renew_lease(node, at).await.expect("renewed");
    for node in ["idle", "busy"] {
        renew(node, NOW).await;
    }
    let hold = of_node("busy", purse.hold(20));
    assert_eq!(purse.reserve(&hold, NOW).await, Reservation::Reserved);
    let nodes = async || world.number("SELECT count(*) FROM nodes").await;
    renew("first", NOW.plus_millis(DAY_MS)).await;
    assert_eq!(nodes().await, 3);
    renew("second", NOW.plus_millis(2 * DAY_MS)).await;
    assert_eq!(nodes().await, 3, "one came, and the idle one is gone");
    system.reap_others("second", NOW).await.expect("reaps");
    renew("third", NOW.plus_millis(2 * DAY_MS)).await;
    assert_eq!(nodes().await, 3, "one came, and the busy one is gone");
}

async fn a_reaped_call_must_not_be_forwarded(world: World) {
    let purse = Purse::with(&world, 100).await;
    let hold = purse.hold(20);
    assert_eq!(purse.reserve(&hold, NOW).await, Reservation::Reserved);
    let serving = world.store.serving();
    serving.mark_forwarded(hold.request).await.expect("marked");
    serving
        .mark_forwarded(hold.request)
        .await
        .expect("marked again");
    world
        .store
        .system()
        .reap_others("c", NOW)
        .await
        .expect("reaps");
    for request in [hold.request, world.id()] {
        let outcome = serving.mark_forwarded(request).await;
        assert!(matches!(outcome, Err(StoreError::NotFound)));
    }
}

async fn a_hold_that_comes_after_the_end_is_given_back(world: World) {
    let purse = Purse::with(&world, 100).await;
    let hold = purse.hold(20);
    purse.settle(hold.request, 5).await;
    assert_eq!(purse.reserve(&hold, NOW).await, Reservation::Reserved);
    assert_eq!(purse.balance(NOW).await, (75, 20, 0));
    purse.settle(hold.request, 9).await;
    assert_eq!(purse.balance(NOW).await, (95, 0, 0));
    purse.is_sound().await;
}

fn capped(hold: NewHold, cap: i64) -> NewHold {
    NewHold {
        fallback_cap: Some(NanoUsd::new(cap)),
        ..hold
    }
}

async fn the_fallback_cap_holds_and_ends_with_the_month(world: World) {
    let purse = Purse::with(&world, 1000).await;
    let refused = |spent| Reservation::FallbackCapReached {
        cap: NanoUsd::new(10),
        spent: NanoUsd::new(spent),
        resets_at: next_month(NOW),
    };
    let traces = world.traces().await;
    assert_eq!(
        purse.reserve(&capped(purse.hold(11), 10), NOW).await,
        refused(0)
    );
    let first = capped(purse.hold(6), 10);
    assert_eq!(purse.reserve(&first, NOW).await, Reservation::Reserved);
    assert_eq!(
        purse.reserve(&capped(purse.hold(5), 10), NOW).await,
        refused(6)
    );
    assert_eq!(
        purse.balance(NOW).await,
        (994, 6, 0),
        "a refusal holds nothing"
    );
    // It cost less than was held, and another one was not served at all.
    purse.settle(first.request, 2).await;
    let second = capped(purse.hold(8), 10);
    assert_eq!(purse.reserve(&second, NOW).await, Reservation::Reserved);
    assert_eq!(
        purse.reserve(&capped(purse.hold(1), 10), NOW).await,
        refused(10)
    );
    purse.settle(second.request, 0).await;
    assert_eq!(
        purse.reserve(&capped(purse.hold(9), 10), NOW).await,
        refused(2)
    );

    // A call over the end of the month counts in the month of its hold.
    let last = next_month(NOW).plus_millis(-1);
    let across = capped(purse.hold(8), 10);
    assert_eq!(purse.reserve(&across, last).await, Reservation::Reserved);
    let fresh = capped(purse.hold(10), 10);
    assert_eq!(
        purse.reserve(&fresh, next_month(NOW)).await,
        Reservation::Reserved
    );
    purse.settle(across.request, 30).await;
    let months = purse
        .pairs("SELECT spent, spent FROM fallback_spend ORDER BY month")
        .await;
    assert_eq!(months, [(32, 32), (10, 10)]);
    // Without a cap nothing is counted, and credits come first.
    assert_eq!(
        purse.reserve(&purse.hold(100), NOW).await,
        Reservation::Reserved
    );
    let beyond = purse.reserve(&capped(purse.hold(5000), 10), NOW).await;
    assert!(matches!(beyond, Reservation::CreditsExhausted { .. }));
    assert!(world.traces().await != traces);
    purse.is_sound().await;
}

async fn parallel_fallbacks_keep_within_the_cap(world: World) {
    let purse = Purse::with(&world, 1000).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = world.store.clone();
        let hold = capped(purse.hold(3), 30);
        calls.spawn(async move { store.serving().reserve(&hold, NOW).await.expect("asks") });
    }
    let outcomes = calls.join_all().await;
    let admitted = outcomes
        .iter()
        .filter(|outcome| **outcome == Reservation::Reserved)
        .count();
    assert_eq!(admitted, 10);
    assert_eq!(purse.balance(NOW).await, (970, 30, 0));
    purse.is_sound().await;
}

async fn the_first_managed_fallback_of_a_key_is_audited(world: World) {
    let purse = Purse::empty(&world).await;
    let serving = world.store.serving();
    let fallback = ManagedFallback {
        key: world.id(),
        version: 1,
        account: purse.account(),
        workspace: purse.person.workspace,
        provider: "openai".parse().expect("a provider id"),
        label: "primary".parse().expect("a label"),
        request: world.id(),
    };
    let note = async |fallback: &ManagedFallback| {
        serving
            .note_managed_fallback(fallback, NOW)
            .await
            .expect("notes")
    };
    assert!(note(&fallback).await);
    assert!(!note(&fallback).await);
    let replaced = ManagedFallback {
        version: 2,
        request: world.id(),
        ..fallback.clone()
    };
    let (here, there) = tokio::join!(note(&replaced), note(&replaced));
    assert!(here != there, "of two at once, one is the first");
    let scope = world
        .scope(&purse.person, domain::access::Action::ReadAudit)
        .await;
    let rows = world
        .store
        .within(&scope)
        .audit(&PageRequest::default())
        .await;
    let rows = rows.expect("lists").items;
    assert_eq!(rows.len(), 2);
    let row = &rows[1];
    assert_eq!(row.action, "provider_key.managed_fallback");
    assert_eq!((row.actor.as_str(), row.outcome.as_str()), ("system", "ok"));
    assert_eq!(row.subject, Some(fallback.key.to_string()));
    assert_eq!(
        (&row.provider, &row.label),
        (&Some(fallback.provider), &Some(fallback.label))
    );
    assert_eq!(row.request, fallback.request);
}

async fn usage_adds_up_by_day_and_workspace(world: World) {
    let purse = Purse::with(&world, 1000).await;
    let second = world.person(&purse.person, "second@example.com").await;
    let tokens = Usage {
        input_tokens: 1,
        cached_input_tokens: 20,
        cache_write_tokens: 300,
        output_tokens: 4000,
        reasoning_tokens: 50,
    };
    let midnight = Timestamp::from_millis(NOW.millis() / DAY_MS * DAY_MS);
    let gone = world.id();
    let call = |at: i64, charge: i64| UsageRow {
        at: midnight.plus_millis(at),
        usage: Some(tokens),
        ..purse.row(world.id(), charge)
    };
    let rows = [
        call(-1, 1),
        call(0, 2),
        UsageRow {
            workspace: gone,
            ..call(DAY_MS - 1, 4)
        },
        UsageRow {
            usage: None,
            ..call(DAY_MS, 0)
        },
        UsageRow {
            account: second.account,
            ..call(0, 8)
        },
    ];
    world
        .store
        .serving()
        .insert_usage(&rows)
        .await
        .expect("written");
    let scope = world.account(&purse.person).await;
    let within = world.store.within_account(&scope);
    let days = async |from| -> Vec<(String, i64, i64, i64, i64)> {
        let days = within.usage_by_day(from).await.expect("adds up");
        days.into_iter()
            .map(|day| {
                let charge = day.charge.nanos();
                (
                    day.day,
                    day.requests,
                    day.input_tokens,
                    day.output_tokens,
                    charge,
                )
            })
            .collect()
    };
    let day = |days: i64| domain::credits::utc_day(midnight.plus_millis(days * DAY_MS));
    let all = [
        (day(-1), 1, 321, 4000, 1),
        (day(0), 2, 642, 8000, 6),
        (day(1), 1, 0, 0, 0),
    ];
    assert_eq!(days(midnight.plus_millis(-DAY_MS)).await, all);
    assert_eq!(days(midnight).await, all[1..]);
    assert_eq!(days(midnight.plus_millis(2 * DAY_MS)).await, []);

    let found = within.usage_by_workspace(midnight).await.expect("adds up");
    let found: BTreeSet<(String, Option<String>, i64, i64)> = found
        .into_iter()
        .map(|row| {
            (
                row.workspace.to_string(),
                row.name,
                row.requests,
                row.charge.nanos(),
            )
        })
        .collect();
    let own = purse.person.workspace.to_string();
    let expected = BTreeSet::from([
        (own, Some("Personal".to_owned()), 2, 2),
        (gone.to_string(), None, 1, 4),
    ]);
    assert_eq!(found, expected);
}
