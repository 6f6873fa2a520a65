//! What the console asks for beyond what programs need: sums, exports, the health of keys, models, a key for a page.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::app::{Auth, Streaming};
use testkit::provider::wire::chat_error;

use crate::{Fixture, chat};

/// What a stream of events says until it has said `text`.
pub(crate) async fn hear(stream: &mut Streaming, text: &str) -> String {
    let mut heard = String::new();
    let until_it_is_said = async {
        while !heard.contains(text) {
            match stream.next().await.expect("the stream lasts") {
                Some(piece) => heard.push_str(&String::from_utf8_lossy(&piece)),
                None => panic!("the stream ended before {text:?}: {heard}"),
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), until_it_is_said).await;
    assert!(in_time.is_ok(), "never heard {text:?}: {heard}");
    heard
}

/// The id of the last event.
fn last_id(heard: &str) -> String {
    let mut ids = heard.lines().rev();
    let id = ids.find_map(|line| line.strip_prefix("id: "));
    id.expect("an id").to_owned()
}

/// The only entry of a list that fits.
fn find<'a>(list: &'a Value, field: &str, value: &str) -> &'a Value {
    let entries = list.as_array().expect("a list");
    let mut fitting = entries.iter().filter(|it| it[field] == value);
    let found = fitting
        .next()
        .unwrap_or_else(|| panic!("no {field} {value}: {list}"));
    assert!(fitting.next().is_none(), "{field} {value} twice: {list}");
    found
}

#[tokio::test]
async fn usage_is_added_up_narrowed_down_and_exported() {
    let fixture = Fixture::with_cli().await;
    let session = &fixture.owner.person.session;
    fixture.chat("gpt-4o").await.expect(402);
    fixture.chat("nobody-knows-it").await.expect(404);
    fixture
        .workspace_key("openai", "main", &fixture.canary.openai_key())
        .await;
    for model in ["gpt-4o", "gpt-4o", "gpt-4o-mini"] {
        fixture.chat(model).await.expect(200);
    }
    // The name of a model is the client's to choose.
    fixture.chat("openai/=1+1,\"x\"").await.expect(200);
    fixture.app.usage(&fixture.owner, 6).await;

    let summary = session
        .get(&fixture.path("/usage/summary?group_by=model"))
        .await
        .expect(200)
        .json();
    let total = &summary["total"];
    assert_eq!((&total["calls"], &total["failed"]), (&json!(6), &json!(2)));
    assert_eq!(total["own_key_calls"], 4);
    assert_eq!(find(&summary["groups"], "model", "gpt-4o")["calls"], 3);
    let refused = summary["groups"].as_array().expect("groups");
    let refused = refused.iter().find(|it| it["model"].is_null());
    assert_eq!(refused.expect("one served by nobody")["failed"], 1);
    let tokens = find(&summary["groups"], "model", "gpt-4o-mini")["output_tokens"].as_i64();
    assert!(tokens > Some(0), "{summary}");

    let by_key = session
        .get(&fixture.path("/usage/summary?group_by=provider_key,member&key_source=byok"))
        .await
        .expect(200)
        .json();
    let group = &by_key["groups"][0];
    assert_eq!(
        (&group["key_label"], &group["calls"]),
        (&json!("main"), &json!(4))
    );
    let me = session.get("/api/v1/me").await.expect(200).json();
    assert_eq!(group["user_email"], me["user"]["email"]);
    let key = group["provider_key_id"].as_str().expect("an id").to_owned();

    for (query, calls) in [
        ("model=gpt-4o", 3),
        ("status=failed", 2),
        ("status=402", 1),
        ("status=429", 0),
        ("status=ok&model=gpt-4o-mini", 1),
        ("provider=openai&key_source=byok", 4),
        (&format!("provider_key_id={key}&status=ok"), 4),
        ("user_id=usr_00000000000000000000000000", 0),
        ("api_key_id=ak_00000000000000000000000000", 0),
    ] {
        let list = session
            .get(&fixture.path(&format!("/usage?{query}")))
            .await
            .expect(200)
            .json();
        assert_eq!(
            list["data"].as_array().expect("calls").len(),
            calls,
            "{query}"
        );
    }
    for (query, field) in [
        ("/usage?status=fine", "status"),
        ("/usage?key_source=gift", "key_source"),
        ("/usage/summary?group_by=mood", "group_by"),
        ("/usage/summary?group_by=day,day", "group_by"),
        ("/usage/summary?group_by=workspace", "group_by"),
        ("/usage/summary?from=yesterday", "from"),
        ("/usage/summary?from=2026-02-01&to=2026-01-01", "from"),
        ("/usage/summary?from=2020-01-01", "from"),
        ("/usage.csv?limit=10001", "limit"),
    ] {
        let refused = session.get(&fixture.path(query)).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(refused.json()["details"]["field"], field, "{query}");
    }

    let whole = session.get(&fixture.path("/usage.csv")).await.expect(200);
    let text = whole.text();
    assert_eq!(
        whole.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains(",\"'=1+1,\"\"x\"\"\","), "{text}");
    let part = session
        .get(&fixture.path("/usage.csv?limit=2"))
        .await
        .expect(200);
    let link = part.header("link").expect("a link").to_owned();
    let next = link
        .trim_start_matches('<')
        .split('>')
        .next()
        .expect("a path");
    let rest = session.get(next).await.expect(200);
    assert_eq!(
        rest.text().lines().nth(1),
        text.lines().nth(3),
        "the second part begins behind the first"
    );

    // The account has the same calls, the instance too; both only for who owns them.
    let account = format!(
        "/api/v1/accounts/{}/usage/summary?group_by=workspace",
        fixture.owner.account
    );
    let of_account = session.get(&account).await.expect(200).json();
    assert_eq!(of_account["groups"][0]["workspace_name"], "Personal");
    assert_eq!(of_account["total"], summary["total"]);
    let of_all = session
        .get("/api/v1/admin/usage/summary?group_by=account,key_source")
        .await
        .expect(200)
        .json();
    assert_eq!(of_all["total"]["calls"], 6);
    session
        .get("/api/v1/admin/usage/summary?group_by=member")
        .await
        .expect(400);

    let shown = fixture
        .cli(&["usage", "summary", "--by", "model"])
        .await
        .stdout;
    assert!(shown.contains("gpt-4o\t3\t1\t2\t"), "{shown}");
    assert!(
        shown
            .lines()
            .last()
            .expect("lines")
            .starts_with("total\t6\t2\t4\t"),
        "{shown}"
    );
    let shown = fixture
        .cli_json(&["usage", "summary", "--account", "--by", "workspace,day"])
        .await;
    assert_eq!(shown["groups"][0]["calls"], 6);
    let exported = fixture
        .cli(&["usage", "export", "--model", "gpt-4o"])
        .await
        .stdout;
    assert_eq!(exported.lines().count(), 4, "{exported}");
    fixture.finish().await;
}

