//! Credits, usage and limits of an account, and leaving with it.

use domain::policy::KeySource;
use domain::{Label, ProviderId, RequestId, Usage};
use serde_json::{Value, json};
use store::{AttemptRow, UsageRow};

use super::{As, PASSWORD, Person, World, data};

/// A call on an own key, so many days ago.
fn call(world: &World, person: &Person, days_ago: i64, workspace: &str) -> UsageRow {
    let provider: ProviderId = "openai".parse().expect("an id");
    let label = Label::default();
    let now = world.state.sources.now();
    let request: RequestId = world.state.sources.id().expect("an id");
    UsageRow {
        request,
        at: now.plus_millis(-days_ago * 86_400_000),
        account: person.account.parse().expect("an id"),
        workspace: workspace.parse().expect("an id"),
        api_key: "ak_00000000000000000000000000".parse().expect("an id"),
        user: person.id.parse().expect("an id"),
        wire_format: "openai_chat".to_owned(),
        operation: "chat_completions".to_owned(),
        model_requested: "gpt-4o".to_owned(),
        provider: Some(provider.clone()),
        model: Some("gpt-4o".to_owned()),
        key_source: Some(KeySource::Managed),
        key: None,
        key_label: Some(label.clone()),
        status: 200,
        error_code: None,
        streamed: false,
        usage: Some(Usage {
            input_tokens: 10,
            cached_input_tokens: 5,
            output_tokens: 3,
            ..Usage::default()
        }),
        latency_ms: 1,
        first_byte_ms: None,
        request_bytes: 1,
        response_bytes: 1,
        upstream_status: Some(200),
        cost: Some(domain::NanoUsd::new(25_000_000)),
        pricing: Some(domain::price::Pricing::Priced),
        catalog_version: Some("1".to_owned()),
        charge: domain::NanoUsd::new(25_000_000),
        attempts: vec![AttemptRow {
            provider,
            model: "gpt-4o".to_owned(),
            key: None,
            label: Some(label),
            key_source: KeySource::Managed,
            status: Some(200),
            outcome: "ok".to_owned(),
            latency_ms: 1,
            key_scope: None,
            cost: None,
        }],
        fallback: false,
        key_scope: None,
        made: Vec::new(),
    }
}

async fn record(world: &World, rows: &[UsageRow]) {
    let serving = world.state.store.serving();
    serving.insert_usage(rows).await.expect("written");
}

#[tokio::test]
async fn credits_have_the_shape_that_clients_know_on_both_paths() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let shown = world
        .get(&ann.session, "/api/v1/users/me/credits")
        .await
        .expect(200);
    let expected = json!({"mode": "byok", "remaining": 250.0, "total": 250.0,
        "remaining_micro": 2_500_000, "total_micro": 2_500_000});
    assert_eq!(shown.json(), expected);
    assert_eq!(
        world
            .get(&ann.session, "/api/users/me/credits")
            .await
            .json(),
        expected
    );
    let mode = world
        .put(
            &ann.session,
            "/api/users/me/ai-mode",
            json!({"mode": "auto"}),
        )
        .await;
    let mut with_mode = expected.clone();
    with_mode["mode"] = json!("auto");
    assert_eq!(mode.expect(200).json(), with_mode);
    let foreign = Person {
        workspace: root.workspace.clone(),
        ..ann.clone()
    };
    world.join(&root, &ann, "admin").await;
    let keys = format!("/api/v1/workspaces/{}/api-keys", foreign.workspace);
    let body = json!({"name": "k", "scopes": ["billing:read"]});
    let refused = world.post(&ann.session, &keys, body).await;
    refused.refused(403, "scope_not_held");
    let key = world.api_key(&ann, &["billing:read"]).await;
    assert_eq!(
        world
            .get(&key, "/api/v1/users/me/credits")
            .await
            .expect(200)
            .json(),
        with_mode
    );
    let narrow = world.api_key(&ann, &["usage:read"]).await;
    for path in [
        "/api/v1/users/me/credits",
        "/api/users/me/limits",
        "/v1/billing/balance",
    ] {
        world
            .get(&narrow, path)
            .await
            .refused(403, "permission_denied");
    }
}

#[tokio::test]
async fn the_ledger_has_what_is_due_before_anybody_asked_for_the_balance() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let all = data(world.get(&ann.session, "/v1/billing/transactions").await);
    let amounts: Vec<_> = all.iter().map(|it| &it["amount_micro_usd"]).collect();
    assert_eq!(amounts, [&json!(2_500_000)]);
}

