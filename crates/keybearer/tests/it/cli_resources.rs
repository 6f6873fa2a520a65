//! The commands about workspaces, people, API keys, models, usage and the instance, against a real server.

use serde_json::{Value, json};
use testkit::app::Exit;

use crate::Fixture;

impl Fixture {
    /// `keybearer ARGUMENTS --json` with the owner's log-in for this one command.
    pub(crate) async fn admin_json(&self, arguments: &[&str]) -> Value {
        let exit = self.as_owner(&[arguments, &["--json"]].concat(), "").await;
        assert!(exit.status.success(), "{arguments:?}: {exit}");
        serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {exit}"))
    }

    /// `keybearer ARGUMENTS` with the owner's log-in; `then` is typed after the password.
    pub(crate) async fn as_owner(&self, arguments: &[&str], then: &str) -> Exit {
        let person = &self.owner.person;
        let all = [arguments, &["--email", &person.email]].concat();
        let typed = format!("{}\n{then}", person.password);
        self.app.run_with_input(&all, &typed).await
    }
}

fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let entries = list["data"].as_array().into_iter().flatten();
    entries.filter_map(|it| it[field].as_str()).collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

#[tokio::test]
async fn workspaces_are_made_renamed_chosen_and_deleted() {
    let mut fixture = Fixture::with_cli().await;
    // A person's only workspace need not be named, also where the log-in is for one command.
    fixture.app.builder_mut().remove_env("KEYBEARER_WORKSPACE");
    let only = fixture.admin_json(&["workspace", "show"]).await;
    assert_eq!(only["id"], fixture.owner.workspace.as_str());
    let made = fixture.admin_json(&["workspace", "create", "Second"]).await;
    let id = text(&made, "id").to_owned();
    let listed = fixture.admin_json(&["workspace", "list"]).await;
    assert_eq!(texts(&listed, "name").len(), 2, "{listed}");
    let exit = fixture.as_owner(&["workspace", "show"], "").await;
    assert!(!exit.status.success() && exit.says("--workspace"), "{exit}");
    let renamed = ["workspace", "rename", "Other", "--workspace", &id];
    assert_eq!(fixture.admin_json(&renamed).await["name"], "Other");
    let shown = fixture.cli_json(&["workspace", "show"]).await;
    assert_eq!(shown["id"], fixture.owner.workspace.as_str());
    // An API key is in one workspace: the other one is not there for it.
    fixture
        .cli_ends(&["workspace", "show", "--workspace", &id], 6)
        .await;
    let delete = ["workspace", "delete", "--workspace", &id];
    let exit = fixture.as_owner(&delete, "").await;
    assert_eq!(exit.status.code(), Some(3), "{exit}");
    let deleted = fixture
        .admin_json(&[&delete[..], &["--yes"]].concat())
        .await;
    assert_eq!(deleted["deleted"], true);
    let listed = fixture.admin_json(&["workspace", "list"]).await;
    assert_eq!(texts(&listed, "name").len(), 1, "{listed}");
}

#[tokio::test]
async fn a_login_remembers_which_workspace_commands_are_about() {
    let fixture = Fixture::logged_in_as_owner().await;
    let first = fixture.owner.workspace.clone();
    let made = fixture.cli_json(&["workspace", "create", "Second"]).await;
    let shown = fixture.cli_json(&["workspace", "show"]).await;
    assert_eq!(shown["id"], first.as_str());
    fixture.cli(&["workspace", "use", text(&made, "id")]).await;
    let shown = fixture.cli_json(&["workspace", "show"]).await;
    assert_eq!(shown["id"], made["id"]);
    fixture
        .cli_ends(&["workspace", "use", "ws_00000000000000000000000000"], 6)
        .await;
}

