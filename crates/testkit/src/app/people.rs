//! The first user, people in every role, and the calls that nearly every test makes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Auth, Caller, Reply, TestApp};
use crate::random;
use crate::sealing::SealingKey;

/// Somebody with a log-in.
#[derive(Clone)]
pub struct Person {
    /// What they log in with.
    pub email: String,
    /// What they log in with.
    pub password: String,
    /// The user's id.
    pub user: String,
    /// Calls with the log-in session.
    pub session: Caller,
}

/// The first user of an instance, who owns the first workspace.
#[derive(Clone)]
pub struct Owner {
    /// The log-in.
    pub person: Person,
    /// The account's id.
    pub account: String,
    /// The id of the workspace "Personal".
    pub workspace: String,
    /// The API key that set-up minted.
    pub api_key: String,
    /// Calls with that API key.
    pub key: Caller,
}

impl TestApp {
    /// The set-up credential that the latest start printed. Panics when it prints none within 10 seconds.
    pub fn setup_token(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let stdout = self.stdout();
            // The link is printed behind the address, line by line.
            let (_, latest) = stdout
                .rsplit_once("listening on ")
                .expect("the binary listens");
            if let Some((_, rest)) = latest.split_once("#token=")
                && let Some((line, _)) = rest.split_once('\n')
            {
                return line.trim().to_owned();
            }
            assert!(
                Instant::now() < deadline,
                "no set-up link was printed: {stdout}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes the first user with a random e-mail and password, and logs in.
    pub async fn setup(&self) -> Owner {
        let (email, password) = credentials("owner");
        let body = json!({"token": self.setup_token(), "email": email, "password": password});
        let made = self
            .anonymous()
            .post("/api/v1/setup", &body)
            .await
            .expect(201)
            .json();
        let api_key = text(&made, "/api_key/key");
        let user = text(&made, "/user/id");
        Owner {
            person: self.log_in("owner", email, password, user).await,
            account: text(&made, "/account_id"),
            workspace: text(&made, "/workspace_id"),
            key: self.caller("owner's API key", Auth::Bearer(api_key.clone())),
            api_key,
        }
    }

    /// An admin of the owner's workspace.
    pub async fn admin(&self, owner: &Owner) -> Person {
        self.join(owner, "admin").await
    }

    /// A member of the owner's workspace.
    pub async fn member(&self, owner: &Owner) -> Person {
        self.join(owner, "member").await
    }

    /// Somebody with a log-in and a workspace of their own, and no part in the owner's.
    pub async fn outsider(&self, owner: &Owner) -> Person {
        let (email, password) = credentials("outsider");
        let body = json!({"email": email, "password": password});
        let made = owner
            .person
            .session
            .post("/api/v1/users", &body)
            .await
            .expect(201)
            .json();
        self.log_in("outsider", email, password, text(&made, "/id"))
            .await
    }

    /// Mints an API key of a workspace with these scopes, on behalf of `minter`.
    pub async fn api_key(&self, minter: &Caller, workspace: &str, scopes: &[&str]) -> Caller {
        let path = format!("/api/v1/workspaces/{workspace}/api-keys");
        let body = json!({"name": format!("test {}", random::hex_name()), "scopes": scopes});
        let made = minter.post(&path, &body).await.expect(201).json();
        self.caller("API key", Auth::Bearer(text(&made, "/key")))
    }

    /// The current sealing key.
    pub async fn sealing_key(&self, caller: &Caller) -> SealingKey {
        SealingKey::from_reply(
            &caller
                .get("/v1/byok/encryption-pubkey")
                .await
                .expect(200)
                .json(),
        )
    }

    /// Seals a provider key (raw form) and submits it; the reply is whatever the instance says.
    pub async fn submit(&self, caller: &Caller, provider: &str, key: &str) -> Reply {
        let sealed = self.sealing_key(caller).await.submission(provider, key);
        caller.post("/v1/byok/keys", &sealed).await
    }

    /// The usage rows of the owner's workspace, newest first, once there are at least `count`. They are written
    /// behind the response, so this waits, at most 10 seconds.
    pub async fn usage(&self, owner: &Owner, count: usize) -> Vec<Value> {
        let path = format!("/api/v1/workspaces/{}/usage?limit=100", owner.workspace);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let page = owner.person.session.get(&path).await.expect(200).json();
            let rows = page["data"].as_array().cloned().unwrap_or_default();
            if rows.len() >= count {
                return rows;
            }
            assert!(
                Instant::now() < deadline,
                "{} usage rows after 10 s, not {count}",
                rows.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn join(&self, owner: &Owner, role: &str) -> Person {
        let (email, password) = credentials(role);
        let path = format!("/api/v1/workspaces/{}/invitations", owner.workspace);
        let body = json!({"email": email, "role": role});
        let invited = owner
            .person
            .session
            .post(&path, &body)
            .await
            .expect(201)
            .json();
        let body = json!({"token": text(&invited, "/token"), "password": password});
        let accepted = self
            .anonymous()
            .post("/api/v1/invitations/accept", &body)
            .await
            .expect(201);
        let user = text(&accepted.json(), "/user_id");
        self.log_in(role, email, password, user).await
    }

    async fn log_in(&self, name: &str, email: String, password: String, user: String) -> Person {
        let body = json!({"email": email, "password": password});
        let reply = self
            .anonymous()
            .post("/api/v1/sessions", &body)
            .await
            .expect(201);
        let cookie = reply.cookie().expect("a log-in sets a cookie");
        Person {
            session: self.caller(name, Auth::Cookie(cookie)),
            email,
            password,
            user,
        }
    }
}

fn credentials(name: &str) -> (String, String) {
    (
        format!("{name}-{}@example.com", random::hex_name()),
        random::alphanumeric(24),
    )
}

#[track_caller]
fn text(body: &Value, pointer: &str) -> String {
    let value = body.pointer(pointer).and_then(Value::as_str);
    value
        .unwrap_or_else(|| panic!("no text at {pointer} in {body}"))
        .to_owned()
}
