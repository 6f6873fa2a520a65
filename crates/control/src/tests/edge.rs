//! What every answer has, and what no request gets past.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use super::{As, World};
use crate::ControlConfig;

#[tokio::test]
async fn every_answer_has_the_security_headers_and_a_request_id() {
    // T113, T112
    let world = World::start().await;
    for path in [
        "/health",
        "/openapi.json",
        "/v1/providers",
        "/api/v1/me",
        "/nothing",
    ] {
        let answer = world.get(&As::Nobody, path).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for part in ["frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        if path != "/v1/providers" {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
        assert!(
            answer
                .header("x-keybearer-request-id")
                .is_some_and(|id| id.starts_with("req_"))
        );
        let cors = answer
            .headers
            .keys()
            .find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{path}");
    }
}

#[tokio::test]
async fn a_request_has_one_id_from_the_edge_to_the_answer() {
    let world = World::start().await;
    let id: domain::RequestId = world.state.sources.id().expect("an id");
    let mut request = World::request(&As::Nobody, Method::GET, "/api/v1/me", None);
    request.extensions_mut().insert(id);
    let answer = world.send(request).await;
    assert_eq!(
        answer.header("x-keybearer-request-id"),
        Some(id.to_string().as_str())
    );
    let body = answer.refused(401, "authentication_required");
    assert_eq!(body["request_id"], id.to_string());
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_the_request_id_and_no_echo() {
    // T76, T77
    let world = World::start().await;
    let answer = world.get(&As::Nobody, "/sk-proj-ECHO?key=sk-ECHO").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let id = answer
        .header("x-keybearer-request-id")
        .expect("an id")
        .to_owned();
    assert!(!answer.text.contains("ECHO"));
    let body = answer.refused(404, "not_found");
    assert_eq!(body["request_id"], id.as_str());
    assert_eq!(body["status"], 404);
    assert_eq!(body["type"], "urn:keybearer:error:not_found");
    let allowed = world.delete(&As::Nobody, "/health").await;
    assert!(
        allowed
            .header("allow")
            .is_some_and(|methods| methods.contains("GET"))
    );
    allowed.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_name_that_the_listener_does_not_have_is_misdirected() {
    // T115
    let world = World::with(ControlConfig {
        allowed_hosts: Some(vec!["kb.test".to_owned(), "localhost:8080".to_owned()]),
        ..ControlConfig::default()
    })
    .await;
    let call = async |hosts: &[&str]| {
        let mut request = Request::builder().uri("/health");
        for host in hosts {
            request = request.header("host", *host);
        }
        world
            .send(request.body(Body::empty()).expect("a request"))
            .await
            .status
    };
    assert_eq!(call(&["kb.test"]).await, 200);
    assert_eq!(call(&["LOCALHOST:8080"]).await, 200);
    for bad in [
        &["evil.test"][..],
        &["localhost"],
        &["kb.test.evil.test"],
        &[],
        &["kb.test", "kb.test"],
    ] {
        assert_eq!(call(bad).await, 421, "{bad:?}");
    }
}

#[tokio::test]
async fn bodies_are_json_of_limited_size_with_known_fields_only() {
    // T92, T119, T120
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let send = async |content_type: Option<&str>, encoding: Option<&str>, body: Vec<u8>| {
        let mut request = World::request(&root.session, Method::POST, "/api/v1/workspaces", None);
        if let Some(content_type) = content_type {
            request
                .headers_mut()
                .insert("content-type", content_type.parse().expect("a value"));
        }
        if let Some(encoding) = encoding {
            request
                .headers_mut()
                .insert("content-encoding", encoding.parse().expect("a value"));
        }
        *request.body_mut() = Body::from(body);
        world.send(request).await
    };
    let json = Some("application/json; charset=utf-8");
    let body = br#"{"name":"x"}"#.to_vec();
    send(json, None, body.clone()).await.expect(201);
    send(None, None, body.clone())
        .await
        .refused(415, "unsupported_media_type");
    send(Some("text/plain"), None, body.clone())
        .await
        .refused(415, "unsupported_media_type");
    send(json, Some("gzip"), body)
        .await
        .refused(415, "unsupported_media_type");
    send(json, None, vec![b' '; 256 * 1024 + 1])
        .await
        .refused(413, "request_too_large");
    let refused = send(json, None, br#"{"name":"x","role":"owner"}"#.to_vec()).await;
    assert_eq!(
        refused.refused(400, "invalid_request")["details"]["field"],
        "role"
    );
    for body in [
        &br#"{"name":["sk-ECHO"]}"#[..],
        br#"{"name":"a","name":"sk-ECHO"}"#,
        b"{\"name\":\"\xff\"}",
        b"",
    ] {
        let refused = send(json, None, body.to_vec()).await;
        assert!(!refused.text.contains("ECHO"));
        refused.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn queries_are_checked_and_cursors_are_ours() {
    // T85, T96
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    for (name, n) in [("a", 3)] {
        for i in 0..n {
            let body =
                json!({"email": format!("{name}{i}@example.test"), "password": super::PASSWORD});
            world
                .post(&root.session, "/api/v1/users", body)
                .await
                .expect(201);
        }
    }
    let first = world
        .get(&root.session, "/api/v1/users?limit=3")
        .await
        .expect(200)
        .json();
    assert_eq!(first["data"].as_array().map(Vec::len), Some(3));
    let next = first["next"].as_str().expect("there is more");
    let second = world
        .get(
            &root.session,
            &format!("/api/v1/users?limit=3&after={next}"),
        )
        .await;
    let second = second.expect(200).json();
    assert_eq!(second["data"].as_array().map(Vec::len), Some(1));
    assert!(second.get("next").is_none());
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "after=x",
        "sort=email",
        "limit=1&limit=2",
    ] {
        let answer = world
            .get(&root.session, &format!("/api/v1/users?{query}"))
            .await;
        let refused = answer.refused(400, "invalid_request");
        if query == "limit=x" {
            assert_eq!(refused["details"]["field"], "limit");
        }
    }
}

#[tokio::test]
async fn lists_that_do_not_page_take_no_parameters() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let paths = [
        "/v1/providers".to_owned(),
        "/v1/byok/keys".to_owned(),
        "/api/v1/sessions".to_owned(),
        "/api/v1/workspaces".to_owned(),
        super::path(&root),
        format!("/api/v1/accounts/{}/provider-keys", root.account),
    ];
    for path in paths {
        world.get(&root.session, &path).await.expect(200);
        for query in ["limit=5", "x=sk-SECRET"] {
            let answer = world.get(&root.session, &format!("{path}?{query}")).await;
            assert!(!answer.text.contains("SECRET"), "{}", answer.text);
            answer.refused(400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn a_panic_ends_as_a_refusal_with_an_id() {
    // T71
    async fn panics() {
        panic!("with {}", super::KEY);
    }
    let world = World::start().await;
    let frame = axum::middleware::from_fn_with_state(world.state.clone(), crate::frame::frame);
    let router = axum::Router::new()
        .route("/", axum::routing::get(panics))
        .layer(frame);
    let world = World { router, ..world };
    let answer = world.get(&As::Nobody, "/").await;
    assert!(!answer.text.contains(super::KEY), "{}", answer.text);
    assert!(
        answer.refused(500, "internal_error")["request_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("req_"))
    );
}

#[tokio::test]
async fn the_jobs_end_when_they_are_told_to() {
    let world = World::start().await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let jobs = tokio::spawn(crate::jobs::run(world.state.clone(), stopping));
    stop.send(true).expect("the jobs listen");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), jobs).await;
    ended.expect("in time").expect("without a panic");
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    // T110
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let body = json!({"name": "x"});
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("origin", "https://sub.kb.test"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let mut request = World::request(
            &root.session,
            Method::POST,
            "/api/v1/workspaces",
            Some(&body),
        );
        request
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
        world.send(request).await.refused(403, "cross_site_request");
    }
    let mut request = World::request(
        &root.session,
        Method::POST,
        "/api/v1/workspaces",
        Some(&body),
    );
    request
        .headers_mut()
        .insert("origin", "http://kb.test".parse().expect("a value"));
    world.send(request).await.expect(201);
    let log_in = json!({"email": root.email, "password": super::PASSWORD});
    let mut request = World::request(&As::Nobody, Method::POST, "/api/v1/sessions", Some(&log_in));
    request
        .headers_mut()
        .insert("origin", "https://evil.test".parse().expect("a value"));
    world.send(request).await.refused(403, "cross_site_request");
}
