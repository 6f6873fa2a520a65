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
    let maker = async |workspace, id: &str| serving.maker(workspace, id).await.expect("looks");
    let by = |key| Some((provider.clone(), key));
    assert_eq!(maker(first.workspace, "resp_1").await, by(one));
    assert_eq!(maker(first.workspace, "file-1").await, by(one));
    assert_eq!(maker(first.workspace, "resp_2").await, by(one));
    assert_eq!(maker(first.workspace, "resp_3").await, None);
    assert_eq!(maker(world.id(), "resp_1").await, None);

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
        let maker = serving.maker(first.workspace, id).await;
        maker.expect("looks").is_some()
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
