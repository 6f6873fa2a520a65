//! Generation runs: who reads them, who works on them, and what is left of one.

use domain::access::{Action, ApiScope, Role};
use domain::run::{OutputType, RunPlan, RunStatus, StepStatus, Visibility};
use domain::{RunId, Timestamp};
use store::{
    MAX_OPEN_RUNS, NewApiKey, NewRun, PageRequest, Piece, RunLease, RunPart, RunResult, RunRow,
    StoreError,
};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    a_run_is_worked_on_by_one_worker_and_keeps_what_was_made,
    a_worker_that_lost_a_run_changes_nothing_any_more,
    a_run_is_read_by_those_whom_it_is_shared_with,
    a_run_is_cancelled_and_tried_again,
    runs_are_bounded_and_end_with_their_time,
    places_are_shared_by_the_accounts_whose_runs_wait,
];

/// How many runs of an account a worker has at once.
const SHARE: i64 = 4;

/// A run of one picture that waits.
async fn waiting(world: &World, person: &Person) -> RunId {
    let scope = world.scope(person, Action::WriteRuns).await;
    let within = world.store.within(&scope);
    let api_key = match within.run_caller().await.expect("asks") {
        Some(known) => known,
        None => {
            let new = NewApiKey {
                id: world.id(),
                user: person.user,
                name: "Studio".to_owned(),
                prefix: "kb_123456".to_owned(),
                hash: world.hash(),
                scopes: vec![ApiScope::InferenceInvoke],
                default_model: None,
                expires_at: None,
            };
            let note = world.note("api_key.create");
            let minted = within.create_run_caller(&new, &note, NOW).await;
            minted.expect("minted");
            assert_eq!(within.run_caller().await.expect("asks"), Some(new.id));
            new.id
        }
    };
    let new = NewRun {
        id: world.id(),
        api_key,
        visibility: Visibility::Private,
        link_hash: None,
        prompt: "The sea.".to_owned(),
        plan: RunPlan::new(None, 1),
    };
    let note = world.note("run.create");
    within.create_run(new, &note, NOW).await.expect("made").id
}

fn lease(run: RunId, worker: &str) -> RunLease {
    RunLease {
        run,
        worker: worker.to_owned(),
    }
}

fn piece(from: u64, bytes: u32) -> Piece {
    Piece {
        step: 0,
        from,
        bytes,
    }
}

fn picture(content: &[u8]) -> RunResult {
    RunResult {
        step: 0,
        media_type: "image/png".to_owned(),
        content: content.to_vec(),
    }
}

