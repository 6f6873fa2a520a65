//! Credits over the running server: holds, settlement, refusals, crashes, and the sums that must agree.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::provider::Script;
use testkit::provider::wire::{
    TEXT, TOKENS, chat_error, chat_stream as upstream_chat_stream, message_stream,
};

use crate::who_pays::COST;
use crate::{Fixture, chat, chat_stream, message};

impl Fixture {
    /// An instance whose workspace's calls are paid by credits, with prices set and all shipped credits gone, and
    /// `nanos` granted instead.
    pub(crate) async fn managed_with(nanos: i64) -> Self {
        let fixture = Self::start().await;
        fixture.managed(nanos).await;
        fixture
    }

    async fn managed(&self, nanos: i64) {
        self.priced().await;
        let session = &self.owner.person.session;
        let plan = json!({"name": "Nothing included", "rank": 9, "terms": {
            "monthly_credits": 0, "byok": true, "tiers": ["level_2", "level_3"], "limits": {},
        }});
        let reply = session.put("/api/v1/admin/plans/nothing", &plan).await;
        assert!(reply.status < 300, "{}", reply.text());
        let path = format!("/api/v1/admin/accounts/{}/subscription", self.owner.account);
        session
            .put(&path, &json!({"plan": "nothing"}))
            .await
            .expect(200);
        if nanos > 0 {
            self.grant(nanos, json!({})).await.expect(201);
        }
        for provider in ["openai", "anthropic"] {
            let key = self.canary.openai_key();
            self.platform_key(provider, &key).await;
        }
        self.mode("managed").await;
    }

    /// Grants nano-USD as credits, with whatever else the body shall say.
    pub(crate) async fn grant(&self, nanos: i64, more: Value) -> testkit::app::Reply {
        let credits = format!("{}.{:07}", nanos / 10_000_000, nanos % 10_000_000);
        let mut body = json!({"kind": "grant", "credits": credits});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let path = format!("/api/v1/admin/accounts/{}/credits", self.owner.account);
        self.owner.person.session.post(&path, &body).await
    }

    /// Balance, pending debits and what is available, in micro-USD.
    pub(crate) async fn balance(&self) -> [i64; 3] {
        let session = &self.owner.person.session;
        let balance = session.get("/v1/billing/balance").await.expect(200).json();
        [
            "balance_micro_usd",
            "pending_debits_micro_usd",
            "available_micro_usd",
        ]
        .map(|field| balance[field].as_i64().expect("an integer"))
    }

    /// Every amount of the account's ledger, in nano-USD.
    async fn ledger(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/v1/billing/transactions?limit=100{after}");
            let session = &self.owner.person.session;
            let page = session.get(&path).await.expect(200).json();
            rows.extend(page["data"].as_array().expect("rows").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return rows,
            }
        }
    }

    async fn sum(&self) -> i64 {
        let ledger = self.ledger().await;
        ledger
            .iter()
            .map(|row| row["amount_nano_usd"].as_i64().expect("an integer"))
            .sum()
    }

    /// Stops the server and lets the doctor look at the books.
    pub(crate) async fn the_books_balance(mut self) {
        self.app.terminate().await;
        let doctor = self.app.run(&["doctor"]).await;
        assert!(doctor.status.success(), "{doctor}");
        assert!(
            doctor.says("ledger"),
            "the doctor did not look at the ledger: {doctor}"
        );
        self.finish().await;
    }
}

/// What is held for a call of [`chat`] that sets no limit: its bytes as input, 1024 output tokens.
fn held(body: &Value) -> i64 {
    let input = (body.to_string().len() as i64 + 3) / 4;
    input * 2_000 + 1024 * 8_000
}

