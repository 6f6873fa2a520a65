//! The data plane: callers, usage and the health of keys.

use domain::access::{Action, ApiScope};
use domain::key::FailureKind;
use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{NanoUsd, RequestId, Usage};
use store::{AttemptRow, CallerRecord, PageRequest, StatusFilter, UsageFilter, UsageRow};

use crate::world::{NOW, World, on_both_engines};

on_both_engines![
    a_caller_comes_with_the_keys_of_workspace_and_account,
    a_call_is_written_once,
    a_call_with_an_odd_model_name_is_written,
    usage_is_found_by_time,
    usage_narrowed_down_is_listed_in_order_over_all_pages,
    use_is_noted_at_most_once_a_minute,
    a_late_failure_does_not_touch_a_replaced_key,
];

/// A usage row of this caller with every field filled.
pub(crate) fn call(world: &World, caller: &CallerRecord) -> UsageRow {
    UsageRow {
        request: world.id::<RequestId>(),
        at: NOW,
        account: caller.account,
        workspace: caller.workspace,
        api_key: caller.api_key,
        user: caller.user,
        wire_format: "openai_chat".to_owned(),
        operation: "chat_completions".to_owned(),
        model_requested: "openai/gpt-x".to_owned(),
        provider: Some("openai".parse().expect("a provider id")),
        model: Some("gpt-x".to_owned()),
        key_source: Some(KeySource::Byok),
        key: caller.keys.first().map(|key| key.context.key),
        key_label: caller.keys.first().map(|key| key.label.clone()),
        status: 200,
        error_code: None,
        streamed: true,
        usage: Some(Usage {
            input_tokens: 1,
            cached_input_tokens: 2,
            cache_write_tokens: 3,
            output_tokens: 4,
            reasoning_tokens: 5,
        }),
        latency_ms: 6,
        first_byte_ms: Some(7),
        request_bytes: 8,
        response_bytes: 9,
        upstream_status: Some(200),
        cost: Some(NanoUsd::new(10)),
        pricing: Some(Pricing::Priced),
        catalog_version: Some("2026-11-20".to_owned()),
        charge: NanoUsd::ZERO,
        attempts: vec![
            AttemptRow {
                provider: "openai".parse().expect("a provider id"),
                model: "gpt-x".to_owned(),
                key: None,
                label: None,
                key_source: KeySource::Managed,
                status: None,
                outcome: "upstream_unreachable".to_owned(),
                latency_ms: 11,
                key_scope: None,
                cost: None,
            },
            AttemptRow {
                provider: "openai".parse().expect("a provider id"),
                model: "gpt-x".to_owned(),
                key: caller.keys.first().map(|key| key.context.key),
                label: caller.keys.first().map(|key| key.label.clone()),
                key_source: KeySource::Byok,
                status: Some(200),
                outcome: "ok".to_owned(),
                latency_ms: 12,
                key_scope: None,
                cost: None,
            },
        ],
        fallback: true,
        key_scope: None,
        made: Vec::new(),
    }
}

/// A call that failed before any provider was asked: every optional field is empty.
fn refused_call(world: &World, caller: &CallerRecord) -> UsageRow {
    UsageRow {
        provider: None,
        model: None,
        key_source: None,
        key: None,
        key_label: None,
        status: 402,
        error_code: Some("key_missing".to_owned()),
        streamed: false,
        usage: None,
        first_byte_ms: None,
        upstream_status: None,
        cost: None,
        pricing: None,
        catalog_version: None,
        attempts: Vec::new(),
        fallback: false,
        ..call(world, caller)
    }
}

pub(crate) async fn caller(world: &World) -> (crate::world::Person, CallerRecord, [u8; 32]) {
    let first = world.first().await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    world
        .put(&world.store.within(&scope).provider_keys(), "primary")
        .await;
    let (_, hash) = world
        .api_key(&scope, first.user, &[ApiScope::InferenceInvoke])
        .await;
    let caller = world.store.serving().caller(&hash, NOW).await;
    (first, caller.expect("asks").expect("lives"), hash)
}

async fn a_caller_comes_with_the_keys_of_workspace_and_account(world: World) {
    let (first, before, hash) = caller(&world).await;
    assert_eq!(before.keys.len(), 1);
    let account = world.account(&first).await;
    let of_account = world
        .put(
            &world.store.within_account(&account).provider_keys(),
            "account",
        )
        .await;
    let second = world.person(&first, "second@example.com").await;
    let scope = world.scope(&second, Action::WriteProviderKeys).await;
    world
        .put(&world.store.within(&scope).provider_keys(), "elsewhere")
        .await;

    let after = world.store.serving().caller(&hash, NOW).await;
    let after = after.expect("asks").expect("lives");
    assert_eq!(after.keys.len(), 2);
    assert!(after.keys.contains(&of_account) && after.keys.contains(&before.keys[0]));
    assert_eq!(after.data_keys.len(), 2);
    for key in &after.keys {
        assert!(after.data_keys.iter().any(|data_key| {
            data_key.id == key.data_key && data_key.owner == key.context.owner
        }));
    }
    let unknown = world.store.serving().caller(&world.hash(), NOW).await;
    assert_eq!(unknown.expect("asks"), None);
}

