//! Users, workspaces, members, API keys: what each can and cannot see and do.

use http::Method;
use serde_json::{Value, json};
use testkit::app::Auth;

use crate::{Fixture, chat};

fn id(body: &Value) -> &str {
    body["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_new_user_has_a_workspace_named_personal() {
    let fixture = Fixture::start().await;
    let outsider = fixture.app.outsider(&fixture.owner).await;
    let list = outsider
        .session
        .get("/api/v1/workspaces")
        .await
        .expect(200)
        .json();
    let list = list["data"].as_array().expect("a list");
    assert_eq!(list.len(), 1);
    assert_eq!(
        (list[0]["name"].as_str(), list[0]["role"].as_str()),
        (Some("Personal"), Some("owner"))
    );
    let path = format!("/api/v1/workspaces/{}", id(&list[0]));
    let renamed = outsider
        .session
        .patch(&path, &json!({"name": "Mine"}))
        .await
        .expect(200)
        .json();
    assert_eq!(renamed["name"], "Mine");
    // T92: nobody makes themselves an admin of the instance.
    let body =
        json!({"email": "x@example.com", "password": "a long password", "instance_admin": true});
    fixture
        .owner
        .person
        .session
        .post("/api/v1/users", &body)
        .await
        .expect_error(400, "invalid_request");
    outsider
        .session
        .post(
            "/api/v1/users",
            &json!({"email": "x@example.com", "password": "a long password"}),
        )
        .await
        .expect_error(403, "permission_denied");
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    // T96, C30
    let fixture = Fixture::start().await;
    let outsider = fixture.app.outsider(&fixture.owner).await;
    let key = fixture
        .workspace_key("openai", "primary", &fixture.canary.openai_key())
        .await;
    let unknown = "ws_00000000000000000000000000";
    let blank = |reply: testkit::app::Reply| {
        let mut body = reply.expect_error(404, "not_found").json();
        body["request_id"] = Value::Null;
        body
    };
    for rest in [
        "",
        "/members",
        "/provider-keys",
        "/api-keys",
        "/usage",
        "/audit",
        "/invitations",
    ] {
        let mine = outsider.session.get(&fixture.path(rest)).await;
        let nobodys = outsider
            .session
            .get(&format!("/api/v1/workspaces/{unknown}{rest}"))
            .await;
        assert_eq!(blank(mine), blank(nobodys), "{rest}");
    }
    let key_path = fixture.path(&format!("/provider-keys/{}", id(&key)));
    outsider.session.delete(&key_path).await.expect(404);
    outsider
        .session
        .get(&format!("/api/v1/accounts/{}", fixture.owner.account))
        .await
        .expect(404);
    outsider
        .session
        .get(&format!(
            "/api/v1/accounts/{}/provider-keys",
            fixture.owner.account
        ))
        .await
        .expect(404);
    // Their own workspace's path with our key's id reaches nothing either.
    let theirs = outsider
        .session
        .get("/api/v1/workspaces")
        .await
        .expect(200)
        .json();
    let theirs = id(&theirs["data"][0]);
    outsider
        .session
        .patch(
            &format!("/api/v1/workspaces/{theirs}/provider-keys/{}", id(&key)),
            &json!({"enabled": false}),
        )
        .await
        .expect(404);
    // An API key acts in its own workspace only.
    let body = json!({"name": "Second"});
    let second = fixture
        .owner
        .person
        .session
        .post("/api/v1/workspaces", &body)
        .await
        .expect(201)
        .json();
    fixture
        .owner
        .key
        .get(&format!("/api/v1/workspaces/{}", id(&second)))
        .await
        .expect(404);
    fixture.finish().await;
}

#[tokio::test]
async fn members_come_by_invitation_and_go_with_everything_they_held() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let member = fixture.app.member(&fixture.owner).await;
    let caller = fixture
        .app
        .api_key(
            &member.session,
            &fixture.owner.workspace,
            &["inference:invoke"],
        )
        .await;
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    member.session.get(&fixture.path("")).await.expect(200);
    let path = fixture.path(&format!("/members/{}", member.user));
    let owner = &fixture.owner.person.session;
    owner.delete(&path).await.expect(204);
    member
        .session
        .get(&fixture.path(""))
        .await
        .expect_error(404, "not_found");
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(401);
    // The owner stays, whatever happens.
    let own = fixture.path(&format!("/members/{}", fixture.owner.person.user));
    owner.delete(&own).await.expect_error(409, "owner_role");
    owner
        .patch(&own, &json!({"role": "member"}))
        .await
        .expect_error(409, "owner_role");
    fixture.finish().await;
}

