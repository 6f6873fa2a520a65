//! With which key something was made that its provider keeps.

use domain::{ProviderId, ProviderKeyId, WorkspaceId};
use store::KeptObject;

use crate::world::{NOW, World, on_both_engines};

on_both_engines![what_was_made_is_found_by_its_workspace_alone_and_forgotten_when_it_is_old];

async fn what_was_made_is_found_by_its_workspace_alone_and_forgotten_when_it_is_old(world: World) {
    let first = world.first().await;
    let serving = world.store.serving();
    let provider: ProviderId = "openai".parse().expect("an id");
    let (one, other) = (world.id::<ProviderKeyId>(), world.id::<ProviderKeyId>());
    let made = |id: &str, key, age: i64| KeptObject {
        workspace: first.workspace,
        id: id.to_owned(),
        provider: provider.clone(),
        key,
        made_at: NOW.plus_millis(-age),
    };
    let gone = KeptObject {
        workspace: world.id::<WorkspaceId>(),
        ..made("resp_3", one, 0)
    };
    // One of a workspace that is no more keeps no other from being noted.
    let objects = [made("resp_1", one, 0), gone, made("resp_2", one, 10)];
    serving.note_kept(&objects).await.expect("notes");
    let maker = async |workspace, id: &str| serving.maker(workspace, id).await.expect("looks");
    let by = |key| Some((provider.clone(), key));
    assert_eq!(maker(first.workspace, "resp_1").await, by(one));
    assert_eq!(maker(first.workspace, "resp_2").await, by(one));
    assert_eq!(maker(first.workspace, "resp_3").await, None);
    assert_eq!(maker(world.id(), "resp_1").await, None);

    serving
        .note_kept(&[made("resp_1", other, 0)])
        .await
        .expect("notes");
    assert_eq!(maker(first.workspace, "resp_1").await, by(other));

    let system = world.store.system();
    let removed = system.prune_kept(NOW.plus_millis(-5)).await;
    assert_eq!(removed.expect("prunes"), 1);
    assert_eq!(maker(first.workspace, "resp_2").await, None);
    assert_eq!(maker(first.workspace, "resp_1").await, by(other));
}
