//! Agents and tools that can be started with their own, documented settings pointing at the gateway.
//!
//! Nothing is written: a tool gets variables and arguments, and its files stay as they are. What a project's file could
//! set otherwise is said on the command line, which wins over it; the key stands in a variable only, since everybody can
//! read a command line.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::variables::quoted;

/// A tool that is known here: how it is started ([`Tool::launch`]) and set up by hand ([`Tool::by_hand`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// OpenCode.
    Opencode,
    /// Aider.
    Aider,
}

/// What stands in a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This text.
    Text(String),
    /// The gateway's key.
    Key,
}

/// How a tool is started.
#[derive(Debug)]
pub struct Launch {
    /// The program's name.
    pub program: &'static str,
    /// Arguments that come before the user's.
    pub arguments: Vec<String>,
    /// Further ones, which keep a project's files out unless the project is trusted.
    pub wary: &'static [&'static str],
    /// Variables beside those of [`crate::variables`].
    pub set: Vec<(&'static str, Value)>,
    /// Variables that it must not find.
    pub unset: &'static [&'static str],
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 4] = [Self::Claude, Self::Codex, Self::Opencode, Self::Aider];

    /// What it is called, on the command line too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
            Self::Aider => "aider",
        }
    }

    /// The tool with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Files of a project that this tool obeys and that could send the key elsewhere in a way that no argument forbids.
    const fn obeyed_files(self) -> &'static [&'static str] {
        match self {
            // The first is told to read none, the second lets no project name a provider.
            Self::Claude | Self::Codex => &[],
            // A provider of the project's own, an address of one model's, a plugin; of variables (`.env` is read by what it
            // runs on, bun.com/docs/runtime/environment-variables, 2026-11) a proxy, or another such file.
            Self::Opencode => &[
                "opencode.json",
                "opencode.jsonc",
                ".opencode",
                ".env",
                ".env.local",
                ".env.development",
                ".env.development.local",
            ],
            // `extra_params` of a model, and what names such a file; a model of any provider, whose address and key are
            // variables, and one variable can hold another's value (`DEEPSEEK_API_KEY=${OPENAI_API_KEY}`).
            Self::Aider => &[
                ".env",
                ".aider.conf.yml",
                ".aider.model.settings.yml",
                ".aider.model.metadata.json",
            ],
        }
    }

    /// Files of a project that this tool reads, unless it is told [to be wary](Launch::wary).
    const fn read_files(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &[".claude", ".mcp.json", "CLAUDE.md"],
            Self::Codex | Self::Opencode | Self::Aider => &[],
        }
    }

    /// The first file that is obeyed in a directory or above it: up to the top of its repository, or to `home`, which is
    /// not looked in.
    pub fn obeyed_file(self, directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
        Self::first_of(self.obeyed_files(), directory, home)
    }

    /// The first file there that stays unread because the tool is wary.
    pub fn unread_file(self, directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
        Self::first_of(self.read_files(), directory, home)
    }

    fn first_of(names: &[&str], directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
        for place in directory.ancestors() {
            if Some(place) == home {
                return None;
            }
            let files = names.iter().map(|name| place.join(name));
            if let Some(found) = files.into_iter().find(|file| file.exists()) {
                return Some(found);
            }
            if place.join(".git").exists() {
                return None;
            }
        }
        None
    }

    /// How it is started for a gateway at `address`, whose host is `host`.
    pub fn launch(self, address: &str, host: &str) -> Launch {
        match self {
            Self::Claude => claude(address, host),
            Self::Codex => codex(address),
            Self::Opencode => opencode(address),
            Self::Aider => aider(address, host),
        }
    }

    /// The same for somebody's own shell: lines to copy. The key is named, not shown.
    pub fn by_hand(self, address: &str, host: &str) -> String {
        let launch = self.launch(address, host);
        let mut text = String::from(
            "# KEYBEARER_API_KEY: an API key of the workspace; inference:invoke is all that it needs.\n",
        );
        for (name, value) in &launch.set {
            let value = match value {
                Value::Text(text) => quoted(text),
                Value::Key => "\"$KEYBEARER_API_KEY\"".to_owned(),
            };
            text.push_str(&format!("export {name}={value}\n"));
        }
        if !launch.unset.is_empty() {
            text.push_str(&format!("unset {}\n", launch.unset.join(" ")));
        }
        if !launch.wary.is_empty() {
            text.push_str(&format!(
                "# {}: it reads nothing of the project, which could send the key elsewhere. Leave it out where you trust that.\n",
                launch.wary.join(" ")
            ));
        }
        if !self.obeyed_files().is_empty() {
            text.push_str(&format!(
                "# Not in a directory, nor below one, that has one of these, unless you have read it: it could send the key elsewhere.\n# {}\n",
                self.obeyed_files().join(" ")
            ));
        }
        text.push_str(launch.program);
        let arguments = launch.arguments.iter().map(String::as_str);
        for argument in arguments.chain(launch.wary.iter().copied()) {
            text.push(' ');
            text.push_str(&quoted(argument));
        }
        text.push('\n');
        text
    }
}