async fn a_call_is_written_once(world: World) {
    let (first, caller, _) = caller(&world).await;
    let serving = world.store.serving();
    let (good, refused) = (call(&world, &caller), refused_call(&world, &caller));
    let revision = world.number("SELECT revision FROM revision").await;
    serving.insert_usage(&[]).await.expect("nothing to write");
    serving
        .insert_usage(&[good.clone(), refused.clone()])
        .await
        .expect("written");
    let again = UsageRow {
        status: 500,
        ..good.clone()
    };
    serving.insert_usage(&[again]).await.expect("ignored");
    let scope = world.scope(&first, Action::ReadUsage).await;
    let page = world
        .store
        .within(&scope)
        .usage(UsageFilter::default(), &PageRequest::default())
        .await;
    assert_eq!(page.expect("lists").items, [refused, good]);
    let after = world.number("SELECT revision FROM revision").await;
    assert_eq!(after, revision, "a call changes no configuration");
}

async fn a_call_with_an_odd_model_name_is_written(world: World) {
    let (first, caller, _) = caller(&world).await;
    let odd = UsageRow {
        model_requested: "a\0b \u{202e}\u{1f600}'; DROP TABLE usage; --".to_owned(),
        error_code: Some("\0".to_owned()),
        ..refused_call(&world, &caller)
    };
    world
        .store
        .serving()
        .insert_usage(&[odd])
        .await
        .expect("written");
    let scope = world.scope(&first, Action::ReadUsage).await;
    let page = world
        .store
        .within(&scope)
        .usage(UsageFilter::default(), &PageRequest::default())
        .await;
    let row = page.expect("lists").items.remove(0);
    assert_eq!(
        row.model_requested,
        "a\u{fffd}b \u{202e}\u{1f600}'; DROP TABLE usage; --"
    );
    assert_eq!(row.error_code.as_deref(), Some("\u{fffd}"));
}

