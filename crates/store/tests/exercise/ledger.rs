//! Random operations, some cut off half-way, against a model that does the same in memory.
//!
//! After each step the balance, the cards, the holds and the charges of the account are those of the model, and
//! the ledger's own check finds nothing. A step that was cut off was done wholly or not at all.

mod model;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use domain::credits::{CardKind, Overuse};
use domain::{NanoUsd, PlanId, RequestId, Timestamp};
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use store::{NewCard, NewHold, Reservation};

use crate::purse::Purse;
use crate::world::{NOW, World, on_both_engines};
use model::{Model, State};

on_both_engines![whatever_happens_the_ledger_agrees_with_the_model];

const DAY_MS: i64 = 86_400_000;
const CASES: usize = 12;
const STEPS: usize = 60;
/// Amounts are whole credits, as those of plans are.
const CREDIT: i64 = NanoUsd::from_credits(1).nanos();
const MONTHLY: i64 = 30;
const NODES: [&str; 2] = ["north", "south"];

/// One thing that happens. Calls are named by their place among all calls so far.
#[derive(Debug, Clone)]
enum Op {
    Wait(i64),
    Look,
    Grant {
        amount: i64,
        days: Option<i64>,
        kind: CardKind,
    },
    GrantAgain,
    Monthly(i64),
    Reserve {
        amount: i64,
        overuse: Overuse,
        node: usize,
    },
    Forward(usize),
    Settle(usize, i64),
    Renew(usize),
    Reap(usize),
}

/// An operation, and after how many polls the program dies; `None`: it lives.
type Step = (Op, Option<u32>);

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        4 => 0_i64..5_000,
        1 => Just(31_000),
        1 => Just(DAY_MS),
        1 => Just(9 * DAY_MS),
        1 => Just(40 * DAY_MS),
    ];
    let kind = prop_oneof![
        Just(CardKind::Grant),
        Just(CardKind::TopUp),
        Just(CardKind::Refund),
    ];
    let days = prop_oneof![
        Just(None),
        (1_i64..4).prop_map(Some),
        (1_i64..200).prop_map(Some)
    ];
    let overuse = prop_oneof![
        Just(Overuse::Block),
        Just(Overuse::Debt),
        Just(Overuse::Forgive),
    ];
    let op = prop_oneof![
        3 => wait.prop_map(Op::Wait),
        1 => Just(Op::Look),
        6 => (credits(1..60), days, kind)
            .prop_map(|(amount, days, kind)| Op::Grant { amount, days, kind }),
        1 => Just(Op::GrantAgain),
        1 => (0_i64..80).prop_map(Op::Monthly),
        6 => (credits(1..40), overuse, 0..NODES.len())
            .prop_map(|(amount, overuse, node)| Op::Reserve { amount, overuse, node }),
        2 => (0_usize..40).prop_map(Op::Forward),
        6 => (0_usize..40, credits(0..100)).prop_map(|(call, charge)| Op::Settle(call, charge)),
        1 => (0..NODES.len()).prop_map(Op::Renew),
        1 => (0..NODES.len()).prop_map(Op::Reap),
    ];
    let dies = prop_oneof![3 => Just(None), 1 => (0_u32..30).prop_map(Some)];
    (op, dies)
}

fn credits(range: std::ops::Range<i64>) -> impl Strategy<Value = i64> {
    range.prop_map(|credits| credits * CREDIT)
}

async fn whatever_happens_the_ledger_agrees_with_the_model(world: World) {
    let first = world.first().await;
    let admin = world.instance(&first).await;
    let mut runner = TestRunner::default();
    for case in 0..CASES {
        let person = world.person(&first, &format!("{case}@example.com")).await;
        let purse = Purse {
            world: world.clone(),
            person,
            admin: admin.clone(),
        };
        let plan = purse.plan(MONTHLY, NOW).await;
        purse.subscribe(&plan, NOW).await;
        let steps = proptest::collection::vec(step(), STEPS)
            .new_tree(&mut runner)
            .expect("steps")
            .current();
        play(&purse, &steps).await;
        // The next account begins without this one's nodes.
        let end = NOW.plus_millis(10_000 * DAY_MS);
        let reaped = world.store.system().reap_others("none", end).await;
        reaped.expect("reaps");
        world.raw("DELETE FROM nodes").await.expect("deleted");
        purse.is_sound().await;
    }
}

/// What happened so far that later steps refer to.
struct Story {
    model: Model,
    now: Timestamp,
    calls: Vec<RequestId>,
    last_card: Option<NewCard>,
    /// The plan of the next subscription.
    plan: Option<PlanId>,
}

async fn play(purse: &Purse, steps: &[Step]) {
    let mut story = Story {
        model: Model::new(MONTHLY * CREDIT, NOW),
        now: NOW,
        calls: Vec::new(),
        last_card: None,
        plan: None,
    };
    for (index, (op, dies)) in steps.iter().enumerate() {
        let told = || format!("step {index} of {steps:#?}");
        let before = story.model.clone();
        if let Op::Monthly(credits) = op {
            story.plan = Some(purse.plan(*credits, story.now).await);
        }
        let finished = cut(*dies, act(purse, &mut story, op)).await;
        let state = observe(purse).await;
        match finished {
            Some(Ok(())) => assert_eq!(state, story.model.state(), "{}", told()),
            Some(Err(difference)) => panic!("{difference} at {}", told()),
            None if state == before.state() => story.model = before,
            None => assert_eq!(state, story.model.state(), "half of it, at {}", told()),
        }
        let findings = purse.world.store.system().check_ledger().await;
        assert_eq!(
            findings.expect("checks"),
            Vec::<String>::new(),
            "{}",
            told()
        );
    }
}

