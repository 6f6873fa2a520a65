//! Audit logs, narrowed down.

use serde_json::{Value, json};

use crate::Fixture;

fn actions(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().expect("rows").iter();
    let action = |row: &Value| row["action"].as_str().expect("a text").to_owned();
    rows.map(action).collect()
}

#[tokio::test]
async fn logs_are_narrowed_down_by_action_actor_subject_and_time() {
    let fixture = Fixture::with_cli().await;
    let owner = &fixture.owner.person;
    let session = &owner.session;
    let admin = fixture.app.admin(&fixture.owner).await;
    let key = fixture.canary.openai_key();
    let stored = fixture.workspace_key("openai", "main", &key).await;
    let id = stored["id"].as_str().expect("an id").to_owned();
    let one = fixture.path(&format!("/provider-keys/{id}"));
    for enabled in [false, true] {
        let change = json!({ "enabled": enabled });
        admin.session.patch(&one, &change).await.expect(200);
    }
    let ask = async |query: &str| {
        let path = fixture.path(&format!("/audit?{query}"));
        actions(&session.get(&path).await.expect(200).json())
    };
    let changes = ["provider_key.enable", "provider_key.disable"];
    let by_admin = format!("actor={}", admin.user);
    assert_eq!(
        ask("action=provider_key").await,
        [changes[0], changes[1], "provider_key.create"]
    );
    assert_eq!(ask("action=provider_key.enable").await, [changes[0]]);
    assert_eq!(
        ask(&by_admin).await,
        [changes[0], changes[1], "invitation.accept"]
    );
    assert_eq!(ask(&format!("subject={id}")).await.len(), 3);
    assert_eq!(
        ask(&format!(
            "subject={id}&actor={}&action=provider_key.disable",
            admin.user
        ))
        .await,
        [changes[1]]
    );
    assert_eq!(ask("to=2001-01-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(ask("from=2999-01-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(ask("action=provider").await, Vec::<String>::new());

    // Pages of what fits.
    let path = fixture.path(&format!("/audit?subject={id}&limit=2"));
    let first = session.get(&path).await.expect(200).json();
    assert_eq!(actions(&first), changes);
    let next = first["next"].as_str().expect("a second part");
    let second = session.get(&format!("{path}&after={next}")).await;
    assert_eq!(actions(&second.expect(200).json()), ["provider_key.create"]);

    for (log, action) in [
        (
            format!("/api/v1/accounts/{}/audit", fixture.owner.account),
            "ai_defaults",
        ),
        ("/api/v1/audit".to_owned(), "settings"),
    ] {
        let none = session.get(&format!("{log}?action={action}")).await;
        assert_eq!(actions(&none.expect(200).json()), Vec::<String>::new());
        let path = match action {
            "settings" => "/api/v1/admin/settings",
            _ => "/api/v1/users/me/ai-defaults",
        };
        match action {
            "settings" => {
                session
                    .patch(path, &json!({"audit_detail": "minimal"}))
                    .await
            }
            _ => session.put(path, &json!({"mode": "auto"})).await,
        }
        .expect(200);
        let some = session
            .get(&format!("{log}?action={action}&actor={}", owner.user))
            .await;
        assert_eq!(actions(&some.expect(200).json()).len(), 1, "{log}");
    }

    // Where logs do not show who acts, nobody learns it by searching.
    let by_actor = fixture.path(&format!("/audit?actor={}", admin.user));
    let refused = session.get(&by_actor).await;
    let refused = refused.expect_error(400, "invalid_request").json();
    assert_eq!(refused["details"]["field"], "actor");
    let refused = session.get(&fixture.path("/audit?from=yesterday")).await;
    assert_eq!(refused.expect(400).json()["details"]["field"], "from");
    session
        .get(&fixture.path("/audit?target=x"))
        .await
        .expect(400);

    let shown = ["audit", "--subject", &id, "--action", "provider_key.create"];
    let shown = fixture.cli_json(&shown).await;
    assert_eq!(actions(&shown), ["provider_key.create"]);
    let shown = [
        "audit",
        "--instance",
        "--since",
        "1h",
        "--actor",
        &owner.user,
    ];
    let shown = fixture.as_owner(&shown, "").await;
    assert!(shown.stdout.contains("settings.update"), "{shown}");
    fixture.finish().await;
}
