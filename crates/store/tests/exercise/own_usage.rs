//! Whose calls somebody sees: a plain member their own, in lists, by id and in sums.

use domain::access::{Action, Role};
use domain::{KeyScope, RequestId, UserId};
use store::{PageRequest, SumsRequest, UsageDimension, UsageFilter, UsageRow, Within};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    a_member_sees_their_own_calls_and_an_admin_all,
    whose_key_served_is_kept,
];

const DAY_MS: i64 = 86_400_000;

/// A call of this person in the workspace of `owner`.
async fn call(world: &World, owner: &Person, person: &Person) -> UsageRow {
    let scope = Person {
        workspace: owner.workspace,
        ..*person
    };
    let scope = world.scope(&scope, Action::WriteApiKeys).await;
    let (_, hash) = world.api_key(&scope, person.user, &[]).await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    let caller = caller.expect("asks").expect("lives");
    let row = crate::health::call(world, &caller);
    let rows = [row.clone()];
    let serving = world.store.serving();
    serving.insert_usage(&rows).await.expect("written");
    row
}

async fn listed(within: &Within<'_>, user: Option<UserId>) -> Vec<RequestId> {
    let filter = UsageFilter {
        user,
        ..UsageFilter::default()
    };
    let page = within.usage(filter, &PageRequest::default()).await;
    let rows = page.expect("lists").items;
    let mut ids: Vec<RequestId> = rows.iter().map(|row| row.request).collect();
    ids.sort_unstable();
    ids
}

async fn counted(within: &Within<'_>, user: Option<UserId>) -> (i64, usize) {
    let day = NOW.millis() / DAY_MS;
    let request = SumsRequest {
        from_day: day - 1,
        to_day: day + 1,
        by: vec![UsageDimension::Member, UsageDimension::ApiKey],
        user,
        ..SumsRequest::default()
    };
    let sums = within.usage_sums(&request).await.expect("adds up");
    (sums.total.calls, sums.groups.len())
}

async fn a_member_sees_their_own_calls_and_an_admin_all(world: World) {
    let owner = world.first().await;
    let member = world.person(&owner, "m@example.com").await;
    let admin = world.person(&owner, "a@example.com").await;
    world
        .join(&owner, &member, "m@example.com", Role::Member)
        .await;
    world
        .join(&owner, &admin, "a@example.com", Role::Admin)
        .await;
    let theirs = call(&world, &owner, &owner).await.request;
    let own = call(&world, &owner, &member).await.request;
    // Their own calls elsewhere are of no concern here.
    let elsewhere = call(&world, &member, &member).await.request;
    let mut all = [theirs, own];
    all.sort_unstable();
    for (person, sees) in [
        (&member, vec![own]),
        (&admin, all.to_vec()),
        (&owner, all.to_vec()),
    ] {
        let here = Person {
            workspace: owner.workspace,
            ..*person
        };
        let scope = world.scope(&here, Action::ReadUsage).await;
        let within = world.store.within(&scope);
        assert_eq!(listed(&within, None).await, sees);
        assert_eq!(
            counted(&within, None).await,
            (sees.len() as i64, sees.len())
        );
        for (whose, request) in [(owner.user, theirs), (member.user, own)] {
            let is_seen = sees.contains(&request);
            let some = if is_seen { vec![request] } else { Vec::new() };
            assert_eq!(listed(&within, Some(whose)).await, some);
            let number = i64::from(is_seen);
            assert_eq!(counted(&within, Some(whose)).await, (number, some.len()));
            let one = within.call(request).await.expect("asks");
            assert_eq!(one.map(|row| row.request), is_seen.then_some(request));
        }
        assert_eq!(within.call(elsewhere).await.expect("asks"), None);
        assert_eq!(within.call(world.id()).await.expect("asks"), None);
    }
}

async fn whose_key_served_is_kept(world: World) {
    let owner = world.first().await;
    let mut row = call(&world, &owner, &owner).await;
    row.request = world.id();
    row.key_scope = Some(KeyScope::Account);
    row.attempts[0].key_scope = Some(KeyScope::Instance);
    row.attempts[1].key_scope = Some(KeyScope::Account);
    let rows = [row.clone()];
    let serving = world.store.serving();
    serving.insert_usage(&rows).await.expect("written");
    let scope = world.scope(&owner, Action::ReadUsage).await;
    let read = world.store.within(&scope).call(row.request).await;
    assert_eq!(read.expect("asks"), Some(row));
}