#[tokio::test]
async fn a_managed_call_is_charged_what_it_costs_and_nothing_stays_held() {
    let fixture = Fixture::managed_with(100_000_000).await;
    let calls = [
        fixture.chat("gpt-4o").await,
        fixture
            .owner
            .key
            .post("/v1/chat/completions", &chat_stream("gpt-4o"))
            .await,
        fixture
            .owner
            .key
            .post("/v1/messages", &message("claude-haiku-4-5", false))
            .await,
        fixture
            .owner
            .key
            .post("/v1/messages", &message("claude-haiku-4-5", true))
            .await,
    ];
    for reply in &calls {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-keybearer-key-source"), Some("managed"));
        assert_eq!(
            reply.header("x-keybearer-key-label"),
            None,
            "the operator's business"
        );
    }
    // The last byte comes after the books are written: no waiting here.
    assert_eq!(fixture.balance().await, [99_736, 0, 99_736]);
    let rows = fixture.app.usage(&fixture.owner, 4).await;
    for row in &rows {
        assert_eq!(row["cost_nano_usd"], COST, "{row}");
        assert_eq!(row["charge_nano_usd"], COST, "{row}");
        assert_eq!(
            (&row["pricing"], &row["key_source"]),
            (&json!("priced"), &json!("managed"))
        );
        assert!(row["catalog_version"].is_string(), "{row}");
    }
    let ledger = fixture.ledger().await;
    let charges: Vec<&Value> = ledger
        .iter()
        .filter(|row| row["kind"] == "charge")
        .collect();
    assert_eq!(charges.len(), 4);
    assert!(charges.iter().all(|row| row["amount_nano_usd"] == -COST));
    assert_eq!(fixture.sum().await, 100_000_000 - 4 * COST);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn own_keys_never_debit_credits_and_their_cost_is_recorded_beside() {
    let fixture = Fixture::managed_with(1_000_000).await;
    fixture.with_openai_key().await;
    fixture.mode("byok").await;
    for _ in 0..100 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    assert_eq!(fixture.balance().await, [1_000, 0, 1_000]);
    let rows = fixture.app.usage(&fixture.owner, 100).await;
    assert!(
        rows.iter()
            .all(|row| row["cost_nano_usd"] == COST && row["charge_nano_usd"] == 0),
        "{}",
        rows[0]
    );
    // No credits at all never stop an own key.
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn without_credits_models_are_refused_and_everything_else_works() {
    let fixture = Fixture::managed_with(0).await;
    let refused = fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "credits_exhausted");
    let error = refused.json()["error"].clone();
    assert_eq!(
        error["needed"]["nano_usd"],
        held(&chat("gpt-4o")),
        "{error}"
    );
    assert_eq!(error["available"]["nano_usd"], 0, "{error}");
    let session = &fixture.owner.person.session;
    session.get(&fixture.path("")).await.expect(200);
    session.get("/api/v1/users/me/credits").await.expect(200);
    fixture.grant(50_000_000, json!({})).await.expect(201);
    fixture.chat("gpt-4o").await.expect(200);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn a_failed_call_takes_nothing() {
    let fixture = Fixture::managed_with(50_000_000).await;
    for script in [
        chat_error(500, "server_error", "no"),
        chat_error(400, "bad", "no"),
        chat_error(401, "invalid_api_key", "no"),
    ] {
        fixture.provider.always(script);
        let reply = fixture.chat("gpt-4o").await;
        assert_ne!(reply.status, 200);
        fixture.app.usage(&fixture.owner, 1).await;
    }
    fixture.app.usage(&fixture.owner, 3).await;
    assert_eq!(fixture.balance().await, [50_000, 0, 50_000]);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn a_call_that_the_provider_got_and_did_not_refuse_takes_its_input() {
    let fixture = Fixture::managed_with(50_000_000).await;
    for script in [Script::hang_up(), Script::text(200, "text/html", "<p>")] {
        fixture.provider.always(script);
        let reply = fixture.chat("gpt-4o").await;
        assert_ne!(reply.status, 200);
    }
    let input = (chat("gpt-4o").to_string().len() as i64 + 3) / 4;
    for row in fixture.app.usage(&fixture.owner, 2).await {
        assert_eq!(row["charge_nano_usd"], input * 2_000, "{row}");
        assert_eq!(row["pricing"], "estimated", "{row}");
    }
    assert_eq!(fixture.sum().await, 50_000_000 - 2 * input * 2_000);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn of_200_parallel_calls_on_a_balance_for_50_exactly_50_are_served() {
    let fixture = Fixture::managed_with(50 * held(&chat("gpt-4o"))).await;
    let slow = testkit::provider::wire::chat("gpt-4o", TEXT, TOKENS).delay(Duration::from_secs(8));
    fixture.provider.always(slow);
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let key = fixture.owner.key.clone();
            tokio::spawn(async move { key.post("/v1/chat/completions", &chat("gpt-4o")).await })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        let reply = call.await.expect("no panic");
        match reply.status {
            200 => served += 1,
            402 => drop(reply.expect_error(402, "credits_exhausted")),
            other => panic!("{other}: {}", reply.text()),
        }
    }
    assert_eq!(served, 50);
    let spent = 50 * COST;
    assert_eq!(fixture.sum().await, 50 * held(&chat("gpt-4o")) - spent);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn what_was_streamed_before_somebody_left_is_charged_as_an_estimate() {
    let fixture = Fixture::managed_with(100_000_000).await;
    // The client leaves in the middle.
    let text = "word ".repeat(40);
    let script =
        upstream_chat_stream("gpt-4o", &text, Some(TOKENS)).pace(Duration::from_millis(30));
    fixture.provider.next(script);
    let path = "/v1/chat/completions";
    let mut stream = fixture.owner.key.stream(path, &chat_stream("gpt-4o")).await;
    for _ in 0..5 {
        stream.next().await.expect("a piece");
    }
    drop(stream);
    let row = fixture.app.usage(&fixture.owner, 1).await.remove(0);
    assert_eq!(row["pricing"], "estimated", "{row}");
    let charge = row["charge_nano_usd"].as_i64().expect("a charge");
    assert!(charge > 0 && charge < 1024 * 8_000, "{row}");

    // The provider breaks off: Anthropic has told the input, the output is counted.
    let script = message_stream("claude-haiku-4-5", &text, TOKENS).cut_after(2_000);
    fixture.provider.next(script);
    let stream = fixture
        .owner
        .key
        .stream("/v1/messages", &message("claude-haiku-4-5", true))
        .await;
    let _ = stream.rest().await;
    let row = fixture.app.usage(&fixture.owner, 2).await.remove(0);
    assert_eq!(row["pricing"], "estimated", "{row}");
    assert_eq!(row["usage"]["cached_input_tokens"], TOKENS.cached, "{row}");

    // A body without usage.
    let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "12345678"}, "finish_reason": "stop"}]});
    fixture.provider.next(Script::json(200, &body));
    fixture.chat("gpt-4o").await.expect(200);
    let row = fixture.app.usage(&fixture.owner, 3).await.remove(0);
    let input = (chat("gpt-4o").to_string().len() as i64 + 3) / 4;
    assert_eq!(row["pricing"], "estimated", "{row}");
    assert_eq!(row["charge_nano_usd"], input * 2_000 + 2 * 8_000, "{row}");
    let charged: i64 = fixture
        .app
        .usage(&fixture.owner, 3)
        .await
        .iter()
        .map(|row| row["charge_nano_usd"].as_i64().expect("a charge"))
        .sum();
    assert_eq!(fixture.sum().await, 100_000_000 - charged);
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn an_unpriced_model_is_never_silently_free() {
    let fixture = Fixture::managed_with(50_000_000).await;
    fixture.settings(&json!({"prices": []})).await;
    let unknown = "openai/no-such-model-in-any-catalog";
    fixture
        .chat(unknown)
        .await
        .expect_error(402, "price_unknown");
    fixture
        .settings(&json!({"unpriced_managed": "count_tokens"}))
        .await;
    fixture.chat(unknown).await.expect(200);
    let row = fixture.app.usage(&fixture.owner, 2).await.remove(0);
    assert_eq!(
        (&row["pricing"], &row["charge_nano_usd"]),
        (&json!("unpriced"), &json!(0))
    );
    fixture.finish().await;
}