#[tokio::test]
async fn an_invitation_works_once() {
    // T104
    let fixture = Fixture::start().await;
    let owner = &fixture.owner.person.session;
    let body = json!({"email": "new@example.com", "role": "member"});
    let invited = owner
        .post(&fixture.path("/invitations"), &body)
        .await
        .expect(201)
        .json();
    let token = invited["token"].as_str().expect("a token");
    let listed = owner.get(&fixture.path("/invitations")).await.expect(200);
    assert!(!listed.text().contains(token), "a token is shown once");
    let accept = json!({"token": token, "password": "a long password"});
    let anonymous = fixture.app.anonymous();
    anonymous
        .post("/api/v1/invitations/accept", &accept)
        .await
        .expect(201);
    anonymous
        .post("/api/v1/invitations/accept", &accept)
        .await
        .expect_error(401, "invalid_invitation");
    // Nobody is invited as an owner.
    let body = json!({"email": "new2@example.com", "role": "owner"});
    owner
        .post(&fixture.path("/invitations"), &body)
        .await
        .expect_error(400, "invalid_request");
}

#[tokio::test]
async fn api_keys_are_shown_once_and_hold_no_more_than_their_minter() {
    // T87, T93
    let fixture = Fixture::start().await;
    let owner = &fixture.owner.person.session;
    let path = fixture.path("/api-keys");
    let minted = owner
        .post(&path, &json!({"name": "ci", "scopes": ["usage:read"]}))
        .await
        .expect(201)
        .json();
    let text = minted["key"].as_str().expect("the key");
    let listed = owner.get(&path).await.expect(200);
    assert!(!listed.text().contains(text), "a key is shown once");
    assert!(
        listed.text().contains(&text[..9]),
        "its prefix is listed: {}",
        listed.text()
    );

    let caller = fixture.app.caller("ci", Auth::Bearer(text.to_owned()));
    caller.get(&fixture.path("/usage")).await.expect(200);
    caller
        .get(&fixture.path("/members"))
        .await
        .expect_error(403, "permission_denied");
    caller
        .post(&path, &json!({"name": "more", "scopes": ["usage:read"]}))
        .await
        .expect_error(403, "permission_denied");
    let minter = fixture
        .app
        .api_key(owner, &fixture.owner.workspace, &["keys:write"])
        .await;
    let wider = json!({"name": "wider", "scopes": ["keys:write", "byok:write"]});
    minter
        .post(&path, &wider)
        .await
        .expect_error(403, "scope_not_held");
    owner
        .post(&path, &json!({"name": "x", "scopes": ["everything"]}))
        .await
        .expect_error(400, "invalid_request");

    // The role of the minter counts at each request.
    let admin = fixture.app.admin(&fixture.owner).await;
    let reader = fixture
        .app
        .api_key(&admin.session, &fixture.owner.workspace, &["audit:read"])
        .await;
    reader.get(&fixture.path("/audit")).await.expect(200);
    let member_path = fixture.path(&format!("/members/{}", admin.user));
    owner
        .patch(&member_path, &json!({"role": "member"}))
        .await
        .expect(204);
    reader
        .get(&fixture.path("/audit"))
        .await
        .expect_error(403, "permission_denied");
    fixture
        .app
        .anonymous()
        .get(&fixture.path("/usage"))
        .await
        .expect_error(401, "authentication_required");
}

