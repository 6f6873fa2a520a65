//! Plans, subscriptions, and what admins do with accounts.

use http::Method;
use serde_json::{Value, json};

use super::{Person, World, data, with};

const PLANS: &str = "/api/v1/admin/plans";
const ACCOUNTS: &str = "/api/v1/admin/accounts";

fn gold() -> Value {
    json!({"name": "Gold", "rank": 7, "terms": {
        "monthly_credits": 300, "byok": true, "tiers": ["level_1", "level_2"],
        "limits": {"workspaces": 3, "members": null, "api_keys": null, "provider_keys": null},
    }})
}

fn account(person: &Person) -> String {
    format!("{ACCOUNTS}/{}", person.account)
}

#[tokio::test]
async fn plans_are_made_replaced_listed_and_removed() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let one = format!("{PLANS}/gold");
    let made = world
        .put(&root.session, &one, gold())
        .await
        .expect(201)
        .json();
    assert_eq!(made, with(&gold(), "id", json!("gold")));
    let again = world
        .put(&root.session, &one, gold())
        .await
        .expect(200)
        .json();
    assert_eq!(again, made);
    let renamed = with(&gold(), "name", json!("Gold 2"));
    let renamed = world
        .put(&root.session, &one, renamed)
        .await
        .expect(200)
        .json();
    assert_eq!(renamed["name"], "Gold 2");
    let listed = data(world.get(&root.session, PLANS).await);
    let ids: Vec<_> = listed.iter().map(|plan| plan["id"].clone()).collect();
    assert_eq!(ids, ["free", "pro", "ultra", "enterprise", "gold"]);
    let person = world.person(&root, "ann").await;
    assert_eq!(
        data(world.get(&person.session, "/api/v1/plans").await),
        listed
    );
    world.delete(&root.session, &one).await.expect(204);
    world
        .delete(&root.session, &one)
        .await
        .refused(404, "not_found");
    let default = format!("{PLANS}/free");
    world
        .delete(&root.session, &default)
        .await
        .refused(409, "conflict");
    let audit = data(world.get(&root.session, "/api/v1/audit?limit=100").await);
    let of_plans = |row: &&Value| row["subject"] == "gold";
    let actions: Vec<_> = audit
        .iter()
        .filter(of_plans)
        .map(|row| row["action"].clone())
        .collect();
    assert_eq!(actions, ["plan.remove", "plan.update", "plan.create"]);
}

#[tokio::test]
async fn a_plan_that_breaks_a_rule_is_refused_by_field() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let one = format!("{PLANS}/gold");
    let terms =
        |name: &str, value: Value| with(&gold(), "terms", with(&gold()["terms"], name, value));
    for (body, field) in [
        (with(&gold(), "name", json!("")), "name"),
        (with(&gold(), "rank", json!(10_000)), "rank"),
        (with(&gold(), "id", json!("x")), "id"),
        (terms("monthly_credits", json!(-1)), "terms"),
        (terms("monthly_credits", json!(100_000_001)), "terms"),
        (terms("tiers", json!(["level_9"])), "terms"),
        (terms("limits", json!({"workspaces": 0})), "terms"),
    ] {
        let refused = world.put(&root.session, &one, body).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field);
    }
    let bad_id = format!("{PLANS}/Not_A_Plan");
    world
        .put(&root.session, &bad_id, gold())
        .await
        .refused(404, "not_found");
    assert_eq!(data(world.get(&root.session, PLANS).await).len(), 4);
}

#[tokio::test]
async fn whoever_names_the_plan_that_was_read_undoes_nothing_of_somebody_else() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let one = format!("{PLANS}/gold");
    let missing = world.get(&root.session, &one).await;
    missing.refused(404, "not_found");
    world.put(&root.session, &one, gold()).await.expect(201);
    let put = async |name: &str, tag: &str| {
        let plan = with(&gold(), "name", json!(name));
        let session = &root.session;
        world.change_if(session, Method::PUT, &one, plan, tag).await
    };
    let read = world.tag(&root.session, &one).await;
    let first = put("First", &read).await.expect(200);
    let now = world.tag(&root.session, &one).await;
    assert_eq!(first.header("etag"), Some(now.as_str()));
    let second = put("Second", &read).await;
    second.refused(412, "precondition_failed");
    let shown = world.get(&root.session, &one).await.expect(200).json();
    assert_eq!(shown["name"], "First");
    put("Second", &now).await.expect(200);
    // A plan that is gone is not made anew by whoever saw it.
    let last = world.tag(&root.session, &one).await;
    world.delete(&root.session, &one).await.expect(204);
    let third = put("Third", &last).await;
    third.refused(412, "precondition_failed");
    // Nor by whoever means any that is there.
    let any = put("Fourth", "*").await;
    any.refused(412, "precondition_failed");
    let missing = world.get(&root.session, &one).await;
    missing.refused(404, "not_found");
}

