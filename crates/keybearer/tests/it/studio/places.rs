//! Who gets a worker's place, for how long, and what becomes of a run whose process dies.

use testkit::app::Person;

use super::*;

/// Somebody with an account of their own, whose workspace has an own key.
struct Neighbour {
    person: Person,
    workspace: String,
    key: String,
}

impl Neighbour {
    async fn of(studio: &Studio) -> Self {
        let fixture = &studio.fixture;
        let person = fixture.app.outsider(&fixture.owner).await;
        let session = &person.session;
        let listed = session.get("/api/v1/workspaces").await.expect(200).json();
        let workspace = id(&listed["data"][0]);
        let policy = format!("/api/v1/workspaces/{workspace}/policy");
        let byok = json!({"mode": "byok"});
        session.patch(&policy, &byok).await.expect(200);
        let key = fixture.canary.openai_key();
        let sealing_key = fixture.app.sealing_key(session).await;
        let body = json!({
            "provider": "openai", "label": "own", "kek_id": sealing_key.kek_id, "ciphertext_b64": sealing_key.seal_raw(&key),
        });
        let keys = format!("/api/v1/workspaces/{workspace}/provider-keys");
        session.post(&keys, &body).await.expect(201);
        Self {
            person,
            workspace,
            key,
        }
    }

    fn runs(&self) -> String {
        format!("/api/v1/workspaces/{}/runs", self.workspace)
    }

    /// A run is made, whatever others are doing.
    async fn run_succeeds(&self) {
        let session = &self.person.session;
        let run = create(session, &self.runs(), &script_only()).await;
        let path = format!("{}/{}", self.runs(), id(&run));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let run = session.get(&path).await.expect(200).json();
            if run["status"] == "succeeded" {
                return;
            }
            assert!(Instant::now() < deadline, "it waits for the others: {run}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn slow_runs_of_one_account_leave_places_for_another() {
    let studio = Studio::start().await;
    let neighbour = Neighbour::of(&studio).await;
    let answer = chat("gpt-4o", SCRIPT, TOKENS);
    studio.fixture.provider.on_path(CHAT, Script::silence());
    studio.fixture.provider.on_key(&neighbour.key, answer);
    for _ in 0..10 {
        studio.create(&script_only()).await;
    }
    let of_owner = |it: &ScriptedProvider| {
        let calls = of_path(it, CHAT).into_iter();
        calls
            .filter(|it| it.key() == Some(studio.own_key.as_str()))
            .count()
    };
    studio
        .fixture
        .provider
        .wait_until("the calls of its share", |it| of_owner(it) == 4)
        .await;
    neighbour.run_succeeds().await;
    assert_eq!(
        of_owner(&studio.fixture.provider),
        4,
        "its share, and no more"
    );
    studio.finish().await;
}

#[tokio::test]
async fn slow_runs_of_two_accounts_leave_places_for_a_third() {
    let studio = Studio::start().await;
    let (second, third) = (Neighbour::of(&studio).await, Neighbour::of(&studio).await);
    let provider = &studio.fixture.provider;
    provider.on_path(CHAT, Script::silence());
    provider.on_key(&third.key, chat("gpt-4o", SCRIPT, TOKENS));
    let of_second = second.runs();
    // Their keys were tried when they were added.
    let tried = of_path(provider, CHAT).len();
    for _ in 0..6 {
        studio.create(&script_only()).await;
        create(&second.person.session, &of_second, &script_only()).await;
    }
    let calls = |it: &ScriptedProvider| of_path(it, CHAT).len() - tried;
    provider
        .wait_until("the calls of both", |it| calls(it) == 6)
        .await;
    third.run_succeeds().await;
    assert_eq!(calls(provider), 6 + 1, "the last places are kept");
    studio.finish().await;
}

#[tokio::test]
async fn a_step_has_its_time_and_gives_its_place_back() {
    let studio = Studio::start().await;
    let limit = json!({"run_step_timeout_ms": 1500});
    studio.fixture.settings(&limit).await;
    studio.fixture.provider.on_path(CHAT, Script::silence());
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(id(&studio.create(&script_only()).await));
    }
    for run in &runs {
        let run = studio.ended(run).await;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!("step_timeout")),
            "{run}"
        );
        let text = run["error"].to_string();
        assert!(
            text.contains("longer than 1.5 s") && text.contains("run_step_timeout_ms"),
            "{text}"
        );
    }
    studio
        .fixture
        .provider
        .wait_until("the end of the calls", |it| it.left_early() == 5)
        .await;
    // The pauses between calls for a picture count, too.
    studio
        .google
        .on_path(GOOGLE_IMAGES, chat_error(503, "overloaded", "try later"));
    let image = json!({"prompt": "A dot.", "output_types": ["image"]});
    let run = studio.made(&image).await;
    assert_eq!(run["error"]["code"], "step_timeout", "{run}");
    assert_eq!(run["steps"][0]["attempts"], 1, "{run}");
    for wrong in [0, 999, 3_600_001] {
        let body = json!({ "run_step_timeout_ms": wrong });
        let reply = studio
            .session()
            .patch("/api/v1/admin/settings", &body)
            .await;
        reply.expect_error(400, "invalid_request");
    }
    studio.finish().await;
}

