//! Log-ins that a program begins and a person approves elsewhere.

use serde_json::{Value, json};

use super::{As, PASSWORD, World};

const PATH: &str = "/api/v1/device-logins";
const TAKE: &str = "/api/v1/device-logins/session";

async fn begin(world: &World) -> Value {
    let body = json!({"client": "a program\u{202e}\n on a laptop"});
    world.post(&As::Nobody, PATH, body).await.expect(201).json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text")
}

fn take(begun: &Value) -> Value {
    json!({ "device_code": begun["device_code"] })
}

#[tokio::test]
async fn a_program_is_logged_in_once_a_person_approved() {
    let world = World::start().await;
    let (person, key) = world.set_up().await;
    let begun = begin(&world).await;
    assert!(text(&begun, "device_code").starts_with("kbd_"));
    assert_eq!(text(&begun, "user_code").len(), 9);
    let pending = world.post(&As::Nobody, TAKE, take(&begun)).await;
    assert_eq!(pending.headers["retry-after"], "5");
    pending.refused(400, "authorization_pending");
    // A person sees first what would be approved, whatever it calls itself; a program is no person.
    let of_code = format!("{PATH}/{}", text(&begun, "user_code"));
    let seen = world
        .get(&person.session, &of_code)
        .await
        .expect(200)
        .json();
    assert_eq!(seen["client"], "a program on a laptop");
    assert_eq!(seen["address"], "127.0.0.1");
    let approve = format!("{of_code}/approve");
    for (caller, status, code) in [
        (&As::Nobody, 401, "authentication_required"),
        (&key, 403, "permission_denied"),
    ] {
        world.get(caller, &of_code).await.refused(status, code);
        world
            .post(caller, &approve, json!({}))
            .await
            .refused(status, code);
        world.delete(caller, &of_code).await.refused(status, code);
    }
    // As people type it.
    let spelled = approve.replace(
        text(&begun, "user_code"),
        &text(&begun, "user_code").to_lowercase(),
    );
    world
        .post(&person.session, &spelled, json!({}))
        .await
        .expect(204);
    let again = world.post(&person.session, &approve, json!({})).await;
    again.refused(404, "unknown_user_code");
    let taken = world
        .post(&As::Nobody, TAKE, take(&begun))
        .await
        .expect(201);
    let session = taken.cookie();
    assert_eq!(taken.json()["email"], person.email.as_str());
    world.get(&session, "/api/v1/me").await.expect(200);
    let again = world.post(&As::Nobody, TAKE, take(&begun)).await;
    again.refused(401, "invalid_device_code");
    // The approval and the new session stand in the log.
    let log = world.get(&person.session, "/api/v1/audit?limit=10").await;
    let account = format!("/api/v1/accounts/{}/audit?limit=10", person.account);
    let own = world.get(&person.session, &account).await;
    let both = format!("{}{}", log.text, own.text);
    assert!(both.contains("device_login.approve"), "{both}");
}

#[tokio::test]
async fn a_program_that_asks_too_often_is_slowed_down_and_still_let_in() {
    let world = World::start().await;
    let (person, _) = world.set_up().await;
    let begun = begin(&world).await;
    let ask = async || world.post(&As::Nobody, TAKE, take(&begun)).await;
    ask().await.refused(400, "authorization_pending");
    let hasty = ask().await;
    assert_eq!(hasty.headers["retry-after"], "10");
    hasty.refused(400, "slow_down");
    // The longer interval counts from here on, for this program alone.
    world.pass_ms(6_000);
    ask().await.refused(400, "slow_down");
    world.pass_ms(15_000);
    let patient = ask().await;
    assert_eq!(patient.headers["retry-after"], "15");
    patient.refused(400, "authorization_pending");
    let other = begin(&world).await;
    let answer = world.post(&As::Nobody, TAKE, take(&other)).await;
    answer.refused(400, "authorization_pending");
    let approve = format!("{PATH}/{}/approve", text(&begun, "user_code"));
    world
        .post(&person.session, &approve, json!({}))
        .await
        .expect(204);
    ask().await.expect(201);
}

#[tokio::test]
async fn a_refused_or_late_program_is_not_logged_in() {
    let world = World::start().await;
    let (person, _) = world.set_up().await;
    let refused = begin(&world).await;
    let of_code = format!("{PATH}/{}", text(&refused, "user_code"));
    world.delete(&person.session, &of_code).await.expect(204);
    let answer = world.post(&As::Nobody, TAKE, take(&refused)).await;
    answer.refused(401, "invalid_device_code");
    let late = begin(&world).await;
    let approve = format!("{PATH}/{}/approve", text(&late, "user_code"));
    world
        .post(&person.session, &approve, json!({}))
        .await
        .expect(204);
    world.pass_ms(10 * 60 * 1000);
    let answer = world.post(&As::Nobody, TAKE, take(&late)).await;
    answer.refused(401, "invalid_device_code");
    for shown in ["", "kbd_", "kbs_x"] {
        let body = json!({ "device_code": shown });
        let answer = world.post(&As::Nobody, TAKE, body).await;
        answer.refused(401, "invalid_device_code");
    }
}

#[tokio::test]
async fn an_approval_lasts_as_long_as_the_session_that_gave_it() {
    let world = World::start().await;
    let (person, _) = world.set_up().await;
    let begun = begin(&world).await;
    let approve = format!("{PATH}/{}/approve", text(&begun, "user_code"));
    world
        .post(&person.session, &approve, json!({}))
        .await
        .expect(204);
    world
        .delete(&person.session, "/api/v1/sessions/current")
        .await
        .expect(204);
    let answer = world.post(&As::Nobody, TAKE, take(&begun)).await;
    answer.refused(401, "invalid_device_code");
    // Logging in again does not bring it back, and the code is used up.
    let body = json!({"email": person.email, "password": PASSWORD});
    let session = world.post(&As::Nobody, "/api/v1/sessions", body).await;
    let session = session.expect(201).cookie();
    let again = world.post(&session, &approve, json!({})).await;
    again.refused(404, "unknown_user_code");
}

#[tokio::test]
async fn codes_cannot_be_guessed_and_log_ins_not_begun_without_end() {
    let world = World::start().await;
    let (person, _) = world.set_up().await;
    for _ in 0..10 {
        let answer = world
            .get(&person.session, &format!("{PATH}/BCDF-GHJK"))
            .await;
        answer.refused(404, "unknown_user_code");
    }
    let begun = begin(&world).await;
    let right = format!("{PATH}/{}", text(&begun, "user_code"));
    let answer = world.get(&person.session, &right).await;
    answer.refused(429, "too_many_attempts");
    for _ in 0..19 {
        begin(&world).await;
    }
    let body = json!({"client": "one too many"});
    let answer = world.post(&As::Nobody, PATH, body.clone()).await;
    answer.refused(429, "too_many_attempts");
    world.pass_ms(15 * 60 * 1000);
    world.post(&As::Nobody, PATH, body).await.expect(201);
}
