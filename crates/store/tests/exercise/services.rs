//! What a workspace has its machines run.

use std::collections::BTreeMap;

use domain::access::Action;
use domain::service::{MAX_SCRIPTS, Restart, RunOn, Script, Service, Variables};
use domain::{ScriptId, ServiceId};
use store::{ScriptRow, ServiceRow, StoreError};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    scripts_are_kept_in_their_order,
    services_are_kept_as_they_were_said,
    a_variable_that_is_refused_since_stays_readable,
    a_workspace_has_only_so_many_scripts,
    of_two_changes_at_once_one_is_made,
];

fn script(world: &World, name: &str, order: u16) -> ScriptRow {
    ScriptRow {
        id: world.id::<ScriptId>(),
        script: Script {
            name: name.parse().expect("a name"),
            run_on: RunOn::FirstBoot,
            order: order.try_into().expect("an order"),
            content: "echo x".parse().expect("a text"),
        },
        content_sha256: "hash".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A service with a variable of this name, whatever is thought of that name now.
fn service(world: &World, variable: &str) -> ServiceRow {
    let env = BTreeMap::from([(variable.to_owned(), "1".to_owned())]);
    ServiceRow {
        id: world.id::<ServiceId>(),
        service: Service {
            name: "web".parse().expect("a name"),
            command: vec!["a".to_owned(), "b c".to_owned()]
                .try_into()
                .expect("a command"),
            env: Variables::stored(env).expect("variables"),
            restart: Restart::OnFailure,
            auto_enable: true,
        },
        content_sha256: "hash".to_owned(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn scripts_are_kept_in_their_order(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteServices).await;
    let within = world.store.within(&scope);
    let note = world.note("script.create");
    for (name, order) in [("b", 2), ("c", 1), ("a", 2)] {
        let row = script(&world, name, order);
        let made = within.create_script(&row, &note, NOW).await;
        made.expect("made");
        assert_eq!(within.script(row.id).await.expect("there"), row);
    }
    let listed = within.scripts().await.expect("listed");
    let names: Vec<&str> = listed.iter().map(|row| row.script.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "b"]);
    let twin = script(&world, "a", 0);
    let taken = within.create_script(&twin, &note, NOW).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    // Another workspace has nothing of it.
    let other = world.person(&first, "other@example.com").await;
    let elsewhere = world.scope(&other, Action::WriteServices).await;
    let elsewhere = world.store.within(&elsewhere);
    let id = listed[0].id;
    assert!(elsewhere.scripts().await.expect("listed").is_empty());
    let foreign = elsewhere.script(id).await;
    assert!(matches!(foreign, Err(StoreError::NotFound)));
    let foreign = elsewhere.delete_script(id, &note, NOW).await;
    assert!(matches!(foreign, Err(StoreError::NotFound)));
    within.delete_script(id, &note, NOW).await.expect("deleted");
    assert_eq!(within.scripts().await.expect("listed").len(), 2);
}

async fn services_are_kept_as_they_were_said(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteServices).await;
    let within = world.store.within(&scope);
    let note = world.note("service.create");
    let mut row = service(&world, "PORT");
    let made = within.create_service(&row, &note, NOW).await;
    made.expect("made");
    assert_eq!(within.services().await.expect("listed"), [row.clone()]);
    let twin = ServiceRow {
        id: world.id(),
        ..row.clone()
    };
    let taken = within.create_service(&twin, &note, NOW).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    row.service.restart = Restart::No;
    row.service.auto_enable = false;
    within
        .update_service(&row, &note, NOW)
        .await
        .expect("changed");
    row.version = 2;
    assert_eq!(within.service(row.id).await.expect("there"), row);
    within
        .delete_service(row.id, &note, NOW)
        .await
        .expect("deleted");
    let gone = within.service(row.id).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
}

async fn a_variable_that_is_refused_since_stays_readable(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteServices).await;
    let within = world.store.within(&scope);
    let row = service(&world, "KUBECONFIG");
    let refused = Variables::try_from(BTreeMap::from([("KUBECONFIG".to_owned(), String::new())]));
    assert!(refused.is_err(), "nobody could add it now");
    let note = world.note("service.create");
    let made = within.create_service(&row, &note, NOW).await;
    made.expect("made");
    assert_eq!(within.services().await.expect("listed"), [row]);
}

async fn a_workspace_has_only_so_many_scripts(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteServices).await;
    let within = world.store.within(&scope);
    let note = world.note("script.create");
    for number in 0..MAX_SCRIPTS {
        let row = script(&world, &format!("s{number}"), 0);
        let made = within.create_script(&row, &note, NOW).await;
        made.expect("made");
    }
    let beyond = script(&world, "beyond", 0);
    let beyond = within.create_script(&beyond, &note, NOW).await;
    assert!(matches!(beyond, Err(StoreError::Conflict(_))));
}

async fn of_two_changes_at_once_one_is_made(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteServices).await;
    let within = world.store.within(&scope);
    let mut note = world.note("script.update");
    note.content_sha256 = Some("hash".to_owned());
    let mut row = script(&world, "a", 0);
    let made = within.create_script(&row, &note, NOW).await;
    made.expect("made");
    row.script.content = "echo y".parse().expect("a text");
    within
        .update_script(&row, &note, NOW)
        .await
        .expect("changed");
    // It has the version that both have read.
    row.script.content = "echo z".parse().expect("a text");
    let late = within.update_script(&row, &note, NOW).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))));
    let kept = within.script(row.id).await.expect("there");
    assert_eq!(kept.script.content.as_str(), "echo y");
    let audit = within
        .audit(
            &store::AuditFilter::default(),
            &store::PageRequest::default(),
        )
        .await;
    let audit = audit.expect("rows");
    assert_eq!(audit.items[0].content_sha256.as_deref(), Some("hash"));
}