#[tokio::test]
async fn a_subscription_keeps_its_terms_until_it_is_given_new_ones() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let (one, subscription) = (
        format!("{PLANS}/gold"),
        format!("{}/subscription", account(&ann)),
    );
    world.put(&root.session, &one, gold()).await.expect(201);
    let choose = |plan: &str| json!({"plan": plan});
    let taken = world
        .put(&root.session, &subscription, choose("gold"))
        .await;
    assert_eq!(taken.expect(200).json()["terms"]["monthly_credits"], 300);
    world
        .delete(&root.session, &one)
        .await
        .refused(409, "conflict");

    let richer = with(
        &gold(),
        "terms",
        with(&gold()["terms"], "monthly_credits", json!(900)),
    );
    world.put(&root.session, &one, richer).await.expect(200);
    let seen = async || {
        world
            .get(&root.session, &account(&ann))
            .await
            .expect(200)
            .json()
    };
    let before = seen().await;
    assert_eq!(before["subscription"]["terms"]["monthly_credits"], 300);
    assert_eq!(before["credits"]["available"]["credits"], 300.0);
    world.pass_ms(1000);
    let renewed = world
        .put(&root.session, &subscription, choose("gold"))
        .await;
    assert_eq!(renewed.expect(200).json()["terms"]["monthly_credits"], 900);
    let after = seen().await;
    assert_eq!(
        (&after["plan"], &after["subscription"]["plan"]),
        (&json!("gold"), &json!("gold"))
    );
    assert_eq!(after["credits"]["available"]["credits"], 900.0);
    assert_ne!(
        after["subscription"]["started_at"],
        before["subscription"]["started_at"]
    );
    world.pass_ms(1000);
    let same = world
        .put(&root.session, &subscription, choose("gold"))
        .await;
    assert_eq!(same.expect(200).json()["terms"]["monthly_credits"], 900);
    assert_eq!(seen().await, after, "the plan that it has on its terms");

    let unknown = world
        .put(&root.session, &subscription, choose("silver"))
        .await;
    let unknown = unknown.refused(400, "invalid_request");
    assert_eq!(unknown["details"]["field"], "plan");
    let nobody = format!("{ACCOUNTS}/acc_00000000000000000000000000/subscription");
    world
        .put(&root.session, &nobody, choose("gold"))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn accounts_are_listed_in_pages_and_shown_with_their_credits() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let first = world
        .get(&root.session, &format!("{ACCOUNTS}?limit=1"))
        .await;
    let first = first.expect(200).json();
    let next = first["next"].as_str().expect("there is more");
    let second = world
        .get(&root.session, &format!("{ACCOUNTS}?limit=1&after={next}"))
        .await;
    let second = second.expect(200).json();
    assert!(second.get("next").is_none(), "{second}");
    let entries = [&first["data"][0], &second["data"][0]];
    let mut emails: Vec<_> = entries.map(|it| it["owner_email"].clone()).to_vec();
    emails.sort_by_key(Value::to_string);
    assert_eq!(emails, [json!(ann.email), json!(root.email)]);
    world
        .get(&root.session, &format!("{ACCOUNTS}?after=nonsense"))
        .await
        .refused(400, "invalid_request");

    let shown = world
        .get(&root.session, &account(&ann))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &shown["id"],
            &shown["owner_email"],
            &shown["plan"],
            &shown["credit_rate"]
        ),
        (
            &json!(ann.account),
            &json!(ann.email),
            &json!("free"),
            &json!("1")
        )
    );
    let amount = json!({"credits": 250.0, "nano_usd": 2_500_000_000_i64});
    assert_eq!(shown["credits"]["available"], amount);
    assert_eq!(shown["cards"][0]["kind"], "included");
    let nobody = format!("{ACCOUNTS}/acc_00000000000000000000000000");
    world
        .get(&root.session, &nobody)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn credits_with_a_reference_are_given_once() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let credits = format!("{}/credits", account(&ann));
    let available = async || {
        let shown = world
            .get(&root.session, &account(&ann))
            .await
            .expect(200)
            .json();
        shown["credits"]["available"]["nano_usd"]
            .as_i64()
            .expect("a number")
    };
    let before = available().await;
    let body = json!({"kind": "top_up", "credits": "100.5", "reference": "payment-7"});
    let card = world
        .post(&root.session, &credits, body.clone())
        .await
        .expect(201)
        .json();
    assert_eq!(
        (
            &card["kind"],
            &card["granted"]["nano_usd"],
            &card["reference"]
        ),
        (&json!("top_up"), &json!(1_005_000_000), &json!("payment-7"))
    );
    assert!(card["expires_at"].is_null());
    let again = world
        .post(&root.session, &credits, body.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(again["id"], card["id"]);
    let (one, other) = tokio::join!(
        world.post(
            &root.session,
            &credits,
            with(&body, "reference", json!("payment-8"))
        ),
        world.post(
            &root.session,
            &credits,
            with(&body, "reference", json!("payment-8"))
        ),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(available().await, before + 2 * 1_005_000_000);
    for other in [
        with(&body, "credits", json!(101)),
        with(&body, "kind", json!("grant")),
        with(&body, "expires_at", json!("2200-01-01T00:00:00Z")),
    ] {
        world
            .post(&root.session, &credits, other)
            .await
            .refused(409, "conflict");
    }
    assert_eq!(available().await, before + 2 * 1_005_000_000);

    let soon = world.state.sources.now().plus_millis(60_000).to_string();
    let lapsing = json!({"kind": "grant", "credits": 1, "expires_at": soon});
    let lapsing = world
        .post(&root.session, &credits, lapsing)
        .await
        .expect(201)
        .json();
    assert_eq!(lapsing["expires_at"], soon);
    world.pass_ms(60_001);
    assert_eq!(available().await, before + 2 * 1_005_000_000);
    for reference in [json!(null), json!("too-late")] {
        let late =
            json!({"kind": "grant", "credits": 1, "expires_at": soon, "reference": reference});
        let refused = world.post(&root.session, &credits, late).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], "expires_at");
        let says = refused["detail"].as_str().expect("a text");
        assert!(says.contains("must lie in the future"), "{says}");
    }
    let log = data(
        world
            .get(
                &ann.session,
                &format!("/api/v1/accounts/{}/audit", ann.account),
            )
            .await,
    );
    let grants = log.iter().filter(|row| row["action"] == "credits.grant");
    assert_eq!(grants.count(), 3);
}

