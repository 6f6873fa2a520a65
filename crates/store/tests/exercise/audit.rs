//! The audit log: append-only, one row for each change, and no change without it.

use domain::access::Action;
use store::{Actor, AuditFilter, AuditNote, Expect, PageRequest, StoreError};

use crate::change;
use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    audit_rows_cannot_be_changed_or_removed,
    a_row_says_who_did_what_to_which_key,
    a_refusal_is_noted_without_a_change,
    no_audit_no_change,
    the_instances_rows_are_those_of_no_account,
    a_log_is_narrowed_down_and_keeps_its_pages,
];

async fn a_log_is_narrowed_down_and_keeps_its_pages(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::ReadAudit).await;
    let account = world.account(&first).await;
    let instance = world.instance(&first).await;
    let system = world.store.system();
    let other = Actor::ApiKey(world.id());
    for (account, workspace) in [
        (Some(first.account), Some(first.workspace)),
        (Some(first.account), None),
        (None, None),
    ] {
        for (number, action) in (0..).zip([
            "member.add",
            "member.remove",
            "member",
            "members.list",
            "member_card.add",
        ]) {
            let note = AuditNote {
                subject: Some(format!("thing-{}", number % 2)),
                ..world.note(action)
            };
            let at = NOW.plus_millis(1000 + number);
            system
                .note_refused(account, workspace, other, &note, at)
                .await
                .expect("noted");
        }
    }
    let within = world.store.within(&scope);
    let within_account = world.store.within_account(&account);
    let filter = |change: fn(&mut AuditFilter)| {
        let mut filter = AuditFilter {
            actor: Some(other.to_string()),
            ..AuditFilter::default()
        };
        change(&mut filter);
        filter
    };
    let all = [
        "member_card.add",
        "members.list",
        "member",
        "member.remove",
        "member.add",
    ];
    for (filter, found) in [
        (filter(|_| {}), &all[..]),
        (
            filter(|it| it.action = Some("member".to_owned())),
            &all[2..],
        ),
        (
            filter(|it| it.action = Some("member.add".to_owned())),
            &all[4..],
        ),
        (filter(|it| it.action = Some("member%".to_owned())), &[]),
        (filter(|it| it.action = Some("membe".to_owned())), &[]),
        (
            filter(|it| it.subject = Some("thing-1".to_owned())),
            &[all[1], all[3]],
        ),
        (
            filter(|it| {
                it.subject = Some("thing-0".to_owned());
                it.action = Some("member".to_owned());
            }),
            &[all[2], all[4]],
        ),
        (
            filter(|it| it.from = Some(NOW.plus_millis(1003))),
            &all[..2],
        ),
        (filter(|it| it.to = Some(NOW.plus_millis(1001))), &all[4..]),
        (filter(|it| it.actor = Some("system".to_owned())), &[]),
    ] {
        if filter.actor.as_deref() == Some("system") {
            let rows = within.audit(&filter, &PageRequest::default()).await;
            let rows = rows.expect("lists").items;
            assert!(rows.iter().all(|row| row.actor == "system"));
            continue;
        }
        for log in 0..3 {
            let (mut actions, mut after) = (Vec::new(), None);
            loop {
                let page = PageRequest { limit: 2, after };
                let page = match log {
                    0 => within.audit(&filter, &page).await,
                    1 => within_account.audit(&filter, &page).await,
                    _ => system.instance_audit(&instance, &filter, &page).await,
                };
                let page = page.expect("a page");
                actions.extend(page.items.into_iter().map(|row| row.action));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(actions, found, "{filter:?} in log {log}");
        }
    }
}

async fn the_instances_rows_are_those_of_no_account(world: World) {
    let first = world.first().await;
    let principal = first.principal();
    let scope = world
        .store
        .authorize_instance(&principal, Action::ReadInstanceAudit)
        .await;
    let scope = scope.expect("the first user is an admin of the instance");
    let system = world.store.system();
    let note = world.note("sealing_key.rotate");
    system
        .note_refused(None, None, Actor::System, &note, NOW)
        .await
        .expect("noted");
    let note = world.note("provider_key.create");
    let account = Some(first.account);
    system
        .note_refused(account, None, Actor::System, &note, NOW)
        .await
        .expect("noted");
    let rows = system
        .instance_audit(&scope, &AuditFilter::default(), &PageRequest::default())
        .await
        .expect("lists")
        .items;
    assert!(rows.iter().all(|row| row.account.is_none()));
    assert_eq!(rows[0].action, "sealing_key.rotate");
}

async fn audit_rows_cannot_be_changed_or_removed(world: World) {
    world.first().await;
    let dump = "SELECT count(*) FROM audit WHERE actor = 'system' AND outcome = 'ok'";
    assert_eq!(world.number(dump).await, 1);
    for statement in [
        "UPDATE audit SET outcome = 'refused'",
        "UPDATE audit SET outcome = 'refused' WHERE sequence = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE sequence = 1",
        "INSERT INTO audit (sequence, at, actor, action, outcome, request_id)
         VALUES (1, 2, 'x', 'y', 'z', 'r')",
        "INSERT INTO audit (sequence, at, actor, action, outcome, request_id)
         VALUES (1, 2, 'x', 'y', 'z', 'r')
         ON CONFLICT (sequence) DO UPDATE SET actor = 'x'",
    ] {
        assert!(world.raw(statement).await.is_err(), "{statement}");
    }
    let engines_own = if world.is_sqlite() {
        "INSERT OR REPLACE INTO audit (sequence, at, actor, action, outcome, request_id)
         VALUES (1, 2, 'x', 'y', 'z', 'r')"
    } else {
        "TRUNCATE audit"
    };
    assert!(world.raw(engines_own).await.is_err(), "{engines_own}");
    assert_eq!(world.number(dump).await, 1);
    assert_eq!(world.number("SELECT count(*) FROM audit").await, 1);
}