#[tokio::test]
async fn the_same_reference_is_granted_once_and_cards_go_earliest_expiry_first() {
    let fixture = Fixture::managed_with(0).await;
    let paid = json!({"reference": "invoice-1", "kind": "top_up"});
    fixture.grant(20_000_000, paid.clone()).await.expect(201);
    fixture.grant(20_000_000, paid.clone()).await.expect(200);
    fixture
        .grant(30_000_000, paid)
        .await
        .expect_error(409, "conflict");
    assert_eq!(fixture.sum().await, 20_000_000);
    let soon = in_text_after(3_000);
    fixture
        .grant(10_000_000, json!({"expires_at": soon}))
        .await
        .expect(201);
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.sum().await, 30_000_000 - COST);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    // What was left of the card that expired is gone; the other one is whole.
    assert_eq!(fixture.balance().await, [20_000, 0, 20_000]);
    assert_eq!(fixture.sum().await, 20_000_000);
    fixture.the_books_balance().await;
}

/// RFC 3339 text of a moment so many milliseconds from now.
fn in_text_after(ahead_ms: i64) -> String {
    let now = testkit::sealing::BoxContext::now("", "", "", "").issued_at;
    let millis = now * 1_000 + ahead_ms;
    domain::Timestamp::from_millis(millis).to_string()
}