#[tokio::test]
async fn a_revoked_expired_or_rotated_api_key_is_dead_on_the_next_request() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let owner = &fixture.owner.person.session;
    let path = fixture.path("/api-keys");
    let body = json!({"name": "short-lived", "scopes": ["inference:invoke", "keys:write"]});
    let minted = owner.post(&path, &body).await.expect(201).json();
    let old = fixture.app.caller(
        "old",
        Auth::Bearer(minted["key"].as_str().expect("the key").to_owned()),
    );
    let call = |caller: testkit::app::Caller| async move {
        caller.post("/v1/chat/completions", &chat("gpt-4o")).await
    };
    call(old.clone()).await.expect(200);
    let rotated = old
        .post(&format!("{path}/self/rotate"), &json!({}))
        .await
        .expect(200)
        .json();
    let new = fixture.app.caller(
        "new",
        Auth::Bearer(rotated["key"].as_str().expect("the key").to_owned()),
    );
    call(old).await.expect(401);
    call(new.clone()).await.expect(200);
    owner
        .delete(&format!("{path}/{}", id(&minted)))
        .await
        .expect(204);
    let refused = call(new).await.expect(401);
    assert_eq!(refused.code().as_deref(), Some("api_key_invalid"));

    let soon = jiff_like(2);
    let body = json!({"name": "expires", "scopes": ["inference:invoke"], "expires_at": soon});
    let minted = owner.post(&path, &body).await.expect(201).json();
    let caller = fixture.app.caller(
        "expires",
        Auth::XApiKey(minted["key"].as_str().expect("the key").to_owned()),
    );
    call(caller.clone()).await.expect(200);
    // The process has its own clock; this waits for it to pass the moment.
    tokio::time::sleep(std::time::Duration::from_millis(2600)).await;
    call(caller).await.expect(401);
    fixture.finish().await;
}

/// RFC 3339, that many seconds from now.
#[expect(
    clippy::disallowed_methods,
    reason = "the other process has the system's clock"
)]
fn jiff_like(seconds: i64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    domain::Timestamp::from_millis(i64::try_from(now.as_millis()).expect("fits") + seconds * 1000)
        .to_string()
}