#[tokio::test]
async fn a_workspace_is_named_by_its_name_wherever_it_is_named() {
    let mut fixture = Fixture::logged_in_as_owner().await;
    let first = fixture.owner.workspace.clone();
    let made = fixture
        .cli_json(&["workspace", "create", "Team Blue"])
        .await;
    let second = text(&made, "id").to_owned();
    let third = fixture.cli_json(&["workspace", "create", &first]).await;
    let third = text(&third, "id").to_owned();
    let shown = async |fixture: &Fixture, named: &str| {
        let show = ["workspace", "show", "--workspace", named];
        text(&fixture.cli_json(&show).await, "id").to_owned()
    };
    assert_eq!(shown(&fixture, " Team Blue ").await, second);
    // An id is an id, whatever others are called.
    assert_eq!(shown(&fixture, &first).await, first);
    assert_eq!(shown(&fixture, &third).await, third);
    let used = fixture.cli_json(&["workspace", "use", "Team Blue"]).await;
    assert_eq!(used["id"], second.as_str());
    let status = fixture
        .app
        .run(&["workspace", "status", "Team Blue", "--json"])
        .await;
    assert!(status.says(&second), "{status}");
    let up = ["workspace", "up", "Team Blue"];
    assert!(fixture.cli(&up).await.says("nothing to run"));
    let to = fixture.app.dir().join("units");
    let to = to.to_str().expect("UTF-8");
    let render = ["workspace", "render", "Team Blue", "--compose", "--to", to];
    fixture.cli(&render).await;
    for command in [
        &["keys", "list"][..],
        &["usage"],
        &["usage", "summary", "--account"],
        &["member", "list"],
        &["policy", "show"],
        &["audit"],
        &["status"],
        &["generation", "list"],
    ] {
        let named = [command, &["--workspace", "Team Blue"]].concat();
        fixture.cli_json(&named).await;
    }
    let env = fixture.cli_json(&["env", "--workspace", "Team Blue"]).await;
    assert_eq!(env["workspace_id"], second.as_str());
    let run = ["run", "--workspace", "Team Blue", "--", "true"];
    fixture.cli(&run).await;
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_WORKSPACE", "Team Blue");
    let shown_by_default = fixture.cli_json(&["workspace", "show"]).await;
    assert_eq!(shown_by_default["id"], second.as_str());
    fixture.app.builder_mut().remove_env("KEYBEARER_WORKSPACE");

    let exit = fixture
        .cli_ends(&["keys", "list", "--workspace", "team blue"], 6)
        .await;
    assert!(exit.says("did you mean \"Team Blue\"?"), "{exit}");
    let made = fixture
        .cli_json(&["workspace", "create", "Team Blue"])
        .await;
    for command in [
        &["keys", "list", "--workspace", "Team Blue"][..],
        &["workspace", "use", "Team Blue"],
        &["workspace", "delete", "--yes", "--workspace", "Team Blue"],
        &["workspace", "up", "Team Blue", "--yes"],
    ] {
        let exit = fixture.cli_ends(command, 2).await;
        assert!(exit.says(&second) && exit.says(text(&made, "id")), "{exit}");
    }

    // A login keeps the id: the name may become another's.
    let person = fixture.owner.person.clone();
    let url = fixture.app.url();
    let login = ["login", "--url", &url, "--email", &person.email];
    let named = [&login[..], &["--workspace", &first]].concat();
    let typed = format!("{}\n", person.password);
    let exit = fixture.app.run_with_input(&named, &typed).await;
    assert!(exit.status.success() && exit.says(&first), "{exit}");
    let named = [&login[..], &["--workspace", "nobody's"]].concat();
    let exit = fixture.app.run_with_input(&named, &typed).await;
    assert_eq!(exit.status.code(), Some(6), "{exit}");
}

#[tokio::test]
async fn an_api_key_knows_its_workspace_by_name_if_it_may_see_it() {
    let mut fixture = Fixture::with_cli().await;
    let name = fixture.cli_json(&["workspace", "show"]).await;
    let name = text(&name, "name").to_owned();
    let all = fixture.cli_json(&["workspace", "list"]).await;
    assert_eq!(texts(&all, "id"), [fixture.owner.workspace.as_str()]);
    let list = ["keys", "list", "--workspace"];
    fixture.cli(&[&list[..], &[&name]].concat()).await;
    let exit = fixture.cli_ends(&[&list[..], &["Other"]].concat(), 6).await;
    assert!(exit.says(&fixture.owner.workspace), "{exit}");
    let create = ["api-key", "create", "x", "--scope", "inference:invoke"];
    let key = fixture.cli(&create).await.stdout;
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_API_KEY", key.trim());
    let exit = fixture.cli_ends(&[&list[..], &[&name]].concat(), 5).await;
    assert!(
        exit.says("may not see what its workspace is called"),
        "{exit}"
    );
}

