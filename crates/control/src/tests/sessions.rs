//! Set-up, log-in, logout.

use http::Method;
use serde_json::json;

use super::{As, PASSWORD, World, data};

#[tokio::test]
async fn set_up_works_once_and_with_the_credential_of_this_start() {
    // T99
    let world = World::start().await;
    let body =
        |token: &str| json!({"token": token, "email": "A@Example.test", "password": PASSWORD});
    let status = world
        .get(&As::Nobody, "/api/v1/setup")
        .await
        .expect(200)
        .json();
    assert_eq!(status["needed"], true);
    for weak in ["", "changeme", "kbsetup_", "sk-1234"] {
        let answer = world.post(&As::Nobody, "/api/v1/setup", body(weak)).await;
        answer.refused(401, "invalid_setup_token");
    }
    let old = world.setup_token().await;
    let token = world.setup_token().await;
    world
        .post(&As::Nobody, "/api/v1/setup", body(&old))
        .await
        .refused(401, "invalid_setup_token");
    let made = world
        .post(&As::Nobody, "/api/v1/setup", body(&token))
        .await
        .expect(201);
    let session = made.cookie();
    let made = made.json();
    assert_eq!(made["user"]["email"], "a@example.test");
    assert_eq!(made["user"]["instance_admin"], true);
    let me = world.get(&session, "/api/v1/me").await.expect(200).json();
    assert_eq!(me["workspaces"][0]["name"], "Personal");
    assert_eq!(me["workspaces"][0]["role"], "owner");
    assert_eq!(me["workspaces"][0]["id"], made["workspace_id"]);
    let key = As::Key(made["api_key"]["key"].as_str().expect("the key").to_owned());
    let path = format!(
        "/api/v1/workspaces/{}",
        me["workspaces"][0]["id"].as_str().expect("an id")
    );
    world.get(&key, &path).await.expect(200);
    world
        .post(&As::Nobody, "/api/v1/setup", body(&token))
        .await
        .refused(409, "already_set_up");
    let status = world
        .get(&As::Nobody, "/api/v1/setup")
        .await
        .expect(200)
        .json();
    assert_eq!(status["needed"], false);
}

#[tokio::test]
async fn of_two_first_users_at_once_one_is_made() {
    let world = World::start().await;
    let token = world.setup_token().await;
    let body = |name: &str| json!({"token": token, "email": format!("{name}@example.test"), "password": PASSWORD});
    let (one, two) = tokio::join!(
        world.post(&As::Nobody, "/api/v1/setup", body("one")),
        world.post(&As::Nobody, "/api/v1/setup", body("two")),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(
        world
            .state
            .store
            .system()
            .user_count()
            .await
            .expect("answers"),
        1
    );
}

#[tokio::test]
async fn set_up_refuses_a_short_password_and_can_be_tried_again() {
    let world = World::start().await;
    let token = world.setup_token().await;
    let body = |password: &str| json!({"token": token, "email": "a@b.test", "password": password});
    let refused = world
        .post(&As::Nobody, "/api/v1/setup", body("short"))
        .await;
    let refused = refused.refused(400, "invalid_request");
    assert_eq!(refused["details"]["field"], "password");
    assert_eq!(refused["detail"], "a password has 10 to 128 characters");
    assert!(refused.get("hint").is_none(), "{refused}");
    world
        .post(&As::Nobody, "/api/v1/setup", body(PASSWORD))
        .await
        .expect(201);
}

#[tokio::test]
async fn the_session_cookie_is_guarded_and_only_its_hash_is_kept() {
    // T114, T87
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"email": " ROOT@example.test ", "password": PASSWORD});
    let answer = world
        .post(&As::Nobody, "/api/v1/sessions", body)
        .await
        .expect(201);
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-keybearer_session=kbs_"),
        "{cookie}"
    );
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let As::Cookie(pair) = answer.cookie() else {
        panic!("a log-in sets a cookie");
    };
    let twice = As::Cookie(format!("{pair}; {pair}"));
    world
        .get(&twice, "/api/v1/me")
        .await
        .refused(400, "ambiguous_credentials");
    let as_bearer = pair.split_once('=').expect("a pair").1.to_owned();
    world
        .get(&As::Key(as_bearer), "/api/v1/me")
        .await
        .refused(401, "authentication_required");
    assert_eq!(
        data(world.get(&root.session, "/api/v1/sessions").await).len(),
        2
    );
}

