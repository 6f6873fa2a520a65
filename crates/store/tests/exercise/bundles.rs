//! Settings and plans that change together, and one account as the instance's admins see it.

use domain::AccountId;
use domain::plan::Plan;
use domain::policy::Mode;
use domain::settings::Settings;
use store::StoreError;

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    plans_and_settings_change_together_or_not_at_all,
    an_admin_sees_one_account_with_its_plan,
];

async fn plans_and_settings_change_together_or_not_at_all(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let system = world.store.system();
    let (settings, plans) = (
        system.settings().await.expect("settings"),
        system.plans().await.expect("plans"),
    );
    let gold = Plan {
        id: "gold".parse().expect("an id"),
        name: "Gold".to_owned(),
        rank: 9,
        terms: plans[0].terms.clone(),
    };
    let wanted = Settings {
        modes: vec![Mode::Byok],
        default_plan: gold.id.clone(),
        ..settings.clone()
    };
    let note = world.note("profile.apply");
    let all = [plans.clone(), vec![gold.clone()]].concat();
    let new = (&wanted, all.as_slice());
    let before = world.traces().await;
    for stale in [(&wanted, plans.as_slice()), (&settings, &plans[1..])] {
        let put = system.put_settings_and_plans(&scope, stale, new, &note, NOW);
        let put = put.await;
        assert!(matches!(put, Err(StoreError::Conflict(_))), "{put:?}");
    }
    assert_eq!(world.traces().await, before);
    assert_eq!(system.plans().await.expect("plans"), plans);
    system
        .put_settings_and_plans(&scope, (&settings, &plans), new, &note, NOW)
        .await
        .expect("nobody was faster");
    assert_eq!(system.settings().await.expect("settings"), wanted);
    assert!(system.plans().await.expect("plans").contains(&gold));
}

async fn an_admin_sees_one_account_with_its_plan(world: World) {
    let first = world.first().await;
    let other = world.person(&first, "other@example.com").await;
    let scope = world.instance(&first).await;
    let system = world.store.system();
    let seen = system
        .account(&scope, other.account)
        .await
        .expect("it is there");
    assert_eq!(seen.owner_email, "other@example.com");
    assert_eq!(seen.plan.as_str(), "free");
    let page = system
        .accounts(&scope, None, &Default::default())
        .await
        .expect("a page");
    assert!(page.items.contains(&seen));
    let nobody = AccountId::from_bytes([0; 16]);
    let none = system.account(&scope, nobody).await;
    assert!(matches!(none, Err(StoreError::NotFound)), "{none:?}");
}