/// Settings on the command line win over those of the user and of the project, which may set `env`, too (CVE-2026-21852;
/// code.claude.com/docs/en/settings, 2026-11). No list of pins is whole: `ANTHROPIC_UNIX_SOCKET` counts however empty it
/// is set here, and each version knows another provider; and a project's `.mcp.json` can have the token sent to a server of its
/// own (`${ANTHROPIC_AUTH_TOKEN}` in a header; `-p` asks nobody). So nothing of the project's is read, unless it is trusted.
/// A bearer token needs no approval at the first start, as an API key does.
fn claude(address: &str, host: &str) -> Launch {
    let settings = json!({ "env": {
        "ANTHROPIC_BASE_URL": address,
        // Another provider would be sent the same token.
        "CLAUDE_CODE_USE_ANTHROPIC_AWS": "",
        "CLAUDE_CODE_USE_BEDROCK": "",
        "CLAUDE_CODE_USE_GATEWAY": "",
        "CLAUDE_CODE_USE_MANTLE": "",
        "CLAUDE_CODE_USE_VERTEX": "",
        "CLAUDE_CODE_USE_FOUNDRY": "",
        "HTTP_PROXY": "",
        "HTTPS_PROXY": "",
        "http_proxy": "",
        "https_proxy": "",
        "NO_PROXY": host,
        "no_proxy": host,
        "NODE_EXTRA_CA_CERTS": "",
        "NODE_TLS_REJECT_UNAUTHORIZED": "1",
    }});
    Launch {
        program: "claude",
        arguments: vec!["--settings".to_owned(), settings.to_string()],
        wary: &["--setting-sources", "user"],
        set: vec![
            ("ANTHROPIC_BASE_URL", Value::Text(address.to_owned())),
            ("ANTHROPIC_AUTH_TOKEN", Value::Key),
        ],
        // Both would be sent.
        unset: &["ANTHROPIC_API_KEY"],
    }
}

/// `-c` wins over every file, and a project's file cannot name the provider at all (developers.openai.com/codex, 2026-11).
fn codex(address: &str) -> Launch {
    let provider = format!(
        "model_providers.keybearer={{name=\"Keybearer\",base_url=\"{address}/v1\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}}"
    );
    let arguments = ["-c", "model_provider=\"keybearer\"", "-c", &provider];
    Launch {
        program: "codex",
        arguments: arguments.map(str::to_owned).into(),
        wary: &[],
        set: vec![("OPENAI_API_KEY", Value::Key)],
        unset: &[],
    }
}

/// The providers that OpenCode finds behind the gateway; it uses no other.
const PROVIDERS: [&str; 4] = ["anthropic", "google", "openai", "openrouter"];

/// `OPENCODE_CONFIG_CONTENT` is merged over every file (opencode.ai/docs/config, 2026-11).
fn opencode(address: &str) -> Launch {
    let provider = |base: &str, variable: &str| json!({ "options": { "baseURL": base, "apiKey": format!("{{env:{variable}}}") } });
    let v1 = format!("{address}/v1");
    let config = json!({ "enabled_providers": PROVIDERS, "provider": {
        "anthropic": provider(&v1, "ANTHROPIC_API_KEY"),
        "google": provider(&format!("{address}/v1beta"), "GEMINI_API_KEY"),
        "openai": provider(&v1, "OPENAI_API_KEY"),
        "openrouter": provider(&v1, "OPENROUTER_API_KEY"),
    }});
    Launch {
        program: "opencode",
        arguments: Vec::new(),
        wary: &[],
        set: vec![
            ("ANTHROPIC_API_KEY", Value::Key),
            ("GEMINI_API_KEY", Value::Key),
            ("OPENAI_API_KEY", Value::Key),
            ("OPENROUTER_API_KEY", Value::Key),
            ("OPENCODE_CONFIG_CONTENT", Value::Text(config.to_string())),
        ],
        unset: &[],
    }
}

