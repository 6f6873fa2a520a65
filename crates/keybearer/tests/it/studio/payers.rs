//! Whose key serves a step and who pays it, at the moment of the step; and what is told of it to whom.

use super::*;

impl Studio {
    /// Tries the run again, and gives it back once it has ended.
    async fn tried_again(&self, run: &str) -> Value {
        let retry = self.path(&format!("/{run}/retry"));
        self.session().post(&retry, &json!({})).await.expect(202);
        self.ended(run).await
    }

    async fn pictures(&self) -> Value {
        let path = self.fixture.path("/run-options");
        let options = self.session().get(&path).await.expect(200).json();
        options["pictures"].clone()
    }

    /// A run that was made for credits and failed, in a workspace without an own key.
    async fn failed_on_credits(&self) -> String {
        let key = format!("/provider-keys/{}", self.own_key_id);
        let key = self.fixture.path(&key);
        self.session().delete(&key).await.expect(200);
        let provider = &self.fixture.provider;
        provider.on_path(CHAT, chat_error(400, "bad", "no"));
        let run = self.made(&script_only()).await;
        assert_eq!(run["model"]["key_source"], "managed", "{run}");
        assert_eq!(run["status"], "failed", "{run}");
        let hint = run["error"]["hint"].as_str().expect("a text");
        assert!(hint.contains("another prompt"), "{run}");
        provider.on_path(CHAT, chat("gpt-4o", SCRIPT, TOKENS));
        id(&run)
    }
}

