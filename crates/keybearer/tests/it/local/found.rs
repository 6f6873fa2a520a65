//! Which keys are found, under which names, and what is said of the others.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use testkit::app::Auth;
use testkit::provider::{Script, ScriptedProvider};

use super::{Local, MODELS, message, mine_at, names};
use crate::{Fixture, chat_stream};

/// The variables of the four providers, first to last.
const TABLE: [(&str, &[&str]); 4] = [
    (
        "openai",
        &[
            "KEYBEARER_OPENAI_API_KEY",
            "BITROUTER_OPENAI_API_KEY",
            "OPENAI_API_KEY",
        ],
    ),
    (
        "anthropic",
        &[
            "KEYBEARER_ANTHROPIC_API_KEY",
            "BITROUTER_ANTHROPIC_API_KEY",
            "ANTHROPIC_API_KEY",
        ],
    ),
    (
        "google",
        &[
            "KEYBEARER_GOOGLE_API_KEY",
            "BITROUTER_GOOGLE_API_KEY",
            "GOOGLE_API_KEY",
            "GEMINI_API_KEY",
        ],
    ),
    (
        "my-provider",
        &[
            "KEYBEARER_MY_PROVIDER_API_KEY",
            "BITROUTER_MY_PROVIDER_API_KEY",
        ],
    ),
];

#[tokio::test]
async fn every_variable_is_read_in_its_turn_and_named_when_all_are_unset() {
    let value = |canary: &testkit::canary::Canary| canary.key("sk-", 40);
    let mut values: Vec<(&str, Vec<String>)> = Vec::new();
    let mut local = Local::start_with(|mut builder, canary| {
        for (provider, variables) in TABLE {
            let keys: Vec<String> = variables.iter().map(|_| value(canary)).collect();
            for (variable, key) in variables.iter().zip(&keys) {
                builder = builder.env(variable, key);
            }
            values.push((provider, keys));
        }
        // Nobody declared it, so it is somebody else's.
        builder.env("MY_PROVIDER_API_KEY", &value(canary))
    })
    .await;
    let longest = TABLE.iter().map(|(_, variables)| variables.len()).max();
    for turn in 0..=longest.expect("a table") {
        for ((provider, variables), (_, keys)) in TABLE.iter().zip(&values) {
            let (_, model) = MODELS
                .iter()
                .find(|(id, _)| id == provider)
                .expect("a model");
            let expected = match keys.get(turn) {
                Some(key) => Ok(key.clone()),
                None => Err(variables.iter().map(|it| (*it).to_owned()).collect()),
            };
            let found = match turn >= variables.len() {
                // The key that was there is known to be gone.
                true => {
                    let reply = local
                        .chat(model)
                        .await
                        .expect_error(402, "byok_key_revoked");
                    Err(names(&reply.json()["error"]["variables"]))
                }
                false => local.key_for(model).await,
            };
            assert_eq!(found, expected, "turn {turn}, {provider}");
            if let Some(variable) = variables.get(turn) {
                local.app.builder_mut().remove_env(variable);
            }
        }
        local.app.restart().await;
    }
    local.finish().await;
}