#[tokio::test]
async fn an_unknown_email_and_a_wrong_password_look_the_same() {
    // T89, T90
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let mut answers = Vec::new();
    for email in [root.email.as_str(), "nobody@example.test"] {
        let body = json!({"email": email, "password": "wrong password"});
        let mut answer = world
            .post(&As::Nobody, "/api/v1/sessions", body)
            .await
            .refused(401, "invalid_credentials");
        answer["request_id"] = json!(null);
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    // Each leaves a row: in the log of the account, and where there is none in the instance's.
    let account = format!("/api/v1/accounts/{}/audit", root.account);
    for (log, subject) in [
        (account.as_str(), json!(root.id)),
        ("/api/v1/audit", json!(null)),
    ] {
        let rows = data(world.get(&root.session, log).await);
        let refused: Vec<_> = rows
            .iter()
            .filter(|row| row["action"] == "session.create" && row["outcome"] == "refused")
            .collect();
        assert_eq!(refused.len(), 1, "{log}: {rows:?}");
        assert_eq!(refused[0]["subject"], subject, "{log}");
    }
}

#[tokio::test]
async fn wrong_credentials_leave_audit_rows() {
    let world = World::start().await;
    let body = json!({"token": "kbsetup_x", "email": "a@example.test", "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/setup", body)
        .await
        .refused(401, "invalid_setup_token");
    let (root, _) = world.set_up().await;
    let body = json!({"token": "kbi_x", "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/invitations/accept", body)
        .await
        .refused(401, "invalid_invitation");
    let body = json!({"current_password": "wrong password", "new_password": "another password"});
    world
        .put(&root.session, "/api/v1/me/password", body)
        .await
        .refused(401, "invalid_credentials");
    let refused = async |log: &str| {
        let rows = data(world.get(&root.session, log).await);
        let refused = rows.iter().filter(|row| row["outcome"] == "refused");
        refused.map(|row| row["action"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        refused("/api/v1/audit").await,
        ["invitation.accept", "instance.set_up"]
    );
    let account = format!("/api/v1/accounts/{}/audit", root.account);
    assert_eq!(refused(&account).await, ["user.set_password"]);

    // Rows of what belongs to nobody have an end: somebody without an address must not fill the log.
    let refusals = &world.state.refusals;
    let now = world.state.sources.now();
    while refusals.begin(crate::auth::refusal::SUBJECT, now).is_ok() {}
    let body = json!({"token": "kbi_x", "password": PASSWORD});
    world
        .post(&As::Nobody, "/api/v1/invitations/accept", body)
        .await
        .refused(401, "invalid_invitation");
    assert_eq!(refused("/api/v1/audit").await.len(), 2);
}

#[tokio::test]
async fn ten_failures_close_the_door_for_a_quarter_of_an_hour() {
    // T90
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = |email: &str, password: &str| json!({"email": email, "password": password});
    // From elsewhere than this machine's other callers: no address is told.
    let attempt = async |email: &str, password: &str| {
        let body = body(email, password);
        let mut request =
            World::request(&As::Nobody, Method::POST, "/api/v1/sessions", Some(&body));
        request.extensions_mut().clear();
        request
            .headers_mut()
            .insert("x-forwarded-for", "192.0.2.7".parse().expect("a value"));
        world.send(request).await
    };
    for n in 0..10 {
        let email = if n % 2 == 0 {
            root.email.clone()
        } else {
            root.email.to_uppercase()
        };
        attempt(&email, "wrong password")
            .await
            .refused(401, "invalid_credentials");
    }
    let refused = attempt(&root.email, PASSWORD).await;
    assert!(
        refused
            .header("retry-after")
            .is_some_and(|seconds| seconds == "901")
    );
    refused.refused(429, "too_many_attempts");
    attempt("other@example.test", PASSWORD)
        .await
        .refused(401, "invalid_credentials");
    world.pass_ms(15 * 60 * 1000);
    attempt(&root.email, PASSWORD).await.expect(201);
}

#[tokio::test]
async fn one_guesser_does_not_close_the_door_for_the_whole_address() {
    // T90
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let log_in = json!({"email": root.email, "password": PASSWORD});
    let wrong = json!({"email": "other@example.test", "password": "wrong password"});
    for _ in 0..10 {
        world
            .post(&As::Nobody, "/api/v1/sessions", wrong.clone())
            .await
            .refused(401, "invalid_credentials");
    }
    world
        .post(&As::Nobody, "/api/v1/sessions", wrong)
        .await
        .refused(429, "too_many_attempts");
    world
        .post(&As::Nobody, "/api/v1/sessions", log_in.clone())
        .await
        .expect(201);
    let guess = json!({"token": "kbi_guess"});
    for _ in 10..100 {
        world
            .post(&As::Nobody, "/api/v1/invitations/accept", guess.clone())
            .await
            .refused(401, "invalid_invitation");
    }
    world
        .post(&As::Nobody, "/api/v1/sessions", log_in)
        .await
        .refused(429, "too_many_attempts");
}

#[tokio::test]
async fn sessions_end_at_logout_at_expiry_and_when_the_password_changes() {
    // T101
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let log_in = json!({"email": root.email, "password": PASSWORD});
    let begin = async || {
        world
            .post(&As::Nobody, "/api/v1/sessions", log_in.clone())
            .await
            .cookie()
    };
    let (one, two) = (begin().await, begin().await);
    let ended = world
        .delete(&one, "/api/v1/sessions/current")
        .await
        .expect(204);
    assert!(
        ended
            .header("set-cookie")
            .is_some_and(|cookie| cookie.contains("Max-Age=0"))
    );
    world
        .get(&one, "/api/v1/me")
        .await
        .refused(401, "authentication_required");

    let sessions = data(world.get(&two, "/api/v1/sessions").await);
    let other = sessions
        .iter()
        .find(|session| session["current"] == false)
        .expect("set-up's session");
    let path = format!("/api/v1/sessions/{}", other["id"].as_str().expect("an id"));
    world.delete(&two, &path).await.expect(204);
    world.get(&root.session, "/api/v1/me").await.expect(401);
    world.delete(&two, &path).await.refused(404, "not_found");

    let three = begin().await;
    let change =
        |current: &str| json!({"current_password": current, "new_password": "another password"});
    let wrong = world
        .put(&two, "/api/v1/me/password", change("wrong password"))
        .await;
    wrong.refused(401, "invalid_credentials");
    world
        .put(&two, "/api/v1/me/password", change(PASSWORD))
        .await
        .expect(204);
    world.get(&three, "/api/v1/me").await.expect(401);
    world.get(&two, "/api/v1/me").await.expect(200);
    world
        .post(&As::Nobody, "/api/v1/sessions", log_in.clone())
        .await
        .refused(401, "invalid_credentials");

    world.pass_ms(crate::auth::session::LIFETIME_MS + 1);
    world
        .get(&two, "/api/v1/me")
        .await
        .refused(401, "authentication_required");
}

#[tokio::test]
async fn nobody_ends_anothers_session() {
    // T96
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let other = world.person(&root, "other").await;
    let sessions = data(world.get(&root.session, "/api/v1/sessions").await);
    let path = format!(
        "/api/v1/sessions/{}",
        sessions[0]["id"].as_str().expect("an id")
    );
    world
        .delete(&other.session, &path)
        .await
        .refused(404, "not_found");
    world.get(&root.session, "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn every_credential_can_ask_whose_it_is_and_only_a_valid_one_is_answered() {
    let world = World::start().await;
    let path = "/api/v1/whoami";
    let nobody = world.get(&As::Nobody, path).await.expect(200).json();
    assert_eq!(nobody, json!({"kind": "nobody"}));
    let (person, key) = world.set_up().await;
    let session = world.get(&person.session, path).await.expect(200).json();
    assert_eq!(session, json!({"kind": "session", "user_id": person.id}));
    let all = world.get(&key, path).await.expect(200).json();
    let workspace = all["workspace_id"].as_str().expect("a workspace");
    // Also a key that may do nothing else.
    let keys = format!("/api/v1/workspaces/{workspace}/api-keys");
    let minted = json!({"name": "small", "scopes": ["inference:invoke"]});
    let minted = world.post(&person.session, &keys, minted).await;
    let minted = minted.expect(201).json();
    let small = As::Key(minted["key"].as_str().expect("the key").to_owned());
    let shown = world.get(&small, path).await.expect(200).json();
    assert_eq!(
        shown,
        json!({
            "kind": "api_key", "user_id": person.id, "api_key_id": minted["id"], "workspace_id": workspace,
            "account_id": all["account_id"], "scopes": ["inference:invoke"],
        })
    );
    let revoke = format!("{keys}/{}", minted["id"].as_str().expect("an id"));
    world.delete(&person.session, &revoke).await.expect(204);
    let refused = world.get(&small, path).await;
    refused.refused(401, "authentication_required");
}