async fn a_run_is_worked_on_by_one_worker_and_keeps_what_was_made(world: World) {
    let first = world.first().await;
    let id = waiting(&world, &first).await;
    let system = world.store.system();
    // Of many at once, one has it.
    let (a, b) = tokio::join!(
        system.claim_run("a", "a", SHARE, NOW),
        system.claim_run("b", "b", SHARE, NOW)
    );
    let (a, b) = (a.expect("asks"), b.expect("asks"));
    assert_ne!(a.is_some(), b.is_some(), "{a:?} {b:?}");
    let worker = if a.is_some() { "a" } else { "b" };
    let lease = lease(id, worker);
    let claimed = system
        .claimed_run(&lease)
        .await
        .expect("asks")
        .expect("has it");
    assert_eq!(
        (claimed.run.id, claimed.run.status),
        (id, RunStatus::Running)
    );
    assert_eq!(claimed.run.started_at, Some(NOW));
    let seen = system.run_leases().await.expect("asks");
    assert!(system.beat_run(&lease).await.expect("asks"));
    let again = system.run_leases().await.expect("asks");
    assert!(seen[0].lease == lease && again[0].beat > seen[0].beat);

    let mut plan = claimed.run.plan;
    plan.steps[0].status = StepStatus::Succeeded;
    // Written twice, as after an answer that was lost on the way.
    for content in [b"one", b"two"] {
        let made = picture(content);
        let written = system.advance_run(&lease, RunStatus::Running, &plan, Some(&made), NOW);
        assert!(written.await.expect("written"));
    }
    let written = system.advance_run(&lease, RunStatus::Succeeded, &plan, None, NOW);
    assert!(written.await.expect("written"));
    let scope = world.scope(&first, Action::ReadRuns).await;
    let within = world.store.within(&scope);
    let row = within.run(id).await.expect("is there");
    assert_eq!(
        (row.status, row.ended_at, &row.plan),
        (RunStatus::Succeeded, Some(NOW), &plan)
    );
    assert_eq!(row.plan.steps[0].output, OutputType::Image);
    let parts = [RunPart {
        step: 0,
        media_type: "image/png".to_owned(),
        bytes: 3,
    }];
    assert_eq!(within.run_parts(id).await.expect("reads"), parts);
    assert_eq!(system.run_parts(id).await.expect("reads"), parts);
    for (from, bytes, content) in [
        (0, 3, &b"two"[..]),
        (0, 2, b"tw"),
        (2, 9, b"o"),
        (3, 9, b""),
    ] {
        let read = within.run_piece(id, piece(from, bytes)).await;
        assert_eq!(read.expect("reads"), content, "{from} {bytes}");
    }
    let other = Piece {
        step: 1,
        ..piece(0, 1)
    };
    assert!(matches!(
        within.run_piece(id, other).await,
        Err(StoreError::NotFound)
    ));
    assert!(system.run_result(id, 0).await.expect("reads").is_some());
    assert_eq!(
        system.claim_run("a", "a", SHARE, NOW).await.expect("asks"),
        None
    );
}

async fn a_worker_that_lost_a_run_changes_nothing_any_more(world: World) {
    let first = world.first().await;
    let id = waiting(&world, &first).await;
    let system = world.store.system();
    system
        .claim_run("a", "a", SHARE, NOW)
        .await
        .expect("asks")
        .expect("has it");
    let lost = lease(id, "a");
    let seen = system.run_leases().await.expect("asks").remove(0);
    system.beat_run(&lost).await.expect("beats");
    assert!(
        !system.free_run(&seen, NOW).await.expect("asks"),
        "it moved"
    );
    let seen = system.run_leases().await.expect("asks").remove(0);
    assert!(system.free_run(&seen, NOW).await.expect("asks"));
    assert!(
        !system.free_run(&seen, NOW).await.expect("asks"),
        "it waits already"
    );
    let claimed = system.claim_run("b", "b.1", SHARE, NOW).await;
    assert_eq!(claimed.expect("asks"), Some(id));
    let made = picture(b"late");
    let plan = RunPlan::new(None, 1);
    let written = system.advance_run(&lost, RunStatus::Succeeded, &plan, Some(&made), NOW);
    assert!(!written.await.expect("asks"));
    assert!(!system.beat_run(&lost).await.expect("asks"));
    assert!(system.claimed_run(&lost).await.expect("asks").is_none());
    assert!(system.run_parts(id).await.expect("reads").is_empty());
    assert_eq!(system.release_runs("b").await.expect("lets go"), 1);
    assert_eq!(
        system.claim_run("c", "c", SHARE, NOW).await.expect("asks"),
        Some(id)
    );
}

