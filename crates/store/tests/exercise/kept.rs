//! With which key something was made that its provider keeps.

use domain::{ProviderId, ProviderKeyId, RequestId, WorkspaceId};
use store::UsageRow;

use crate::health::{call, caller};
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    what_was_made_is_found_by_its_workspace_alone_and_forgotten_when_it_is_old,
    what_was_made_is_noted_with_the_row_or_not_at_all,
];

async fn what_was_made_is_found_by_its_workspace_alone_and_forgotten_when_it_is_old(world: World) {
    let (first, caller, _) = caller(&world).await;
    let serving = world.store.serving();
    let provider: ProviderId = "openai".parse().expect("an id");
    let (one, other) = (world.id::<ProviderKeyId>(), world.id::<ProviderKeyId>());
    let made = |ids: &[&str], key, age: i64| UsageRow {
        key: Some(key),
        at: NOW.plus_millis(-age),
        made: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..call(&world, &caller)
    };
    let gone = UsageRow {
        workspace: world.id::<WorkspaceId>(),
        ..made(&["resp_3"], one, 0)
    };
    // One of a workspace that is no more keeps no other from being noted.
    let rows = [
        made(&["resp_1", "file-1"], one, 0),
        gone,
        made(&["resp_2"], one, 10),
    ];
    serving.insert_usage(&rows).await.expect("written");
    let maker = async |workspace, id: &str| {
        let mut made = serving.makers(workspace, &[id]).await.expect("looks");
        made.pop().map(|(_, provider, key)| (provider, key))
    };
    let by = |key| Some((provider.clone(), key));
    assert_eq!(maker(first.workspace, "resp_1").await, by(one));
    assert_eq!(maker(first.workspace, "file-1").await, by(one));
    assert_eq!(maker(first.workspace, "resp_2").await, by(one));
    assert_eq!(maker(first.workspace, "resp_3").await, None);
    assert_eq!(maker(world.id(), "resp_1").await, None);

    // Many at once: each that is known.
    let mut many: Vec<String> = (0..70).map(|n| format!("unknown-{n}")).collect();
    (many[0], many[40], many[69]) = ("resp_1".into(), "resp_2".into(), "file-1".into());
    for (most, expected) in [
        (0, &[][..]),
        (1, &["resp_1"]),
        (3, &["resp_1"]),
        (70, &["file-1", "resp_1", "resp_2"]),
    ] {
        let ids: Vec<&str> = many[..most].iter().map(String::as_str).collect();
        let found = serving.makers(first.workspace, &ids).await.expect("looks");
        let mut found: Vec<String> = found.into_iter().map(|(id, ..)| id).collect();
        found.sort();
        assert_eq!(found, expected, "{most}");
    }

    // The later word counts, whichever comes first.
    for row in [made(&["resp_1"], other, 0), made(&["resp_1"], one, 1)] {
        serving.insert_usage(&[row]).await.expect("written");
        assert_eq!(maker(first.workspace, "resp_1").await, by(other));
    }

    let system = world.store.system();
    let removed = system.prune_kept(NOW.plus_millis(-5)).await;
    assert_eq!(removed.expect("prunes"), 1);
    assert_eq!(maker(first.workspace, "resp_2").await, None);
    assert_eq!(maker(first.workspace, "resp_1").await, by(other));
}

async fn what_was_made_is_noted_with_the_row_or_not_at_all(world: World) {
    let (first, caller, _) = caller(&world).await;
    let serving = world.store.serving();
    let row = |id: &str| UsageRow {
        made: vec![id.to_owned()],
        ..call(&world, &caller)
    };
    let known = async |id: &str| {
        let makers = serving.makers(first.workspace, &[id]).await;
        !makers.expect("looks").is_empty()
    };
    // A row that cannot be written: it is charged to an account that does not exist.
    let refused = UsageRow {
        account: world.id(),
        charge: domain::NanoUsd::new(1),
        ..row("resp_refused")
    };
    let outcome = serving.insert_usage(&[row("resp_beside"), refused]).await;
    assert!(outcome.is_err());
    assert!(!known("resp_beside").await && !known("resp_refused").await);
    // A call that has its row has told all that it made, also where others are written beside it.
    let told = row("resp_told");
    serving
        .insert_usage(std::slice::from_ref(&told))
        .await
        .expect("written");
    let again = UsageRow {
        made: vec!["resp_again".to_owned()],
        ..told
    };
    let beside = UsageRow {
        request: world.id::<RequestId>(),
        ..row("resp_new")
    };
    serving
        .insert_usage(&[again, beside])
        .await
        .expect("written");
    assert!(known("resp_told").await && known("resp_new").await);
    assert!(!known("resp_again").await);
}