async fn a_row_says_who_did_what_to_which_key(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let account_scope = world.account(&first).await;
    let within = world.store.within(&scope);
    let within_account = world.store.within_account(&account_scope);
    let account_row = within_account.account().await.expect("reads");
    assert_eq!(
        (account_row.id, account_row.owner),
        (first.account, first.user)
    );
    for (keys, workspace) in [
        (within.provider_keys(), Some(first.workspace)),
        (within_account.provider_keys(), None),
    ] {
        let data_key = world.data_key(&keys).await;
        let record = world.record(keys.owner(), keys.account(), data_key, "primary");
        let note = AuditNote {
            action: "provider_key.create",
            provider: Some(record.context.provider.clone()),
            label: Some(record.label.clone()),
            kek_id: record.kek_id.clone(),
            subject: Some(record.context.key.to_string()),
            content_sha256: None,
            outcome: "ok",
            request: world.id(),
        };
        let at = NOW.plus_millis(77);
        keys.put(&record, Expect::New, &note, at)
            .await
            .expect("put");
        let page = PageRequest::default();
        let rows = match workspace {
            Some(_) => within.audit(&AuditFilter::default(), &page).await,
            None => within_account.audit(&AuditFilter::default(), &page).await,
        };
        let row = rows.expect("lists").items.remove(0);
        assert_eq!(row.at, at);
        assert_eq!(row.account, Some(first.account));
        assert_eq!(row.workspace, workspace);
        assert_eq!(row.actor, first.user.to_string());
        assert_eq!(row.action, note.action);
        assert_eq!(row.provider, note.provider);
        assert_eq!(row.label, note.label);
        assert_eq!(row.kek_id, note.kek_id);
        assert_eq!(row.subject, note.subject);
        assert_eq!(row.outcome, note.outcome);
        assert_eq!(row.request, note.request);
    }
    let (api_key, hash) = world
        .api_key(&scope, first.user, domain::access::ApiScope::ALL)
        .await;
    let found = world.store.system().api_key_by_hash(&hash, NOW).await;
    let principal = found.expect("asks").expect("lives");
    let by_key = world
        .store
        .authorize_workspace(&principal, first.workspace, Action::UpdateWorkspace)
        .await
        .expect("an owner's key may");
    let within = world.store.within(&by_key);
    within
        .rename("x", &world.note("workspace.update"), NOW)
        .await
        .expect("renamed");
    let row = within
        .audit(&AuditFilter::default(), &PageRequest::default())
        .await
        .expect("lists")
        .items
        .remove(0);
    assert_eq!(row.actor, api_key.to_string());
}

async fn a_refusal_is_noted_without_a_change(world: World) {
    let first = world.first().await;
    let before = world.traces().await;
    let note = AuditNote {
        outcome: "probe_failed",
        ..world.note("provider_key.create")
    };
    world
        .store
        .system()
        .note_refused(
            Some(first.account),
            Some(first.workspace),
            Actor::User(first.user),
            &note,
            NOW,
        )
        .await
        .expect("noted");
    let after = world.traces().await;
    let moved: Vec<usize> = (0..before.len())
        .filter(|n| before[*n] != after[*n])
        .collect();
    assert_eq!(moved, [1, 3], "the log and its counter, nothing else");
    let scope = world.scope(&first, Action::ReadAudit).await;
    let rows = world
        .store
        .within(&scope)
        .audit(&AuditFilter::default(), &PageRequest::default())
        .await;
    assert_eq!(rows.expect("lists").items[0].outcome, "probe_failed");
}

async fn no_audit_no_change(world: World) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let within = world.store.within(&scope);
    let keys = within.provider_keys();
    let own_scope = world.logged_in(&first, 1000).await;
    let stored = world.put(&keys, "primary").await;
    let latest = world.store.revision().latest();
    let before = world.traces().await;
    world
        .raw("ALTER TABLE audit RENAME TO audit_away")
        .await
        .expect("hidden");
    let note = world.note("change");
    let id = stored.context.key;
    let record = world.record(keys.owner(), keys.account(), stored.data_key, "second");
    for refused in [
        keys.put(&record, Expect::New, &note, NOW).await,
        keys.update(id, &change::enabled(false), &note, NOW).await,
        keys.remove(id, &note, NOW).await.map(|_| ()),
        within.rename("x", &note, NOW).await,
        within.delete(&note, NOW).await,
        world
            .store
            .own(&own_scope)
            .set_password("hash of first@example.com", "x", &note, NOW)
            .await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
    }
    world
        .raw("ALTER TABLE audit_away RENAME TO audit")
        .await
        .expect("back");
    assert_eq!(world.traces().await, before);
    assert_eq!(keys.list().await.expect("lists"), [stored]);
    assert_eq!(world.store.revision().latest(), latest);
    let own = world.store.own(&own_scope);
    assert_eq!(
        own.password_hash().await.expect("reads"),
        "hash of first@example.com"
    );
}
