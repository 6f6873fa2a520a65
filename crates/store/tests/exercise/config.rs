//! Settings, plans, subscriptions, policies and defaults.

use domain::access::Action;
use domain::credits::Overuse;
use domain::plan::{OPERATOR_PLAN, Plan, shipped};
use domain::policy::{Mode, WorkspacePolicy};
use domain::record::ProviderKeyRecord;
use domain::settings::Settings;
use domain::{PlanId, Timestamp};
use store::{AuditNote, Expect, Leaving, PageRequest, ProviderKeys, StoreError};

use crate::purse::Purse;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_new_instance_has_the_shipped_plans_and_default_settings,
    what_was_removed_is_not_seeded_again,
    settings_change_only_from_what_was_read,
    the_first_account_gets_the_operators_plan_and_others_the_default,
    editing_a_plan_changes_nobodys_terms,
    the_plan_that_an_account_has_fills_up_no_month,
    a_plan_in_use_stays,
    a_policy_changes_only_from_what_was_read,
    a_new_workspace_has_the_mode_of_the_settings,
    defaults_are_the_accounts_own,
    keys_go_with_a_policy_only_as_they_were_read,
    templates_go_with_defaults_only_as_they_were_read,
];

fn plan_id(id: &str) -> PlanId {
    id.parse().expect("a plan id")
}

fn conflicts<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

async fn a_new_instance_has_the_shipped_plans_and_default_settings(world: World) {
    let system = world.store.system();
    assert_eq!(system.settings().await.expect("reads"), Settings::default());
    assert_eq!(system.plans().await.expect("lists"), shipped());
    let instance = world.store.serving().instance().await.expect("reads");
    assert_eq!(instance.settings, Settings::default());
    assert_eq!(instance.plans, shipped());
    assert!(instance.keys.is_empty() && instance.data_keys.is_empty());
}

async fn what_was_removed_is_not_seeded_again(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let note = world.note("plan.remove");
    let system = world.store.system();
    let removed = system
        .remove_plan(&scope, &plan_id("ultra"), &note, NOW)
        .await;
    removed.expect("nobody has it");
    if !world.is_sqlite() {
        let other = world.other_node().await;
        let plans = other.system().plans().await.expect("lists");
        assert_eq!(plans.len(), shipped().len() - 1);
    }
    let own = world.scope(&first, Action::WriteApiKeys).await;
    let (_, hash) = world.api_key(&own, first.user, &[]).await;
    // An account that an older version made while this one ran.
    world
        .raw("DELETE FROM subscriptions; DELETE FROM credit_accounts")
        .await
        .expect("deleted");
    let caller = world.store.serving().caller(&hash, NOW).await;
    assert!(
        matches!(caller, Err(StoreError::Corrupt(_))),
        "nobody is told that their API key is wrong"
    );
    assert!(
        matches!(
            world.store.within(&own).terms().await,
            Err(StoreError::NotFound)
        ),
        "there is no plan to read"
    );
    if !world.is_sqlite() {
        world.other_node().await;
        let row = system.subscription(&scope, first.account).await;
        assert_eq!(row.expect("is back").plan.as_str(), OPERATOR_PLAN);
        let account = world.account(&first).await;
        let credits = world.store.within_account(&account).credits(NOW).await;
        assert!(credits.expect("are back").available.nanos() > 0);
    }
}

async fn settings_change_only_from_what_was_read(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let note = world.note("settings.update");
    let system = world.store.system();
    let read = system.settings().await.expect("reads");
    let changed = Settings {
        managed_fallback_allowed: false,
        modes: vec![Mode::Byok],
        ..read.clone()
    };
    let everybody = world.store.revision().everybody();
    system
        .put_settings(&scope, &read, &changed, &note, NOW)
        .await
        .expect("changed");
    assert_eq!(system.settings().await.expect("reads"), changed);
    assert!(world.store.revision().everybody() > everybody);
    assert_eq!(
        world.store.revision().everybody(),
        world.store.revision().latest()
    );
    let audit = system
        .instance_audit(
            &scope,
            &store::AuditFilter::default(),
            &PageRequest::default(),
        )
        .await
        .expect("reads");
    assert_eq!(audit.items[0].action, "settings.update");

    // Who read before that change loses nothing of it; nor does a plan that is not there become the default.
    let before = world.traces().await;
    let lost = Settings {
        held_output_tokens: Some(7),
        ..read.clone()
    };
    assert!(conflicts(
        system.put_settings(&scope, &read, &lost, &note, NOW).await
    ));
    let lost = Settings {
        default_plan: plan_id("gold"),
        ..changed.clone()
    };
    assert!(conflicts(
        system
            .put_settings(&scope, &changed, &lost, &note, NOW)
            .await
    ));
    assert_eq!(world.traces().await, before);
    assert_eq!(system.settings().await.expect("reads"), changed);
}