#[tokio::test]
async fn log_in_log_out_and_what_a_browser_of_another_site_cannot_do() {
    // T101, T110
    let fixture = Fixture::start().await;
    let person = &fixture.owner.person;
    let anonymous = fixture.app.anonymous();
    let log_in = |email: &str, password: &str| json!({"email": email, "password": password});
    let wrong = anonymous
        .post(
            "/api/v1/sessions",
            &log_in(&person.email, "not the password"),
        )
        .await;
    let unknown = anonymous
        .post(
            "/api/v1/sessions",
            &log_in("nobody@example.com", "not the password"),
        )
        .await;
    let blank = |reply: testkit::app::Reply| {
        let mut body = reply.expect_error(401, "invalid_credentials").json();
        body["request_id"] = Value::Null;
        body
    };
    assert_eq!(blank(wrong), blank(unknown));

    let reply = anonymous
        .post(
            "/api/v1/sessions",
            &log_in(&person.email.to_uppercase(), &person.password),
        )
        .await
        .expect(201);
    let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
    for attribute in ["__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let session = fixture
        .app
        .caller("session", Auth::Cookie(reply.cookie().expect("a cookie")));
    session.get("/api/v1/me").await.expect(200);
    let json_type = ("content-type", "application/json");
    for header in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "null"),
    ] {
        let body = Some(br#"{"name":"x"}"#.to_vec());
        session
            .send(
                Method::POST,
                "/api/v1/workspaces",
                &[json_type, header],
                body,
            )
            .await
            .expect_error(403, "cross_site_request");
    }
    session.delete("/api/v1/sessions/current").await.expect(204);
    session
        .get("/api/v1/me")
        .await
        .expect_error(401, "authentication_required");

    // A new password ends the other sessions.
    let stolen = anonymous
        .post("/api/v1/sessions", &log_in(&person.email, &person.password))
        .await
        .expect(201);
    let stolen = fixture
        .app
        .caller("stolen", Auth::Cookie(stolen.cookie().expect("a cookie")));
    let body =
        json!({"current_password": person.password, "new_password": "another long password"});
    person
        .session
        .put("/api/v1/me/password", &body)
        .await
        .expect(204);
    stolen.get("/api/v1/me").await.expect(401);
    person.session.get("/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() {
    // T90
    let fixture = Fixture::start().await;
    let anonymous = fixture.app.anonymous();
    let email = &fixture.owner.person.email;
    let mut limited = None;
    for attempt in 0..12 {
        // Spelling the address another way does not start a new count.
        let spelled = if attempt % 2 == 0 {
            email.clone()
        } else {
            format!(" {}", email.to_uppercase())
        };
        let reply = anonymous
            .post(
                "/api/v1/sessions",
                &json!({"email": spelled, "password": "wrong password"}),
            )
            .await;
        if reply.status == 429 {
            limited = Some((attempt, reply));
            break;
        }
    }
    let (attempt, reply) = limited.expect("a limit");
    assert_eq!(attempt, 10);
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn a_deleted_workspace_takes_its_keys_with_it() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let second = session
        .post("/api/v1/workspaces", &json!({"name": "Second"}))
        .await
        .expect(201)
        .json();
    let second = id(&second).to_owned();
    let caller = fixture
        .app
        .api_key(session, &second, &["inference:invoke", "byok:write"])
        .await;
    let body = json!({"provider": "openai", "key": fixture.canary.openai_key()});
    let path = format!("/api/v1/workspaces/{second}");
    session
        .post(&format!("{path}/provider-keys"), &body)
        .await
        .expect(201);
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    let member = fixture.app.member(&fixture.owner).await;
    member.session.delete(&path).await.expect(404);
    session.delete(&path).await.expect(204);
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(401);
    session.get(&path).await.expect(404);
    fixture.finish().await;
}

#[tokio::test]
async fn what_an_api_key_makes_ends_with_it() {
    let fixture = Fixture::start().await;
    let owner = &fixture.owner.person.session;
    let workspace = &fixture.owner.workspace;
    let path = fixture.path("/api-keys");
    let body = json!({"name": "parent", "scopes": ["keys:write", "members:write", "usage:read"]});
    let parent = owner.post(&path, &body).await.expect(201).json();
    let text = parent["key"].as_str().expect("the key").to_owned();
    let caller = fixture.app.caller("parent", Auth::Bearer(text));
    let child = fixture
        .app
        .api_key(&caller, workspace, &["usage:read"])
        .await;
    child.get(&fixture.path("/usage")).await.expect(200);
    // It gives nobody more than it has.
    let invitations = fixture.path("/invitations");
    let admin = json!({"email": "more@example.com", "role": "admin"});
    caller
        .post(&invitations, &admin)
        .await
        .expect_error(403, "permission_denied");
    let member = json!({"email": "new@example.com", "role": "member"});
    let invited = caller.post(&invitations, &member).await.expect(201).json();

    owner
        .delete(&format!("{path}/{}", id(&parent)))
        .await
        .expect(204);
    child.get(&fixture.path("/usage")).await.expect(401);
    let accept = json!({"token": invited["token"], "password": "a long password"});
    let anonymous = fixture.app.anonymous();
    anonymous
        .post("/api/v1/invitations/accept", &accept)
        .await
        .expect_error(401, "invalid_invitation");
}

#[tokio::test]
async fn an_invitation_does_not_outlive_its_makers_authority() {
    let fixture = Fixture::start().await;
    let admin = fixture.app.admin(&fixture.owner).await;
    let body = json!({"email": "friend@example.com", "role": "admin"});
    let invited = admin
        .session
        .post(&fixture.path("/invitations"), &body)
        .await
        .expect(201)
        .json();
    let owner = &fixture.owner.person.session;
    owner
        .delete(&fixture.path(&format!("/members/{}", admin.user)))
        .await
        .expect(204);
    let accept = json!({"token": invited["token"], "password": "a long password"});
    fixture
        .app
        .anonymous()
        .post("/api/v1/invitations/accept", &accept)
        .await
        .expect_error(401, "invalid_invitation");
}

#[tokio::test]
async fn a_suspended_person_is_out_at_once() {
    let fixture = Fixture::start().await;
    let person = fixture.app.outsider(&fixture.owner).await;
    let owner = &fixture.owner.person.session;
    let path = format!("/api/v1/users/{}", person.user);
    owner
        .patch(&path, &json!({"suspended": true}))
        .await
        .expect(204);
    person.session.get("/api/v1/me").await.expect(401);
    owner
        .patch(&path, &json!({"suspended": false}))
        .await
        .expect(204);
}

/// What the link that a command printed carries.
fn token_of(printed: &str) -> String {
    let link = printed.trim();
    let (page, token) = link.split_once("#token=").expect("a link");
    assert!(page.ends_with("/console/password"), "{page}");
    token.to_owned()
}

#[tokio::test]
async fn a_second_admin_helps_the_first_one() {
    // T92
    let fixture = Fixture::with_cli().await;
    let second = fixture.app.outsider(&fixture.owner).await;
    let first = &fixture.owner.person;
    let promote = ["admin", "user", "promote", &second.email];
    let exit = fixture.as_owner(&promote, "").await;
    assert_eq!(exit.status.code(), Some(3), "nobody agreed: {exit}");
    second.session.get("/api/v1/users").await.expect(403);
    fixture
        .admin_json(&[&promote[..], &["--yes"]].concat())
        .await;
    second.session.get("/api/v1/users").await.expect(200);

    let link = format!("/api/v1/users/{}/password-link", first.user);
    let made = second.session.post(&link, &json!({})).await.expect(201);
    let token = made.json()["token"].clone();
    let change = json!({"token": token, "password": "quite another password"});
    let path = "/api/v1/password-links/password";
    let anonymous = fixture.app.anonymous();
    let set = anonymous.post(path, &change).await.expect(200);
    assert_eq!(set.json(), json!({"email": first.email}));
    first.session.get("/api/v1/me").await.expect(401);
    anonymous
        .post(path, &change)
        .await
        .expect_error(401, "invalid_password_link");
    let log_in = json!({"email": first.email, "password": "quite another password"});
    anonymous
        .post("/api/v1/sessions", &log_in)
        .await
        .expect(201);
    // What the owner's programs have goes on.
    fixture.owner.key.get("/v1/models").await.expect(200);

    let demote = format!("/api/v1/users/{}", second.user);
    let body = json!({"instance_admin": false});
    second
        .session
        .patch(&format!("/api/v1/users/{}", first.user), &body)
        .await
        .expect(204);
    second
        .session
        .patch(&demote, &body)
        .await
        .expect_error(409, "last_instance_admin");
    let log = fixture.app.stderr();
    assert!(!log.contains("kbpassword_"), "{log}");
}

#[tokio::test]
async fn an_admin_links_and_demotes_from_the_command_line() {
    // T92
    let fixture = Fixture::with_cli().await;
    let other = fixture.app.outsider(&fixture.owner).await;
    let link = ["admin", "user", "password-link", &other.email];
    let printed = fixture.as_owner(&link, "").await;
    assert!(printed.status.success(), "{printed}");
    let change = json!({"token": token_of(&printed.stdout), "password": "quite another password"});
    let path = "/api/v1/password-links/password";
    let anonymous = fixture.app.anonymous();
    anonymous.post(path, &change).await.expect(200);
    other.session.get("/api/v1/me").await.expect(401);

    let promote = ["admin", "user", "promote", &other.email, "--yes"];
    let exit = fixture.as_owner(&promote, "").await;
    assert!(exit.status.success(), "{exit}");
    let log_in = json!({"email": other.email, "password": "quite another password"});
    let session = anonymous.post("/api/v1/sessions", &log_in).await;
    let cookie = session.expect(201).cookie().expect("a session");
    let session = fixture.app.caller("the other", Auth::Cookie(cookie));
    session.get("/api/v1/users").await.expect(200);
    let demote = ["admin", "user", "demote", &other.email];
    let exit = fixture.as_owner(&demote, "").await;
    assert_eq!(exit.status.code(), Some(3), "nobody agreed: {exit}");
    session.get("/api/v1/users").await.expect(200);
    let exit = fixture
        .as_owner(&[&demote[..], &["--yes"]].concat(), "")
        .await;
    assert!(exit.status.success(), "{exit}");
    session.get("/api/v1/users").await.expect(403);
    let last = ["admin", "user", "demote", &fixture.owner.person.email];
    let exit = fixture
        .as_owner(&[&last[..], &["--yes"]].concat(), "")
        .await;
    assert!(!exit.status.success(), "{exit}");
    assert!(exit.says("last_instance_admin"), "{exit}");
}

#[tokio::test]
async fn the_operator_lets_an_admin_in_who_forgot_the_password() {
    let mut fixture = Fixture::start().await;
    let email = fixture.owner.person.email.clone();
    let on_sqlite = fixture.app.engine() == testkit::app::Engine::Sqlite;
    let run = ["password-link", "--email", &email];
    if on_sqlite {
        // One process at a time, which the server is.
        let exit = fixture.app.run(&run).await;
        assert!(!exit.status.success() && exit.stdout.is_empty(), "{exit}");
        fixture.app.terminate().await;
    }
    let unknown = ["password-link", "--email", "nobody@example.com"];
    let exit = fixture.app.run(&unknown).await;
    assert_eq!(exit.status.code(), Some(6), "{exit}");
    assert!(exit.says(&format!("its admins are {email}")), "{exit}");
    let first = fixture.app.run(&run).await;
    assert!(first.status.success(), "{first}");
    let exit = fixture.app.run(&run).await;
    assert!(exit.status.success(), "{exit}");
    assert!(exit.stderr.contains("good once"), "{exit}");
    if on_sqlite {
        fixture.app.restart().await;
    }
    let anonymous = fixture.app.anonymous();
    let path = "/api/v1/password-links/password";
    let change = |exit: &testkit::app::Exit| json!({"token": token_of(&exit.stdout), "password": "quite another password"});
    anonymous
        .post(path, &change(&first))
        .await
        .expect_error(401, "invalid_password_link");
    anonymous.post(path, &change(&exit)).await.expect(200);
    fixture
        .owner
        .person
        .session
        .get("/api/v1/me")
        .await
        .expect(401);
    let log_in = json!({"email": email, "password": "quite another password"});
    let session = anonymous
        .post("/api/v1/sessions", &log_in)
        .await
        .expect(201);
    let cookie = session.cookie().expect("a session");
    let audit = fixture
        .app
        .caller("the admin", Auth::Cookie(cookie))
        .get("/api/v1/audit")
        .await
        .expect(200)
        .json();
    let rows = audit["data"].as_array().expect("rows");
    let has = |action: &str, actor: &str| {
        let mut rows = rows.iter();
        rows.any(|row| row["action"] == action && row["actor"] == actor)
    };
    assert!(has("user.create_password_link", "system"), "{audit}");
    let user = &fixture.owner.person.user;
    assert!(has("user.use_password_link", user), "{audit}");
}
