//! Slow and silent providers, over the running server: who is asked next, who wins, who pays.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::app::Reply;
use testkit::provider::Script;

use crate::who_pays::COST;
use crate::{Fixture, chat};

const AFTER_MS: u64 = 200;
const MODEL: &str = "gpt-4o";

impl Fixture {
    /// Two keys of the workspace, in their order.
    async fn two_keys(&self) -> [String; 2] {
        let keys = [self.canary.openai_key(), self.canary.openai_key()];
        for (label, key) in ["one", "two"].into_iter().zip(&keys) {
            self.workspace_key("openai", label, key).await;
        }
        keys
    }

    /// The attempts of the newest of `count` calls: outcome and status of each.
    async fn newest_attempts(&self, count: usize) -> Vec<(String, Option<u64>)> {
        let rows = self.app.usage(&self.owner, count).await;
        assert_eq!(rows.len(), count);
        let attempts = rows[0]["attempts"].as_array().expect("attempts");
        let each = attempts.iter().map(|it| {
            let outcome = it["outcome"].as_str().expect("a text");
            (outcome.to_owned(), it["status"].as_u64())
        });
        each.collect()
    }

    /// Waits until so many requests were given up at the provider, in the middle of what it had to say.
    async fn given_up(&self, count: usize) {
        self.provider
            .wait_until("the other request ends", |it| it.left_early() >= count)
            .await;
    }
}

/// What the well-behaved provider answers, after so many milliseconds.
fn slow(millis: u64) -> Script {
    let answer = json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello."}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 8}});
    Script::json(200, &answer).delay(Duration::from_millis(millis))
}

fn served(reply: &Reply) -> (u16, &str, &str) {
    let header = |name| reply.header(name).unwrap_or_default();
    let label = header("x-keybearer-key-label");
    (reply.status, label, header("x-keybearer-attempts"))
}

fn is(outcome: &str, status: Option<u64>) -> (String, Option<u64>) {
    (outcome.to_owned(), status)
}

#[tokio::test]
async fn a_silent_provider_is_followed_by_the_next_key_and_the_next_model() {
    let patience =
        |builder: testkit::app::Builder| builder.env("KEYBEARER_FIRST_BYTE_TIMEOUT_MS", "1500");
    let fixture = Fixture::start_with(patience).await;
    let [one, two] = fixture.two_keys().await;
    fixture.provider.on_key(&one, Script::silence());
    assert_eq!(served(&fixture.chat(MODEL).await), (200, "two", "2"));
    let expected = [is("unreachable", None), is("ok", Some(200))];
    assert_eq!(fixture.newest_attempts(1).await, expected);
    fixture.provider.on_key(&two, Script::silence());
    fixture
        .workspace_key("anthropic", "other", &fixture.canary.anthropic_key())
        .await;
    let mut body = chat(MODEL);
    body["models"] = json!(["claude-sonnet-4"]);
    let reply = fixture.owner.key.post("/v1/chat/completions", &body).await;
    assert_eq!(served(&reply), (200, "other", "3"));
    fixture.finish().await;
}

