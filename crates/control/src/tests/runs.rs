//! What becomes of a run whose worker let go of it before it was done.

use std::time::{Duration, Instant};

use domain::RunId;
use serde_json::json;
use tokio::sync::watch;

use super::{KEY, Person, World, path};
use crate::ops::runs::work::work_as;

impl World {
    async fn run(&self, person: &Person) -> RunId {
        let at = format!("/api/v1/workspaces/{}/runs", person.workspace);
        let body = json!({"prompt": "The sea.", "model": "gpt-4o"});
        let run = self.post(&person.session, &at, body).await.expect(202);
        let id = run.json()["id"].as_str().expect("an id").parse();
        id.expect("an id")
    }

    async fn run_status(&self, person: &Person, run: RunId) -> String {
        let at = format!("/api/v1/workspaces/{}/runs/{run}", person.workspace);
        let run = self.get(&person.session, &at).await.expect(200).json();
        run["status"].as_str().expect("a status").to_owned()
    }
}

/// As after a beat that could not be written for too long: the steps have ended, and the lease is still in its row. Four
/// of them are all that one account has at a worker.
#[tokio::test]
async fn runs_that_a_worker_gave_up_are_taken_again_without_a_second_worker() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
    let byok = json!({"mode": "byok"});
    world.patch(&root.session, &policy, byok).await.expect(200);
    let key = world.raw("openai", KEY).await;
    let keys = path(&root);
    world.post(&root.session, &keys, key).await.expect(201);
    let mut runs = Vec::new();
    for claim in 900..904 {
        let run = world.run(&root).await;
        let (system, now) = (world.state.store.system(), world.state.sources.now());
        let claimed = system.claim_run("w", &format!("w.{claim}"), 4, now).await;
        assert_eq!(claimed.expect("asks"), Some(run));
        runs.push(run);
    }
    runs.push(world.run(&root).await);
    let (stop, stopped) = watch::channel(false);
    let worker = tokio::spawn(work_as(world.state.clone(), "w".to_owned(), stopped));
    let deadline = Instant::now() + Duration::from_secs(20);
    for run in runs {
        // The models of this world answer nothing.
        while world.run_status(&root, run).await != "failed" {
            assert!(Instant::now() < deadline, "{run} is never taken again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.send(true).expect("it listens");
    worker.await.expect("ends");
}

impl World {
    /// What a run of this model is pinned to.
    async fn pinned(&self, person: &Person, model: &str) -> serde_json::Value {
        let at = format!("/api/v1/workspaces/{}/runs", person.workspace);
        let body = json!({"prompt": "The sea.", "model": model});
        let run = self.post(&person.session, &at, body).await.expect(202);
        run.json()["model"].clone()
    }
}

/// A workspace with an own key for OpenAI whose account has a plan without tiers, once it has this policy.
async fn bare(policy: serde_json::Value) -> (World, Person) {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    world.own_key(&root, "openai", "one").await;
    let at = format!("/api/v1/workspaces/{}/policy", root.workspace);
    world.patch(&root.session, &at, policy).await.expect(200);
    let bare = json!({"name": "Bare", "rank": 9, "terms": {"monthly_credits": 0, "byok": true, "tiers": [],
        "limits": {"workspaces": null, "members": null, "api_keys": null, "provider_keys": null}}});
    let plan = "/api/v1/admin/plans/bare";
    world.put(&root.session, plan, bare).await.expect(201);
    world.subscribe(&root, &root, "bare").await;
    (world, root)
}

#[tokio::test]
async fn a_run_is_not_pinned_to_a_tier_that_the_plan_locks() {
    let policy = json!({"mode": "byok", "tiers": {"level_2": "gpt-4o-mini"},
        "presets": {"several": {"models": ["level_2", "gpt-4o"]}}});
    let (world, root) = bare(policy).await;
    assert_eq!(world.pinned(&root, "@several").await["model"], "gpt-4o");
}

#[tokio::test]
async fn a_key_that_sleeps_is_not_pinned_where_another_is_awake() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let one = world.own_key(&root, "openai", "one").await;
    let two = world.own_key(&root, "openai", "two").await;
    let policy = format!("/api/v1/workspaces/{}/policy", root.workspace);
    let change = json!({"mode": "byok"});
    world
        .patch(&root.session, &policy, change)
        .await
        .expect(200);
    let key = async || world.pinned(&root, "gpt-4o").await["key_id"].clone();
    assert_eq!(key().await, json!(one));
    let until = world.state.sources.now().plus_millis(60_000);
    world.put_to_sleep(one.parse().expect("an id"), until);
    assert_eq!(key().await, json!(two));
    world.put_to_sleep(two.parse().expect("an id"), until);
    assert_eq!(key().await, json!(one));
}
