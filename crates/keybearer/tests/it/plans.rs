//! Plans: limits, snapshots and what is refused by name of the plan that would allow it.

use serde_json::{Value, json};

use crate::Fixture;

impl Fixture {
    async fn limits(&self) -> Value {
        let session = &self.owner.person.session;
        session
            .get("/api/v1/users/me/limits")
            .await
            .expect(200)
            .json()
    }

    async fn put_plan(&self, id: &str, credits: i64, workspaces: i64) {
        let body = json!({"name": id, "rank": 5, "terms": {
            "monthly_credits": credits, "byok": true, "tiers": [], "limits": {"workspaces": workspaces},
        }});
        let session = &self.owner.person.session;
        let reply = session
            .put(&format!("/api/v1/admin/plans/{id}"), &body)
            .await;
        assert!(reply.status < 300, "{}", reply.text());
    }

    async fn take_plan(&self, id: &str) {
        let path = format!("/api/v1/admin/accounts/{}/subscription", self.owner.account);
        let session = &self.owner.person.session;
        session.put(&path, &json!({ "plan": id })).await.expect(200);
    }
}

#[tokio::test]
async fn a_new_account_starts_on_free_with_its_credits_and_its_third_workspace_is_refused() {
    let fixture = Fixture::start().await;
    let person = fixture.app.outsider(&fixture.owner).await;
    let credits = person
        .session
        .get("/api/v1/users/me/credits")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&credits["remaining"], &credits["total"]),
        (&json!(250.0), &json!(250.0))
    );
    assert_eq!(credits["remaining_micro"], 2_500_000);
    person
        .session
        .post("/api/v1/workspaces", &json!({"name": "Second"}))
        .await
        .expect(201);
    let third = person
        .session
        .post("/api/v1/workspaces", &json!({"name": "Third"}))
        .await;
    let third = third.expect_error(402, "limit_exceeded").json();
    assert_eq!(third["details"]["resource"], "workspaces");
    assert_eq!(
        (&third["details"]["limit"], &third["details"]["used"]),
        (&json!(2), &json!(2))
    );
    let limits = person
        .session
        .get("/api/v1/users/me/limits")
        .await
        .expect(200)
        .json();
    assert!(limits.to_string().contains("workspaces"), "{limits}");
}

#[tokio::test]
async fn a_subscription_keeps_the_terms_it_was_taken_with() {
    let fixture = Fixture::start().await;
    fixture.put_plan("team", 100, 3).await;
    fixture.take_plan("team").await;
    assert_eq!(fixture.micro_left().await, 1_000_000);
    let before = fixture.limits().await;
    fixture.put_plan("team", 900, 9).await;
    assert_eq!(fixture.limits().await, before);
    assert_eq!(fixture.micro_left().await, 1_000_000);
    fixture.take_plan("team").await;
    assert_ne!(fixture.limits().await, before);
    assert_eq!(
        fixture.micro_left().await,
        9_000_000,
        "what was included before ends with it"
    );
}

#[tokio::test]
async fn only_an_instance_admin_changes_plans_credits_and_settings() {
    let fixture = Fixture::start().await;
    let outsider = fixture.app.outsider(&fixture.owner).await;
    let credits = format!("/api/v1/admin/accounts/{}/credits", fixture.owner.account);
    let grant = json!({"kind": "grant", "credits": "1"});
    for caller in [&outsider.session, &fixture.owner.key] {
        caller
            .post(&credits, &grant)
            .await
            .expect_error(403, "permission_denied");
        caller
            .get("/api/v1/admin/settings")
            .await
            .expect_error(403, "permission_denied");
    }
    let session = &fixture.owner.person.session;
    let scopes = ["instance:read", "instance:write"];
    let machine = fixture
        .app
        .api_key(session, &fixture.owner.workspace, &scopes)
        .await;
    machine.post(&credits, &grant).await.expect(201);
    machine.get("/api/v1/admin/settings").await.expect(200);
    // Nobody else can make such a key.
    let workspaces = outsider
        .session
        .get("/api/v1/workspaces")
        .await
        .expect(200)
        .json();
    let own = workspaces["data"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let body = json!({"name": "x", "scopes": ["instance:write"]});
    let path = format!("/api/v1/workspaces/{own}/api-keys");
    outsider
        .session
        .post(&path, &body)
        .await
        .expect_error(403, "scope_not_held");
}
