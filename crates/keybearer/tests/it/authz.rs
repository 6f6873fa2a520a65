//! The golden table, lived: every operation of the OpenAPI document as every kind of caller.

use http::Method;
use serde_json::Value;
use testkit::app::{Auth, Caller};

use crate::Fixture;

const UNKNOWN: [(&str, &str); 14] = [
    ("{user_code}", "BCDF-GHJK"),
    ("{user_id}", "usr_00000000000000000000000000"),
    ("{session_id}", "ses_00000000000000000000000000"),
    ("{invitation_id}", "inv_00000000000000000000000000"),
    ("{script_id}", "scr_00000000000000000000000000"),
    ("{service_id}", "svc_00000000000000000000000000"),
    ("{api_key_id}", "ak_00000000000000000000000000"),
    ("{key_id}", "pk_00000000000000000000000000"),
    ("{provider_key_id}", "pk_00000000000000000000000000"),
    ("{provider}", "openai"),
    ("{run_id}", "run_00000000000000000000000000"),
    ("{number}", "1"),
    ("{id}", "ses_00000000000000000000000000"),
    ("{}", ""),
];

/// Operations that would end the fixture for those who come after.
const DESTRUCTIVE: [&str; 4] = [
    "DELETE /api/v1/workspaces/{workspace_id}",
    "POST /api/v1/workspaces/{workspace_id}/leave",
    "DELETE /api/v1/sessions/current",
    "POST /api/v1/workspaces/{workspace_id}/api-keys/self/rotate",
];