/// Runs a future to its end, or drops it after so many polls: what a killed program leaves in the database.
async fn cut<T>(polls: Option<u32>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|left| left - 1);
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Does it in the model first, then in the store, and compares the answers.
async fn act(purse: &Purse, story: &mut Story, op: &Op) -> Result<(), String> {
    let store = &purse.world.store;
    let now = story.now;
    match op {
        Op::Wait(millis) => story.now = now.plus_millis(*millis),
        Op::Look => {
            story.model.refresh(now);
            let credits = store
                .system()
                .account_credits(&purse.admin, purse.account(), now)
                .await
                .expect("reads");
            same(credits.available.nanos(), story.model.available)?;
        }
        Op::Grant { amount, days, kind } => {
            let card = NewCard {
                kind: *kind,
                amount: NanoUsd::new(*amount),
                expires_at: days.map(|days| now.plus_millis(days * DAY_MS)),
                reference: Some(format!("order {}", purse.world.id::<RequestId>())),
            };
            story.last_card = Some(card.clone());
            story.model.grant(*kind, *amount, card.expires_at, now);
            let (_, new) = purse.grant_card(&card, now).await.expect("granted");
            same(new, true)?;
        }
        Op::GrantAgain => {
            // A card whose grant was cut off may be new after all: then this is the first time.
            if let Some(card) = story.last_card.clone() {
                let known = format!(
                    "SELECT id, id FROM credit_cards WHERE reference = '{}'",
                    card.reference.as_deref().unwrap_or_default()
                );
                if !purse.pairs(&known).await.is_empty() {
                    let (_, new) = purse.grant_card(&card, now).await.expect("known");
                    same(new, false)?;
                }
            }
        }
        Op::Monthly(monthly) => {
            story.model.subscribe(monthly * CREDIT, now);
            let plan = story.plan.as_ref().expect("made before");
            purse.subscribe(plan, now).await;
        }
        Op::Reserve {
            amount,
            overuse,
            node,
        } => {
            let hold = NewHold {
                node: NODES[*node].to_owned(),
                overuse: *overuse,
                interrupted: NanoUsd::new(amount / 2),
                ..purse.hold(*amount)
            };
            let expected = story.model.reserve(&hold, now);
            if expected {
                story.calls.push(hold.request);
            }
            let reserved = purse.reserve(&hold, now).await == Reservation::Reserved;
            same(reserved, expected)?;
        }
        Op::Forward(call) => {
            if let Some(request) = pick(story, *call) {
                let expected = story.model.forward(request);
                let marked = store.serving().mark_forwarded(request).await.is_ok();
                same(marked, expected)?;
            }
        }
        Op::Settle(call, charge) => {
            if let Some(request) = pick(story, *call) {
                story.model.settle(request, *charge);
                purse.settle(request, *charge).await;
            }
        }
        Op::Renew(node) => {
            let expected = story.model.renew(NODES[*node], now);
            let living = store.system().renew_lease(NODES[*node], now).await;
            same(living.expect("renewed"), expected)?;
        }
        Op::Reap(node) => {
            story.model.reap(NODES[*node]);
            let reaped = store.system().reap_node(NODES[*node], now).await;
            reaped.expect("reaps");
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?} instead of {expected:?}"))
}

/// One of the calls, two times of three one that still runs.
fn pick(story: &Story, call: usize) -> Option<RequestId> {
    let running = story.model.running();
    let calls = match call % 3 {
        0 => &story.calls,
        _ if running.is_empty() => &story.calls,
        _ => &running,
    };
    (!calls.is_empty()).then(|| calls[call % calls.len()])
}

/// What the database says, after whatever a dropped transaction still had under way.
async fn observe(purse: &Purse) -> State {
    let pairs = async |statement: &str| purse.pairs(statement).await;
    // Waits for the account's lock.
    pairs(
        "UPDATE credit_accounts SET rate = rate WHERE account_id = {account}
         RETURNING available, reserved",
    )
    .await;
    let balance =
        pairs("SELECT available, reserved FROM credit_accounts WHERE account_id = {account}").await;
    let debt =
        pairs("SELECT debt, monthly FROM credit_accounts WHERE account_id = {account}").await;
    let cards = pairs(
        "SELECT remaining, COALESCE(expires_at, 9223372036854775807) FROM credit_cards
         WHERE account_id = {account} AND remaining > 0 ORDER BY 2, 1",
    )
    .await;
    let holds = pairs(
        "SELECT amount, forwarded FROM credit_holds
         WHERE account_id = {account} ORDER BY amount, forwarded",
    )
    .await;
    let charges = pairs(
        "SELECT count(*), CAST(COALESCE(sum(charge), 0) AS BIGINT) FROM usage u JOIN usage_groups g ON g.id = u.group_id
         WHERE account_id = {account}",
    )
    .await;
    let leases = pairs("SELECT lease_until, lease_until FROM nodes ORDER BY id").await;
    State {
        available: balance[0].0,
        reserved: balance[0].1,
        debt: debt[0].0,
        monthly: debt[0].1,
        cards,
        holds,
        charges: charges[0],
        leases: leases.into_iter().map(|(until, _)| until).collect(),
    }
}