async fn a_run_is_read_by_those_whom_it_is_shared_with(world: World) {
    let first = world.first().await;
    let other = world.person(&first, "other@example.test").await;
    world
        .join(&first, &other, "other@example.test", Role::Member)
        .await;
    let other = Person {
        workspace: first.workspace,
        ..other
    };
    let id = waiting(&world, &first).await;
    let maker = world.scope(&first, Action::WriteRuns).await;
    let reader = world.scope(&other, Action::ReadRuns).await;
    let (maker, reader) = (world.store.within(&maker), world.store.within(&reader));
    let note = world.note("run.share");
    let listed = async || {
        reader
            .list_runs(&PageRequest::default())
            .await
            .expect("lists")
            .items
            .len()
    };
    assert!(matches!(reader.run(id).await, Err(StoreError::NotFound)));
    assert!(matches!(
        reader.run_parts(id).await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(listed().await, 0);
    let hash = world.hash();
    maker
        .share_run(id, Visibility::Link, Some(&hash), &note, NOW)
        .await
        .expect("shared");
    assert_eq!(
        (listed().await, reader.run(id).await.expect("reads").version),
        (1, 2)
    );
    let system = world.store.system();
    assert_eq!(
        system.shared_run(&hash).await.expect("asks"),
        None,
        "it is not done"
    );
    system
        .claim_run("a", "a", SHARE, NOW)
        .await
        .expect("asks")
        .expect("has it");
    let plan = RunPlan::new(None, 1);
    let lease = lease(id, "a");
    let made = picture(b"two");
    let shared = async |hash: &[u8; 32]| {
        let read = system.shared_piece(hash, piece(1, 9)).await;
        read.expect("asks")
    };
    let written = system.advance_run(&lease, RunStatus::Running, &plan, Some(&made), NOW);
    assert!(written.await.expect("written"));
    assert_eq!(shared(&hash).await, None, "it is not done");
    assert!(
        system
            .advance_run(&lease, RunStatus::Succeeded, &plan, None, NOW)
            .await
            .expect("done")
    );
    assert_eq!(shared(&hash).await.as_deref(), Some(&b"wo"[..]));
    assert_eq!(shared(&world.hash()).await, None);
    let read = reader.run_piece(id, piece(0, 9)).await;
    assert_eq!(read.expect("reads"), b"two");
    assert_eq!(
        system
            .shared_run(&hash)
            .await
            .expect("asks")
            .map(|row| row.id),
        Some(id)
    );
    // A link needs a hash, and nothing else has one.
    let torn = maker
        .share_run(id, Visibility::Link, None, &note, NOW)
        .await;
    assert!(matches!(torn, Err(StoreError::Conflict(_))));
    maker
        .share_run(id, Visibility::Private, None, &note, NOW)
        .await
        .expect("hidden");
    assert_eq!(system.shared_run(&hash).await.expect("asks"), None);
    assert_eq!(shared(&hash).await, None);
    let hidden = reader.run_piece(id, piece(0, 9)).await;
    assert!(matches!(hidden, Err(StoreError::NotFound)));
    assert_eq!(listed().await, 0);
}

async fn a_run_is_cancelled_and_tried_again(world: World) {
    let first = world.first().await;
    let id = waiting(&world, &first).await;
    let scope = world.scope(&first, Action::WriteRuns).await;
    let within = world.store.within(&scope);
    let system = world.store.system();
    system
        .claim_run("a", "a", SHARE, NOW)
        .await
        .expect("asks")
        .expect("has it");
    let note = world.note("run.cancel");
    within.cancel_run(id, &note, NOW).await.expect("cancelled");
    assert!(!system.beat_run(&lease(id, "a")).await.expect("asks"));
    let twice = within.cancel_run(id, &note, NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    let row = within.run(id).await.expect("is there");
    assert_eq!(
        (row.status, row.ended_at),
        (RunStatus::Cancelled, Some(NOW))
    );
    let stale = RunRow {
        version: row.version - 1,
        ..row.clone()
    };
    let stale = within.retry_run(stale, &note, NOW).await;
    assert!(matches!(stale, Err(StoreError::Conflict(_))));
    let row = within.retry_run(row, &note, NOW).await.expect("goes on");
    assert_eq!(within.run(id).await.expect("is there"), row);
    assert_eq!(
        (row.status, row.ended_at, row.plan.retries),
        (RunStatus::Pending, None, 1)
    );
    let twice = within.retry_run(row, &note, NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    within.delete_run(id, &note, NOW).await.expect("deleted");
    assert!(matches!(within.run(id).await, Err(StoreError::NotFound)));
}

async fn runs_are_bounded_and_end_with_their_time(world: World) {
    let first = world.first().await;
    let mut ids = Vec::new();
    for _ in 0..MAX_OPEN_RUNS {
        ids.push(waiting(&world, &first).await);
    }
    let scope = world.scope(&first, Action::WriteRuns).await;
    let within = world.store.within(&scope);
    let new = NewRun {
        id: world.id(),
        api_key: within.run_caller().await.expect("asks").expect("minted"),
        visibility: Visibility::Private,
        link_hash: None,
        prompt: "One more.".to_owned(),
        plan: RunPlan::new(None, 1),
    };
    let note = world.note("run.create");
    let before = world.traces().await;
    let refused = within.create_run(new, &note, NOW).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(world.traces().await, before);
    let system = world.store.system();
    // The oldest first, whoever asks.
    assert_eq!(
        system.claim_run("a", "a", SHARE, NOW).await.expect("asks"),
        Some(ids[0])
    );
    let plan = RunPlan::new(None, 1);
    let (held, made) = (lease(ids[0], "a"), picture(b"x"));
    let ended = system.advance_run(&held, RunStatus::Succeeded, &plan, Some(&made), NOW);
    assert!(ended.await.expect("ended"));
    let prune = async |before: Timestamp| system.prune_runs(before).await.expect("prunes");
    assert_eq!(prune(NOW).await, 0, "not before its time");
    assert_eq!(prune(NOW.plus_millis(1)).await, 1);
    assert!(matches!(
        within.run(ids[0]).await,
        Err(StoreError::NotFound)
    ));
    assert_eq!(world.number("SELECT count(*) FROM run_results").await, 0);
    // The rest goes with the workspace.
    let scope = world.scope(&first, Action::DeleteWorkspace).await;
    let note = world.note("workspace.delete");
    world
        .store
        .within(&scope)
        .delete(&note, NOW)
        .await
        .expect("deleted");
    assert_eq!(world.number("SELECT count(*) FROM runs").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM run_callers").await, 0);
}

async fn places_are_shared_by_the_accounts_whose_runs_wait(world: World) {
    let first = world.first().await;
    let other = world.person(&first, "other@example.test").await;
    let mut of_first = Vec::new();
    for _ in 0..7 {
        of_first.push(waiting(&world, &first).await);
    }
    let system = world.store.system();
    let claim = async |name: &str| {
        let claimed = system.claim_run("a", name, SHARE, NOW).await;
        claimed.expect("asks")
    };
    for (at, run) in of_first.iter().take(4).enumerate() {
        assert_eq!(claim(&format!("a.{at}")).await, Some(*run));
    }
    assert_eq!(claim("a.4").await, None, "its share is taken");
    let elsewhere = system.claim_run("b", "b.1", SHARE, NOW).await;
    assert_eq!(
        elsewhere.expect("asks"),
        Some(of_first[4]),
        "each worker has places of its own"
    );
    let held = lease(of_first[0], "a.0");
    let yields = async |lease: &RunLease| system.yield_run(lease, "a", NOW).await.expect("asks");
    assert!(!yields(&held).await, "nobody else waits");
    // Later than those that wait, and first all the same.
    let of_other = waiting(&world, &other).await;
    assert!(
        !yields(&lease(of_first[0], "b.1")).await,
        "it has no such lease"
    );
    assert!(yields(&held).await);
    assert!(!system.beat_run(&held).await.expect("asks"));
    assert_eq!(claim("a.5").await, Some(of_other));
    let second = waiting(&world, &other).await;
    assert_eq!(
        claim("a.6").await,
        Some(second),
        "one of it runs, and three of the first"
    );
    assert!(!yields(&lease(of_first[1], "a.1")).await);
}
