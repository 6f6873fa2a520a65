//! Every operation as every kind of caller.

use domain::access::{ApiScope, Role};
use http::Method;

use super::{As, Person, World};
use crate::authz::{CALLERS, Caller, refusal};
use crate::openapi::{action, openapi, operations};

/// One instance with every kind of caller.
struct Cast {
    world: World,
    root: Person,
    owner: Person,
    admin: Person,
    member: Person,
    other: Person,
    key: As,
    admin_key: As,
}

impl Cast {
    async fn assemble() -> Self {
        let world = World::start().await;
        // A stream of events would not end.
        world.state.end_streams();
        let (root, _) = world.set_up().await;
        let owner = world.person(&root, "owner").await;
        let admin = world.person(&root, "admin").await;
        let member = world.person(&root, "member").await;
        let other = world.person(&root, "other").await;
        world.join(&owner, &admin, "admin").await;
        world.join(&owner, &member, "member").await;
        // A plan that does not count API keys.
        world.subscribe(&root, &owner, "enterprise").await;
        let key = world
            .api_key(&owner, &names(|scope| !of_instance(scope)))
            .await;
        let admin_key = world.api_key(&root, &names(|_| true)).await;
        Self {
            world,
            root,
            owner,
            admin,
            member,
            other,
            key,
            admin_key,
        }
    }

    fn credential(&self, caller: Caller) -> As {
        match caller {
            Caller::Anonymous => As::Nobody,
            Caller::OtherUser => self.other.session.clone(),
            Caller::Role(Role::Member) => self.member.session.clone(),
            Caller::Role(Role::Admin) => self.admin.session.clone(),
            Caller::Role(Role::Owner) => self.owner.session.clone(),
            Caller::InstanceAdmin => self.root.session.clone(),
            Caller::ApiKey => self.key.clone(),
            Caller::AdminKey => self.admin_key.clone(),
        }
    }

    /// Calls the operation; nothing that its path names inside the workspace exists, and its body is none.
    async fn call(&self, method: &str, path: &str, caller: &As) -> u16 {
        let path = path
            .replace("{workspace_id}", &self.owner.workspace)
            .replace("{account_id}", &self.owner.account)
            .replace("{user_id}", "usr_00000000000000000000000000")
            .replace("{session_id}", "ses_00000000000000000000000000")
            .replace("{invitation_id}", "inv_00000000000000000000000000")
            .replace("{script_id}", "scr_00000000000000000000000000")
            .replace("{service_id}", "svc_00000000000000000000000000")
            .replace("{api_key_id}", "ak_00000000000000000000000000")
            .replace("{key_id}", "pk_00000000000000000000000000")
            .replace("{provider}", "openai")
            .replace("{plan_id}", "none");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.world
            .send(World::request(caller, method, &path, None))
            .await
            .status
    }
}

/// The names of these scopes.
fn names(which: impl Fn(ApiScope) -> bool) -> Vec<&'static str> {
    let scopes = ApiScope::ALL.iter().filter(|scope| which(**scope));
    scopes.map(|scope| scope.as_str()).collect()
}

/// Whether only an instance admin can give the scope to a key.
fn of_instance(scope: ApiScope) -> bool {
    matches!(scope, ApiScope::InstanceRead | ApiScope::InstanceWrite)
}

/// Whether the operation changes what later calls need, for those who may do it.
fn ends_something(method: &str, path: &str) -> bool {
    let last = path.rsplit('/').next();
    let ending = [Some("leave"), Some("rotate"), Some("current")].contains(&last);
    (method, path) == ("DELETE", "/api/v1/workspaces/{workspace_id}") || ending
}

#[tokio::test]
async fn every_operation_refuses_exactly_whom_the_table_refuses() {
    // T94, T95, T96
    let mut cast = Cast::assemble().await;
    let document = openapi();
    let mut calls = 0;
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let action = action(operation);
            for caller in CALLERS {
                let expected = refusal(path, action, caller);
                let status = cast.call(method, path, &cast.credential(caller)).await;
                calls += 1;
                let at = format!("{method} {path} as {caller:?}: {status}");
                match expected {
                    Some(expected) => assert_eq!(status, expected, "{at}"),
                    // A link that was never given out leads nowhere.
                    None if action.is_none() => {
                        let missing = status == 404 && !path.contains('{');
                        assert!(!missing && status != 403, "{at}");
                    }
                    // What the path names inside the workspace does not exist, so 404 is a pass there.
                    None => {
                        let owners = ["{workspace_id}", "{account_id}"];
                        let named = owners.iter().filter(|owner| path.contains(*owner)).count();
                        let names_a_thing = path.matches('{').count() > named;
                        assert!(status != 401 && status != 403, "{at}");
                        assert!(status != 404 || names_a_thing, "{at}");
                        if ends_something(method, path) {
                            cast = Cast::assemble().await;
                        }
                    }
                }
            }
        }
    }
    assert!(calls > 350, "{calls} calls");
}

#[tokio::test]
async fn an_api_key_needs_exactly_the_scope_of_the_table() {
    // T93, T95
    let cast = Cast::assemble().await;
    let document = openapi();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let Some(scope) = action(operation).and_then(|action| action.rule().scope) else {
                continue;
            };
            let minter = if of_instance(scope) {
                &cast.root
            } else {
                &cast.owner
            };
            let others =
                names(|other| other != scope && (of_instance(scope) || !of_instance(other)));
            let without = cast.world.api_key(minter, &others).await;
            let at = format!("{method} {path}");
            assert_eq!(cast.call(method, path, &without).await, 403, "{at}");
            if !ends_something(method, path) {
                let only = cast.world.api_key(minter, &[scope.as_str()]).await;
                assert_ne!(cast.call(method, path, &only).await, 403, "{at}");
            }
        }
    }
}

#[tokio::test]
async fn methods_that_no_operation_has_are_refused_on_every_path() {
    // T94
    let cast = Cast::assemble().await;
    for (path, item) in &openapi().paths.paths {
        let known: Vec<_> = operations(item).map(|(method, _)| method).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if !known.contains(&method) {
                let status = cast.call(method, path, &cast.owner.session).await;
                // A path with a name in it may be another path's, such as `current`.
                assert_eq!(status, 405, "{method} {path}");
            }
        }
    }
}