#[tokio::test]
async fn people_are_invited_join_get_roles_and_leave() {
    let mut fixture = Fixture::with_cli().await;
    let invite = ["member", "invite", "new@example.com"];
    let exit = fixture.cli(&invite).await;
    let token = exit.stdout.trim().to_owned();
    assert!(
        token.starts_with("kbi_") && exit.says("shown once"),
        "{exit}"
    );
    let listed = fixture.cli_json(&["member", "invitations"]).await;
    assert_eq!(texts(&listed, "email"), ["new@example.com"]);
    let void = ["member", "invite", "void@example.com", "--role", "admin"];
    // An API key makes no admins.
    fixture.cli_ends(&void, 5).await;
    let void = fixture.admin_json(&void).await;
    let exit = fixture.app.run(&["member", "role", "x", "emperor"]).await;
    assert_eq!(exit.status.code(), Some(2), "{exit}");
    fixture
        .cli(&["member", "uninvite", text(&void, "id")])
        .await;
    // The new person joins from a machine of their own and is logged in there.
    let other = fixture.app.dir().join("other");
    let other = other.to_str().expect("UTF-8").to_owned();
    let owners = fixture.owner.api_key.clone();
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_CONFIG_DIR", &other);
    fixture.app.builder_mut().remove_env("KEYBEARER_API_KEY");
    fixture.app.builder_mut().remove_env("KEYBEARER_WORKSPACE");
    let typed = format!("{token}\na long password\n");
    let exit = fixture.app.run_with_input(&["join"], &typed).await;
    assert!(exit.status.success(), "{exit}");
    let who = fixture.cli_json(&["whoami"]).await;
    assert_eq!(who["user"]["email"], "new@example.com");
    let workspace = fixture.owner.workspace.clone();
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_WORKSPACE", &workspace);
    // A member sees that there is a key and nothing of it.
    fixture
        .cli_ends(&["member", "invite", "x@example.com"], 5)
        .await;
    fixture.cli(&["keys", "list"]).await;
    let used = fixture.app.run_with_input(&["join"], &typed).await;
    assert!(!used.status.success(), "an invitation is good once: {used}");
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", &owners);
    let members = fixture.cli_json(&["member", "list"]).await;
    assert_eq!(texts(&members, "email").len(), 2, "{members}");
    let role = ["member", "role", "New@example.com", "member"];
    fixture.cli(&role).await;
    fixture
        .cli_ends(&["member", "role", "nobody@example.com", "member"], 6)
        .await;
    let remove = ["member", "remove", "new@example.com"];
    fixture.cli_ends(&remove, 3).await;
    fixture.cli(&[&remove[..], &["--yes"]].concat()).await;
    let members = fixture.cli_json(&["member", "list"]).await;
    assert_eq!(texts(&members, "email").len(), 1, "{members}");
    // Another one leaves.
    let person = fixture.app.member(&fixture.owner).await;
    fixture.app.builder_mut().remove_env("KEYBEARER_API_KEY");
    let leave = ["workspace", "leave", "--yes", "--email", &person.email];
    let typed = format!("{}\n", person.password);
    let exit = fixture.app.run_with_input(&leave, &typed).await;
    assert!(exit.status.success(), "{exit}");
}

#[tokio::test]
async fn api_keys_are_minted_rotated_and_revoked() {
    let mut fixture = Fixture::with_cli().await;
    let create = [
        "api-key",
        "create",
        "ci",
        "--scope",
        "inference:invoke",
        "--scope",
        "workspace:read",
        "--expires",
        "1h",
    ];
    let exit = fixture.cli(&create).await;
    let key = exit.stdout.trim().to_owned();
    assert!(
        key.starts_with("kb_") && exit.stdout.lines().count() == 1,
        "{exit}"
    );
    fixture
        .cli_ends(&["api-key", "create", "x", "--scope", "everything"], 2)
        .await;
    let listed = fixture.cli_json(&["api-key", "list"]).await;
    let names = texts(&listed, "name");
    assert!(names.contains(&"ci") && names.len() == 2, "{listed}");
    let ci = listed["data"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["name"] == "ci"));
    let ci = ci.expect("it is listed").clone();
    assert!(ci["expires_at"].is_string(), "{ci}");
    let model = ["api-key", "set-model", "ci"];
    let chosen = fixture.cli_json(&[&model[..], &["level_2"]].concat()).await;
    assert_eq!(chosen["default_model"], "level_2");
    assert_eq!(fixture.cli_json(&model).await["default_model"], Value::Null);
    fixture.cli_ends(&["api-key", "revoke", "ci"], 3).await;
    fixture.cli(&["api-key", "revoke", "ci", "--yes"]).await;
    fixture
        .cli_ends(&["api-key", "revoke", "ci", "--yes"], 6)
        .await;
    let all = fixture.cli_json(&["api-key", "list", "--all"]).await;
    assert_eq!(texts(&all, "name").len(), 2, "{all}");
    let in_force = fixture.cli_json(&["api-key", "list"]).await;
    assert_eq!(texts(&in_force, "name").len(), 1, "{in_force}");
    fixture.app.builder_mut().set_env("KEYBEARER_API_KEY", &key);
    fixture.cli_ends(&["workspace", "show"], 4).await;
    // A key that stands in the environment is printed when it is rotated.
    let owners = fixture.owner.api_key.clone();
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", &owners);
    let exit = fixture.cli(&["api-key", "rotate"]).await;
    assert!(
        exit.says("KEYBEARER_API_KEY still has the old one"),
        "{exit}"
    );
    let rotated = exit.stdout;
    fixture.cli_ends(&["whoami"], 4).await;
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_API_KEY", rotated.trim());
    fixture.cli(&["whoami"]).await;
}

#[tokio::test]
async fn a_key_of_the_login_is_rotated_in_its_place() {
    let fixture = Fixture::logged_in().await;
    let exit = fixture.cli(&["api-key", "rotate"]).await;
    assert!(!exit.says(&fixture.owner.api_key), "{exit}");
    assert!(
        exit.says("the login has the new key") && !exit.stdout.contains("kb_"),
        "{exit}"
    );
    fixture.cli(&["whoami"]).await;
    fixture
        .owner
        .key
        .get("/api/v1/whoami")
        .await
        .expect_error(401, "authentication_required");
}

