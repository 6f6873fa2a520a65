//! Whose calls and whose labels somebody sees: members their own, and the account's labels its owner alone.

use serde_json::{Value, json};
use testkit::app::{Caller, Person};

use crate::console::hear;
use crate::{Fixture, chat};

/// Makes one call with a new API key of this person, and gets the call's id.
async fn call(fixture: &Fixture, person: &Person, model: &str) -> String {
    let workspace = &fixture.owner.workspace;
    let scopes = ["inference:invoke"];
    let key = fixture.app.api_key(&person.session, workspace, &scopes);
    let answer = key.await.post("/v1/chat/completions", &chat(model)).await;
    let answer = answer.expect(200);
    let id = answer.header("x-keybearer-request-id").expect("an id");
    id.to_owned()
}

/// A call once it is recorded.
async fn recorded(fixture: &Fixture, caller: &Caller, id: &str) -> Value {
    let path = fixture.path(&format!("/usage/{id}"));
    for _ in 0..100 {
        let answer = caller.get(&path).await;
        if answer.status == 200 {
            return answer.json();
        }
        answer.expect_error(404, "not_found");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{id} is never recorded");
}

#[tokio::test]
async fn members_see_their_own_calls_and_nothing_of_others() {
    let mut fixture = Fixture::with_cli().await;
    fixture
        .workspace_key("openai", "label-of-the-key", &fixture.canary.openai_key())
        .await;
    let member = fixture.app.member(&fixture.owner).await;
    let mut events = member.session.listen(&fixture.path("/events"), &[]).await;
    hear(&mut events, "retry: 2000").await;
    let theirs = fixture.chat("gpt-4o").await.expect(200);
    let theirs = theirs.header("x-keybearer-request-id").expect("an id");
    let theirs = theirs.to_owned();
    let own = call(&fixture, &member, "gpt-4o-mini").await;
    let owner = &fixture.owner.person;
    recorded(&fixture, &owner.session, &theirs).await;
    let shown = recorded(&fixture, &member.session, &own).await;
    assert_eq!(shown["model"], "gpt-4o-mini");
    assert_eq!(shown["key_scope"], "workspace");
    assert_eq!(shown["key_label"], Value::Null, "{shown}");

    // Another's call is as unknown as one that nobody made.
    let blank = async |id: &str| {
        let path = fixture.path(&format!("/usage/{id}"));
        let answer = member.session.get(&path).await;
        let mut body = answer.expect_error(404, "not_found").json();
        body["request_id"] = Value::Null;
        body
    };
    let nobodys = "req_00000000000000000000000000";
    assert_eq!(blank(&theirs).await, blank(nobodys).await);

    let owners_key = recorded(&fixture, &owner.session, &theirs).await["api_key_id"].clone();
    let owners_key = owners_key.as_str().expect("an id").to_owned();
    let calls = async |caller: &Caller, query: &str| -> usize {
        let list = caller.get(&fixture.path(query)).await.expect(200).json();
        list["data"].as_array().expect("calls").len()
    };
    assert_eq!(calls(&owner.session, "/usage").await, 2);
    assert_eq!(calls(&member.session, "/usage").await, 1);
    for query in [
        format!("/usage?user_id={}", owner.user),
        format!("/usage?api_key_id={owners_key}"),
        "/usage?model=gpt-4o".to_owned(),
    ] {
        assert_eq!(calls(&owner.session, &query).await, 1, "{query}");
        assert_eq!(calls(&member.session, &query).await, 0, "{query}");
    }
    for by in ["member,api_key", "provider_key,model", "day"] {
        let path = fixture.path(&format!("/usage/summary?group_by={by}"));
        let summary = member.session.get(&path).await.expect(200);
        let text = summary.text();
        for hidden in [&owner.email, &owner.user, &owners_key, "label-of-the-key"] {
            assert!(!text.contains(hidden), "{by}: {text}");
        }
        assert_eq!(summary.json()["total"]["calls"], 1);
    }
    let path = fixture.path(&format!("/usage/summary?user_id={}", owner.user));
    let none = member.session.get(&path).await.expect(200).json();
    assert_eq!(none["total"]["calls"], 0);
    let exported = member.session.get(&fixture.path("/usage.csv")).await;
    let exported = exported.expect(200).text();
    assert_eq!(exported.lines().count(), 2, "{exported}");
    assert!(!exported.contains("label-of-the-key"), "{exported}");
    let heard = hear(&mut events, "\"model\":\"gpt-4o-mini\"").await;
    assert!(!heard.contains(&theirs), "{heard}");
    assert!(!heard.contains("label-of-the-key"), "{heard}");
    drop(events);

    // An API key of the member sees no more than the member, one of an admin everything.
    let workspace = fixture.owner.workspace.clone();
    let reader = |person: &Person| {
        let session = person.session.clone();
        let (app, workspace) = (&fixture.app, workspace.clone());
        async move { app.api_key(&session, &workspace, &["usage:read"]).await }
    };
    assert_eq!(calls(&reader(&member).await, "/usage").await, 1);
    let admin = fixture.app.admin(&fixture.owner).await;
    assert_eq!(calls(&reader(&admin).await, "/usage").await, 2);
    assert_eq!(
        recorded(&fixture, &admin.session, &own).await["key_label"],
        "label-of-the-key"
    );

    let shown = fixture.cli(&["usage", "show", &own]).await.stdout;
    assert!(shown.contains("gpt-4o-mini"), "{shown}");
    assert!(shown.contains("label-of-the-key"), "{shown}");
    let shown = fixture.cli_json(&["usage", "show", &theirs]).await;
    assert_eq!(shown["request_id"], *theirs);
    fixture
        .cli_fails(&["usage", "show", nobodys], "about a second")
        .await;
    let key = fixture
        .app
        .api_key(&member.session, &workspace, &["usage:read"]);
    let key = key.await.api_key().expect("a key").to_owned();
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    fixture
        .cli_fails(&["usage", "show", &theirs], "about a second")
        .await;
    let listed = fixture.cli(&["usage"]).await.stdout;
    assert!(listed.contains("(the workspace's)"), "{listed}");
    assert!(!listed.contains("label-of-the-key"), "{listed}");
    fixture.finish().await;
}

#[tokio::test]
async fn labels_of_the_accounts_keys_reach_its_owner_alone() {
    let fixture = Fixture::start().await;
    let session = fixture.owner.person.session.clone();
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let submission = |key: &str| {
        json!({"provider": "openai", "label": "personal-label", "kek_id": sealing_key.kek_id,
            "ciphertext_b64": sealing_key.seal_raw(key)})
    };
    let keys = format!("/api/v1/accounts/{}/provider-keys", fixture.owner.account);
    let stored = session
        .post(&keys, &submission(&fixture.canary.openai_key()))
        .await
        .expect(201)
        .json();
    let admin = fixture.app.admin(&fixture.owner).await;
    let mut events = admin.session.listen(&fixture.path("/events"), &[]).await;
    hear(&mut events, "retry: 2000").await;
    let id = call(&fixture, &admin, "gpt-4o").await;
    let heard = hear(&mut events, "event: usage").await;
    assert!(!heard.contains("personal-label"), "{heard}");

    let look = async |caller: &Caller| {
        let one = recorded(&fixture, caller, &id).await;
        let resolved = caller
            .post(&fixture.path("/resolve"), &json!({"model": "gpt-4o"}))
            .await
            .expect(200);
        let mut texts = vec![one.to_string(), resolved.text()];
        for path in [
            "/usage",
            "/usage.csv",
            "/usage/summary?group_by=provider_key",
        ] {
            texts.push(caller.get(&fixture.path(path)).await.expect(200).text());
        }
        (one, texts)
    };
    let (one, texts) = look(&session).await;
    assert_eq!(one["key_label"], "personal-label");
    assert_eq!(one["attempts"][0]["key_label"], "personal-label");
    assert!(texts.iter().all(|text| text.contains("personal-label")));
    let (one, texts) = look(&admin.session).await;
    assert_eq!(one["key_label"], Value::Null);
    assert_eq!(one["key_scope"], "account");
    assert_eq!(one["attempts"][0]["key_scope"], "account");
    for text in texts {
        assert!(!text.contains("personal-label"), "{text}");
    }
    // Nor once the key is gone.
    let stored = stored["id"].as_str().expect("an id");
    session
        .delete(&format!("{keys}/{stored}"))
        .await
        .expect(204);
    let (_, texts) = look(&admin.session).await;
    for text in texts {
        assert!(!text.contains("personal-label"), "{text}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn the_instances_sums_are_of_one_account_or_workspace_where_that_is_asked() {
    let fixture = Fixture::with_cli().await;
    let session = &fixture.owner.person.session;
    fixture.with_openai_key().await;
    fixture.chat("gpt-4o").await.expect(200);
    fixture.chat("gpt-4o-mini").await.expect(200);
    // Somebody else's call, which is refused for want of a key.
    let other = fixture.app.outsider(&fixture.owner).await;
    let me = other.session.get("/api/v1/me").await.expect(200).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (workspace, account) = (
        text(&me["workspaces"][0]["id"]),
        text(&me["user"]["account_id"]),
    );
    let key = fixture
        .app
        .api_key(&other.session, &workspace, &["inference:invoke"])
        .await;
    let refused = key.post("/v1/chat/completions", &chat("gpt-4o")).await;
    refused.expect(402);
    fixture.app.usage(&fixture.owner, 2).await;
    let sums = async |query: &str| -> i64 {
        let path = format!("/api/v1/admin/usage/summary?{query}");
        let summary = session.get(&path).await.expect(200).json();
        summary["total"]["calls"].as_i64().expect("a number")
    };
    let begun = std::time::Instant::now();
    while sums("").await < 3 {
        assert!(begun.elapsed().as_secs() < 10, "the third call is recorded");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(
        sums(&format!("account_id={}", fixture.owner.account)).await,
        2
    );
    assert_eq!(sums(&format!("account_id={account}")).await, 1);
    assert_eq!(sums(&format!("workspace_id={workspace}")).await, 1);
    assert_eq!(
        sums(&format!(
            "workspace_id={workspace}&account_id={}",
            fixture.owner.account
        ))
        .await,
        0
    );
    let narrow = format!("account_id={}&model=gpt-4o-mini", fixture.owner.account);
    assert_eq!(sums(&narrow).await, 1);
    for (path, field) in [
        (
            fixture.path(&format!("/usage/summary?workspace_id={workspace}")),
            "workspace_id",
        ),
        (
            format!(
                "/api/v1/accounts/{}/usage/summary?account_id={account}",
                fixture.owner.account
            ),
            "account_id",
        ),
        (
            "/api/v1/admin/usage/summary?account_id=x".to_owned(),
            "account_id",
        ),
    ] {
        let refused = session
            .get(&path)
            .await
            .expect_error(400, "invalid_request");
        assert_eq!(refused.json()["details"]["field"], field, "{path}");
    }
    let summary = [
        "usage",
        "summary",
        "--instance",
        "--account-id",
        &account,
        "--json",
    ];
    let shown = fixture.as_owner(&summary, "").await;
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["total"]["calls"], 1);
    let summary = [
        "usage",
        "summary",
        "--account",
        "--workspace",
        &fixture.owner.workspace,
    ];
    assert_eq!(fixture.cli_json(&summary).await["total"]["calls"], 2);
    fixture.finish().await;
}
