//! The order of provider keys, changed at once.

use serde_json::{Value, json};

use crate::Fixture;

fn labels(list: &Value) -> Vec<String> {
    let keys = list["data"].as_array().expect("keys").iter();
    let label = |key: &Value| key["label"].as_str().expect("a label").to_owned();
    keys.map(label).collect()
}

#[tokio::test]
async fn all_keys_of_a_provider_are_put_into_order_in_one_change() {
    let fixture = Fixture::with_cli().await;
    let session = &fixture.owner.person.session;
    let mut ids = Vec::new();
    for label in ["a", "b", "c"] {
        let key = fixture.canary.openai_key();
        let stored = fixture.workspace_key("openai", label, &key).await;
        ids.push(stored["id"].as_str().expect("an id").to_owned());
    }
    let other = fixture
        .workspace_key("anthropic", "a", &fixture.canary.anthropic_key())
        .await;
    let path = fixture.path("/provider-keys/order");
    let order = |keys: &[&str]| json!({"provider": "openai", "key_ids": keys});
    let ordered = session
        .put(&path, &order(&[&ids[2], &ids[0], &ids[1]]))
        .await
        .expect(200)
        .json();
    assert_eq!(labels(&ordered), ["c", "a", "b"]);
    let resolved = session
        .post(
            &fixture.path("/resolve"),
            &json!({"model": "openai/gpt-4o"}),
        )
        .await
        .expect(200)
        .json();
    let targets = resolved["targets"].as_array().expect("targets").iter();
    let order_of_calls: Vec<&Value> = targets.map(|target| &target["key_label"]).collect();
    assert_eq!(order_of_calls, ["c", "a", "b"]);
    let audit = fixture.path("/audit?action=provider_key.set_order");
    let rows = session.get(&audit).await.expect(200).json();
    assert_eq!(rows["data"].as_array().map(Vec::len), Some(1), "{rows}");
    assert_eq!(rows["data"][0]["provider"], "openai");

    let other = other["id"].as_str().expect("an id");
    for wrong in [
        order(&[&ids[0], &ids[1]]),
        order(&[&ids[0], &ids[1], other]),
        order(&[&ids[0], &ids[1], &ids[2], other]),
        json!({"provider": "anthropic", "key_ids": ids}),
    ] {
        let refused = session.put(&path, &wrong).await;
        refused.expect_error(409, "keys_changed");
    }
    for wrong in [order(&[]), order(&[&ids[0], &ids[0], &ids[1]])] {
        let refused = session.put(&path, &wrong).await;
        let refused = refused.expect_error(400, "invalid_request").json();
        assert_eq!(refused["details"]["field"], "key_ids");
    }
    let member = fixture.app.member(&fixture.owner).await;
    let refused = member.session.put(&path, &order(&[&ids[0]])).await;
    refused.expect_error(403, "permission_denied");

    let shown = fixture
        .cli_json(&["keys", "order", "openai", "b", "c", "a"])
        .await;
    assert_eq!(labels(&shown), ["b", "c", "a"]);
    fixture
        .cli_fails(&["keys", "order", "openai", "b", "c"], "are others than")
        .await;
    fixture
        .cli_fails(&["keys", "order", "openai", "b", "c", "x"], "openai/x")
        .await;
    fixture.finish().await;
}

#[tokio::test]
async fn keys_of_an_account_and_platform_keys_have_an_order_too() {
    let fixture = Fixture::with_cli().await;
    let session = &fixture.owner.person.session;
    for holder in ["--account", "--platform"] {
        let keys = match holder {
            "--account" => format!("/api/v1/accounts/{}/provider-keys", fixture.owner.account),
            _ => "/api/v1/admin/platform-keys".to_owned(),
        };
        for label in ["a", "b"] {
            let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
            let sealed = sealing_key.seal_raw(&fixture.canary.openai_key());
            let body = json!({"provider": "openai", "label": label, "kek_id": sealing_key.kek_id,
                "ciphertext_b64": sealed});
            session.post(&keys, &body).await.expect(201);
        }
        let order = ["keys", "order", "openai", "b", "a", holder, "--json"];
        let shown = fixture.as_owner(&order, "").await;
        assert!(shown.status.success(), "{shown}");
        let listed = session.get(&keys).await.expect(200).json();
        assert_eq!(labels(&listed), ["b", "a"], "{holder}");
    }
    fixture.finish().await;
}