#[tokio::test]
async fn the_accounts_own_keys_are_set_listed_and_deleted() {
    let fixture = Fixture::with_cli().await;
    let key = fixture.canary.openai_key();
    let set = ["byok", "set", "openai", "--label", "mine"];
    let exit = fixture.app.run_with_input(&set, &format!("{key}\n")).await;
    assert!(exit.status.success(), "{exit}");
    let listed = fixture.cli_json(&["byok", "list"]).await;
    assert_eq!(texts(&listed, "label"), ["mine"]);
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(key.as_str()));
    // The same keys under the account, where they can also be disabled and rotated.
    let keys = fixture.cli_json(&["keys", "list", "--account"]).await;
    assert_eq!(texts(&keys, "label"), ["mine"]);
    let disable = ["keys", "disable", "openai", "--label", "mine", "--account"];
    let shown = fixture.cli_json(&disable).await;
    assert_eq!(shown["state"], "disabled");
    let rotate = ["keys", "rotate", "openai", "--label", "mine", "--account"];
    let second = fixture.canary.openai_key();
    let exit = fixture
        .app
        .run_with_input(&rotate, &format!("{second}\n"))
        .await;
    assert!(exit.status.success(), "{exit}");
    let delete = ["byok", "delete", "openai", "--label", "mine"];
    fixture.cli_ends(&delete, 3).await;
    fixture.cli(&[&delete[..], &["--yes"]].concat()).await;
    let missing = [&delete[..], &["--yes"]].concat();
    fixture.cli_ends(&missing, 6).await;
    let listed = fixture.cli_json(&["byok", "list"]).await;
    assert!(texts(&listed, "label").is_empty(), "{listed}");
    fixture.finish().await;
}

#[tokio::test]
async fn models_and_providers_are_what_the_server_says() {
    let mut fixture = Fixture::with_cli().await;
    let none = fixture.cli(&["models"]).await;
    assert!(none.stdout.is_empty() && none.says("keys add"), "{none}");
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let models = fixture.cli_json(&["models"]).await;
    assert!(texts(&models, "id").contains(&"openai/gpt-4o"), "{models}");
    let other = fixture
        .cli_json(&["models", "--provider", "anthropic"])
        .await;
    assert!(texts(&other, "id").is_empty(), "{other}");
    let all = fixture
        .cli_json(&["models", "--all", "--provider", "anthropic"])
        .await;
    assert!(texts(&all, "owned_by").iter().all(|it| *it == "anthropic"));
    let all = texts(&all, "id");
    assert!(!all.is_empty() && all.iter().all(|it| it.starts_with("anthropic/")));
    let providers = fixture.cli_json(&["provider", "list"]).await;
    assert!(texts(&providers, "id").contains(&"openai"));
    let shown = fixture.cli(&["provider", "show", "openai"]).await.stdout;
    assert!(shown.contains("OPENAI_API_KEY"), "{shown}");
    fixture.cli_ends(&["provider", "show", "nobody"], 6).await;
    // A person has no API key for the data plane: all that is listed, and that is said.
    fixture.app.builder_mut().remove_env("KEYBEARER_API_KEY");
    let listed = fixture.as_owner(&["models"], "").await;
    assert!(
        listed.status.success() && listed.says("Without an API key"),
        "{listed}"
    );
}