#[tokio::test]
async fn overuse_is_owed_or_written_off_as_the_instance_says() {
    for (rule, left) in [("debt", -1), ("forgive", 0)] {
        let fixture = Fixture::managed_with(10_000).await;
        fixture.settings(&json!({"overuse": rule})).await;
        fixture.chat("gpt-4o").await.expect(200);
        let nanos = fixture.sum().await;
        let expected = if left < 0 { 10_000 - COST } else { 0 };
        assert_eq!(nanos, expected, "{rule}");
        fixture
            .chat("gpt-4o")
            .await
            .expect_error(402, "credits_exhausted");
        fixture.grant(1_000_000, json!({})).await.expect(201);
        assert_eq!(
            fixture.sum().await,
            expected + 1_000_000,
            "{rule}: a grant repays what is owed"
        );
        fixture.chat("gpt-4o").await.expect(200);
        fixture.the_books_balance().await;
    }
}

#[tokio::test]
async fn no_call_is_charged_twice_or_lost_by_kill_9() {
    let mut fixture = Fixture::managed_with(1_000_000_000).await;
    let before = fixture.sum().await;
    let probes = fixture.provider.requests().len();
    // Slow answers and quick ones: the kill meets calls before, during and after the provider's answer.
    let slow = upstream_chat_stream("gpt-4o", TEXT, Some(TOKENS)).pace(Duration::from_millis(120));
    let mut whole = 0_i64;
    let mut begun = 0_usize;
    for round in 0..4_u64 {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let key = fixture.owner.key.clone();
                match n % 4 {
                    0 => drop(fixture.provider.next(slow.clone())),
                    1 => drop(fixture.provider.next(Script::silence())),
                    _ => {}
                }
                tokio::spawn(async move {
                    let headers = [("content-type", "application/json")];
                    let body = chat_stream("gpt-4o").to_string().into_bytes();
                    let path = "/v1/chat/completions";
                    let reply = key
                        .try_send(http::Method::POST, path, &headers, Some(body))
                        .await;
                    reply.ok().filter(|reply| reply.status == 200).map(|_| ())
                })
            })
            .collect();
        begun += calls.len();
        tokio::time::sleep(Duration::from_millis(40 + 90 * round)).await;
        fixture.app.kill9();
        for call in calls {
            if call.await.expect("no panic").is_some() {
                whole += 1;
            }
        }
        fixture.app.restart().await;
    }
    // On PostgreSQL the lease of a dead process has to run out first.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while fixture.balance().await[1] != 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "holds were never given back"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let forwarded = fixture.provider.requests().len() - probes;
    let expected = forwarded.max(usize::try_from(whole).expect("few"));
    let rows = fixture.app.usage(&fixture.owner, expected).await;
    assert!(
        rows.len() >= forwarded,
        "the provider got {forwarded} calls, {} left a row",
        rows.len()
    );
    let charged: i64 = rows
        .iter()
        .map(|row| row["charge_nano_usd"].as_i64().expect("a charge"))
        .sum();
    let served = rows.iter().filter(|row| row["status"] == 200).count();
    assert!(rows.len() <= begun, "{} rows for {begun} calls", rows.len());
    assert!(
        served as i64 >= whole,
        "{whole} answers were delivered whole, {served} were charged"
    );
    for row in &rows {
        if row["status"] == 200 {
            assert_eq!(row["charge_nano_usd"], COST, "{row}");
        } else if row["error_code"] == "interrupted" {
            let forwarded = row["charge_nano_usd"] != 0;
            let pricing = forwarded.then_some("estimated");
            assert_eq!(row["pricing"], json!(pricing), "{row}");
            assert_eq!(row["usage"].is_object(), forwarded, "{row}");
        }
    }
    // Those that the provider had and never answered: their input was used, and nothing is known of the rest.
    let cut = rows.iter().filter(|row| row["error_code"] == "interrupted");
    let cut: Vec<i64> = cut
        .map(|row| row["charge_nano_usd"].as_i64().expect("a charge"))
        .collect();
    let input = (chat_stream("gpt-4o").to_string().len() as i64 + 3) / 4 * 2_000;
    assert!(
        cut.contains(&input),
        "no call was cut off after it was forwarded: {cut:?}"
    );
    assert!(
        cut.iter().all(|charge| *charge == 0 || *charge == input),
        "{cut:?}"
    );
    let mut requests: Vec<&Value> = rows.iter().map(|row| &row["request_id"]).collect();
    requests.sort_by_key(|id| id.to_string());
    requests.dedup();
    assert_eq!(requests.len(), rows.len());
    assert_eq!(
        before - fixture.sum().await,
        charged,
        "the ledger and the usage agree"
    );
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn credits_pay_for_no_field_that_changes_the_model_or_the_price() {
    let fixture = Fixture::managed_with(100_000_000).await;
    let probes = fixture.provider.requests().len();
    for (field, value) in [
        ("plugins", json!([{"id": "web"}])),
        ("service_tier", json!("priority")),
        (
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search"}]),
        ),
    ] {
        let mut body = chat("gpt-4o");
        body[field] = value;
        let reply = fixture.owner.key.post("/v1/chat/completions", &body).await;
        let refused = reply.expect_error(403, "field_needs_own_key").json();
        assert_eq!(refused["error"]["field"], field, "{refused}");
    }
    assert_eq!(fixture.provider.requests().len(), probes);
    assert_eq!(fixture.balance().await, [100_000, 0, 100_000]);
    // Who pays the provider may send what they like.
    fixture.with_openai_key().await;
    fixture.mode("byok").await;
    let mut body = chat("gpt-4o");
    body["service_tier"] = json!("priority");
    let reply = fixture.owner.key.post("/v1/chat/completions", &body).await;
    reply.expect(200);
    assert_eq!(fixture.provider.last().json()["service_tier"], "priority");
    fixture.the_books_balance().await;
}

#[tokio::test]
async fn who_leaves_after_the_last_word_pays_what_the_report_behind_it_says() {
    let fixture = Fixture::managed_with(100_000_000).await;
    let script = upstream_chat_stream("gpt-4o", "two words", Some(TOKENS));
    fixture.provider.next(script.pace(Duration::from_millis(5)));
    let path = "/v1/chat/completions";
    let mut stream = fixture.owner.key.stream(path, &chat_stream("gpt-4o")).await;
    let mut seen = Vec::new();
    while !seen.windows(5).any(|window| window == b"words") {
        let piece = stream.next().await.expect("no error");
        seen.extend(piece.expect("a piece"));
    }
    drop(stream);
    let row = fixture.app.usage(&fixture.owner, 1).await.remove(0);
    assert_eq!(row["pricing"], "priced", "{row}");
    assert_eq!(row["charge_nano_usd"], COST, "{row}");
    fixture.the_books_balance().await;
}