#[tokio::test]
async fn it_starts_from_one_variable_and_shows_that_provider_alone() {
    // The person has a home and a variable, and nothing else.
    let mut local = Local::start_with(|builder, canary| {
        builder
            .arguments(&[])
            .env("KEYBEARER_DATA_DIR", "")
            .env("KEYBEARER_DATABASE_URL", "")
            .env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await;
    let said = local.app.stdout();
    assert!(said.contains("openai       OPENAI_API_KEY"), "{said}");
    assert!(
        said.contains("anthropic    KEYBEARER_ANTHROPIC_API_KEY, BITROUTER_ANTHROPIC_API_KEY, ANTHROPIC_API_KEY"),
        "{said}"
    );
    let key = local.key_for("gpt-4o").await.expect("served");
    assert!(key.starts_with("sk-proj-"));
    local
        .app
        .anonymous()
        .stream("/v1/chat/completions", &chat_stream("gpt-4o"))
        .await
        .rest()
        .await
        .expect("a whole stream");
    let models = local.app.anonymous().get("/v1/models").await.expect(200);
    let models = models.json()["data"].as_array().cloned().expect("models");
    assert!(!models.is_empty());
    for model in models {
        assert_eq!(model["keybearer"]["provider"], "openai", "{model}");
    }
    let providers = async |path: &str| -> Vec<String> {
        let listed = local.app.anonymous().get(path).await.expect(200).json();
        let listed = listed["data"].as_array().expect("providers").iter();
        listed
            .map(|it| it["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(providers("/v1/providers").await, ["openai"]);
    assert!(providers("/v1/providers?all=true").await.len() > 10);
    let home = local.app.dir().join(".local/state/keybearer");
    let mode = |name: &str| {
        let metadata = home.join(name).metadata().expect(name);
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for file in ["local-api-key", "local-keys.json", "root.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }

    // The next start finds everything again, and no key was stored anew.
    let api_key = std::fs::read_to_string(home.join("local-api-key")).expect("the API key");
    let owner = local
        .app
        .caller("owner", Auth::Bearer(api_key.trim_end().to_owned()));
    let workspace = owner.get(&local.path("")).await.expect(200).json();
    assert_eq!(workspace["name"], "local");
    let path = local.path("/provider-keys");
    let keys = async || owner.get(&path).await.expect(200).json()["data"].clone();
    let before = keys().await;
    assert_eq!(before[0]["label"], "env.OPENAI_API_KEY");
    local.app.restart().await;
    local.chat("gpt-4o").await.expect(200);
    let after = keys().await;
    assert_eq!(after.as_array().map(Vec::len), Some(1));
    for field in ["id", "version", "updated_at"] {
        assert_eq!(after[0][field], before[0][field], "{field}");
    }
    local.finish().await;
}

#[tokio::test]
async fn the_402_names_the_variables_in_every_format() {
    let local = Local::start_with(|builder, _| builder).await;
    let said = local.app.stdout();
    assert!(said.contains("no provider key was found"), "{said}");
    let expected = [
        "KEYBEARER_ANTHROPIC_API_KEY",
        "BITROUTER_ANTHROPIC_API_KEY",
        "ANTHROPIC_API_KEY",
    ];
    let missing = expected.join(" or ");

    let model = "anthropic/claude-haiku-4-5";
    let reply = local.chat(model).await.expect(402);
    let error = &reply.json()["error"];
    assert_eq!(error["code"], "byok_key_missing");
    assert_eq!(error["missing"], json!(missing));
    assert_eq!(error["variables"], json!(expected));
    let text = error["message"].as_str().expect("a message");
    for name in expected {
        assert!(text.contains(name), "{text}");
    }

    let caller = local.app.anonymous();
    let reply = caller.post("/v1/messages", &message(model, false)).await;
    let body = reply.expect(402).json();
    assert!(body.to_string().contains(&missing), "{body}");

    let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] });
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let body = caller.post(path, &body).await.expect(402).json();
    assert!(
        body.to_string().contains(
            "KEYBEARER_GOOGLE_API_KEY or BITROUTER_GOOGLE_API_KEY or GOOGLE_API_KEY or GEMINI_API_KEY"
        ),
        "{body}"
    );
}

#[tokio::test]
async fn a_refusal_of_serve_mode_names_no_variable() {
    let fixture = Fixture::start().await;
    let reply = fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");
    let error = &reply.json()["error"];
    assert!(error["variables"].is_null() && !reply.text().contains("OPENAI_API_KEY"));
}

#[tokio::test]
async fn a_value_that_cannot_be_a_key_is_named_by_its_variable_and_stops_nothing() {
    let local = Local::start_with(|builder, canary| {
        builder
            .env("OPENAI_API_KEY", "sk with blanks")
            .env("ANTHROPIC_API_KEY", &canary.anthropic_key())
    })
    .await;
    let said = local.app.stdout();
    assert!(said.contains("OPENAI_API_KEY: refused, "), "{said}");
    assert!(
        !said.contains("blanks\n") && !said.contains("sk with"),
        "{said}"
    );
    local
        .key_for("anthropic/claude-haiku-4-5")
        .await
        .expect("served");
    let refused = local.chat("gpt-4o").await.expect(402).json();
    let message = refused["error"]["message"].as_str().expect("a message");
    // The variable is set; what it has was not taken.
    assert!(!message.contains("is set"), "{message}");
    assert!(message.contains("no key was taken from"), "{message}");
    local.finish().await;
}

#[tokio::test]
async fn a_key_that_was_added_by_hand_is_left_alone() {
    let mut local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let by_hand = local.canary.anthropic_key();
    local
        .app
        .submit(&owner, "anthropic", &by_hand)
        .await
        .expect(200);
    local.app.builder_mut().remove_env("OPENAI_API_KEY");
    local.app.restart().await;
    assert_eq!(
        local.key_for("anthropic/claude-haiku-4-5").await,
        Ok(by_hand)
    );
    local
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    let said = local.app.stdout();
    assert!(said.contains("OPENAI_API_KEY: is gone"), "{said}");
    local.finish().await;
}

#[tokio::test]
async fn an_instance_that_has_users_is_not_taken_over() {
    let mut fixture = Fixture::start().await;
    fixture.app.terminate().await;
    let exit = fixture.app.run(&["local"]).await;
    assert!(!exit.status.success() && exit.says("first user"), "{exit}");
}

#[tokio::test]
async fn with_probe_a_key_that_is_turned_away_is_not_stored_and_an_absent_provider_stops_nothing() {
    let mut local = Local::start_with(|builder, _| {
        builder.provider_text("my-provider", &mine_at("http://127.0.0.1:1"))
    })
    .await;
    let denied = local.canary.openai_key();
    let (good, lost) = (local.canary.anthropic_key(), local.canary.key("sk-", 40));
    local.provider.on_key(&denied, Script::status(401));
    let builder = local.app.builder_mut();
    builder.set_arguments(&["local", "--probe"]);
    builder.set_env("OPENAI_API_KEY", &denied);
    builder.set_env("ANTHROPIC_API_KEY", &good);
    builder.set_env("KEYBEARER_MY_PROVIDER_API_KEY", &lost);
    local.app.restart().await;
    let said = local.app.stdout();
    assert!(said.contains("OPENAI_API_KEY: refused, "), "{said}");
    assert!(said.contains("anthropic    ANTHROPIC_API_KEY\n"), "{said}");
    let tried = local.provider.requests();
    let tried: Vec<_> = tried.iter().filter_map(|it| it.key()).collect();
    assert!(tried.contains(&denied.as_str()) && tried.contains(&good.as_str()));
    assert_eq!(local.key_for("anthropic/claude-haiku-4-5").await, Ok(good));
    local
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");
    local.finish().await;
}

#[tokio::test]
async fn the_commands_work_with_the_line_that_is_printed() {
    let mut local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let path = local.path("");
    let workspace = path.rsplit('/').next().expect("an id").to_owned();
    let (url, api_key) = (local.app.url(), local.api_key());
    let builder = local.app.builder_mut();
    builder.set_env("KEYBEARER_URL", &url);
    builder.set_env("KEYBEARER_WORKSPACE", &workspace);
    builder.set_env("KEYBEARER_API_KEY", &api_key);
    let exit = local.app.run(&["resolve", "openai/gpt-4o"]).await;
    assert!(
        exit.status.success() && exit.says("env.OPENAI_API_KEY"),
        "{exit}"
    );
    let exit = local.app.run(&["--help"]).await;
    for command in ["local", "reload", "serve", "keys"] {
        assert!(exit.stdout.contains(&format!("\n  {command} ")), "{exit}");
    }
    // A second one on the same data says what is in the way and harms nothing.
    let exit = local.app.run(&["local"]).await;
    assert!(
        !exit.status.success() && exit.says("already; `keybearer reload`"),
        "{exit}"
    );
    let exit = local.app.run(&["reload"]).await;
    assert!(exit.status.success(), "{exit}");
    // Another name for it is another server, and an address without a scheme is none; both are said.
    let builder = local.app.builder_mut();
    builder.remove_env("KEYBEARER_API_KEY");
    let (_, address) = url.split_once("://").expect("a URL");
    let other = url.replace("127.0.0.1", "localhost");
    builder.set_env("KEYBEARER_URL", &other);
    let exit = local.app.run(&["whoami"]).await;
    let says = format!("your local instance is {url}, and KEYBEARER_URL");
    assert!(exit.status.code() == Some(4) && exit.says(&says), "{exit}");
    local.app.builder_mut().set_env("KEYBEARER_URL", address);
    let exit = local.app.run(&["whoami"]).await;
    assert_eq!(exit.status.code(), Some(2), "{exit}");
    assert!(exit.says("it begins with https://"), "{exit}");
    local.finish().await;
}

#[tokio::test]
async fn a_lost_list_of_keys_leaves_no_key_in_service_and_stores_none_twice() {
    let mut local = Local::start_with(|builder, canary| {
        builder
            .env("OPENAI_API_KEY", &canary.openai_key())
            .env("ANTHROPIC_API_KEY", &canary.anthropic_key())
    })
    .await;
    let list = local.app.data_dir().join("local-keys.json");
    std::fs::write(&list, "{ damaged").expect("can be written");
    local.app.builder_mut().remove_env("OPENAI_API_KEY");
    local.app.restart().await;
    local
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    local.chat("anthropic/claude-haiku-4-5").await.expect(200);
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let keys = owner.get(&local.path("/provider-keys")).await.expect(200);
    assert_eq!(keys.json()["data"].as_array().map(Vec::len), Some(1));
    local.finish().await;
}

#[tokio::test]
async fn a_value_that_was_replaced_by_hand_stays_until_the_variable_changes() {
    let mut local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let by_hand = local.canary.openai_key();
    let sealing_key = local.app.sealing_key(&owner).await;
    let body = json!({
        "provider": "openai", "label": "env.OPENAI_API_KEY",
        "kek_id": sealing_key.kek_id, "ciphertext_b64": sealing_key.seal_raw(&by_hand),
    });
    let path = local.path("/provider-keys");
    assert!(owner.post(&path, &body).await.status < 300);
    local.app.restart().await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(by_hand));
    let changed = local.canary.openai_key();
    local.app.builder_mut().set_env("OPENAI_API_KEY", &changed);
    local.app.restart().await;
    assert_eq!(local.key_for("gpt-4o").await, Ok(changed));
    local.finish().await;
}

#[tokio::test]
async fn a_key_goes_where_its_provider_is_now() {
    let mut local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let key = local.key_for("gpt-4o").await.expect("a key");
    let moved = ScriptedProvider::start();
    local.app.builder_mut().set_provider("openai", &moved);
    local.app.restart().await;
    local.chat("gpt-4o").await.expect(200);
    assert_eq!(moved.last().key(), Some(key.as_str()));
    // What did not move is not stored anew.
    local.app.restart().await;
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    let keys = owner.get(&local.path("/provider-keys")).await.expect(200);
    assert_eq!(keys.json()["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(keys.json()["data"][0]["version"], 2);
    local.finish().await;
}

#[tokio::test]
async fn commands_without_a_credential_find_the_instance_that_runs() {
    let local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let exit = local.app.run(&["setup", "codex"]).await;
    assert!(exit.status.success(), "{exit}");
    let url = local.app.url();
    assert!(exit.stdout.contains(&format!("{url}/v1")), "{exit}");
    assert!(exit.stdout.contains("KEYBEARER_API_KEY=local"), "{exit}");
    // It was asked: it has a key, of another fingerprint.
    let exit = local.app.run(&["keys", "trust", "0123"]).await;
    assert!(!exit.status.success() && exit.says("fingerprint"), "{exit}");
    local.finish().await;
}

#[tokio::test]
async fn a_refusal_of_several_models_and_its_explanation_name_every_variable() {
    let local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let body = json!({
        "models": ["anthropic/claude-haiku-4-5", "gemini-2.5-flash"],
        "messages": [{ "role": "user", "content": "hi" }],
    });
    let caller = local.app.anonymous();
    let reply = caller.post("/v1/chat/completions", &body).await;
    let error = reply.expect_error(402, "byok_key_missing").json()["error"].clone();
    for (place, of) in [(0, 1), (1, 2)] {
        let named = names(&error["models"][place]["variables"]);
        assert_eq!(named, TABLE[of].1, "{error}");
        let message = error["models"][place]["message"].as_str();
        assert!(
            message.is_some_and(|it| it.contains(TABLE[of].1[0])),
            "{error}"
        );
    }
    let exit = local.app.run(&["resolve", "gemini-2.5-flash"]).await;
    for variable in TABLE[2].1 {
        assert!(exit.stdout.contains(variable), "{exit}");
    }
    assert!(exit.stdout.contains("keybearer reload"), "{exit}");
    local.finish().await;
}

#[test]
fn an_option_of_local_mode_is_known_without_its_command() {
    for words in [&["--env-file", "F"][..], &["--json", "--env-file", "F"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_keybearer"))
            .args(words)
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("keybearer local --env-file"), "{said}");
    }
}

#[tokio::test]
async fn a_home_that_each_directory_would_name_anew_is_refused() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keybearer"))
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .env("KEYBEARER_HOME", "relative")
        .output()
        .expect("the binary runs");
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("KEYBEARER_HOME is not an absolute path"),
        "{said}"
    );
    let made = std::fs::read_dir(dir.path()).expect("is there").count();
    assert_eq!(made, 0);
}