/// Aider reads a project's `.env` over the environment; what the command line sets, it sets after that (aider 0.86).
fn aider(address: &str, host: &str) -> Launch {
    let v1 = format!("{address}/v1");
    let mut arguments = vec!["--openai-api-base".to_owned(), v1.clone()];
    // A project's `.env` could name files of settings; these two win over it.
    for file in ["--model-settings-file", "--model-metadata-file"] {
        arguments.extend([file.to_owned(), "/dev/null".to_owned()]);
    }
    for (name, value) in [
        ("OPENAI_API_BASE", v1.as_str()),
        ("OPENAI_BASE_URL", &v1),
        ("ANTHROPIC_API_BASE", address),
        ("ANTHROPIC_BASE_URL", address),
        ("GEMINI_API_BASE", &format!("{address}/v1beta")),
        ("OPENROUTER_API_BASE", &v1),
        ("HTTP_PROXY", ""),
        ("HTTPS_PROXY", ""),
        ("ALL_PROXY", ""),
        ("http_proxy", ""),
        ("https_proxy", ""),
        ("all_proxy", ""),
        ("NO_PROXY", host),
        ("no_proxy", host),
    ] {
        arguments.push("--set-env".to_owned());
        arguments.push(format!("{name}={value}"));
    }
    Launch {
        program: "aider",
        arguments,
        wary: &[],
        set: vec![
            ("OPENAI_API_KEY", Value::Key),
            ("ANTHROPIC_API_KEY", Value::Key),
            ("GEMINI_API_KEY", Value::Key),
            ("OPENROUTER_API_KEY", Value::Key),
        ],
        unset: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "http://127.0.0.1:4356";

    #[test]
    fn every_tool_is_pointed_at_the_gateway_and_only_there() {
        for tool in Tool::ALL {
            let launch = tool.launch(ADDRESS, "127.0.0.1");
            assert_eq!(Tool::from_name(tool.name()), Some(tool));
            let text = tool.by_hand(ADDRESS, "127.0.0.1");
            assert!(text.contains(ADDRESS), "{text}");
            for (start, _) in text.match_indices("http") {
                let rest = &text[start..];
                assert!(
                    rest.starts_with(ADDRESS)
                        || rest.starts_with("http_")
                        || rest.starts_with("https_"),
                    "{rest}"
                );
            }
            assert!(launch.set.iter().any(|(_, value)| *value == Value::Key));
        }
        assert_eq!(Tool::from_name("emacs"), None);
    }

    /// T181: who starts it by hand is told what `launch` would refuse.
    #[test]
    fn by_hand_the_files_are_named_that_a_tool_obeys() {
        for tool in Tool::ALL {
            let text = tool.by_hand(ADDRESS, "127.0.0.1");
            let named = |file: &&str| {
                text.lines()
                    .any(|it| it.starts_with('#') && it.split(' ').any(|it| it == *file))
            };
            assert!(tool.obeyed_files().iter().all(named), "{text}");
            assert_eq!(
                text.contains("could send the key elsewhere"),
                tool != Tool::Codex,
                "{text}"
            );
        }
    }

    /// T181: what a project's file may set is said by the command line, which wins over it.
    #[test]
    fn a_projects_file_cannot_redirect_claude() {
        let launch = Tool::Claude.launch(ADDRESS, "127.0.0.1");
        let settings: serde_json::Value =
            serde_json::from_str(&launch.arguments[1]).expect("settings are JSON");
        assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], ADDRESS);
        assert_eq!(settings["env"]["HTTPS_PROXY"], "");
        assert_eq!(launch.wary, ["--setting-sources", "user"]);
        let by_hand = Tool::Claude.by_hand(ADDRESS, "127.0.0.1");
        assert!(by_hand.contains(" --setting-sources user"), "{by_hand}");
        assert_eq!(launch.unset, ["ANTHROPIC_API_KEY"]);
    }
}