#[tokio::test]
async fn usage_is_shown_and_added_up_with_what_failed() {
    let fixture = Fixture::with_cli().await;
    fixture
        .chat("gpt-4o")
        .await
        .expect_error(402, "byok_key_missing");
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    for _ in 0..2 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    fixture.app.usage(&fixture.owner, 3).await;
    let shown = fixture.cli(&["usage"]).await.stdout;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.contains("\topenai/gpt-4o\tprimary\t200\t"), "{shown}");
    assert!(shown.contains("402 byok_key_missing"), "{shown}");
    let newest = fixture.cli(&["usage", "--limit", "1"]).await;
    assert_eq!(newest.stdout.lines().count(), 1, "{newest}");
    assert!(newest.says("--limit takes more"), "{newest}");
    // What was refused has no price and needs none.
    let summary = fixture.cli_json(&["usage", "summary"]).await;
    let by = fixture.cli_json(&["usage", "--by", "model"]).await;
    let unpriced = by["data"].as_array().into_iter().flatten();
    let unpriced: u64 = unpriced.filter_map(|it| it["unpriced"].as_u64()).sum();
    assert_eq!(summary["total"]["unpriced"], unpriced);
    assert_eq!(unpriced, 0, "{by}");
    let by = fixture.cli_json(&["usage", "--by", "key"]).await;
    let served = by["data"].as_array().into_iter().flatten();
    let served = served.filter(|it| it["name"] == "openai/primary");
    assert_eq!(served.count(), 1, "{by}");
    let by = fixture.cli_json(&["usage", "--by", "status"]).await;
    let sums = by["data"].as_array().expect("sums");
    let calls: Vec<_> = sums
        .iter()
        .map(|sum| {
            (
                text(sum, "name"),
                sum["calls"].as_u64(),
                sum["failed"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        calls,
        [("200", Some(2), Some(0)), ("402", Some(1), Some(1))]
    );
    let long_ago = [
        "usage",
        "--until",
        "2001-01-01T00:00:00Z",
        "--since",
        "2000-01-01T00:00:00Z",
    ];
    assert_eq!(fixture.cli(&long_ago).await.stdout, "");
    fixture
        .cli_ends(&["usage", "--since", "yesterday"], 2)
        .await;
    let credits = fixture.cli_json(&["credits"]).await;
    assert!(credits["credits"]["remaining"].is_number(), "{credits}");
    fixture.finish().await;
}

#[tokio::test]
async fn the_audit_log_and_the_plan_are_shown() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai"]).await;
    assert!(exit.status.success(), "{exit}");
    let events = fixture.cli_json(&["audit", "--limit", "1"]).await;
    let events = texts(&events, "action");
    assert_eq!(events.len(), 1);
    fixture.cli_json(&["audit", "--account"]).await;
    fixture.cli_ends(&["audit", "--instance"], 5).await;
    let instance = fixture.admin_json(&["audit", "--instance"]).await;
    assert!(!texts(&instance, "action").is_empty());
    let plan = fixture.cli(&["plan", "show"]).await.stdout;
    assert!(plan.contains("workspaces\t1\t"), "{plan}");
    let plans = fixture.cli_json(&["plan", "list"]).await;
    assert!(texts(&plans, "id").contains(&"free"), "{plans}");
    fixture.finish().await;
}

#[tokio::test]
async fn a_policy_is_changed_field_by_field_and_as_a_document() {
    let fixture = Fixture::with_cli().await;
    let set = [
        "policy",
        "set",
        "-F",
        "mode=auto",
        "-F",
        "managed_on_failure=true",
    ];
    let changed = fixture.cli_json(&set).await;
    assert_eq!(
        (text(&changed, "mode"), &changed["managed_on_failure"]),
        ("auto", &json!(true))
    );
    let document = r#"{"model_mappings": [{"pattern": "gpt-*", "model": "openai/gpt-4o"}]}"#;
    let set = ["policy", "set", "--input", "-"];
    let exit = fixture.app.run_with_input(&set, document).await;
    assert!(exit.status.success(), "{exit}");
    let shown = fixture.cli_json(&["policy", "show"]).await;
    assert_eq!(shown["model_mappings"][0]["pattern"], "gpt-*");
    assert_eq!(shown["mode"], "auto");
    fixture
        .cli_fails(&["policy", "set"], "nothing to change")
        .await;
    let exit = fixture.app.run_with_input(&set, "[1]").await;
    assert!(
        !exit.status.success() && exit.says("not a JSON object"),
        "{exit}"
    );
}

#[tokio::test]
async fn an_instance_is_managed_by_its_admins_only() {
    let fixture = Fixture::with_cli().await;
    for denied in [
        &["admin", "user", "list"][..],
        &["admin", "account", "list"],
        &["admin", "plan", "list"],
        &["admin", "settings", "show"],
        &["admin", "provider", "list"],
        &["admin", "sealing-key", "show"],
    ] {
        let exit = fixture.cli_ends(denied, 5).await;
        assert!(exit.says("--email"), "{exit}");
    }
    let create = ["admin", "user", "create", "new@example.com"];
    let exit = fixture.as_owner(&create, "another long password\n").await;
    assert!(exit.status.success(), "{exit}");
    let users = fixture.admin_json(&["admin", "user", "list"]).await;
    assert_eq!(texts(&users, "email").len(), 2, "{users}");
    let suspend = ["admin", "user", "suspend", "new@example.com"];
    let exit = fixture.as_owner(&suspend, "").await;
    assert_eq!(exit.status.code(), Some(3), "{exit}");
    fixture
        .admin_json(&[&suspend[..], &["--yes"]].concat())
        .await;
    let users = fixture.admin_json(&["admin", "user", "list"]).await;
    let suspended = users["data"].as_array().expect("users").iter();
    assert_eq!(suspended.filter(|it| it["suspended"] == true).count(), 1);
    fixture
        .admin_json(&["admin", "user", "restore", "new@example.com"])
        .await;

    let models = ["admin", "provider", "models", "openai"];
    let models = fixture.admin_json(&models).await;
    let listed = models["data"].as_array().expect("models").iter();
    assert!(
        listed.clone().any(|it| it["price"]["input"].is_string()),
        "{models}"
    );

    let account = fixture.owner.account.clone();
    let accounts = fixture.admin_json(&["admin", "account", "list"]).await;
    assert!(
        texts(&accounts, "id").contains(&account.as_str()),
        "{accounts}"
    );
    let search = ["admin", "account", "list", "--search", "NEW@example"];
    let found = fixture.admin_json(&search).await;
    assert_eq!(texts(&found, "owner_email"), ["new@example.com"], "{found}");
    let grant = [
        "admin",
        "account",
        "grant",
        &account,
        "12.5",
        "--reference",
        "invoice 1",
        "--expires",
        "2099-01-01T00:00:00Z",
        "--kind",
        "top_up",
    ];
    for _ in 0..2 {
        let card = fixture.admin_json(&grant).await;
        assert_eq!(card["granted"]["credits"], 12.5);
    }
    let history = fixture.cli_json(&["credits", "--history"]).await;
    assert_eq!(texts(&history, "reference"), ["invoice 1"], "{history}");
    let rows = history["data"].as_array().expect("rows").iter();
    let amounts = rows.map(|row| row["amount_nano_usd"].as_i64().expect("a number"));
    let newest = &history["data"][0]["balance_nano_usd"];
    assert_eq!(newest, amounts.sum::<i64>(), "{history}");
    let charges = ["credits", "--history", "--kind", "charge", "--since", "1d"];
    let charges = fixture.cli_json(&charges).await;
    assert_eq!(charges["data"], serde_json::json!([]), "{charges}");
    let alone = ["credits", "--kind", "charge"];
    fixture.cli_fails(&alone, "--history").await;
    let history = fixture.cli(&["credits", "--history", "--limit", "1"]).await;
    assert_eq!(history.stdout.lines().count(), 1, "{history}");
    // In the unit of `keybearer credits`.
    assert!(!history.stdout.contains('$'), "{history}");
    let floating = [
        "admin",
        "account",
        "grant",
        &account,
        "1",
        "--reference",
        "x",
        "--expires",
        "30d",
    ];
    let exit = fixture.as_owner(&floating, "").await;
    assert!(!exit.status.success() && exit.says("as a date"), "{exit}");
    let rate = ["admin", "account", "set-rate", &account, "1.5"];
    assert_eq!(fixture.admin_json(&rate).await["credit_rate"], "1.5");
    let plan = ["admin", "account", "set-plan", &account, "free"];
    assert_eq!(fixture.admin_json(&plan).await["plan"], "free");
    let shown = fixture
        .admin_json(&["admin", "account", "show", &account])
        .await;
    assert_eq!(shown["subscription"]["plan"], "free");

    let terms = r#"{"name": "Team", "rank": 7, "terms": {"monthly_credits": 5, "byok": true, "tiers": []}}"#;
    let exit = fixture
        .as_owner(&["admin", "plan", "set", "team", "--input", "-"], terms)
        .await;
    assert!(exit.status.success(), "{exit}");
    let plans = fixture.admin_json(&["admin", "plan", "list"]).await;
    assert!(texts(&plans, "id").contains(&"team"), "{plans}");
    fixture
        .admin_json(&["admin", "plan", "delete", "team", "--yes"])
        .await;

    let settings = ["admin", "settings", "set", "-F", "audit_detail=minimal"];
    assert_eq!(
        fixture.admin_json(&settings).await["audit_detail"],
        "minimal"
    );
    let shown = fixture.admin_json(&["admin", "settings", "show"]).await;
    assert_eq!(shown["audit_detail"], "minimal");
    let off = [
        "admin", "provider", "set", "openai", "--byok", "false", "--model", "gpt-*",
    ];
    let switched = fixture.admin_json(&off).await;
    assert_eq!(
        (&switched["byok"], &switched["models"]),
        (&json!(false), &json!(["gpt-*"]))
    );
    let all = ["admin", "provider", "set", "openai", "--all-models"];
    assert_eq!(fixture.admin_json(&all).await["models"], Value::Null);
    let providers = fixture.admin_json(&["admin", "provider", "list"]).await;
    assert!(texts(&providers, "id").contains(&"openai"), "{providers}");
    let before = fixture.admin_json(&["admin", "sealing-key", "show"]).await;
    let exit = fixture
        .as_owner(&["admin", "sealing-key", "rotate"], "")
        .await;
    assert_eq!(exit.status.code(), Some(3), "{exit}");
    let after = fixture
        .admin_json(&["admin", "sealing-key", "rotate", "--yes"])
        .await;
    assert_ne!(before["kek_id"], after["kek_id"]);
}

#[tokio::test]
async fn settings_that_somebody_else_changed_since_they_were_read_stay() {
    let fixture = Fixture::logged_in_as_owner().await;
    let set = async |arguments: &[&str], input: &str| {
        let all = [&["admin", "settings", "set"], arguments].concat();
        fixture.app.run_with_input(&all, input).await
    };
    let mapping = |pattern: &str| {
        json!({"model_mappings": [{"pattern": pattern, "model": "gpt-4o"}]}).to_string()
    };
    let show = ["admin", "settings", "show", "--tag"];
    let tag = fixture.cli(&show).await.stdout.trim().to_owned();
    assert_eq!(fixture.cli_json(&show).await, json!(tag));
    let guarded = ["--input", "-", "--if-match", &tag];
    let exit = set(&guarded, &mapping("first")).await;
    assert!(exit.status.success(), "{exit}");
    let exit = set(&guarded, &mapping("second")).await;
    assert_eq!(exit.status.code(), Some(1), "{exit}");
    assert!(exit.says("somebody else changed the settings"), "{exit}");
    assert!(exit.says("admin settings show"), "{exit}");
    let exit = set(&[&guarded[..], &["--json"]].concat(), &mapping("second")).await;
    let error: Value = serde_json::from_str(&exit.stderr).expect("JSON");
    assert_eq!(error["error"]["code"], "precondition_failed");
    let shown = fixture.cli_json(&["admin", "settings", "show"]).await;
    assert_eq!(shown["model_mappings"][0]["pattern"], "first");
    // Without a tag: the change is made, and what was there is said.
    let exit = set(&["--input", "-"], &mapping("third")).await;
    assert!(exit.status.success(), "{exit}");
    assert!(exit.says("model_mappings was [{"), "{exit}");
    assert!(exit.says("\"first\""), "{exit}");
    let tag = fixture.cli(&show).await.stdout;
    // As it is typed, without the quotation marks of a header.
    let bare = tag.trim().trim_matches('"');
    let exit = set(&["-F", "audit_detail=minimal", "--if-match", bare], "").await;
    assert!(exit.status.success(), "{exit}");
}

#[tokio::test]
async fn the_configuration_is_checked_and_shown_without_its_secrets() {
    let mut fixture = Fixture::with_cli().await;
    fixture.cli(&["config", "validate"]).await;
    let secret = "postgres://me:hunter2@db/x";
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_DATABASE_URL_X", secret);
    fixture
        .cli_fails(&["config", "validate"], "KEYBEARER_DATABASE_URL")
        .await;
    fixture
        .app
        .builder_mut()
        .remove_env("KEYBEARER_DATABASE_URL_X");
    let builder = fixture.app.builder_mut();
    builder.set_env("KEYBEARER_ROOT_KEY_COMMAND", "op,read,hunter2");
    builder.set_env("KEYBEARER_ROOT_KEY", "hunter2");
    builder.set_env("KEYBEARER_DATABASE_URL", secret);
    let exit = fixture.cli(&["config", "show"]).await;
    assert!(!exit.says("hunter2"), "{exit}");
    assert!(
        exit.says("database_url\tpostgres://me:hidden@db/x"),
        "{exit}"
    );
    let shown = fixture.cli_json(&["config", "show"]).await;
    assert_eq!(shown["listen"], "127.0.0.1:0");
    fixture
        .app
        .builder_mut()
        .set_env("KEYBEARER_PROBE", "maybe");
    fixture.cli_ends(&["config", "validate"], 1).await;
    fixture.app.builder_mut().remove_env("KEYBEARER_PROBE");
    // The environment of before names the root key twice.
    fixture
        .cli_fails(&["config", "validate"], "exclude each other")
        .await;
    fixture.app.builder_mut().remove_env("KEYBEARER_ROOT_KEY");
    fixture.cli(&["config", "validate"]).await;
    // What `serve` refuses is not valid.
    for (name, value) in [
        ("KEYBEARER_LISTEN", "nonsense"),
        ("KEYBEARER_LISTEN", "127.0.0.1:99999"),
        ("KEYBEARER_LOG", "info,=x=y"),
        ("KEYBEARER_PROVIDERS_DIR", "/nowhere"),
    ] {
        fixture.app.builder_mut().set_env(name, value);
        fixture.cli_ends(&["config", "validate"], 1).await;
        fixture.app.builder_mut().remove_env(name);
    }
}

#[tokio::test]
async fn a_stored_key_changes_its_label_and_place_without_the_key() {
    let fixture = Fixture::with_cli().await;
    let (_, exit) = fixture.cli_add(&["openai", "--level", "2"]).await;
    assert!(exit.status.success(), "{exit}");
    let change = ["keys", "change", "openai"];
    fixture.cli_fails(&change, "nothing to change").await;
    let renamed = [
        &change[..],
        &["--rename", "main", "--fallback", "true", "--position", "7"],
    ]
    .concat();
    let shown = fixture.cli_json(&renamed).await;
    assert_eq!(
        (text(&shown, "label"), &shown["fallback"]),
        ("main", &json!(true))
    );
    assert_eq!(
        (&shown["level"], &shown["position"]),
        (&json!(2), &json!(7))
    );
    let cleared = [&change[..], &["--label", "main", "--clear-level"]].concat();
    assert_eq!(fixture.cli_json(&cleared).await["level"], Value::Null);
    fixture.cli_ends(&cleared[..3], 2).await;
    fixture.finish().await;
}

#[tokio::test]
async fn a_person_sees_and_ends_log_ins_and_changes_the_password() {
    let fixture = Fixture::logged_in_as_owner().await;
    let other = fixture.app.anonymous();
    let person = &fixture.owner.person;
    let body = json!({"email": person.email, "password": person.password});
    let cookie = other
        .post("/api/v1/sessions", &body)
        .await
        .expect(201)
        .cookie();
    let cookie = cookie.expect("a cookie");
    let elsewhere = fixture
        .app
        .caller("elsewhere", testkit::app::Auth::Cookie(cookie));
    let listed = fixture.cli_json(&["session", "list"]).await;
    let sessions = listed["data"].as_array().expect("sessions");
    let current: Vec<_> = sessions.iter().filter(|it| it["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert!(text(current[0], "user_agent").starts_with("keybearer/"));
    let asked = elsewhere.get("/api/v1/sessions").await.expect(200).json();
    let theirs = asked["data"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["current"] == true));
    let id = text(theirs.expect("the other one"), "id").to_owned();
    fixture.cli(&["session", "end", &id]).await;
    elsewhere
        .get("/api/v1/me")
        .await
        .expect_error(401, "authentication_required");
    fixture.cli_ends(&["session", "end", &id], 6).await;
    let typed = format!("{}\nquite another password\n", person.password);
    let exit = fixture.app.run_with_input(&["password"], &typed).await;
    assert!(exit.status.success(), "{exit}");
    let body = json!({"email": person.email, "password": "quite another password"});
    other.post("/api/v1/sessions", &body).await.expect(201);
    // This log-in goes on, the others ended.
    fixture.cli(&["whoami"]).await;
    // Who logs in for this one command types the password once.
    let change = ["password", "--email", &person.email];
    let typed = "quite another password\nthe third password\n";
    let exit = fixture.app.run_with_input(&change, typed).await;
    assert!(exit.status.success(), "{exit}");
    let body = json!({"email": person.email, "password": "the third password"});
    other.post("/api/v1/sessions", &body).await.expect(201);
    person
        .session
        .get("/api/v1/me")
        .await
        .expect_error(401, "authentication_required");
}

#[tokio::test]
async fn what_new_workspaces_start_with_is_set_like_a_workspace() {
    let fixture = Fixture::logged_in_as_owner().await;
    let set = [
        "ai-config",
        "set",
        "--defaults",
        "--mode",
        "byok",
        "--provider",
        "openai",
    ];
    let shown = fixture.cli_json(&set).await;
    assert_eq!(
        (text(&shown, "mode"), text(&shown, "provider")),
        ("byok", "openai")
    );
    let shown = fixture.cli_json(&["ai-config", "show", "--defaults"]).await;
    assert_eq!(text(&shown, "provider"), "openai");
    let made = fixture.cli_json(&["workspace", "create", "Second"]).await;
    let of_it = ["ai-config", "show", "--workspace", text(&made, "id")];
    assert_eq!(fixture.cli_json(&of_it).await["provider"], "openai");
}

#[tokio::test]
async fn a_key_of_the_configuration_is_removed_only_where_somebody_agreed() {
    let fixture = Fixture::with_cli().await;
    let stored = async || {
        let listed = fixture.cli_json(&["keys", "list"]).await;
        let keys = listed["data"].as_array().expect("a list").iter();
        keys.filter(|key| key["label"] == "ai-config").count()
    };
    let set = async || {
        let key = format!("{}\n", fixture.canary.openai_key());
        let set = [
            "ai-config",
            "set",
            "--mode",
            "byok",
            "--provider",
            "openai",
            "--key",
        ];
        let exit = fixture.app.run_with_input(&set, &key).await;
        assert!(exit.status.success(), "{exit}");
        assert_eq!(stored().await, 1);
    };
    for takes_it_away in [
        &["--clear-key"][..],
        &["--mode", "managed"],
        &["--provider", "anthropic"],
    ] {
        set().await;
        let change = [&["ai-config", "set"], takes_it_away].concat();
        let exit = fixture.cli_ends(&change, 3).await;
        assert!(exit.says("nobody can agree"), "{exit}");
        assert_eq!(stored().await, 1, "{takes_it_away:?}");
        let exit = fixture.app.run(&[&change[..], &["--yes"]].concat()).await;
        assert!(exit.status.success(), "{exit}");
        assert!(exit.stderr.contains("openai/ai-config"), "{exit}");
        assert_eq!(stored().await, 0, "{takes_it_away:?}");
        // Where there is none, nobody is asked.
        fixture.cli(&change).await;
    }
    set().await;
    fixture
        .cli(&[
            "ai-config",
            "set",
            "--mode",
            "auto",
            "--model",
            "openai/gpt-4o",
        ])
        .await;
    fixture
        .cli(&["ai-config", "set", "--provider", "openai"])
        .await;
    assert_eq!(stored().await, 1);
    // The defaults' key is in no list.
    let of_defaults = [
        "ai-config",
        "set",
        "--defaults",
        "--mode",
        "byok",
        "--provider",
        "openai",
    ];
    fixture.cli(&of_defaults).await;
    fixture
        .cli_ends(&["ai-config", "set", "--defaults", "--clear-key"], 3)
        .await;
}
