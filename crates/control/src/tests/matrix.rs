//! The matrix of `docs/who-pays.md`: three modes, six states of keys, as the explanation has it.

use serde_json::{Value, json};

use super::resolution::{policy, resolve};
use super::{Person, World, path};

/// What a state is made of.
#[derive(Debug, Clone, Copy)]
struct State {
    own_key: bool,
    platform_key: bool,
    removed: bool,
    switched_off: bool,
    plan_without: bool,
}

const NOTHING: State = State {
    own_key: false,
    platform_key: false,
    removed: false,
    switched_off: false,
    plan_without: false,
};

async fn bring_about(world: &World, root: &Person, state: State) {
    if state.platform_key {
        world.platform_key(root, "openai").await;
    }
    if state.own_key {
        let id = world.own_key(root, "openai", "mine").await;
        if state.removed {
            let one = format!("{}/{id}", path(root));
            world.delete(&root.session, &one).await.expect(200);
        }
    }
    if state.switched_off {
        world.switch(root, "openai", json!({"byok": false})).await;
    }
    if state.plan_without {
        let plan = json!({"name": "None", "rank": 0, "terms": {
            "monthly_credits": 1, "byok": false, "tiers": [], "limits": {}}});
        let one = "/api/v1/admin/plans/none";
        world.put(&root.session, one, plan).await.expect(201);
        world.subscribe(root, root, "none").await;
    }
}

/// Who pays, or the code of the refusal.
async fn pays(world: &World, root: &Person) -> String {
    let shown = resolve(world, &root.session, root, json!({"model": "gpt-4o"})).await;
    let said = match &shown["refusal"] {
        Value::Null => &shown["targets"][0]["key_source"],
        refusal => &refusal["code"],
    };
    said.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn each_mode_meets_each_state_of_keys_as_the_table_says() {
    let with = |change: fn(&mut State)| {
        let mut state = NOTHING;
        change(&mut state);
        state
    };
    let both = |change: fn(&mut State)| {
        let mut state = State {
            own_key: true,
            platform_key: true,
            ..NOTHING
        };
        change(&mut state);
        state
    };
    let table = [
        (both(|_| {}), ["managed", "byok", "byok"]),
        (
            with(|it| it.platform_key = true),
            ["managed", "byok_key_missing", "managed"],
        ),
        (
            NOTHING,
            [
                "managed_unavailable",
                "byok_key_missing",
                "managed_unavailable",
            ],
        ),
        (
            both(|it| it.removed = true),
            ["managed", "byok_key_revoked", "managed"],
        ),
        (
            both(|it| it.switched_off = true),
            ["managed", "byok_disabled_for_provider", "managed"],
        ),
        (
            both(|it| it.plan_without = true),
            ["managed", "byok_key_dormant", "managed"],
        ),
    ];
    for (state, expected) in table {
        let world = World::start().await;
        let (root, _) = world.set_up().await;
        bring_about(&world, &root, state).await;
        for (mode, expected) in ["managed", "byok", "auto"].into_iter().zip(expected) {
            policy(&world, &root, json!({ "mode": mode })).await;
            assert_eq!(pays(&world, &root).await, expected, "{mode}, {state:?}");
        }
    }
}

#[tokio::test]
async fn the_instance_may_say_otherwise_for_switched_off_and_removed_keys() {
    for (setting, state) in [
        (
            "on_byok_disabled",
            State {
                switched_off: true,
                own_key: true,
                platform_key: true,
                ..NOTHING
            },
        ),
        (
            "on_key_removed",
            State {
                removed: true,
                own_key: true,
                platform_key: true,
                ..NOTHING
            },
        ),
    ] {
        let world = World::start().await;
        let (root, _) = world.set_up().await;
        bring_about(&world, &root, state).await;
        for (rule, byok, auto) in [
            ("follow_mode", false, true),
            ("managed", true, true),
            ("refuse", false, false),
        ] {
            world.settings(&root, json!({ setting: rule })).await;
            for (mode, credits) in [("byok", byok), ("auto", auto)] {
                policy(&world, &root, json!({ "mode": mode })).await;
                let paid = pays(&world, &root).await == "managed";
                assert_eq!(paid, credits, "{setting} {rule} {mode}");
            }
        }
    }
}