#[tokio::test]
async fn provider_keys_say_how_they_fared_to_those_who_see_them() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    fixture
        .workspace_key("openai", "main", &fixture.canary.openai_key())
        .await;
    fixture.chat("gpt-4o").await.expect(200);
    fixture
        .provider
        .always(chat_error(429, "rate_limit_exceeded", "slow down"));
    let refused = fixture.chat("gpt-4o").await;
    assert!(refused.status >= 400, "{}", refused.text());
    fixture
        .provider
        .always(chat_error(401, "invalid_api_key", "who is it"));
    fixture.chat("gpt-4o").await;
    fixture.app.usage(&fixture.owner, 3).await;
    let keys = session
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200)
        .json();
    let health = &keys["data"][0]["health"];
    assert!(health["calls"].as_i64() >= Some(3), "{keys}");
    assert!(health["unauthorized"].as_i64() >= Some(1), "{keys}");
    assert!(health["rate_limited"].as_i64() >= Some(1), "{keys}");
    assert_eq!(
        health["failed"].as_i64(),
        health["calls"].as_i64().map(|calls| calls - 1),
        "{keys}"
    );
    // Members see that there is a key, and no more.
    let member = fixture.app.member(&fixture.owner).await.session;
    let keys = member
        .get(&fixture.path("/provider-keys"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        keys["data"],
        json!([{"provider": "openai", "available": true}])
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_workspace_lists_its_models_with_who_pays_and_what_is_locked() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let models = async || {
        let answer = session.get(&fixture.path("/models")).await.expect(200);
        answer.json()
    };
    let before = models().await;
    let refused = find(&before["models"], "id", "openai/gpt-4o");
    assert_eq!(refused["mine"], false);
    assert_eq!(refused["refusal"], "byok_key_missing");
    assert!(refused["price"]["input"].is_string(), "{refused}");
    assert!(refused["context_tokens"].as_u64() > Some(0), "{refused}");
    let formats = refused["formats"].as_array().expect("formats");
    assert!(formats.contains(&json!("openai_chat")), "{refused}");

    fixture
        .workspace_key("openai", "main", &fixture.canary.openai_key())
        .await;
    let policy = json!({"tiers": {"level_1": "openai/gpt-4o"}});
    session
        .patch(&fixture.path("/policy"), &policy)
        .await
        .expect(200);
    let after = models().await;
    let served = find(&after["models"], "id", "openai/gpt-4o");
    assert_eq!(served["mine"], true);
    assert_eq!(served["key_source"], "byok");
    assert_eq!(served["refusal"], Value::Null);
    let anthropic = after["models"].as_array().expect("models").iter();
    let mut anthropic = anthropic.filter(|it| it["provider"] == "anthropic");
    assert!(anthropic.all(|it| it["mine"] == false && it["refusal"] == "byok_key_missing"));
    let tier = find(&after["tiers"], "tier", "level_1");
    assert_eq!(tier["model"], "openai/gpt-4o");
    assert_eq!(
        (&tier["locked"], &tier["key_source"]),
        (&json!(false), &json!("byok"))
    );
    assert_eq!(after["default_model"], "openai/gpt-4o");
    assert_eq!(after["default_chosen_by"], "workspace");

    // A plan without the tier locks it, and the list says which one opens it.
    let path = format!(
        "/api/v1/admin/accounts/{}/subscription",
        fixture.owner.account
    );
    session
        .put(&path, &json!({"plan": "free"}))
        .await
        .expect(200);
    let locked = models().await;
    let tier = find(&locked["tiers"], "tier", "level_2");
    assert_eq!(
        (&tier["locked"], &tier["refusal"]),
        (&json!(true), &json!("plan_required"))
    );
    assert_eq!(tier["plans"][0], "pro");
    fixture.finish().await;
}

#[tokio::test]
async fn a_page_calls_models_as_the_person_until_the_log_in_ends() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    fixture
        .workspace_key("openai", "main", &fixture.canary.openai_key())
        .await;
    let path = fixture.path("/playground-key");
    let mint = async |caller: &testkit::app::Caller| {
        let minted = caller.send(http::Method::POST, &path, &[], None).await;
        minted.expect(201).json()
    };
    let member = fixture.app.member(&fixture.owner).await.session;
    let minted = mint(&member).await;
    let key = minted["key"].as_str().expect("a key").to_owned();
    let page = fixture.app.caller("the page", Auth::Bearer(key));
    page.post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    // It does nothing but call, is in no list, and makes no other.
    page.get(&fixture.path("/models")).await.expect(403);
    let again = page.send(http::Method::POST, &path, &[], None).await;
    assert_eq!(again.status, 403);
    let listed = session
        .get(&fixture.path("/api-keys?limit=100"))
        .await
        .expect(200)
        .json();
    let id = &minted["api_key_id"];
    let keys = listed["data"].as_array().expect("keys");
    assert!(
        keys.iter()
            .all(|it| it["id"] != *id && it["name"] != "playground"),
        "{listed}"
    );
    let renew = format!(
        "{}/{}",
        fixture.path("/api-keys"),
        id.as_str().expect("an id")
    );
    member
        .patch(&renew, &json!({"expires_in_s": 86_400}))
        .await
        .expect(409);
    // An API key is no log-in.
    let refused = fixture
        .owner
        .key
        .send(http::Method::POST, &path, &[], None)
        .await;
    assert_eq!(refused.status, 403);
    // It is metered as the person's.
    let me = member.get("/api/v1/me").await.expect(200).json();
    fixture.app.usage(&fixture.owner, 1).await;
    let usage = session
        .get(&fixture.path("/usage"))
        .await
        .expect(200)
        .json();
    assert_eq!(usage["data"][0]["user_id"], me["user"]["id"]);
    assert_eq!(usage["data"][0]["api_key_id"], *id);
    // Several pages of one log-in, but not any number of them.
    for _ in 0..8 {
        mint(&member).await;
    }
    let oldest = page.post("/v1/chat/completions", &chat("gpt-4o")).await;
    assert_eq!(oldest.status, 401);
    let last = mint(&member).await;
    let last = Auth::Bearer(last["key"].as_str().expect("a key").to_owned());
    let last = fixture.app.caller("the last page", last);
    last.post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    member.delete("/api/v1/sessions/current").await.expect(204);
    let ended = last.post("/v1/chat/completions", &chat("gpt-4o")).await;
    assert_eq!(
        ended.status, 401,
        "the log-in has ended, and what it made with it"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_page_hears_calls_and_changes_as_they_happen_and_no_more_than_it_may() {
    let mut fixture = Fixture::start().await;
    let session = fixture.owner.person.session.clone();
    let path = fixture.path("/events");
    assert_eq!(fixture.app.anonymous().listen(&path, &[]).await.status, 401);
    let outsider = fixture.app.outsider(&fixture.owner).await;
    assert_eq!(outsider.session.listen(&path, &[]).await.status, 404);
    let member = fixture.app.member(&fixture.owner).await.session;
    let mut as_member = member.listen(&path, &[]).await;
    let mut as_owner = session.listen(&path, &[]).await;
    assert_eq!(as_owner.header("content-type"), Some("text/event-stream"));
    hear(&mut as_owner, "retry: 2000").await;
    hear(&mut as_member, "retry: 2000").await;

    let key = fixture.canary.openai_key();
    fixture.workspace_key("openai", "secret-label", &key).await;
    for stream in [&mut as_owner, &mut as_member] {
        let heard = hear(stream, "provider_keys").await;
        assert!(heard.contains("event: change"), "{heard}");
        assert!(!heard.contains("secret-label"), "{heard}");
    }
    fixture.chat("gpt-4o").await.expect(200);
    let heard = hear(&mut as_owner, "\"model\":\"gpt-4o\"").await;
    assert!(heard.contains("event: usage"), "{heard}");
    let place = last_id(&heard);
    // Whoever comes back hears what happened in between, and not all of it again.
    drop(as_owner);
    fixture.chat("gpt-4o-mini").await.expect(200);
    let policy = json!({"tiers": {"level_1": "openai/gpt-4o"}});
    session
        .patch(&fixture.path("/policy"), &policy)
        .await
        .expect(200);
    let mut again = session.listen(&path, &[("last-event-id", &place)]).await;
    let mut heard = String::new();
    for said in [
        "\"topics\":[\"account\",\"policy\"]",
        "\"model\":\"gpt-4o-mini\"",
    ] {
        if !heard.contains(said) {
            heard += &hear(&mut again, said).await;
        }
    }

    // The member hears that something changed, and no calls of others.
    let heard = hear(&mut as_member, "policy").await;
    assert!(!heard.contains("event: usage"), "{heard}");
    let gone = fixture.path("/members");
    let members = session.get(&gone).await.expect(200).json();
    let me = member.get("/api/v1/me").await.expect(200).json();
    let id = me["user"]["id"].as_str().expect("an id");
    assert!(members["data"].as_array().expect("members").len() > 1);
    session.delete(&format!("{gone}/{id}")).await.expect(204);
    hear(&mut as_member, "no_access").await;
    assert_eq!(as_member.next().await.expect("ends well"), None);

    // A stream ends with the log-in, and keeps no server from stopping.
    let mut other = fixture.app.anonymous().listen("/health", &[]).await;
    assert!(other.next().await.expect("an answer").is_some());
    let begun = Instant::now();
    fixture.app.terminate().await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    while again.next().await.is_ok_and(|piece| piece.is_some()) {}
    fixture.finish().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_log_in_and_a_person_has_a_dozen() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let member = fixture.app.member(&fixture.owner).await.session;
    let path = fixture.path("/events");
    let mut streams = Vec::new();
    for _ in 0..12 {
        streams.push(member.listen(&path, &[]).await);
    }
    assert!(streams.iter().all(|stream| stream.status == 200));
    let refused = member.get(&path).await;
    refused.expect_error(429, "too_many_streams");
    drop(streams.split_off(1));
    let begun = Instant::now();
    while member.listen(&path, &[]).await.status != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "places are given back"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    member.delete("/api/v1/sessions/current").await.expect(204);
    let mut stream = streams.pop().expect("one is left");
    hear(&mut stream, "logged_out").await;
    assert_eq!(stream.next().await.expect("ends well"), None);
    fixture.finish().await;
}

#[tokio::test]
async fn an_admin_of_the_instance_sees_how_it_fares_and_finds_people() {
    let fixture = Fixture::with_cli().await;
    let session = &fixture.owner.person.session;
    fixture
        .workspace_key("openai", "main", &fixture.canary.openai_key())
        .await;
    fixture.chat("gpt-4o").await.expect(200);
    fixture.app.usage(&fixture.owner, 1).await;
    let health = session.get("/api/v1/admin/health").await.expect(200).json();
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(["sqlite", "postgres"].contains(&health["engine"].as_str().expect("a text")));
    assert!(health["schema_version"].as_i64() >= Some(6), "{health}");
    assert!(health["revision"].as_i64() > Some(0), "{health}");
    assert!(
        health["changes_read_ms_ago"].as_u64() < Some(60_000),
        "{health}"
    );
    assert!(health["tidied_at"].is_string(), "{health}");
    assert_eq!(health["traffic"]["spool_ready"], true);
    assert!(
        health["traffic"]["calls_limit"].as_u64() > Some(1),
        "{health}"
    );
    let shown = fixture.as_owner(&["admin", "health"], "").await;
    assert!(shown.stdout.contains("spool takes more"), "{shown}");

    let person = fixture.app.outsider(&fixture.owner).await;
    let me = person.session.get("/api/v1/me").await.expect(200).json();
    let email = me["user"]["email"].as_str().expect("an e-mail").to_owned();
    let find = async |part: &str| -> Vec<String> {
        let found = session
            .get(&format!("/api/v1/users?q={part}"))
            .await
            .expect(200)
            .json();
        let people = found["data"].as_array().expect("people").iter();
        people
            .map(|it| it["email"].as_str().expect("a text").to_owned())
            .collect()
    };
    let (name, _) = email.split_once('@').expect("an address");
    assert_eq!(
        find(&name.to_uppercase()).await,
        std::slice::from_ref(&email)
    );
    // Nothing of it is a pattern.
    assert_eq!(find("%25").await, Vec::<String>::new());
    assert_eq!(
        find("_")
            .await
            .iter()
            .filter(|it| !it.contains('_'))
            .count(),
        0
    );
    session.get("/api/v1/users?q=").await.expect(400);
    let search = ["admin", "user", "list", "--search", name, "--json"];
    let shown = fixture.as_owner(&search, "").await;
    assert!(shown.stdout.contains(&email), "{shown}");
    assert!(
        !shown.stdout.contains(&fixture.owner.person.email),
        "{shown}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn what_is_read_comes_compressed_and_what_a_change_answers_does_not() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let gzip = ("accept-encoding", "gzip");
    for path in ["/v1/providers", &fixture.path("/models")] {
        let plain = session.get(path).await.expect(200);
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let small = session.send(Method::GET, path, &[gzip], None).await;
        let small = small.expect(200);
        assert_eq!(small.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(small.header("content-type"), Some("application/json"));
        assert_eq!(small.header("vary"), Some("accept-encoding"), "{path}");
        assert!(small.body.starts_with(&[0x1f, 0x8b]), "{path}");
        assert!(small.body.len() * 3 < plain.body.len(), "{path}");
    }
    // Answers that show a secret are of this kind; this one is only long.
    for label in ["one", "two", "three", "four", "five", "six"] {
        let key = fixture.canary.openai_key();
        fixture.workspace_key("openai", label, &key).await;
    }
    let path = fixture.path("/resolve");
    let headers = [gzip, ("content-type", "application/json")];
    let body = br#"{"model": "gpt-4o"}"#.to_vec();
    let answer = session
        .send(Method::POST, &path, &headers, Some(body))
        .await;
    let answer = answer.expect(200);
    assert!(answer.body.len() > 1024, "{}", answer.text());
    assert_eq!(answer.header("content-encoding"), None);
}
