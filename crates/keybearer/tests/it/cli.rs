//! The command line's own part: which key it finds, what it says before it acts, and how it explains.

use serde_json::json;
use testkit::app::Exit;

use crate::Fixture;

impl Fixture {
    /// An instance to which the command line speaks with the owner's API key.
    pub(crate) async fn with_cli() -> Self {
        Self::with_cli_and(&[]).await
    }

    pub(crate) async fn with_cli_and(environment: &[(&str, &str)]) -> Self {
        let mut fixture = Self::start_with(|mut builder| {
            for (name, value) in environment {
                builder.set_env(name, value);
            }
            builder
        })
        .await;
        let (url, owner) = (fixture.app.url(), &fixture.owner);
        let variables = [
            ("KEYBEARER_URL", url.as_str()),
            ("KEYBEARER_API_KEY", &owner.api_key.clone()),
            ("KEYBEARER_WORKSPACE", &owner.workspace.clone()),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        for (name, value) in variables {
            fixture.app.builder_mut().set_env(name, &value);
        }
        fixture
    }

    /// `keybearer ARGUMENTS`, which succeeds.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Exit {
        let exit = self.app.run(arguments).await;
        assert!(exit.status.success(), "{exit}");
        exit
    }

    /// `keybearer ARGUMENTS`, which fails and says `text`.
    pub(crate) async fn cli_fails(&self, arguments: &[&str], text: &str) -> Exit {
        let exit = self.app.run(arguments).await;
        assert!(!exit.status.success() && exit.says(text), "{exit}");
        exit
    }

    /// `keybearer keys add ARGUMENTS` with a new OpenAI key, which is returned.
    pub(crate) async fn cli_add(&self, arguments: &[&str]) -> (String, Exit) {
        let key = self.canary.openai_key();
        let all = [&["keys", "add"], arguments].concat();
        let exit = self.app.run_with_input(&all, &format!("{key}\n")).await;
        (key, exit)
    }
}

#[tokio::test]
async fn a_key_is_listed_with_its_state_and_level() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai", "--level", "2"]).await;
    assert!(exit.status.success(), "{exit}");
    let listed = fixture.cli(&["keys", "list"]).await.stdout;
    let cells: Vec<&str> = listed.trim_end().split('\t').collect();
    assert_eq!(cells[1..3], ["openai", "primary"], "{listed}");
    assert_eq!(cells[4..6], ["active", "2"], "{listed}");
    let shown = fixture.cli(&["keys", "disable", "openai"]).await.stdout;
    assert!(shown.contains("\tdisabled\t"), "{shown}");
    assert_eq!(fixture.chat("gpt-4o").await.status, 402);
    let shown = fixture.cli(&["keys", "enable", "openai"]).await.stdout;
    assert!(shown.contains("\tactive\t"), "{shown}");
    fixture.chat("gpt-4o").await.expect(200);
    let switch = json!({"byok": false});
    let path = "/api/v1/admin/providers/openai";
    let admin = &fixture.owner.person.session;
    admin.patch(path, &switch).await.expect(200);
    let listed = fixture.cli(&["keys", "list"]).await.stdout;
    assert!(listed.contains("\tresting\t"), "{listed}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_is_removed_only_after_somebody_agreed() {
    let fixture = Fixture::with_cli().await;
    for label in ["primary", "backup"] {
        let (_, exit) = fixture.cli_add(&["openai", "--label", label]).await;
        assert!(exit.status.success(), "{exit}");
    }
    // The tests have no terminal.
    fixture
        .cli_fails(&["keys", "remove", "openai"], "--yes")
        .await;
    let unknown = ["keys", "remove", "openai", "--label", "other", "--yes"];
    fixture.cli_fails(&unknown, "openai/backup").await;
    let listed = fixture.cli(&["keys", "list"]).await.stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let backup = ["keys", "remove", "openai", "--label", "backup", "--yes"];
    let removed = fixture.cli(&backup).await;
    assert!(
        removed.says("without it another own key serves"),
        "{removed}"
    );
    assert!(removed.says("Removed: another own key serves"), "{removed}");
    let removed = fixture.cli(&["keys", "remove", "openai", "--yes"]).await;
    assert!(removed.says("will be refused with 402"), "{removed}");
    let listed = fixture.cli(&["keys", "list"]).await.stdout;
    assert_eq!(listed, "");
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_revoked");
    fixture.finish().await;
}

