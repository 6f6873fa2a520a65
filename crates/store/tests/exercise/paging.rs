//! Pages: stable while rows come in, and a cursor is good in its own list alone.

use domain::access::{Action, Role};
use store::{NewInvitation, Page, PageRequest, StoreError, UsageFilter, UsageRow, Within};

use crate::world::{NOW, Person, World, on_both_engines};

on_both_engines![
    pages_join_to_the_whole_list,
    a_page_is_not_shifted_by_new_rows,
    a_cursor_of_another_list_is_refused,
    a_cursor_of_another_workspace_shows_only_ones_own_rows,
];

/// Collects a list page by page, two items at a time.
async fn collect<T>(
    mut page: impl AsyncFnMut(PageRequest) -> Result<Page<T>, StoreError>,
) -> Vec<T> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let got = page(PageRequest { limit: 2, after }).await.expect("a page");
        assert!(got.items.len() <= 2);
        items.extend(got.items);
        after = got.next;
        if after.is_none() {
            return items;
        }
    }
}

/// A workspace with five rows in each list, itself and its maker included.
async fn fill(world: &World, owner: &Person) {
    let scope = world.scope(owner, Action::WriteMembers).await;
    let within = world.store.within(&scope);
    for n in 0..4 {
        let email = format!("{n}-{}@example.com", owner.workspace);
        let new = NewInvitation {
            id: world.id(),
            email,
            role: Role::Member,
            hash: world.hash(),
            expires_at: NOW.plus_millis(1000),
        };
        let note = world.note("invitation.create");
        within
            .create_invitation(&new, &note, NOW)
            .await
            .expect("made");
        world.api_key(&scope, owner.user, &[]).await;
    }
    let (_, hash) = world.api_key(&scope, owner.user, &[]).await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    let caller = caller.expect("asks").expect("lives");
    // Several calls end in the same millisecond.
    let rows: Vec<UsageRow> = (0..5)
        .map(|n| UsageRow {
            at: NOW.plus_millis(n / 3),
            ..crate::health::call(world, &caller)
        })
        .collect();
    world
        .store
        .serving()
        .insert_usage(&rows)
        .await
        .expect("written");
}

async fn pages_join_to_the_whole_list(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    let c = world.person(&a, "c@example.com").await;
    world.join(&a, &c, "c@example.com", Role::Admin).await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    fill(&world, &a).await;
    let scope = world.scope(&a, Action::ReadAudit).await;
    let within = world.store.within(&scope);
    let whole = PageRequest {
        limit: 100,
        after: None,
    };

    let members = collect(async |page| within.members(&page).await).await;
    assert_eq!(members, within.members(&whole).await.expect("all").items);
    assert_eq!(members.len(), 3);
    assert!(members.is_sorted_by_key(|row| row.user));

    let keys = collect(async |page| within.list_api_keys(None, &page).await).await;
    assert_eq!(
        keys,
        within.list_api_keys(None, &whole).await.expect("all").items
    );
    assert_eq!(keys.len(), 5);
    assert!(keys.iter().rev().is_sorted_by_key(|row| row.id));
    let own = collect(async |page| within.list_api_keys(Some(a.user), &page).await).await;
    assert_eq!(own, keys);
    let none = within.list_api_keys(Some(b.user), &whole).await;
    assert!(none.expect("all").items.is_empty());

    let invitations = collect(async |page| within.list_invitations(&page).await).await;
    assert_eq!(
        invitations,
        within.list_invitations(&whole).await.expect("all").items
    );
    assert_eq!(invitations.len(), 6);

    let filter = UsageFilter::default();
    let usage = collect(async |page| within.usage(filter.clone(), &page).await).await;
    assert_eq!(
        usage,
        within
            .usage(filter.clone(), &whole)
            .await
            .expect("all")
            .items
    );
    assert_eq!(usage.len(), 5);
    assert!(
        usage
            .iter()
            .rev()
            .is_sorted_by_key(|row| (row.at, row.request))
    );

    let audit =
        collect(async |page| within.audit(&store::AuditFilter::default(), &page).await).await;
    assert_eq!(
        audit,
        within
            .audit(&store::AuditFilter::default(), &whole)
            .await
            .expect("all")
            .items
    );
    assert!(audit.iter().rev().is_sorted_by_key(|row| row.sequence));

    let account_scope = world.account(&a).await;
    let account = world.store.within_account(&account_scope);
    for label in ["one", "two", "three"] {
        world.put(&account.provider_keys(), label).await;
    }
    let rows =
        collect(async |page| account.audit(&store::AuditFilter::default(), &page).await).await;
    assert_eq!(
        rows,
        account
            .audit(&store::AuditFilter::default(), &whole)
            .await
            .expect("all")
            .items
    );
    assert!(rows.len() >= 3);
    assert!(rows.iter().all(|row| row.workspace.is_none()));

    let instance = world.instance(&a).await;
    let system = world.store.system();
    let users = collect(async |page| system.list_users(&instance, &page).await).await;
    let ids: Vec<_> = users.iter().map(|row| row.id).collect();
    assert_eq!(ids, [a.user, b.user, c.user]);
}