async fn the_first_account_gets_the_operators_plan_and_others_the_default(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let second = world.person(&first, "second@example.com").await;
    let system = world.store.system();
    let settings = system.settings().await.expect("reads");
    let note = world.note("settings.update");
    let changed = Settings {
        default_plan: plan_id("pro"),
        ..settings.clone()
    };
    system
        .put_settings(&scope, &settings, &changed, &note, NOW)
        .await
        .expect("changed");
    let third = world.person(&first, "third@example.com").await;
    for (person, plan) in [(first, OPERATOR_PLAN), (second, "free"), (third, "pro")] {
        let row = system
            .subscription(&scope, person.account)
            .await
            .expect("has one");
        assert_eq!((row.plan.as_str(), row.started_at), (plan, NOW));
        let terms = shipped().into_iter().find(|it| it.id == row.plan);
        assert_eq!(row.terms, terms.expect("is shipped").terms);
        let (id, terms) = {
            let scope = world.scope(&person, Action::ReadPolicy).await;
            world.store.within(&scope).terms().await.expect("reads")
        };
        assert_eq!((id, terms), (row.plan.clone(), row.terms.clone()));
        let account = world.account(&person).await;
        let own = world.store.within_account(&account).subscription().await;
        assert_eq!(own.expect("reads"), row);
        let credits = world.store.within_account(&account).credits(NOW).await;
        assert_eq!(
            credits.expect("reads").monthly,
            domain::NanoUsd::from_credits(row.terms.monthly_credits)
        );
    }
    let mut seen = Vec::new();
    let mut page = PageRequest {
        limit: 2,
        after: None,
    };
    loop {
        let accounts = system.accounts(&scope, None, &page).await.expect("lists");
        for account in accounts.items {
            seen.push((account.owner_email, account.plan.to_string()));
        }
        let Some(next) = accounts.next else { break };
        page.after = Some(next);
    }
    let expected = [
        ("first@example.com", OPERATOR_PLAN),
        ("second@example.com", "free"),
        ("third@example.com", "pro"),
    ];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let all = PageRequest {
        limit: 9,
        after: None,
    };
    let found = system.accounts(&scope, Some("SECOND@"), &all).await;
    let found = found.expect("lists").items;
    let emails: Vec<_> = found.iter().map(|it| it.owner_email.as_str()).collect();
    assert_eq!(emails, ["second@example.com"]);
}

