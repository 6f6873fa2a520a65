//! `keybearer doctor` for a person with a local instance, running or not, and for one without.

use serde_json::Value;
use testkit::app::Exit;
use testkit::provider::wire::chat_error;

use super::Local;

/// The verdicts on what is called so, of `doctor --json`.
fn verdicts(exit: &Exit, record: &str) -> Vec<(String, String)> {
    let lines = exit.stdout.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    lines
        .filter(|line| line["record"] == record)
        .map(|line| (text(&line["id"]), text(&line["verdict"])))
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    owned.collect()
}

#[tokio::test]
async fn the_doctor_says_how_this_shell_fits_to_the_instance_that_runs() {
    let mut local = Local::start_with(|builder, canary| {
        builder
            .env("OPENAI_API_KEY", &canary.openai_key())
            .env("ANTHROPIC_API_KEY", "short")
    })
    .await;
    let exit = local.app.run(&["doctor", "--json"]).await;
    let url = local.app.url();
    assert_eq!(verdicts(&exit, "instance"), pairs(&[(&url, "ok")]));
    assert_eq!(
        verdicts(&exit, "provider_key"),
        pairs(&[("openai/env.OPENAI_API_KEY", "active")])
    );
    let anthropic = ("ANTHROPIC_API_KEY", "refused");
    assert_eq!(
        verdicts(&exit, "variable"),
        pairs(&[anthropic, ("OPENAI_API_KEY", "in_use")])
    );
    assert_eq!(exit.status.code(), Some(1), "{exit}");
    let line = exit.stdout.lines().find(|it| it.contains("\"refused\""));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert!(line["why"].is_string(), "{line}");
    let exit = local.app.run(&["doctor"]).await;
    assert!(exit.says("ANTHROPIC_API_KEY is refused: "), "{exit}");

    // Another shell: a newer key, one that nobody told, one that comes later, and what is no key of a provider.
    let (newer, untold) = (local.canary.openai_key(), local.canary.openai_key());
    let key = local.api_key();
    let builder = local.app.builder_mut();
    builder.remove_env("ANTHROPIC_API_KEY");
    builder.set_env("OPENAI_API_KEY", &newer);
    builder.set_env("GEMINI_API_KEY", &untold);
    builder.set_env("GOOGLE_API_KEY", &key);
    builder.set_env("KEYBEARER_OPNAI_API_KEY", &untold);
    let exit = local.app.run(&["doctor", "--json"]).await;
    let mut found = verdicts(&exit, "variable");
    found.sort();
    assert_eq!(
        found,
        pairs(&[
            ("GEMINI_API_KEY", "not_told"),
            ("GOOGLE_API_KEY", "for_clients"),
            ("KEYBEARER_OPNAI_API_KEY", "names_no_provider"),
            ("OPENAI_API_KEY", "other_value"),
        ])
    );
    assert_eq!(exit.status.code(), Some(1), "{exit}");
    let exit = local.app.run(&["doctor", "--local"]).await;
    assert!(exit.says("keybearer reload"), "{exit}");
    // It only looked.
    assert!(local.key_for("gpt-4o").await.is_ok());
    assert_ne!(local.provider.last().key(), Some(newer.as_str()));
    for name in ["GOOGLE_API_KEY", "KEYBEARER_OPNAI_API_KEY"] {
        local.app.builder_mut().remove_env(name);
    }
    let exit = local.app.run(&["reload"]).await;
    assert!(exit.status.success(), "{exit}");
    let exit = local.app.run(&["doctor"]).await;
    assert!(exit.status.success(), "{exit}");
    let lost = "http://127.0.0.1:9";
    local.app.builder_mut().set_env("KEYBEARER_URL", lost);
    local.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    let exit = local.app.run(&["doctor"]).await;
    assert!(exit.says(&format!("go to {lost}")), "{exit}");
    local.finish().await;
}

#[tokio::test]
async fn the_doctor_says_which_keys_a_provider_turned_away() {
    let local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    let exit = local.app.run(&["doctor", "--json"]).await;
    assert!(exit.status.success(), "{exit}");
    local
        .provider
        .always(chat_error(401, "invalid_api_key", "no"));
    assert_ne!(local.chat("gpt-4o").await.status, 200);
    let failing = pairs(&[("openai/env.OPENAI_API_KEY", "failing")]);
    let mut exit = local.app.run(&["doctor", "--json"]).await;
    for _ in 0..100 {
        if verdicts(&exit, "provider_key") == failing {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        exit = local.app.run(&["doctor", "--json"]).await;
    }
    assert_eq!(verdicts(&exit, "provider_key"), failing);
    assert_eq!(exit.status.code(), Some(1), "{exit}");
    assert!(exit.says("\"why\":\"invalid_key; "), "{exit}");
    let exit = local.app.run(&["doctor"]).await;
    assert!(exit.says("turned openai/env.OPENAI_API_KEY away"), "{exit}");
    local.finish().await;
}

#[tokio::test]
async fn a_person_alone_is_not_told_to_log_in_with_a_password() {
    let local = Local::start_with(|builder, _| builder).await;
    let exit = local.app.run(&["session", "list"]).await;
    assert_eq!(exit.status.code(), Some(5), "{exit}");
    assert!(
        exit.says("hint: in the console you are the owner"),
        "{exit}"
    );
    assert!(!exit.says("--email"), "{exit}");
    let exit = local.app.run(&["workspace", "list"]).await;
    assert!(exit.stdout.contains("\tlocal\towner\t"), "{exit}");
}

#[tokio::test]
async fn the_doctor_looks_at_the_records_of_a_local_instance_that_does_not_run() {
    let mut local =
        Local::start_with(|builder, canary| builder.env("OPENAI_API_KEY", &canary.openai_key()))
            .await;
    local.app.terminate().await;
    let exit = local.app.run(&["doctor", "--local", "--json"]).await;
    assert!(exit.status.success(), "{exit}");
    assert_eq!(verdicts(&exit, "instance")[0].1, "not_running");
    assert_eq!(verdicts(&exit, "provider_key")[0].1, "ok");
    assert_eq!(verdicts(&exit, "ledger")[0].1, "ok");
}

#[tokio::test]
async fn where_there_is_nothing_the_doctor_says_what_there_could_be() {
    let home = tempfile::tempdir().expect("a directory");
    let doctor = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_keybearer"))
            .arg("doctor")
            .args(arguments)
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = doctor(&[]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("there is no database in data"), "{said}");
    assert!(said.contains("start one with `keybearer`"), "{said}");
    let (code, said) = doctor(&["--local"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("no local instance was started in"), "{said}");
    assert_eq!(std::fs::read_dir(home.path()).expect("there").count(), 0);
}