#[tokio::test]
async fn credits_pay_for_a_step_only_as_they_would_for_a_call() {
    let studio = Studio::start().await;
    let run = studio.failed_on_credits().await;
    let refused = async |code: &str| {
        let run = studio.tried_again(&run).await;
        assert_eq!(run["error"]["code"], code, "{run}");
        let hint = run["error"]["hint"].as_str().expect("a text");
        assert!(hint.contains("make a new run"), "{run}");
    };
    // The mode of the workspace.
    studio.fixture.mode("byok").await;
    refused("byok_key_revoked").await;
    studio.fixture.mode("auto").await;
    // A rule over it.
    studio.fixture.policy(&json!({"byok": "required"})).await;
    refused("byok_required").await;
    studio.fixture.policy(&json!({"byok": "optional"})).await;
    // The instance's consent.
    let refuse = json!({"on_key_removed": "refuse"});
    studio.fixture.settings(&refuse).await;
    refused("byok_key_revoked").await;
    let follow = json!({"on_key_removed": "follow_mode"});
    studio.fixture.settings(&follow).await;
    // An own key that would be asked first: credits stand in for it by consent alone, and for a run never.
    let key = studio.fixture.canary.openai_key();
    let stored = studio.fixture.workspace_key("openai", "new", &key).await;
    refused("byok_required").await;
    let consent = json!({"managed_on_failure": true});
    studio.fixture.policy(&consent).await;
    refused("byok_required").await;
    let calls = studio.scripts().into_iter();
    let calls = calls.filter(|it| it.key() == Some(studio.openai_key.as_str()));
    assert_eq!(calls.count(), 1, "nobody was called again");
    let path = format!("/provider-keys/{}", id(&stored));
    let path = studio.fixture.path(&path);
    studio.session().delete(&path).await.expect(200);
    let run = studio.tried_again(&run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    studio.finish().await;
}

#[tokio::test]
async fn a_run_that_credits_would_pay_needs_some_when_it_is_made_and_at_each_step() {
    let studio = Studio::start().await;
    let run = studio.failed_on_credits().await;
    // A picture that takes all there is, once nothing is held any more.
    studio.fixture.app.usage(&studio.fixture.owner, 1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let micro = loop {
        let [_, held, available] = studio.fixture.balance().await;
        if held == 0 {
            break available;
        }
        assert!(Instant::now() < deadline, "{held} are still held");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let all = format!("{}.{:04}", micro / 10_000, micro % 10_000);
    let models = json!([{"provider": "google", "model": "painter", "credits_per_image": all}]);
    let models = json!({ "image_models": models });
    studio.fixture.settings(&models).await;
    let image = json!({"prompt": "A dot.", "output_types": ["image"]});
    assert_eq!(studio.made(&image).await["status"], "succeeded");
    let failed = studio.tried_again(&run).await;
    assert_eq!(failed["error"]["code"], "credits_exhausted", "{failed}");
    let hint = failed["error"]["hint"].as_str().expect("a text");
    assert!(hint.contains("operator"), "{failed}");
    for (body, output) in [(script_only(), "script"), (image, "image")] {
        let reply = studio.session().post(&studio.path(""), &body).await;
        let problem = reply.expect_error(409, "run_not_servable").json();
        assert_eq!(problem["details"]["code"], "credits_exhausted", "{problem}");
        assert_eq!(problem["details"]["output_type"], output, "{problem}");
        assert!(
            problem["hint"]
                .as_str()
                .is_some_and(|it| it.contains("credits"))
        );
    }
    let pictures = studio.pictures().await;
    assert_eq!(pictures["code"], "credits_exhausted", "{pictures}");
    // An own key needs none.
    let key = studio.fixture.canary.openai_key();
    studio.fixture.workspace_key("openai", "new", &key).await;
    assert_eq!(studio.made(&script_only()).await["status"], "succeeded");
    studio.finish().await;
}

#[tokio::test]
async fn whether_pictures_are_possible_is_said_before_a_run_is_made() {
    let studio = Studio::start().await;
    let pictures = studio.pictures().await;
    let painter = |provider: &str, model: &str, charge: i64| json!({"provider": provider, "model": model, "charge_nano_usd": charge});
    let painters = [
        painter("google", "painter", PICTURE),
        painter("openai", "gpt-image-9", 50_000_000),
    ];
    assert_eq!(
        pictures,
        json!({
            "available": true, "max_count": 4, "models": painters, "code": null, "reason": null, "hint": null,
        })
    );
    let lacking = async |code: &str| {
        let pictures = studio.pictures().await;
        assert_eq!(
            (
                &pictures["available"],
                &pictures["code"],
                &pictures["models"]
            ),
            (&json!(false), &json!(code), &json!([])),
            "{pictures}"
        );
        for field in ["reason", "hint"] {
            let text = pictures[field].as_str().expect("a text");
            assert!(!text.is_empty(), "{pictures}");
        }
        // A run is refused for the same reason.
        let image = json!({"prompt": "A dot.", "output_types": ["image"]});
        let reply = studio.session().post(&studio.path(""), &image).await;
        let problem = reply.expect_error(409, "run_not_servable").json();
        assert_eq!(problem["details"]["code"], code, "{problem}");
        assert_eq!(problem["hint"], pictures["hint"], "{problem}");
    };
    studio.fixture.mode("byok").await;
    lacking("byok_required").await;
    studio.fixture.mode("managed").await;
    // Those that are switched off make none.
    for provider in ["google", "openai"] {
        let path = format!("/api/v1/admin/providers/{provider}");
        let off = json!({"enabled": false});
        studio.session().patch(&path, &off).await.expect(200);
    }
    lacking("managed_unavailable").await;
    studio.fixture.settings(&json!({"image_models": []})).await;
    lacking("images_not_configured").await;
    let member = studio.fixture.app.member(&studio.fixture.owner).await;
    let path = studio.fixture.path("/run-options");
    member.session.get(&path).await.expect(200);
    studio.finish().await;
}

#[tokio::test]
async fn what_a_key_is_called_is_told_to_those_who_may_see_it() {
    let studio = Studio::start().await;
    let fixture = &studio.fixture;
    let path = fixture.path(&format!("/provider-keys/{}", studio.own_key_id));
    studio.session().delete(&path).await.expect(200);
    let key = fixture.canary.openai_key();
    let sealing_key = fixture.app.sealing_key(studio.session()).await;
    let body = json!({
        "provider": "openai", "label": "mums-card", "kek_id": sealing_key.kek_id, "ciphertext_b64": sealing_key.seal_raw(&key),
    });
    let keys = format!("/api/v1/accounts/{}/provider-keys", fixture.owner.account);
    let stored = studio.session().post(&keys, &body).await.expect(201).json();
    fixture
        .provider
        .on_path(CHAT, chat_error(401, "invalid", "no"));
    let body = json!({"prompt": "The sea.", "model": "gpt-4o", "visibility": "workspace"});
    let run = studio.made(&body).await;
    assert_eq!(run["model"]["key_label"], "mums-card", "{run}");
    assert_eq!(
        run["error"]["code"], "upstream_credentials_exhausted",
        "{run}"
    );
    let admin = fixture.app.admin(&fixture.owner).await.session;
    let unseen = async || {
        for path in [studio.path(""), studio.path(&format!("/{}", id(&run)))] {
            let seen = admin.get(&path).await.expect(200).text();
            assert!(!seen.contains("mums-card"), "{seen}");
            assert!(seen.contains("\"key_label\":null"), "{seen}");
        }
        let path = studio.path(&format!("/{}/events", id(&run)));
        let seen = admin.get(&path).await.expect(200).text();
        assert!(!seen.contains("mums-card"), "{seen}");
    };
    unseen().await;
    // Nor is it when it is gone.
    let path = format!("{keys}/{}", id(&stored));
    studio.session().delete(&path).await.expect(204);
    let gone = studio.tried_again(&id(&run)).await;
    assert_eq!(gone["error"]["code"], "byok_key_revoked", "{gone}");
    assert_eq!(gone["model"]["key_label"], "mums-card", "{gone}");
    unseen().await;
    // A workspace's own key is the workspace's to see, from the role on that the instance says.
    let answer = chat("gpt-4o", SCRIPT, TOKENS);
    fixture.provider.on_path(CHAT, answer);
    let key = fixture.canary.openai_key();
    fixture.workspace_key("openai", "ours", &key).await;
    let run = studio.made(&body).await;
    let path = studio.path(&format!("/{}", id(&run)));
    let member = fixture.app.member(&fixture.owner).await.session;
    for (reader, label) in [(&admin, json!("ours")), (&member, Value::Null)] {
        let seen = reader.get(&path).await.expect(200).json();
        assert_eq!(seen["model"]["key_label"], label, "{seen}");
    }
    studio.finish().await;
}