async fn editing_a_plan_changes_nobodys_terms(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let second = world.person(&first, "second@example.com").await;
    let system = world.store.system();
    let before = system.subscription(&scope, second.account).await;
    let before = before.expect("has one");
    let mut plan = system.plans().await.expect("lists").remove(0);
    assert_eq!(plan.id, before.plan);
    plan.terms.byok = false;
    plan.terms.monthly_credits = 7;
    plan.name = "Gratis".to_owned();
    let note = world.note("plan.update");
    let everybody = world.store.revision().everybody();
    system
        .put_plan(&scope, &plan, &note, NOW)
        .await
        .expect("changed");
    assert!(world.store.revision().everybody() > everybody);
    assert_eq!(system.plans().await.expect("lists")[0], plan);
    // Whoever saw another state of it changes nothing.
    let mut dearer = plan.clone();
    dearer.terms.monthly_credits = 8;
    let replaced = async |expected: &Plan| {
        let (scope, note) = (&scope, &note);
        let replace = system.replace_plan(scope, expected, &dearer, note, NOW);
        replace.await
    };
    assert!(conflicts(replaced(&dearer).await));
    assert_eq!(system.plans().await.expect("lists")[0], plan);
    replaced(&plan).await.expect("as it was seen");
    assert_eq!(system.plans().await.expect("lists")[0], dearer);
    let after = system.subscription(&scope, second.account).await;
    assert_eq!(after.expect("has one"), before);

    // Subscribing again takes the terms of today.
    let later = NOW.plus_millis(5);
    let floor = world.store.revision().floor(second.account);
    system
        .subscribe(&scope, second.account, &plan.id, &note, later)
        .await
        .expect("subscribed");
    assert!(world.store.revision().floor(second.account) > floor);
    let after = system.subscription(&scope, second.account).await;
    let after = after.expect("has one");
    assert_eq!((after.terms, after.started_at), (dearer.terms, later));
    let account = world.account(&second).await;
    let credits = world.store.within_account(&account).credits(later).await;
    let monthly = domain::NanoUsd::from_credits(8);
    let credits = credits.expect("reads");
    assert_eq!((credits.monthly, credits.available), (monthly, monthly));

    let refused = system
        .subscribe(&scope, second.account, &plan_id("gold"), &note, later)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    let refused = system
        .subscribe(&scope, world.id(), &plan_id("pro"), &note, later)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn the_plan_that_an_account_has_fills_up_no_month(world: World) {
    let purse = Purse::empty(&world).await;
    let (scope, account) = (&purse.admin, purse.account());
    let system = world.store.system();
    let note = world.note("subscription.update");
    let mut plan = shipped().remove(0);
    let subscribe = async |at| {
        let free = plan_id("free");
        let taken = system.subscribe(scope, account, &free, &note, at);
        taken.await.expect("subscribed");
    };
    subscribe(NOW).await;
    let request = purse.held(1_000, Overuse::Block).await;
    purse.settle(request, 1_000).await;
    let (left, _, _) = purse.balance(NOW).await;
    let before = (
        world.traces().await,
        system.subscription(scope, account).await.expect("has one"),
    );
    let later = NOW.plus_millis(86_400_000);
    subscribe(later).await;
    let after = (
        world.traces().await,
        system.subscription(scope, account).await.expect("has one"),
    );
    assert_eq!(before, after, "nothing changed, so nothing was done");
    let reset = purse.credits(later).await.next_reset;
    assert_eq!(purse.balance(later).await, (left, 0, 0));

    // Other terms hold at once, and the month goes on if the credits are the same.
    plan.terms.limits.workspaces = Some(9);
    let edited = async |plan: &Plan| {
        let put = system.put_plan(scope, plan, &note, later).await;
        put.expect("changed");
    };
    edited(&plan).await;
    subscribe(later).await;
    let row = system.subscription(scope, account).await.expect("has one");
    assert_eq!((&row.terms, row.started_at), (&plan.terms, later));
    assert_eq!(purse.balance(later).await, (left, 0, 0));
    assert_eq!(purse.credits(later).await.next_reset, reset);

    plan.terms.monthly_credits = 3;
    edited(&plan).await;
    subscribe(later).await;
    let all = domain::NanoUsd::from_credits(3).nanos();
    assert_eq!(purse.balance(later).await, (all, 0, 0));
    purse.is_sound().await;
}

async fn a_plan_in_use_stays(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let system = world.store.system();
    let note = world.note("plan.remove");
    let gold = Plan {
        id: plan_id("gold"),
        rank: -1,
        ..shipped().remove(1)
    };
    system
        .put_plan(&scope, &gold, &note, NOW)
        .await
        .expect("added");
    // By rank, not by age.
    assert_eq!(system.plans().await.expect("lists")[0], gold);
    system
        .subscribe(&scope, first.account, &gold.id, &note, NOW)
        .await
        .expect("subscribed");
    let before = world.traces().await;
    for used in ["gold", "free"] {
        let refused = system.remove_plan(&scope, &plan_id(used), &note, NOW).await;
        assert!(conflicts(refused), "{used}");
    }
    let refused = system
        .remove_plan(&scope, &plan_id("silver"), &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(world.traces().await, before);
    // The operator's plan is a plan as any other, once the operator has another.
    system
        .remove_plan(&scope, &plan_id(OPERATOR_PLAN), &note, NOW)
        .await
        .expect("removed");
}

async fn a_policy_changes_only_from_what_was_read(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WritePolicy).await;
    let within = world.store.within(&scope);
    let read = within.policy().await.expect("reads");
    assert_eq!(read.policy, WorkspacePolicy::default());
    let changed = WorkspacePolicy {
        mode: Mode::Auto,
        managed_on_failure: true,
        model: Some("gpt-4o".parse().expect("a model")),
        ..WorkspacePolicy::default()
    };
    let note = world.note("policy.update");
    let later = NOW.plus_millis(9);
    let floor = world.store.revision().floor(first.account);
    within
        .put_policy(&read.policy, &changed, &note, later)
        .await
        .expect("changed");
    assert!(world.store.revision().floor(first.account) > floor);
    let now = within.policy().await.expect("reads");
    assert_eq!((&now.policy, now.updated_at), (&changed, later));
    let before = world.traces().await;
    let lost = within
        .put_policy(&read.policy, &WorkspacePolicy::default(), &note, later)
        .await;
    assert!(conflicts(lost));
    assert_eq!(world.traces().await, before);
    assert_eq!(within.policy().await.expect("reads"), now);

    // The data plane reads it with the caller.
    let (id, hash) = world.api_key(&scope, first.user, &[]).await;
    let caller = async || {
        let caller = world.store.serving().caller(&hash, NOW).await;
        caller.expect("reads").expect("lives")
    };
    let record = caller().await;
    assert_eq!(record.policy, changed);
    assert_eq!(record.plan.as_str(), OPERATOR_PLAN);
    assert_eq!(record.rate, domain::Decimal::ONE);
    assert_eq!(record.default_model, None);
    let model: domain::policy::ModelName = "o3".parse().expect("a model");
    within
        .set_api_key_default_model(id, Some(&model), &note, NOW)
        .await
        .expect("changed");
    assert_eq!(caller().await.default_model, Some(model.clone()));
    let row = within.api_key(id).await.expect("reads").expect("is there");
    assert_eq!(row.default_model, Some(model));
    let refused = within
        .set_api_key_default_model(world.id(), None, &note, NOW)
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn a_new_workspace_has_the_mode_of_the_settings(world: World) {
    let first = world.first().await;
    let scope = world.instance(&first).await;
    let system = world.store.system();
    let read = system.settings().await.expect("reads");
    let changed = Settings {
        new_workspace_mode: Some(Mode::Auto),
        ..read.clone()
    };
    let note = world.note("settings.update");
    system
        .put_settings(&scope, &read, &changed, &note, NOW)
        .await
        .expect("changed");
    let second = world.person(&first, "second@example.com").await;
    for (person, mode) in [(first, Mode::Byok), (second, Mode::Auto)] {
        let scope = world.scope(&person, Action::ReadPolicy).await;
        let row = world.store.within(&scope).policy().await.expect("reads");
        assert_eq!(row.policy.mode, mode);
    }
}

async fn defaults_are_the_accounts_own(world: World) {
    let first = world.first().await;
    let second = world.person(&first, "second@example.com").await;
    let scope = world.account(&first).await;
    let within = world.store.within_account(&scope);
    let read = within.defaults().await.expect("reads");
    assert_eq!(
        (read.mode, &read.provider, &read.model),
        (None, &None, &None)
    );
    assert_eq!(read.updated_at, Timestamp::from_millis(0));
    let mut changed = read.clone();
    changed.mode = Some(Mode::Byok);
    changed.provider = Some("openai".parse().expect("a provider"));
    changed.model = Some("gpt-4o".parse().expect("a model"));
    let note = world.note("defaults.update");
    within
        .put_defaults(&read, &changed, None, &note, NOW)
        .await
        .expect("changed");
    changed.updated_at = NOW;
    assert_eq!(within.defaults().await.expect("reads"), changed);
    let before = world.traces().await;
    let lost = within.put_defaults(&read, &read, None, &note, NOW).await;
    assert!(conflicts(lost));
    assert_eq!(world.traces().await, before);
    let mut cleared = changed.clone();
    cleared.model = None;
    within
        .put_defaults(&changed, &cleared, None, &note, NOW)
        .await
        .expect("changed");
    assert_eq!(within.defaults().await.expect("reads").model, None);

    let scope = world.account(&second).await;
    let theirs = world.store.within_account(&scope).defaults().await;
    assert_eq!(theirs.expect("reads").mode, None);
}

/// What goes: all of these keys, which have one label.
fn leaving(world: &World, keys: &[ProviderKeyRecord]) -> Leaving {
    let id = |key: &ProviderKeyRecord| key.context.key;
    let note = || -> AuditNote { world.note("provider_key.remove") };
    Leaving {
        label: keys[0].label.clone(),
        template: keys[0].template,
        read: keys
            .iter()
            .map(|key| (id(key), key.context.version))
            .collect(),
        removed: keys.iter().map(|key| (id(key), note())).collect(),
    }
}

/// Replaces the value of a key.
async fn rotated(
    world: &World,
    keys: &ProviderKeys<'_>,
    mut record: ProviderKeyRecord,
) -> ProviderKeyRecord {
    let version = record.context.version;
    record.context.version += 1;
    let note = world.note("provider_key.rotate");
    let put = keys
        .put(&record, Expect::Version(version), &note, NOW)
        .await;
    put.expect("replaced");
    record
}

async fn keys_go_with_a_policy_only_as_they_were_read(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let within = world.store.within(&scope);
    let keys = within.provider_keys();
    let other = world.put(&keys, "primary").await;
    let read = world.put(&keys, "ai-config").await;
    let old = within.policy().await.expect("reads").policy;
    let new = WorkspacePolicy {
        mode: Mode::Auto,
        ..old.clone()
    };
    let note = world.note("policy.set_mode");
    let before_leaving = leaving(&world, std::slice::from_ref(&read));
    // Somebody else replaces the key that was looked at: neither of the two changes is made.
    let now = rotated(&world, &keys, read).await;
    let before = world.traces().await;
    for (to, audit) in [(&new, Some(&note)), (&old, None)] {
        let lost = within.put_policy_without(&old, to, &before_leaving, audit, NOW);
        assert!(conflicts(lost.await));
    }
    assert_eq!(world.traces().await, before);
    let fresh = leaving(&world, &[now]);
    let lost = within.put_policy_without(&new, &old, &fresh, None, NOW);
    assert!(conflicts(lost.await));
    within
        .put_policy_without(&old, &new, &fresh, Some(&note), NOW)
        .await
        .expect("changed");
    assert_eq!(within.policy().await.expect("reads").policy, new);
    assert_eq!(keys.list().await.expect("lists"), [other]);
    let removed = within.removed_keys().await.expect("reads");
    assert_eq!(removed.len(), 1);
    // One that came in between is not overlooked either.
    world.put(&keys, "ai-config").await;
    let lost = within.put_policy_without(&new, &old, &fresh, Some(&note), NOW);
    assert!(conflicts(lost.await));
}

async fn templates_go_with_defaults_only_as_they_were_read(world: World) {
    let first = world.first().await;
    let account = world.account(&first).await;
    let within = world.store.within_account(&account);
    let keys = within.provider_keys();
    let data_key = world.data_key(&keys).await;
    let mut read = world.record(keys.owner(), keys.account(), data_key, "ai-defaults");
    read.template = true;
    let note = world.note("provider_key.create");
    let put = keys.put(&read, Expect::New, &note, NOW).await;
    put.expect("a template");
    let old = within.defaults().await.expect("reads");
    let mut new = old.clone();
    new.mode = Some(Mode::Managed);
    let stale = leaving(&world, std::slice::from_ref(&read));
    let now = rotated(&world, &keys, read).await;
    let before = world.traces().await;
    let lost = within.put_defaults(&old, &new, Some(&stale), &note, NOW);
    assert!(conflicts(lost.await));
    assert_eq!(world.traces().await, before);
    assert_eq!(
        keys.templates().await.expect("lists"),
        std::slice::from_ref(&now)
    );
    let fresh = leaving(&world, &[now]);
    let put = within.put_defaults(&old, &new, Some(&fresh), &note, NOW);
    put.await.expect("changed");
    assert!(keys.templates().await.expect("lists").is_empty());
    assert_eq!(within.defaults().await.expect("reads").mode, new.mode);
}