#[tokio::test]
async fn a_slow_call_is_hedged_only_where_the_workspace_says_so_and_the_first_answer_counts() {
    let fixture = Fixture::with_cli().await;
    fixture.priced().await;
    let [one, two] = fixture.two_keys().await;
    fixture.provider.on_key(&one, slow(10 * AFTER_MS));
    fixture.provider.on_key(&two, slow(0));
    assert_eq!(served(&fixture.chat(MODEL).await), (200, "one", "1"));
    let field = format!("hedge_after_ms={AFTER_MS}");
    let shown = fixture.cli_json(&["policy", "set", "-F", &field]).await;
    assert_eq!(shown["hedge_after_ms"], AFTER_MS);

    // The hedge wins.
    assert_eq!(served(&fixture.chat(MODEL).await), (200, "two", "2"));
    fixture.given_up(1).await;
    let expected = [is("cancelled", None), is("ok", Some(200))];
    assert_eq!(fixture.newest_attempts(2).await, expected);
    let row = fixture.app.usage(&fixture.owner, 2).await.remove(0);
    assert_eq!(row["key_label"], "two");
    let estimate = row["attempts"][0]["cost_nano_usd"].as_i64();
    assert!(estimate.is_some_and(|it| it > 0), "{row}");
    assert_eq!(row["attempts"][1]["cost_nano_usd"], Value::Null);
    assert_eq!(
        (&row["pricing"], &row["cost_nano_usd"]),
        (&json!("priced"), &json!(86_000))
    );

    // The first attempt wins.
    fixture.provider.on_key(&two, Script::silence());
    assert_eq!(served(&fixture.chat(MODEL).await), (200, "one", "2"));
    fixture.given_up(2).await;
    let expected = [is("ok", Some(200)), is("cancelled", None)];
    assert_eq!(fixture.newest_attempts(3).await, expected);

    // A client that leaves takes both along.
    for key in [&one, &two] {
        fixture.provider.on_key(key, Script::silence());
    }
    let hits = fixture.provider.requests().len();
    let waiting = tokio::time::timeout(Duration::from_millis(10 * AFTER_MS), fixture.chat(MODEL));
    assert!(waiting.await.is_err());
    fixture.given_up(4).await;
    assert_eq!(fixture.provider.requests().len(), hits + 2);
    let expected = vec![is("client_closed", None); 2];
    assert_eq!(fixture.newest_attempts(4).await, expected);

    // Both fail: the one that failed last is asked once more, then there is nobody.
    let fails = Script::status(503);
    let late = |millis| fails.clone().delay(Duration::from_millis(millis));
    fixture.provider.on_key(&one, late(2 * AFTER_MS));
    fixture.provider.on_key(&two, late(2 * AFTER_MS));
    let reply = fixture.chat(MODEL).await;
    let failed = reply.expect_error(502, "upstream_credentials_exhausted");
    assert_eq!(failed.header("x-keybearer-attempts"), Some("3"));
    let expected = vec![is("provider_error", Some(503)); 3];
    assert_eq!(fixture.newest_attempts(5).await, expected);
    fixture.finish().await;
}

#[tokio::test]
async fn credits_pay_once_for_a_hedged_call_and_never_for_a_slow_own_key() {
    let fixture = Fixture::start().await;
    fixture.priced().await;
    let keys = [fixture.canary.openai_key(), fixture.canary.openai_key()];
    for (label, key) in ["one", "two"].into_iter().zip(&keys) {
        let body = json!({"provider": "openai", "label": label, "key": key});
        let session = &fixture.owner.person.session;
        let stored = session.post("/api/v1/admin/platform-keys", &body).await;
        stored.expect(201);
    }
    let consent = json!({"mode": "auto", "managed_on_failure": true, "hedge_after_ms": AFTER_MS});
    fixture.policy(&consent).await;
    let before = fixture.micro_left().await;
    // The first request is slow, whichever key it carries.
    let slow_once = || fixture.provider.next(slow(10 * AFTER_MS));
    slow_once();
    let reply = fixture.chat(MODEL).await;
    let attempts = |reply: &Reply| {
        let attempts = reply.header("x-keybearer-attempts");
        attempts.map(str::to_owned)
    };
    assert_eq!(attempts(&reply).as_deref(), Some("1"));
    fixture
        .settings(&json!({"managed_hedging_allowed": true}))
        .await;
    let between = fixture.micro_left().await;
    assert!(between < before);
    slow_once();
    let reply = fixture.chat(MODEL).await.expect(200);
    assert_eq!(attempts(&reply).as_deref(), Some("2"));
    fixture.given_up(1).await;
    let row = fixture.app.usage(&fixture.owner, 2).await.remove(0);
    assert_eq!(
        (&row["key_source"], &row["charge_nano_usd"]),
        (&json!("managed"), &json!(COST))
    );
    assert_eq!(fixture.newest_attempts(2).await[0], is("cancelled", None));
    assert_eq!(between - fixture.micro_left().await, COST / 1_000);

    // An own key is never left for credits because it is slow.
    let own = fixture.canary.openai_key();
    fixture.workspace_key("openai", "own", &own).await;
    fixture.provider.on_key(&own, slow(3 * AFTER_MS));
    assert_eq!(served(&fixture.chat(MODEL).await), (200, "own", "1"));
    fixture.finish().await;
}