#[tokio::test]
async fn balance_and_transactions_agree_with_the_ledger() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let grant = format!("/api/v1/admin/accounts/{}/credits", ann.account);
    for (credits, reference) in [("0.0000005", "a"), ("100", "b")] {
        let body = json!({"kind": "grant", "credits": credits, "reference": reference});
        world.post(&root.session, &grant, body).await.expect(201);
    }
    let balance = world
        .get(&ann.session, "/v1/billing/balance")
        .await
        .expect(200)
        .json();
    assert_eq!(
        balance,
        json!({"balance_micro_usd": 3_500_000, "pending_debits_micro_usd": 0,
            "available_micro_usd": 3_500_000, "currency": "USD"})
    );
    let path = "/v1/billing/transactions";
    let all = data(world.get(&ann.session, path).await);
    let shown: Vec<_> = all
        .iter()
        .map(|it| {
            (
                it["kind"].clone(),
                it["amount_nano_usd"].clone(),
                it["amount_micro_usd"].clone(),
                it["reference"].clone(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                json!("grant"),
                json!(1_000_000_000),
                json!(1_000_000),
                json!("b")
            ),
            (json!("grant"), json!(5), json!(0), json!("a")),
            (
                json!("grant"),
                json!(2_500_000_000_i64),
                json!(2_500_000),
                Value::Null
            ),
        ]
    );
    for row in &all {
        assert_eq!(row["request_id"], Value::Null);
        assert!(row["created_at"].is_string());
    }
    let page = world
        .get(&ann.session, &format!("{path}?limit=2"))
        .await
        .expect(200)
        .json();
    let next = page["next"].as_str().expect("there is more");
    let rest = data(
        world
            .get(&ann.session, &format!("{path}?limit=2&after={next}"))
            .await,
    );
    assert_eq!((&page["data"][1], &rest[..]), (&all[1], &all[2..]));
    world
        .get(&ann.session, &format!("{path}?limit=0"))
        .await
        .refused(400, "invalid_request");

    let balances: Vec<_> = all
        .iter()
        .map(|it| {
            (
                it["balance_nano_usd"].as_i64(),
                it["balance_micro_usd"].as_i64(),
            )
        })
        .collect();
    assert_eq!(
        balances,
        [
            (Some(3_500_000_005), Some(3_500_000)),
            (Some(2_500_000_005), Some(2_500_000)),
            (Some(2_500_000_000), Some(2_500_000)),
        ]
    );
    assert_eq!(page["data"][0]["balance_nano_usd"], 3_500_000_005_i64);
    assert_eq!(rest[0]["balance_nano_usd"], 2_500_000_000_i64);
    let narrowed =
        async |query: &str| data(world.get(&ann.session, &format!("{path}?{query}")).await);
    assert_eq!(narrowed("kind=grant").await, all);
    assert_eq!(narrowed("kind=charge").await, [] as [Value; 0]);
    let at = all[0]["created_at"].as_str().expect("a time");
    assert_eq!(narrowed(&format!("to={at}")).await, [] as [Value; 0]);
    assert_eq!(narrowed(&format!("from={at}")).await, all);
    world
        .get(&ann.session, &format!("{path}?kind=bonus"))
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn usage_is_added_up_by_day_and_by_workspace() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let made = world
        .post(
            &ann.session,
            "/api/v1/workspaces",
            json!({"name": "Second"}),
        )
        .await;
    let second = made.expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let rows = [
        call(&world, &ann, 0, &ann.workspace),
        call(&world, &ann, 0, &second),
        call(&world, &ann, 2, &second),
        call(&world, &ann, 40, &second),
    ];
    record(&world, &rows).await;
    let usage = async |query: &str| {
        let path = format!("/api/v1/users/me/ai-usage{query}");
        world.get(&ann.session, &path).await.expect(200).json()
    };
    let month = usage("").await;
    assert_eq!(month["window_days"], 30);
    let day = |at: domain::Timestamp| at.to_string()[..10].to_owned();
    let of_day = |row: &UsageRow, requests: i64| {
        json!({"day": day(row.at), "requests": requests, "input_tokens": 15 * requests,
            "output_tokens": 3 * requests, "credits": 2.5 * requests as f64})
    };
    assert_eq!(
        month["daily"],
        json!([of_day(&rows[2], 1), of_day(&rows[0], 2)])
    );
    let of = |name: &str, id: &str, requests: i64| {
        json!({"workspace_id": id, "workspace_name": name, "requests": requests,
            "input_tokens": 15 * requests, "output_tokens": 3 * requests, "credits": 2.5 * requests as f64})
    };
    let by_workspace = month["by_workspace"].as_array().expect("a list");
    assert_eq!(by_workspace.len(), 2);
    assert!(
        by_workspace.contains(&of("Personal", &ann.workspace, 1)),
        "{month}"
    );
    assert!(by_workspace.contains(&of("Second", &second, 2)), "{month}");
    assert_eq!(
        usage("?days=1").await["daily"],
        json!([of_day(&rows[0], 2)])
    );
    assert_eq!(
        usage("?days=366").await["daily"].as_array().map(Vec::len),
        Some(3)
    );
    for bad in ["?days=0", "?days=367", "?days=x", "?day=1"] {
        let path = format!("/api/users/me/ai-usage{bad}");
        world
            .get(&ann.session, &path)
            .await
            .refused(400, "invalid_request");
    }
    let other = world
        .get(&root.session, "/api/users/me/ai-usage")
        .await
        .expect(200)
        .json();
    assert_eq!(
        other["daily"],
        json!([]),
        "another account's calls are not shown"
    );
}

