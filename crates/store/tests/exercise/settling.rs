//! One call, one charge: races, retries, dead nodes, and the cap on managed fallback.

use std::collections::BTreeSet;

use domain::access::Action;
use domain::credits::{Overuse, next_month};
use domain::price::Pricing;
use domain::{NanoUsd, ProviderKeyId, RequestId, Timestamp, Usage, WorkspaceId};
use store::{
    AttemptRow, KeyHealth, LEASE_MS, ManagedFallback, NewHold, PageRequest, Reservation,
    StoreError, SumsRequest, UsageDimension, UsageFilter, UsageRow,
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
    sums_are_those_of_the_rows,
    sums_are_told_apart_by_what_is_asked,
    provider_keys_are_watched_for_a_day,
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
        .audit(&store::AuditFilter::default(), &PageRequest::default())
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

/// A request for everything near [`NOW`].
fn around_now(by: &[UsageDimension]) -> SumsRequest {
    let today = NOW.millis() / DAY_MS;
    SumsRequest {
        from_day: today - 3,
        to_day: today + 3,
        by: by.to_vec(),
        ..SumsRequest::default()
    }
}

async fn sums_are_those_of_the_rows(world: World) {
    let purse = Purse::with(&world, 10_000).await;
    let serving = world.store.serving();
    let tokens = |count| Usage {
        input_tokens: count,
        output_tokens: 2 * count,
        ..Usage::default()
    };
    // More than one statement adds, a call that is there twice, one that was held, and one that is interrupted.
    let mut rows = Vec::new();
    for n in 0..70 {
        rows.push(UsageRow {
            usage: Some(tokens(n)),
            status: if n % 10 == 0 { 500 } else { 200 },
            charge: NanoUsd::ZERO,
            ..purse.row(world.id(), 3)
        });
    }
    rows.push(rows[5].clone());
    let held = purse.held(10, Overuse::Block).await;
    rows.push(purse.row(held, 6));
    serving.insert_usage(&rows).await.expect("written");
    // All of it once more, as after an answer that was lost.
    serving.insert_usage(&rows).await.expect("written");
    let interrupted = purse.held(10, Overuse::Block).await;
    let reaped = world.store.system().reap_others("another", NOW).await;
    assert_eq!(reaped.expect("reaped"), 1);
    let scope = world.scope(&purse.person, Action::ReadUsage).await;
    let within = world.store.within(&scope);
    let total = within.usage_sums(&around_now(&[])).await.expect("adds up");
    let listed = purse.usage().await;
    assert!(listed.iter().any(|row| row.request == interrupted));
    let sum = |of: fn(&UsageRow) -> i64| listed.iter().map(of).sum::<i64>();
    assert_eq!(total.total.calls, 72);
    assert_eq!(total.total.calls, listed.len() as i64);
    assert_eq!(total.total.failed, sum(|row| i64::from(row.status >= 400)));
    let input = |row: &UsageRow| row.usage.map_or(0, |usage| usage.input_tokens as i64);
    assert_eq!(total.total.input_tokens, sum(input));
    assert_eq!(total.total.output_tokens, 2 * sum(input));
    assert_eq!(total.total.charge.nanos(), sum(|row| row.charge.nanos()));
    assert_eq!(
        total.total.cost.nanos(),
        sum(|row| row.cost.map_or(0, NanoUsd::nanos))
    );
    assert!(total.groups.is_empty() && !total.truncated);
}

async fn sums_are_told_apart_by_what_is_asked(world: World) {
    let purse = Purse::with(&world, 10_000).await;
    let own: ProviderKeyId = world.id();
    let platform: ProviderKeyId = world.id();
    let call = |day: i64, model: &str, cost: i64| UsageRow {
        at: NOW.plus_millis(day * DAY_MS),
        model: Some(model.to_owned()),
        ..purse.row(world.id(), cost)
    };
    let byok = |row: UsageRow| UsageRow {
        key_source: Some(domain::policy::KeySource::Byok),
        key: Some(own),
        charge: NanoUsd::ZERO,
        ..row
    };
    let nobody = |row: UsageRow| UsageRow {
        provider: None,
        model: None,
        key_source: None,
        status: 402,
        ..row
    };
    let gone: WorkspaceId = world.id();
    let rows = [
        call(0, "a", 1),
        call(0, "b", 20),
        call(-1, "a", 300),
        byok(call(-1, "b", 4_000)),
        nobody(call(0, "", 0)),
        UsageRow {
            key: Some(platform),
            ..call(-2, "a", 5)
        },
        UsageRow {
            workspace: gone,
            ..call(0, "a", 7)
        },
    ];
    let serving = world.store.serving();
    serving.insert_usage(&rows).await.expect("written");
    let scope = world.scope(&purse.person, Action::ReadUsage).await;
    let within = world.store.within(&scope);
    let sums = async |request: SumsRequest| within.usage_sums(&request).await.expect("adds up");
    let by_model = sums(around_now(&[UsageDimension::Model])).await;
    let found: Vec<(Option<&str>, i64, i64)> = by_model
        .groups
        .iter()
        .map(|it| (it.model.as_deref(), it.sums.calls, it.sums.cost.nanos()))
        .collect();
    assert_eq!(
        found,
        [(Some("b"), 2, 4_020), (Some("a"), 3, 306), (None, 1, 0)]
    );
    let by_day = sums(around_now(&[
        UsageDimension::Day,
        UsageDimension::KeySource,
    ]))
    .await;
    let day = |days: i64| domain::credits::utc_day(NOW.plus_millis(days * DAY_MS));
    let found: Vec<(String, Option<&str>, i64)> = by_day
        .groups
        .iter()
        .map(|it| {
            let day = it.day.clone().expect("a day");
            (day, it.key_source.as_deref(), it.sums.calls)
        })
        .collect();
    assert_eq!(
        found,
        [
            (day(-2), Some("managed"), 1),
            (day(-1), Some("byok"), 1),
            (day(-1), Some("managed"), 1),
            (day(0), Some("managed"), 2),
            (day(0), None, 1),
        ]
    );
    // Which of its keys the instance used is its own business.
    let by_key = sums(around_now(&[UsageDimension::ProviderKey])).await;
    let keys: BTreeSet<Option<String>> = by_key
        .groups
        .iter()
        .map(|it| it.provider_key.as_ref().map(|(id, _)| id.clone()))
        .collect();
    assert_eq!(keys, BTreeSet::from([None, Some(own.to_string())]));
    let of_platform = SumsRequest {
        provider_key: Some(platform),
        ..around_now(&[])
    };
    assert_eq!(sums(of_platform.clone()).await.total.calls, 0);
    let narrow = SumsRequest {
        model: Some("b".to_owned()),
        provider_key: Some(own),
        ..around_now(&[])
    };
    let narrow = sums(narrow).await.total;
    assert_eq!((narrow.calls, narrow.own_key_calls), (1, 1));
    assert_eq!(narrow.own_key_cost.nanos(), 4_000);
    // The account has what is left of deleted workspaces, the instance tells its keys apart.
    let scope = world.account(&purse.person).await;
    let account = world.store.within_account(&scope);
    let by_workspace = around_now(&[UsageDimension::Workspace]);
    let by_workspace = account.usage_sums(&by_workspace).await.expect("adds up");
    let found: BTreeSet<(String, Option<String>)> = by_workspace
        .groups
        .iter()
        .filter_map(|it| it.workspace.clone())
        .collect();
    let personal = (
        purse.person.workspace.to_string(),
        Some("Personal".to_owned()),
    );
    assert_eq!(found, BTreeSet::from([personal, (gone.to_string(), None)]));
    let system = world.store.system();
    let instance = system.usage_sums(&purse.admin, &of_platform).await;
    assert_eq!(instance.expect("adds up").total.calls, 1);
}

async fn provider_keys_are_watched_for_a_day(world: World) {
    const HOUR_MS: i64 = 3_600_000;
    let purse = Purse::with(&world, 10_000).await;
    let scope = world.scope(&purse.person, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let stored = world.put(&keys, "watched").await.context.key;
    let tried = |hours: i64, status: Option<i64>, outcome: &str| UsageRow {
        at: NOW.plus_millis(hours * HOUR_MS),
        attempts: vec![AttemptRow {
            provider: "openai".parse().expect("an id"),
            model: "gpt-x".to_owned(),
            key: Some(stored),
            label: None,
            key_source: domain::policy::KeySource::Byok,
            status,
            outcome: outcome.to_owned(),
            latency_ms: 1,
            key_scope: None,
            cost: None,
        }],
        ..purse.row(world.id(), 0)
    };
    let rows = [
        tried(0, Some(200), "ok"),
        tried(0, Some(401), "upstream_rejected"),
        tried(-23, Some(429), "rate_limited"),
        tried(-24, Some(429), "too old to be shown"),
        tried(-25, Some(401), "its slot is taken by this hour"),
        tried(-300, None, "long ago"),
    ];
    let serving = world.store.serving();
    for row in rows {
        serving.insert_usage(&[row]).await.expect("written");
    }
    serving
        .insert_usage(&[tried(0, None, "unreachable")])
        .await
        .expect("written");
    let health = async |hours: i64| {
        let all = keys.health(NOW.plus_millis(hours * HOUR_MS)).await;
        all.expect("reads").get(&stored).copied()
    };
    let now = KeyHealth {
        calls: 4,
        failed: 3,
        unauthorized: 1,
        rate_limited: 1,
    };
    assert_eq!(health(0).await, Some(now));
    assert_eq!(health(1).await.map(|it| it.calls), Some(3));
    assert_eq!(health(24).await, None);
    let system = world.store.system();
    let later = NOW.plus_millis(30 * HOUR_MS);
    assert!(system.prune_key_hours(later).await.expect("prunes") > 0);
    assert_eq!(health(0).await, None);
}