#[tokio::test]
async fn platform_keys_are_removed_by_an_instance_admin() {
    let fixture = Fixture::with_cli().await;
    let platform = fixture.canary.openai_key();
    fixture.platform_key("openai", &platform).await;
    let remove = ["keys", "remove", "openai", "--platform", "--yes"];
    fixture.cli_fails(&remove, "permission_denied").await;
    let (email, password) = (
        &fixture.owner.person.email,
        format!("{}\n", fixture.owner.person.password),
    );
    let as_admin = [&remove[..], &["--email", email]].concat();
    let removed = fixture.app.run_with_input(&as_admin, &password).await;
    assert!(removed.status.success(), "{removed}");
    let list = ["keys", "list", "--platform", "--email", email];
    let listed = fixture.app.run_with_input(&list, &password).await;
    assert!(
        listed.status.success() && listed.stdout.is_empty(),
        "{listed}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_misspelled_provider_is_answered_with_the_one_that_was_meant() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["OpenAI"]).await;
    assert!(!exit.status.success(), "{exit}");
    assert!(exit.says("did you mean openai?"), "{exit}");
    // Here the server says it.
    let set = ["ai-config", "set", "--provider", "opnai"];
    fixture.cli_fails(&set, "did you mean openai?").await;
    fixture.finish().await;
}

#[tokio::test]
async fn resolve_says_first_what_happens_and_shows_the_rules_on_demand() {
    let fixture = Fixture::with_cli().await;
    let model = "openai/gpt-4o";
    let refused = fixture
        .cli_fails(
            &["resolve", model],
            "refused: byok_key_missing - no own key for openai",
        )
        .await;
    let first = refused.stdout.lines().next().expect("a line");
    assert!(
        first.ends_with("add one: keybearer keys add openai"),
        "{first}"
    );
    assert!(refused.says("  rule 7: the mode is byok"), "{refused}");
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let served = fixture.cli(&["resolve", model]).await.stdout;
    assert_eq!(served, "openai/gpt-4o with own key primary\n");
    let traced = fixture.cli(&["resolve", model, "--trace"]).await.stdout;
    assert!(traced.starts_with(&served), "{traced}");
    let rule = "  rule 9: own key primary for openai may serve";
    assert!(traced.contains(rule), "{traced}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_with_a_base_url_of_its_own_is_sealed_for_that_place() {
    let fixture = Fixture::with_cli().await;
    let elsewhere = testkit::provider::ScriptedProvider::start();
    let url = format!("{}/v1", elsewhere.url());
    let (_, exit) = fixture.cli_add(&["openai", "--base-url", &url]).await;
    assert!(!exit.status.success(), "{exit}");
    assert!(exit.says("custom_base_url_not_allowed"), "{exit}");
    fixture.finish().await;

    let allowed = [("KEYBEARER_CUSTOM_BASE_URLS", "true")];
    let fixture = Fixture::with_cli_and(&allowed).await;
    let spelled = format!("{url}/").replace("http:", "HTTP:");
    let (key, exit) = fixture.cli_add(&["openai", "--base-url", &spelled]).await;
    assert!(exit.status.success(), "{exit}");
    assert!(
        exit.stdout.trim_end().ends_with(&format!("\t{url}")),
        "{exit}"
    );
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(elsewhere.last().key(), Some(key.as_str()));
    assert!(fixture.provider.requests().is_empty());
    fixture.finish().await;
}