async fn a_page_is_not_shifted_by_new_rows(world: World) {
    let a = world.first().await;
    fill(&world, &a).await;
    let scope = world.scope(&a, Action::ReadAudit).await;
    let within = world.store.within(&scope);
    let before = within
        .audit(&store::AuditFilter::default(), &PageRequest::default())
        .await
        .expect("all")
        .items;
    let page = |after| PageRequest { limit: 3, after };
    let first = within
        .audit(&store::AuditFilter::default(), &page(None))
        .await
        .expect("a page");
    for _ in 0..3 {
        world.api_key(&scope, a.user, &[]).await;
    }
    let second = within
        .audit(&store::AuditFilter::default(), &page(first.next))
        .await
        .expect("a page");
    assert_eq!([first.items, second.items].concat(), before[..6]);
}

/// The cursor to the second page of each list of a workspace, by the list's name.
async fn cursors(within: &Within<'_>) -> Vec<(&'static str, String)> {
    let page = PageRequest {
        limit: 1,
        after: None,
    };
    let filter = UsageFilter::default();
    [
        ("members", within.members(&page).await.expect("a page").next),
        (
            "api_keys",
            within
                .list_api_keys(None, &page)
                .await
                .expect("a page")
                .next,
        ),
        (
            "invitations",
            within.list_invitations(&page).await.expect("a page").next,
        ),
        (
            "usage",
            within
                .usage(filter.clone(), &page)
                .await
                .expect("a page")
                .next,
        ),
        (
            "audit",
            within
                .audit(&store::AuditFilter::default(), &page)
                .await
                .expect("a page")
                .next,
        ),
    ]
    .into_iter()
    .filter_map(|(list, next)| Some((list, next?)))
    .collect()
}

async fn a_cursor_of_another_list_is_refused(world: World) {
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    world.join(&a, &b, "b@example.com", Role::Member).await;
    fill(&world, &a).await;
    let scope = world.scope(&a, Action::ReadAudit).await;
    let within = world.store.within(&scope);
    let cursors = cursors(&within).await;
    assert_eq!(cursors.len(), 5);
    let account_scope = world.account(&a).await;
    let instance = world.instance(&a).await;
    let junk = [
        "",
        ".",
        "audit.",
        "members.x",
        "usage.1",
        "usage.x.y",
        "workspace_audit.9e9",
    ];
    let foreign = cursors
        .iter()
        .map(|(list, cursor)| (*list, cursor.clone()))
        .chain(junk.map(|cursor| ("junk", cursor.to_owned())));
    for (list, cursor) in foreign {
        let page = PageRequest {
            limit: 1,
            after: Some(cursor.clone()),
        };
        let filter = UsageFilter::default();
        let account = world.store.within_account(&account_scope);
        let system = world.store.system();
        for (asked, refused) in [
            ("members", within.members(&page).await.err()),
            ("api_keys", within.list_api_keys(None, &page).await.err()),
            ("invitations", within.list_invitations(&page).await.err()),
            ("usage", within.usage(filter.clone(), &page).await.err()),
            (
                "audit",
                within
                    .audit(&store::AuditFilter::default(), &page)
                    .await
                    .err(),
            ),
            (
                "account audit",
                account
                    .audit(&store::AuditFilter::default(), &page)
                    .await
                    .err(),
            ),
            ("users", system.list_users(&instance, &page).await.err()),
        ] {
            if asked == list {
                assert!(refused.is_none(), "{asked} takes {cursor}");
            } else {
                assert!(
                    matches!(refused, Some(StoreError::InvalidCursor)),
                    "{asked} refuses {cursor}"
                );
            }
        }
    }
}

async fn a_cursor_of_another_workspace_shows_only_ones_own_rows(world: World) {
    // T96
    let a = world.first().await;
    let b = world.person(&a, "b@example.com").await;
    fill(&world, &b).await;
    fill(&world, &a).await;
    let scope_a = world.scope(&a, Action::ReadAudit).await;
    let scope_b = world.scope(&b, Action::ReadAudit).await;
    for (_, cursor) in cursors(&world.store.within(&scope_a)).await {
        let page = PageRequest {
            limit: 100,
            after: Some(cursor),
        };
        let within = world.store.within(&scope_b);
        let filter = UsageFilter::default();
        if let Ok(page) = within.list_api_keys(None, &page).await {
            assert!(page.items.iter().all(|row| row.workspace == b.workspace));
        }
        if let Ok(page) = within.list_invitations(&page).await {
            assert!(page.items.iter().all(|row| row.workspace == b.workspace));
        }
        if let Ok(page) = within.usage(filter.clone(), &page).await {
            assert!(page.items.iter().all(|row| row.workspace == b.workspace));
        }
        if let Ok(page) = within.audit(&store::AuditFilter::default(), &page).await {
            assert!(
                page.items
                    .iter()
                    .all(|row| row.workspace == Some(b.workspace))
            );
        }
    }
}