async fn usage_narrowed_down_is_listed_in_order_over_all_pages(world: World) {
    let (first, caller, _) = caller(&world).await;
    // Calls of one moment, too: their ids decide.
    let rows: Vec<UsageRow> = (0..40_i64)
        .map(|n| UsageRow {
            at: NOW.plus_millis(n / 3),
            model: Some(format!("model-{}", n % 3)),
            key_label: Some(format!("label-{}", n % 2).parse().expect("a label")),
            status: if n % 5 == 0 { 429 } else { 200 },
            provider: Some(
                ["openai", "other"][usize::from(n % 7 == 0)]
                    .parse()
                    .expect("an id"),
            ),
            ..call(&world, &caller)
        })
        .collect();
    // In batches, so that some meet groups that others made.
    for batch in rows.chunks(7) {
        let written = world.store.serving().insert_usage(batch).await;
        written.expect("written");
    }
    let scope = world.scope(&first, Action::ReadUsage).await;
    let openai = || Some("openai".parse().expect("an id"));
    let all = UsageFilter::default;
    for filter in [
        all(),
        UsageFilter {
            provider: openai(),
            ..all()
        },
        UsageFilter {
            model: Some("model-1".to_owned()),
            ..all()
        },
        UsageFilter {
            provider: openai(),
            model: Some("model-2".to_owned()),
            ..all()
        },
        UsageFilter {
            user: Some(caller.user),
            status: Some(StatusFilter::Ok),
            ..all()
        },
        UsageFilter {
            api_key: Some(caller.api_key),
            status: Some(StatusFilter::Exactly(200)),
            ..all()
        },
        UsageFilter {
            provider: openai(),
            status: Some(StatusFilter::Failed),
            ..all()
        },
        UsageFilter {
            key_source: Some(KeySource::Byok),
            status: Some(StatusFilter::Exactly(429)),
            ..all()
        },
        UsageFilter {
            provider_key: rows[0].key,
            from: Some(NOW.plus_millis(3)),
            to: Some(NOW.plus_millis(9)),
            ..all()
        },
        UsageFilter {
            key_source: Some(KeySource::Managed),
            ..all()
        },
    ] {
        let fits = |row: &&UsageRow| {
            filter
                .provider
                .as_ref()
                .is_none_or(|it| row.provider.as_ref() == Some(it))
                && filter
                    .model
                    .as_ref()
                    .is_none_or(|it| row.model.as_ref() == Some(it))
                && filter.provider_key.is_none_or(|it| row.key == Some(it))
                && filter
                    .key_source
                    .is_none_or(|it| row.key_source == Some(it))
                && filter.from.is_none_or(|it| row.at >= it)
                && filter.to.is_none_or(|it| row.at < it)
                && match filter.status {
                    None => true,
                    Some(StatusFilter::Ok) => row.status < 400,
                    Some(StatusFilter::Failed) => row.status >= 400,
                    Some(StatusFilter::Exactly(status)) => row.status == status,
                }
        };
        let mut expected: Vec<UsageRow> = rows.iter().filter(fits).cloned().collect();
        expected.sort_by_key(|row| std::cmp::Reverse((row.at, row.request)));
        let mut listed = Vec::new();
        let mut page = PageRequest {
            limit: 4,
            after: None,
        };
        loop {
            let within = world.store.within(&scope);
            let read = within.usage(filter.clone(), &page).await.expect("lists");
            listed.extend(read.items);
            page.after = read.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{filter:?}");
    }
}

async fn usage_is_found_by_time(world: World) {
    let (first, caller, _) = caller(&world).await;
    let rows: Vec<UsageRow> = (0..5)
        .map(|n| UsageRow {
            at: NOW.plus_millis(n * 10),
            ..call(&world, &caller)
        })
        .collect();
    world
        .store
        .serving()
        .insert_usage(&rows)
        .await
        .expect("written");
    let scope = world.scope(&first, Action::ReadUsage).await;
    let times = async |from: Option<i64>, to: Option<i64>| -> Vec<i64> {
        let filter = UsageFilter {
            from: from.map(|ms| NOW.plus_millis(ms)),
            to: to.map(|ms| NOW.plus_millis(ms)),
            ..UsageFilter::default()
        };
        let within = world.store.within(&scope);
        let page = within.usage(filter, &PageRequest::default()).await;
        let page = page.expect("lists");
        page.items
            .iter()
            .map(|row| row.at.millis_since(NOW))
            .collect()
    };
    assert_eq!(times(None, None).await, [40, 30, 20, 10, 0]);
    assert_eq!(times(Some(10), Some(30)).await, [20, 10]);
    assert_eq!(times(Some(31), None).await, [40]);
    assert_eq!(times(None, Some(10)).await, [0]);
}

async fn use_is_noted_at_most_once_a_minute(world: World) {
    let (first, caller, _) = caller(&world).await;
    let scope = world.scope(&first, Action::ReadApiKeys).await;
    let within = world.store.within(&scope);
    let key = caller.keys[0].context.key;
    let revision = world.number("SELECT revision FROM revision").await;
    for (at, expected) in [(0, 0), (60_000, 0), (60_001, 60_001), (5, 60_001)] {
        let at = NOW.plus_millis(at);
        world
            .store
            .serving()
            .mark_used(&[(key, at)], &[(caller.api_key, at)])
            .await
            .expect("noted");
        let expected = Some(NOW.plus_millis(expected));
        let read = within.provider_keys().get(key).await.expect("asks");
        assert_eq!(read.expect("there").last_used_at, expected);
        let read = within.api_key(caller.api_key).await.expect("asks");
        assert_eq!(read.expect("there").last_used_at, expected);
    }
    world
        .store
        .serving()
        .mark_used(&[], &[])
        .await
        .expect("nothing");
    let after = world.number("SELECT revision FROM revision").await;
    assert_eq!(after, revision);
}

async fn a_late_failure_does_not_touch_a_replaced_key(world: World) {
    let (first, caller, _) = caller(&world).await;
    let scope = world.scope(&first, Action::WriteProviderKeys).await;
    let keys = world.store.within(&scope).provider_keys();
    let key = caller.keys[0].context.key;
    let failure = async || {
        let read = keys.get(key).await.expect("asks");
        read.expect("there").last_failure
    };
    let serving = world.store.serving();
    let revision = world.number("SELECT revision FROM revision").await;
    for kind in FailureKind::ALL {
        serving
            .mark_failure(key, 1, NOW, kind)
            .await
            .expect("marked");
        assert_eq!(failure().await, Some((NOW, kind)));
    }
    let after = world.number("SELECT revision FROM revision").await;
    assert_eq!(after, revision);

    let mut next = caller.keys[0].clone();
    next.context.version = 2;
    let note = world.note("provider_key.rotate");
    keys.put(&next, store::Expect::Version(1), &note, NOW)
        .await
        .expect("replaced");
    let late = NOW.plus_millis(100);
    serving
        .mark_failure(key, 1, late, FailureKind::InvalidKey)
        .await
        .expect("ignored");
    assert_eq!(failure().await, None);
    serving
        .mark_failure(key, 2, late, FailureKind::NoQuota)
        .await
        .expect("marked");
    serving
        .mark_failure(key, 2, NOW, FailureKind::InvalidKey)
        .await
        .expect("older, ignored");
    assert_eq!(failure().await, Some((late, FailureKind::NoQuota)));
}