#[tokio::test]
async fn every_operation_admits_exactly_whom_the_table_says() {
    // T94, T95
    let fixture = Fixture::start().await;
    let app = &fixture.app;
    // The instance admin of this test owns nothing here: the workspace belongs to somebody else.
    let instance_admin = &fixture.owner;
    let owner = app.outsider(instance_admin).await;
    let me = owner.session.get("/api/v1/me").await.expect(200).json();
    let workspaces = owner
        .session
        .get("/api/v1/workspaces")
        .await
        .expect(200)
        .json();
    let workspace = workspaces["data"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let account = workspaces["data"][0]["account_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(!me.is_null());
    let admin = join(&fixture, &owner.session, &workspace, "admin").await;
    let member = join(&fixture, &owner.session, &workspace, "member").await;
    let other = app.outsider(instance_admin).await;
    // Those of the instance are an instance admin's to give.
    let scopes: Vec<&str> = domain::access::ApiScope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .filter(|scope| !scope.starts_with("instance:"))
        .collect();
    let key = app.api_key(&owner.session, &workspace, &scopes).await;
    let callers = [
        app.anonymous(),
        other.session.clone(),
        member,
        admin,
        owner.session.clone(),
        instance_admin.person.session.clone(),
        key,
    ];

    let document = app
        .anonymous()
        .get("/openapi.json")
        .await
        .expect(200)
        .json();
    let table = table();
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            let name = format!("{method} {path}");
            let row = table.iter().find(|row| row[0] == name);
            let row = row.unwrap_or_else(|| panic!("{name} is not in docs/authz.txt"));
            assert_eq!(operation["x-action"], row[1].as_str(), "{name}");
            for (caller, expected) in callers.iter().zip(&row[2..]) {
                let admitted = expected == "yes" || expected.contains(':');
                if row[1] == "public" || (admitted && DESTRUCTIVE.contains(&name.as_str())) {
                    continue;
                }
                let status = call(caller, &method, path, &workspace, &account).await;
                if admitted {
                    // Past the door: found wanting for another reason, or done.
                    assert!(
                        status != 401 && status != 403,
                        "{name} as {}: {status}, not {expected}",
                        caller.name()
                    );
                } else {
                    assert_eq!(status.to_string(), *expected, "{name} as {}", caller.name());
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "only {checked} calls were checked");
}

#[tokio::test]
async fn no_operation_takes_more_than_the_longest_body() {
    // T119
    let fixture = Fixture::start().await;
    let app = &fixture.app;
    let admin = &fixture.owner.person.session;
    let me = admin.get("/api/v1/workspaces").await.expect(200).json();
    let account = me["data"][0]["account_id"].as_str().expect("an id");
    let anonymous = app.anonymous();
    let document = anonymous.get("/openapi.json").await.expect(200).json();
    let headers = [("content-type", "application/json")];
    let (mut refused, mut wrong) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = format!("{} {path}", method.to_uppercase());
            let takes_body = operation.get("requestBody").is_some();
            if !takes_body && (DESTRUCTIVE.contains(&name.as_str()) || path.ends_with("/events")) {
                continue;
            }
            let known = ["workspace_id", "account_id"];
            let mut names = path.split(['{', '}']).skip(1).step_by(2);
            let names_unknown = names.any(|it| !known.contains(&it));
            let path = filled(path, &fixture.owner.workspace, account);
            let method: Method = method.to_uppercase().parse().expect("a method");
            let caller = match operation["x-action"] == "public" {
                true => &anonymous,
                false => admin,
            };
            let body = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
            let reply = caller
                .send(method, &path, &headers, Some(body.into_bytes()))
                .await;
            let said = (reply.status, reply.code());
            let too_large = (413, Some("request_too_large".to_owned()));
            // Whoever names what is not there is told so before a body is read; and what takes none does not read one.
            let unread = names_unknown && reply.status == 404;
            if takes_body && said == too_large {
                refused += 1;
            } else if reply.status >= 500 || (takes_body && !unread) {
                wrong.push(format!("{name}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 25, "only {refused} operations were tried");
}

/// The path with these ids, and with unknown ones for the rest.
fn filled(path: &str, workspace: &str, account: &str) -> String {
    let mut path = path
        .replace("{workspace_id}", workspace)
        .replace("{account_id}", account);
    for (name, value) in UNKNOWN {
        path = path.replace(name, value);
    }
    path
}

async fn call(caller: &Caller, method: &str, path: &str, workspace: &str, account: &str) -> u16 {
    let path = filled(path, workspace, account);
    let method: Method = method.parse().expect("a method");
    if path.ends_with("/events") {
        // It has no end.
        return caller.listen(&path, &[]).await.status;
    }
    let body = matches!(method.as_str(), "POST" | "PUT" | "PATCH")
        .then(|| b"{\"no such field\":1}".to_vec());
    let headers: &[(&str, &str)] = if body.is_some() {
        &[("content-type", "application/json")]
    } else {
        &[]
    };
    caller.send(method, &path, headers, body).await.status
}

async fn join(fixture: &Fixture, owner: &Caller, workspace: &str, role: &str) -> Caller {
    let email = format!("{role}-of-it@example.com");
    let body = serde_json::json!({"email": email, "role": role});
    let invited = owner
        .post(
            &format!("/api/v1/workspaces/{workspace}/invitations"),
            &body,
        )
        .await
        .expect(201)
        .json();
    let body = serde_json::json!({"token": invited["token"], "password": "a long password"});
    fixture
        .app
        .anonymous()
        .post("/api/v1/invitations/accept", &body)
        .await
        .expect(201);
    let body = serde_json::json!({"email": email, "password": "a long password"});
    let cookie = fixture
        .app
        .anonymous()
        .post("/api/v1/sessions", &body)
        .await
        .expect(201)
        .cookie()
        .expect("a cookie");
    fixture.app.caller(role, Auth::Cookie(cookie))
}

/// The rows of `docs/authz.txt`: operation, action, then a cell for each caller.
fn table() -> Vec<Vec<String>> {
    let text = include_str!("../../../../docs/authz.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let split = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect()
    };
    lines.map(split).collect()
}

#[tokio::test]
async fn no_answer_of_the_api_has_a_field_for_a_secret() {
    // T95: no route returns a stored key.
    let fixture = Fixture::start().await;
    let document = fixture
        .app
        .anonymous()
        .get("/openapi.json")
        .await
        .expect(200)
        .json();
    let mut secret_fields = Vec::new();
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        for field in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(field, _)| field)
        {
            if [
                "envelope",
                "ciphertext",
                "wrapped",
                "hash",
                "private",
                "secret",
            ]
            .iter()
            .any(|word| field.contains(word))
            {
                secret_fields.push(format!("{name}.{field}"));
            }
        }
    }
    secret_fields.retain(|field| !field.ends_with("ciphertext_b64"));
    assert_eq!(secret_fields, Vec::<String>::new());
    let _: &Value = &document;
}