#[tokio::test]
async fn a_usage_row_says_what_was_tried_and_names_no_key_of_the_instance() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let mut row = call(&world, &root, 0, &root.workspace);
    let mut own = row.attempts[0].clone();
    own.key_source = KeySource::Byok;
    own.label = Some("mine".parse().expect("a label"));
    own.outcome = "rate_limited".to_owned();
    row.attempts.insert(0, own);
    row.fallback = true;
    record(&world, &[row]).await;
    let path = format!("/api/v1/workspaces/{}/usage", root.workspace);
    let shown = data(world.get(&root.session, &path).await).remove(0);
    assert_eq!(
        (&shown["key_source"], &shown["key_label"]),
        (&json!("managed"), &Value::Null)
    );
    assert_eq!(
        (&shown["cost_nano_usd"], &shown["charge_nano_usd"]),
        (&json!(25_000_000), &json!(25_000_000))
    );
    assert_eq!(
        (&shown["pricing"], &shown["fallback"]),
        (&json!("priced"), &json!(true))
    );
    assert_eq!(shown["attempts"][0]["key_label"], "mine");
    assert_eq!(shown["attempts"][1]["key_label"], Value::Null);
    assert_eq!(shown["attempts"][1]["outcome"], "ok");
}

#[tokio::test]
async fn who_leaves_takes_everything_along_and_needs_the_password() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    world.own_key(&ann, "openai", "mine").await;
    let key = world.api_key(&ann, &["workspace:read"]).await;
    let me = "/api/v1/users/me";
    let leave = async |caller: &As, password: &str| {
        let body = json!({ "password": password });
        world
            .send(World::request(
                caller,
                http::Method::DELETE,
                me,
                Some(&body),
            ))
            .await
    };
    leave(&key, PASSWORD)
        .await
        .refused(403, "permission_denied");
    leave(&As::Nobody, PASSWORD)
        .await
        .refused(401, "authentication_required");
    leave(&ann.session, "wrong password here")
        .await
        .refused(401, "invalid_credentials");
    world
        .get(&key, &format!("/api/v1/workspaces/{}", ann.workspace))
        .await
        .expect(200);
    let nothing = world.delete(&ann.session, me).await;
    let refused = nothing.refused(400, "invalid_request");
    assert_eq!(refused["details"]["field"], "password");
    let accounts = async || {
        let all = data(world.get(&root.session, "/api/v1/admin/accounts").await);
        let ids = all.iter().map(|row| row["id"].as_str().expect("an id"));
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(accounts().await.contains(&ann.account));
    let left = leave(&ann.session, PASSWORD).await.expect(204);
    assert_eq!(accounts().await, std::slice::from_ref(&root.account));
    assert!(
        left.header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    world
        .get(&key, &format!("/api/v1/workspaces/{}", ann.workspace))
        .await
        .refused(401, "authentication_required");
    world
        .get(&ann.session, "/api/v1/me")
        .await
        .refused(401, "authentication_required");
    let body = json!({"email": ann.email, "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/sessions", body)
        .await
        .refused(401, "invalid_credentials");
    leave(&root.session, PASSWORD)
        .await
        .refused(409, "last_instance_admin");
    world.get(&root.session, "/api/v1/me").await.expect(200);
}