#[tokio::test]
async fn credits_that_break_a_rule_are_refused_by_field() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let credits = format!("{}/credits", account(&root));
    let good = json!({"kind": "grant", "credits": "1"});
    for (body, field) in [
        (with(&good, "kind", json!("included")), "kind"),
        (with(&good, "credits", json!(0)), "credits"),
        (with(&good, "credits", json!("-1")), "credits"),
        (with(&good, "credits", json!("100000000.1")), "credits"),
        (with(&good, "credits", json!("0.00000001")), "credits"),
        (
            with(&good, "expires_at", json!("2020-01-01T00:00:00Z")),
            "expires_at",
        ),
        (with(&good, "reference", json!("")), "reference"),
        (with(&good, "amount", json!(1)), "amount"),
    ] {
        let refused = world.post(&root.session, &credits, body).await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], field);
    }
    let nobody = format!("{ACCOUNTS}/acc_00000000000000000000000000/credits");
    world
        .post(&root.session, &nobody, good)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_rate_is_set_for_one_account() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let ann = world.person(&root, "ann").await;
    let rate = json!({"credit_rate": "1.25"});
    let patched = world.patch(&root.session, &account(&ann), rate).await;
    assert_eq!(patched.expect(200).json()["credit_rate"], "1.25");
    let other = world.get(&root.session, &account(&root)).await.expect(200);
    assert_eq!(other.json()["credit_rate"], "1");
    for bad in [json!("1000.1"), json!(-1), json!("x")] {
        let refused = world
            .patch(&root.session, &account(&ann), json!({"credit_rate": bad}))
            .await;
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused["details"]["field"], "credit_rate");
    }
}
