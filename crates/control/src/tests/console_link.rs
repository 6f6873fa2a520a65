//! The link into the console of a local instance.

use serde_json::json;

use super::{As, World};
use crate::ops::local;

const TAKE: &str = "/api/v1/console-links/session";

/// The credential of a new link.
async fn link(world: &World) -> String {
    let (token, _) = local::console_link(&world.state).await.expect("a link");
    token.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
}

async fn local_world() -> World {
    let world = World::start().await;
    local::owner(&world.state, None).await.expect("an owner");
    world
}

async fn take(world: &World, token: &str) -> super::doubles::Answer {
    world
        .post(&As::Nobody, TAKE, json!({ "token": token }))
        .await
}

#[tokio::test]
async fn it_lets_the_owner_in_once() {
    let world = local_world().await;
    let token = link(&world).await;
    assert!(token.starts_with("kbconsole_"));
    let taken = take(&world, &token).await.expect(201);
    assert_eq!(taken.json()["email"], "local@localhost");
    let session = taken.cookie();
    world.get(&session, "/api/v1/me").await.expect(200);
    take(&world, &token)
        .await
        .refused(401, "invalid_console_link");
}

#[tokio::test]
async fn it_ends_after_five_minutes_and_with_the_next_one() {
    let world = local_world().await;
    let old = link(&world).await;
    let new = link(&world).await;
    take(&world, &old)
        .await
        .refused(401, "invalid_console_link");
    world.pass_ms(5 * 60 * 1000 - 1);
    take(&world, &new).await.expect(201);
    let late = link(&world).await;
    world.pass_ms(5 * 60 * 1000);
    take(&world, &late)
        .await
        .refused(401, "invalid_console_link");
}

#[tokio::test]
async fn a_wrong_one_is_refused_noted_and_spoils_nothing() {
    let world = local_world().await;
    let token = link(&world).await;
    let mut other = token.clone();
    other.replace_range(20..21, if &token[20..21] == "0" { "1" } else { "0" });
    for wrong in ["", "kbconsole_", "kbs_x", &other] {
        take(&world, wrong)
            .await
            .refused(401, "invalid_console_link");
    }
    let session = take(&world, &token).await.expect(201).cookie();
    let log = world.get(&session, "/api/v1/audit?limit=50").await;
    assert!(log.text.contains("refused"), "{}", log.text);
    // Guessing ends after a hundred tries.
    for _ in 0..100 {
        take(&world, "kbconsole_").await;
    }
    take(&world, "kbconsole_")
        .await
        .refused(429, "too_many_attempts");
}

#[tokio::test]
async fn an_instance_that_is_not_local_has_none() {
    let world = World::start().await;
    world.set_up().await;
    assert!(local::console_link(&world.state).await.is_err());
    take(&world, "kbconsole_")
        .await
        .refused(401, "invalid_console_link");
    let instance = world.get(&As::Nobody, "/api/v1/instance").await.json();
    assert_eq!(instance["local"], false);
}