#[tokio::test]
async fn a_run_that_waited_when_the_process_was_killed_is_made_once() {
    let mut studio = Studio::start().await;
    studio.fixture.provider.on_path(CHAT, Script::silence());
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(id(&studio.create(&script_only()).await));
    }
    let provider = &studio.fixture.provider;
    provider
        .wait_until("the calls of those that run", |it| {
            of_path(it, CHAT).len() == 4
        })
        .await;
    assert_eq!(studio.get(&runs[4]).await["status"], "pending");
    studio.fixture.app.kill9();
    provider.on_path(CHAT, chat("gpt-4o", SCRIPT, TOKENS));
    studio.fixture.app.restart().await;
    for run in &runs {
        let run = studio.ended(run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    assert_eq!(
        studio.scripts().len(),
        4 + 5,
        "what was not kept, once more"
    );
    studio.finish().await;
}

#[tokio::test]
async fn a_step_in_which_the_process_always_dies_is_not_paid_for_ever() {
    if Engine::from_environment() != Engine::Sqlite {
        // Where others may have the database, each time takes a lease's end.
        return;
    }
    let mut studio = Studio::start().await;
    studio.fixture.provider.on_path(CHAT, Script::silence());
    let run = id(&studio.create(&script_only()).await);
    for begun in 1..=5 {
        let calls = |it: &ScriptedProvider| of_path(it, CHAT).len() == begun;
        studio.fixture.provider.wait_until("its call", calls).await;
        studio.fixture.app.kill9();
        studio.fixture.app.restart().await;
    }
    let failed = studio.ended(&run).await;
    assert_eq!(failed["error"]["code"], "step_interrupted", "{failed}");
    assert_eq!(studio.scripts().len(), 5);
    // Whoever tries it again means it.
    studio
        .fixture
        .provider
        .on_path(CHAT, chat("gpt-4o", SCRIPT, TOKENS));
    let retry = studio.path(&format!("/{run}/retry"));
    studio.session().post(&retry, &json!({})).await.expect(202);
    assert_eq!(studio.ended(&run).await["status"], "succeeded");
    studio.finish().await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_at_its_picture_and_tried_again_keeps_its_script() {
    let studio = Studio::start().await;
    studio.google.on_path(GOOGLE_IMAGES, Script::silence());
    let run = id(&studio.create(&both()).await);
    studio
        .google
        .wait_until("the picture's call", |it| !it.requests().is_empty())
        .await;
    let cancel = studio.path(&format!("/{run}/cancel"));
    studio.session().post(&cancel, &json!({})).await.expect(200);
    studio
        .google
        .wait_until("the end of the call", |it| it.left_early() == 1)
        .await;
    let cancelled = studio.get(&run).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(cancelled["steps"][0]["status"], "succeeded");
    studio.google.on_path(GOOGLE_IMAGES, picture());
    let retry = studio.path(&format!("/{run}/retry"));
    studio.session().post(&retry, &json!({})).await.expect(202);
    assert_eq!(studio.ended(&run).await["status"], "succeeded");
    assert_eq!(studio.scripts().len(), 1, "the script was kept");
    // One picture is paid for: the one that came.
    let rows = studio.fixture.app.usage(&studio.fixture.owner, 3).await;
    let charges = rows
        .iter()
        .filter_map(|row| row["charge_nano_usd"].as_i64());
    assert_eq!(charges.sum::<i64>(), PICTURE, "{rows:?}");
    studio.finish().await;
}
